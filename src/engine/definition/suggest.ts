/**
 * "Did you mean": the known name that is nearest to an unknown one.
 *
 * Invariant: bounded work. A definition may hold thousands of wrong names, so a suggester answers a limited number of
 * questions and then gives null.
 */
import { MAX_NAME_LENGTH } from "../../shared/limits.js";

/** Questions one suggester answers; nobody reads further suggestions before fixing the first ones. */
const MAX_QUESTIONS = 200;
/** More edits than this make another word. It also keeps a comparison short, whatever the length of the names. */
const MAX_EDITS = 3;

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
  const folded = unknown.toLowerCase();
  let limit = Math.min(MAX_EDITS, Math.floor(unknown.length / 3));
  let best: string | null = null;
  for (const candidate of known) {
    if (Math.abs(candidate.length - unknown.length) > limit) continue;
    if (candidate.toLowerCase() === folded) return candidate;
    if (!isWithin(limit, unknown, candidate)) continue;
    best = candidate;
    // From here on only a nearer one is better.
    do limit -= 1;
    while (isWithin(limit, unknown, candidate));
  }
  return best;
}

/**
 * Whether one text becomes the other by at most so many insertions, deletions, replacements and swaps of neighbours.
 * Walks over what is equal and branches only at differences: at most 4^limit ways.
 */
function isWithin(limit: number, a: string, b: string, i = 0, j = 0): boolean {
  while (i < a.length && j < b.length && a[i] === b[j]) {
    i += 1;
    j += 1;
  }
  if (i === a.length || j === b.length) return a.length - i + (b.length - j) <= limit;
  if (limit === 0 || Math.abs(a.length - i - (b.length - j)) > limit) return false;
  return (
    isWithin(limit - 1, a, b, i + 1, j + 1) ||
    isWithin(limit - 1, a, b, i + 1, j) ||
    isWithin(limit - 1, a, b, i, j + 1) ||
    (a[i] === b[j + 1] && a[i + 1] === b[j] && isWithin(limit - 1, a, b, i + 2, j + 2))
  );
}
