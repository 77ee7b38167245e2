import { compareValues, jsonToConvex, type Value } from "convex/values";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AFTER, encodeKey, encodeKeyPart } from "../../src/values/keys.js";
import { fromBits, keyParts, values } from "./arbitraries.js";

type Part = Value | undefined;

const commitTs = jsonToConvex({ $commitTs: null });

/** The order as the specification words it, without any encoding. */
function compare(a: Part, b: Part): number {
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (typeof a === "number" && typeof b === "number") return order(totalOrder(a), totalOrder(b));
  if (typeof a === "bigint" && typeof b === "bigint") return order(a, b);
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (a instanceof ArrayBuffer && b instanceof ArrayBuffer) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (Array.isArray(a) && Array.isArray(b)) return compareTuples(a, b);
  if (isObject(a) && isObject(b)) return compareTuples(fieldsOf(a), fieldsOf(b));
  return 0;
}

function compareTuples(a: readonly Part[], b: readonly Part[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
    const found = compare(a[i], b[i]);
    if (found !== 0) return found;
  }
  return a.length - b.length;
}

function rank(value: Part): number {
  if (value === undefined) return 0;
  if (value === null) return 1;
  if (typeof value === "boolean") return value ? 5 : 4;
  const types = ["bigint", "number", "", "", "string"];
  if (types.includes(typeof value)) return 2 + types.indexOf(typeof value);
  if (value instanceof ArrayBuffer) return 7;
  return Array.isArray(value) ? 8 : 9;
}

/** IEEE 754 totalOrder as an integer: negative doubles count down from -1. */
function totalOrder(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigInt64(0);
  return bits < 0n ? -(bits + 2n ** 63n) - 1n : bits;
}

