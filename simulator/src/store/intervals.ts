/**
 * A set of half-open intervals of keys.
 *
 * Owns: what a transaction has read of one index. Invariants: intervals are sorted, do not overlap and do not touch
 * (touching ones are merged), so their number is what Convex counts as "database queries".
 */
export class IntervalSet {
  readonly #starts: string[] = [];
  readonly #ends: string[] = [];

  get size(): number {
    return this.#starts.length;
  }

  /** Adds [start, end); an empty interval adds nothing. */
  add(start: string, end: string): void {
    if (start >= end) return;
    const starts = this.#starts;
    const ends = this.#ends;
    // The first interval that ends at or after `start`, and the first one that starts after `end`, bound what is merged.
    const from = lowerBound(ends, start);
    const to = upperBound(starts, end);
    if (from === to) {
      starts.splice(from, 0, start);
      ends.splice(from, 0, end);
      return;
    }
    const first = starts[from] as string;
    const last = ends[to - 1] as string;
    if (to - from === 1) {
      if (start < first) starts[from] = start;
      if (end > last) ends[from] = end;
      return;
    }
    starts.splice(from, to - from, start < first ? start : first);
    ends.splice(from, to - from, end > last ? end : last);
  }

  has(key: string): boolean {
    const i = upperBound(this.#starts, key) - 1;
    return i >= 0 && key < (this.#ends[i] as string);
  }

  *[Symbol.iterator](): Iterator<readonly [start: string, end: string]> {
    for (let i = 0; i < this.#starts.length; i++) yield [this.#starts[i] as string, this.#ends[i] as string];
  }
}

/** Index of the first element that is not less than `key`. */
function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the first element that is greater than `key`. */
function upperBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as string) <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
