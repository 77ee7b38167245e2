/**
 * "Did you mean": the known name that is nearest to an unknown one.
 *
 * Invariant: bounded work. A definition may hold thousands of wrong names, so a suggester answers a limited number of
 * questions and then gives null.
 */
import { MAX_NAME_LENGTH } from "../../shared/limits.js";

/** Questions one suggester answers; nobody reads further suggestions before fixing the first ones. */
const MAX_QUESTIONS = 200;

export type Suggester = (unknown: string, known: Iterable<string>) => string | null;

export function createSuggester(): Suggester {
  let questions = 0;
  return (unknown, known) => {
    questions += 1;
    return questions > MAX_QUESTIONS ? null : nearest(unknown, known);
  };
}

/** The nearest known name within a third of the length in edits; the first one of equally near ones. */
export function nearest(unknown: string, known: Iterable<string>): string | null {
  if (unknown.length > MAX_NAME_LENGTH) return null;
  let limit = Math.floor(unknown.length / 3);
  let best: string | null = null;
  for (const candidate of known) {
    if (candidate.toLowerCase() === unknown.toLowerCase()) return candidate;
    if (Math.abs(candidate.length - unknown.length) > limit) continue;
    const distance = editDistance(unknown, candidate, limit);
    if (distance > limit || (best !== null && distance === limit)) continue;
    best = candidate;
    limit = distance;
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours between two texts; stops counting over the limit. */
function editDistance(a: string, b: string, limit: number): number {
  let beforePrevious: number[] = [];
  let previous: number[] = [];
  for (let j = 0; j <= b.length; j++) previous.push(j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      let cost = Math.min(
        at(previous, j) + 1,
        at(row, j - 1) + 1,
        at(previous, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) cost = Math.min(cost, at(beforePrevious, j - 2) + 1);
      row.push(cost);
      least = Math.min(least, cost);
    }
    // A later swap can still go back one row further, so one more is allowed here.
    if (least > limit + 1) return least;
    beforePrevious = previous;
    previous = row;
  }
  return at(previous, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}