function order(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isObject(value: Part): value is { [key: string]: Part } {
  return rank(value) === 9;
}

function fieldsOf(value: { [key: string]: Part }): Part[] {
  return Object.keys(value)
    .sort()
    .map((name) => [name, value[name]!]);
}

function sign(key: string, other: string): number {
  return key < other ? -1 : key > other ? 1 : 0;
}

/** Every value once, in ascending order. */
const ASCENDING: readonly Part[] = [
  undefined,
  null,
  -(2n ** 63n),
  -257n,
  -256n,
  -1n,
  0n,
  1n,
  255n,
  256n,
  2n ** 63n - 1n,
  fromBits(0xffffffffffffffffn),
  fromBits(0xfff8000000000001n),
  -Infinity,
  -Number.MAX_VALUE,
  -1.5,
  -1,
  -5e-324,
  -0,
  0,
  5e-324,
  0.1,
  1,
  1.5,
  2 ** 53,
  Infinity,
  fromBits(0x7ff8000000000000n),
  fromBits(0x7fffffffffffffffn),
  false,
  true,
  "",
  "\0",
  "\0\0",
  "\0a",
  "\x01",
  "\x01\x01",
  "\x02",
  "A",
  "a",
  "a\0",
  "a\x01",
  "aa",
  "b",
  "\x7f",
  "\x80",
  "é",
  "\ue000",
  "\uffff",
  "😀",
  new Uint8Array([]).buffer,
  new Uint8Array([0]).buffer,
  new Uint8Array([0, 0]).buffer,
  new Uint8Array([1]).buffer,
  new Uint8Array([255]).buffer,
  [],
  [null],
  [null, null],
  [0n],
  ["a"],
  [[]],
  {},
  { a: null },
  { a: null, b: null },
  { a: 1 },
  { aa: null },
  { b: null },
];

describe("keys", () => {
  it("order every kind of value", () => {
    for (const [i, a] of ASCENDING.entries()) {
      for (const [j, b] of ASCENDING.entries()) {
        const found = sign(encodeKeyPart(a), encodeKeyPart(b));
        expect(found, `${i} and ${j}`).toBe(Math.sign(i - j));
        expect(Math.sign(compare(a, b)), `reference for ${i} and ${j}`).toBe(Math.sign(i - j));
      }
    }
  });

  it("order random values as the specification does", () => {
    fc.assert(
      fc.property(keyParts, keyParts, (a, b) => {
        expect(sign(encodeKeyPart(a), encodeKeyPart(b))).toBe(Math.sign(compare(a, b)));
      }),
      { seed: 71, numRuns: 3000 },
    );
  });

  it("order random tuples, and are prefixes of exactly the keys that begin with the same parts", () => {
    const tuples = fc.array(keyParts, { maxLength: 3 });
    const pairs = fc.oneof(
      fc.tuple(tuples, tuples),
      fc.tuple(tuples, tuples).map(([a, b]): [Part[], Part[]] => [a, [...a, ...b]]),
    );
    fc.assert(
      fc.property(pairs, ([a, b]) => {
        const key = encodeKey(a);
        const other = encodeKey(b);
        expect(sign(key, other)).toBe(Math.sign(compareTuples(a, b)));
        const begins = b.length >= a.length && compareTuples(a, b.slice(0, a.length)) === 0;
        expect(other.startsWith(key)).toBe(begins);
        // The range of the prefix holds the key if and only if it begins with it.
        expect(key <= other && other < key + AFTER).toBe(begins);
        // As the specification defines the bounds: each one is a position between keys.
        expect(sign(key + AFTER, other)).toBe(begins ? 1 : sign(key, other));
      }),
      { seed: 72, numRuns: 3000 },
    );
  });

  it("consist of bytes", () => {
    fc.assert(
      fc.property(keyParts, (part) => {
        expect(encodeKeyPart(part)).toMatch(/^[\0-\xff]+$/);
      }),
      { seed: 73, numRuns: 500 },
    );
  });

  it("agree with compareValues of the npm package", () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        expect(sign(encodeKeyPart(a), encodeKeyPart(b))).toBe(Math.sign(compareValues(a, b)));
      }),
      { seed: 74, numRuns: 3000 },
    );
  });

  it("differ from compareValues in negative NaNs, fields set to undefined and names no document can have", () => {
    const pairs: [Value, Value][] = [
      // The package compares the bits of negative NaNs upwards.
      [fromBits(0xfff8000000000001n), fromBits(0xfff8000000000000n)],
      // To a deployment such a field does not exist.
      [{ a: undefined }, {}],
      // The package sorts names by UTF-16 units.
      [{ "\uffff": 1, "😀": 1 }, { "\uffff": 2 }],
    ];
    expect(pairs.map(([a, b]) => sign(encodeKeyPart(a), encodeKeyPart(b)))).toEqual([-1, 0, -1]);
    expect(pairs.map(([a, b]) => Math.sign(compareValues(a, b)))).toEqual([1, 1, 1]);
  });

  it("take an unknown commit timestamp for the largest int64", () => {
    expect(encodeKeyPart(commitTs)).toBe(encodeKeyPart(2n ** 63n - 1n));
    expect(encodeKey([[commitTs]])).toBe(encodeKey([[2n ** 63n - 1n]]));
    expect(encodeKeyPart(commitTs) < encodeKeyPart(-Infinity)).toBe(true);
  });

  it("hold long text and bytes", () => {
    const long = "é".repeat(50_000);
    expect(encodeKeyPart(long)).toBe(`\x10${Buffer.from(long).toString("latin1")}\0`);
    expect(encodeKeyPart(new Uint8Array(100_000).fill(7).buffer)).toBe(`\x11${"\x07".repeat(100_000)}\0`);
    expect(encodeKeyPart("a".repeat(10_000)) < encodeKeyPart(`${"a".repeat(10_000)}\0`)).toBe(true);
  });

  it("refuse what is no int64", () => {
    expect(() => encodeKeyPart(2n ** 63n)).toThrow(RangeError);
    expect(() => encodeKeyPart(-(2n ** 63n) - 1n)).toThrow("does not fit into 64 bits");
  });
});
