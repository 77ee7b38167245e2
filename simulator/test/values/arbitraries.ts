/**
 * Owns random Convex values for the tests of this folder: from small pools, so that values often are equal, prefixes of
 * each other, or differ in one place only.
 */
import type { Value } from "convex/values";
import fc from "fast-check";

/** A double given by its bits: arithmetic yields neither negative NaNs nor the rarer patterns. */
export function fromBits(bits: bigint): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
}

const CHARACTERS = [
  "\0",
  "\x01",
  "\x02",
  "\n",
  "A",
  "a",
  "b",
  "\x7f",
  "\x80",
  "é",
  "߿",
  "ࠀ",
  "\ue000",
  "\uffff",
  "😀",
  "𐀀",
];
const NAMES = ["a", "b", "aa", "a b", "A", "constructor", "_x", "~"];

export const strings = fc.array(fc.constantFrom(...CHARACTERS), { maxLength: 4 }).map((parts) => parts.join(""));
export const bigints = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(-(2n ** 63n), -256n, -255n, -1n, 0n, 1n, 255n, 256n, 2n ** 32n, 2n ** 63n - 1n),
);
export const numbers = fc.oneof(
  fc.double(),
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(-0, 0, NaN, Infinity, -Infinity, 5e-324, -5e-324, Number.MAX_VALUE, -Number.MAX_VALUE, 2 ** 53, 1e21),
);
export const bytes = fc
  .array(fc.constantFrom(0, 1, 2, 127, 128, 255), { maxLength: 4 })
  .map((items): Value => new Uint8Array(items).buffer);

export const primitives: fc.Arbitrary<Value> = fc.oneof(
  fc.constantFrom(null, true, false),
  bigints,
  numbers,
  strings,
  bytes,
);

export const values: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    primitives,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...NAMES), tie("value"), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value;

export const keyParts: fc.Arbitrary<Value | undefined> = fc.oneof(
  { arbitrary: values, weight: 9 },
  { arbitrary: fc.constant(undefined), weight: 1 },
);
