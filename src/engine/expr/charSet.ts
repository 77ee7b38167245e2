/**
 * Sets of characters (Unicode code points) of regular expressions.
 * Invariant: ranges are sorted, do not touch and do not overlap, so that sets compare and complement simply.
 */

export type CharSet = ReadonlyArray<readonly [first: number, last: number]>;

const MAX_CODE_POINT = 0x10ffff;

export function charSet(ranges: Iterable<readonly [number, number]>): CharSet {
  const result: Array<[number, number]> = [];
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const previous = result.at(-1);
    if (previous !== undefined && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last);
    else result.push([first, last]);
  }
  return result;
}

export function complement(set: CharSet): CharSet {
  const result: Array<[number, number]> = [];
  let next = 0;
  for (const [first, last] of set) {
    if (first > next) result.push([next, first - 1]);
    next = last + 1;
  }
  if (next <= MAX_CODE_POINT) result.push([next, MAX_CODE_POINT]);
  return result;
}

export function union(sets: Iterable<CharSet>): CharSet {
  return charSet([...sets].flat());
}

export function overlaps(a: CharSet, b: CharSet): boolean {
  return a.some(([first, last]) => b.some((other) => first <= other[1] && other[0] <= last));
}

export function isSameSet(a: CharSet, b: CharSet): boolean {
  return a.length === b.length && a.every(([first, last], i) => b[i]?.[0] === first && b[i]?.[1] === last);
}

export function includes(set: CharSet, char: number): boolean {
  for (const [first, last] of set) {
    if (char < first) return false;
    if (char <= last) return true;
  }
  return false;
}

/** Ranges larger than this hold whole scripts, in both cases. */
const MAX_FOLDED_RANGE = 512;

/** Adds the upper and lower case of every letter. */
export function withBothCases(set: CharSet): CharSet {
  const result: Array<readonly [number, number]> = [...set];
  for (const [first, last] of set) {
    if (last - first > MAX_FOLDED_RANGE) continue;
    for (let char = first; char <= last; char++) {
      const text = String.fromCodePoint(char);
      for (const other of [text.toLowerCase(), text.toUpperCase()]) {
        // Some letters become two in the other case, which a set cannot hold.
        if (other.length === text.length) result.push([code(other), code(other)]);
      }
    }
  }
  return charSet(result);
}

const code = (char: string): number => char.codePointAt(0) ?? 0;
const range = (first: string, last: string): [number, number] => [code(first), code(last)];

export const DIGITS = charSet([range("0", "9")]);
export const WORD = charSet([range("0", "9"), range("A", "Z"), range("a", "z"), range("_", "_")]);
/** What JavaScript's `\s` matches. */
export const SPACES = charSet([
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]);
export const ANY: CharSet = [[0, MAX_CODE_POINT]];
/** What `.` matches without the flag `s`. */
export const NOT_NEWLINE = complement(
  charSet([
    [0x0a, 0x0a],
    [0x0d, 0x0d],
    [0x2028, 0x2029],
  ]),
);
