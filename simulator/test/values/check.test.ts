import { getConvexSize, getDocumentSize, jsonToConvex, type Value } from "convex/values";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkDocument, checkValue } from "../../src/values/check.js";
import { values } from "./arbitraries.js";

const MIB = 2 ** 20;
const commitTs = jsonToConvex({ $commitTs: null });
class Point {
  x = 1;
}

function nested(levels: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i += 1) value = wrap(value);
  return value;
}

const inField = (inner: unknown) => ({ a: inner });
const inArray = (inner: unknown) => [inner];

function withFields(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, i]));
}

/** A document of exactly that many bytes, system fields included. */
function documentOf(bytes: number): Record<string, Value> {
  const text = "x".repeat(bytes - getDocumentSize({ text: "" }));
  const document = { text };
  expect(getDocumentSize(document)).toBe(bytes);
  return document;
}

const GOOD: [string, unknown][] = [
  ["every type", { a: null, b: true, c: 1, d: 1n, e: "x", f: new ArrayBuffer(3), g: [1, [2]], h: { i: {} } }],
  ["special numbers", { a: NaN, b: -0, c: Infinity, d: -Infinity }],
  ["the limits of int64", { a: 2n ** 63n - 1n, b: -(2n ** 63n) }],
  ["an unknown commit timestamp", { a: commitTs, b: [commitTs] }],
  ["fields set to undefined, which are none", { a: undefined, $b: undefined, _c: undefined, d: { e: undefined } }],
  ["an object without a prototype", Object.assign(Object.create(null) as object, { a: 1 })],
  ["arrays of 8192", { a: Array<number>(8192).fill(0) }],
  ["1024 fields", withFields(1024)],
  ["1024 fields and undefined ones", { ...withFields(1024), x: undefined }],
  ["the system fields", { _id: "x", _creationTime: 1 }],
  ["an underscore below the top", { a: { _b: 1 } }],
  ["field names of 1024 characters", { ["n".repeat(1024)]: 1 }],
  ["every printable field name", { " ": 1, "~": 1, a$: 1, "a.b": 1, "0": 1, '"': 1, constructor: 1 }],
  ["16 levels of objects", nested(16, inField)],
];

const LONG = "n".repeat(1025);
const BAD: [string, unknown, string][] = [
  ["undefined in arrays", { a: [1, undefined] }, "undefined is not a valid Convex value"],
  ["holes in arrays", { a: Array(1) }, "(present at path .a[0])"],
  ["dates", { a: { b: [new Date(0)] } }, "Date is not a supported Convex type"],
  ["maps", { a: new Map() }, "Map is not a supported Convex type"],
  ["sets", { a: new Set() }, "Set is not a supported Convex type"],
  ["class instances", { a: new Point() }, "Point is not a supported Convex type"],
  ["views of bytes", { a: new Uint8Array(1) }, "Uint8Array is not a supported Convex type"],
  ["errors", { a: new Error("x") }, "Error is not a supported Convex type"],
  ["promises", { a: Promise.resolve() }, "Promise is not a supported Convex type"],
  ["functions", { a: () => 1 }, "Function is not a supported Convex type"],
  ["symbols", { a: Symbol("x") }, "Symbol is not a supported Convex type"],
  ["objects made from objects", { a: Object.create(Object.create(null) as object) as unknown }, "not a supported"],
  ["bigints above int64", { a: 2n ** 63n }, "BigInt 9223372036854775808 does not fit into a 64-bit signed integer"],
  ["bigints below int64", { a: -(2n ** 63n) - 1n }, "does not fit into a 64-bit signed integer"],
  ["arrays of 8193", { a: Array<number>(8193).fill(0) }, "Array length is too long (8193 > maximum length 8192)"],
  ["1025 fields", { a: withFields(1025) }, "Object has too many fields (1025 > maximum number 1024)"],
  ["empty field names", { a: { "": 1 } }, "Field names cannot be empty (present at path .a)"],
  ["field names of 1025 characters", { [LONG]: 1 }, "Field name is too long (1025 > maximum 1024)"],
  ["field names starting with $", { a: { $ref: 1 } }, "Field name $ref starts with a '$', which is reserved"],
  ["the JSON of an encoded value", { a: { $integer: "AAAAAAAAAAA=" } }, "starts with a '$'"],
  ["control characters in field names", { "a\n": 1 }, 'has invalid character "\\n"'],
  ["delete in field names", { "a\x7f": 1 }, "Field names can only contain non-control ASCII characters"],
  ["umlauts in field names", { ä: 1 }, 'has invalid character "ä"'],
  ["astral characters in field names", { "a😀": 1 }, 'has invalid character "😀"'],
];

const BAD_DOCUMENTS: [string, unknown, string][] = [
  ["undefined", undefined, "a document must be an object, found undefined"],
  ["null", null, "found null"],
  ["a number", 1, "found Number"],
  ["an array", [], "found Array"],
  ["a class instance", new Point(), "found Point"],
  ["bytes", new ArrayBuffer(1), "found ArrayBuffer"],
  ["a commit timestamp", commitTs, "found CommitTsPlaceholder"],
  ["another field with an underscore", { _x: 1 }, "Field '_x' starts with an underscore"],
  ["17 levels", nested(17, inField), "Document is too nested (nested 17 levels deep > maximum nesting 16)"],
  ["17 levels of arrays", { a: nested(16, inArray) }, "Document is too nested"],
];

describe("checkDocument and checkValue", () => {
  it.each(GOOD)("accept %s", (_, value) => {
    expect(() => checkDocument(value, "Document")).not.toThrow();
    expect(() => checkValue(value, "Value")).not.toThrow();
  });

  it.each(BAD)("refuse %s", (_, value, message) => {
    expect(() => checkDocument(value, "The document")).toThrow(message);
    expect(() => checkValue(value, "The value")).toThrow(message);
    expect(() => checkValue([value], "The value")).toThrow(/^The value: /);
  });

  it.each(BAD_DOCUMENTS)("refuse as a document %s", (_, value, message) => {
    expect(() => checkDocument(value, 'A document of table "t"')).toThrow(message);
    expect(() => checkDocument(value, 'A document of table "t"')).toThrow(/^A document of table "t": /);
  });

  it("accept as a value what only documents may not be", () => {
    for (const value of [null, 1, "x", [], new ArrayBuffer(1), commitTs, { _x: 1 }]) {
      expect(() => checkValue(value, "Value")).not.toThrow();
    }
    expect(() => checkValue(undefined, "The result")).toThrow("The result: undefined is not a valid Convex value");
    expect(() => checkValue(new Point(), "The result")).toThrow("The result: Point is not a supported Convex type");
  });

  it("count the object and the array around a value as levels, whether or not they hold something", () => {
    expect(() => checkDocument(nested(15, inField), "d")).not.toThrow();
    expect(() => checkDocument({ a: nested(15, inArray) }, "d")).not.toThrow();
    expect(() =>
      checkDocument(
        nested(15, (inner) => ({ a: inner === 1 ? {} : inner })),
        "d",
      ),
    ).not.toThrow();
    expect(() => checkDocument({ a: nested(15, (inner) => [inner === 1 ? [] : inner]) }, "d")).toThrow("17 levels");
    expect(() => checkValue(nested(64, inArray), "v")).not.toThrow();
    expect(() => checkValue(nested(64, inField), "v")).not.toThrow();
    expect(() => checkValue(nested(65, inArray), "v")).toThrow("Value is too nested (nested 65 levels deep");
  });

  it("refuse cycles", () => {
    const cycle: Record<string, unknown> = {};
    cycle.a = [cycle];
    expect(() => checkValue(cycle, "v")).toThrow("too nested");
  });

  it("limit documents to 1 MiB with their system fields, and values to 16 MiB", () => {
    expect(() => checkDocument(documentOf(MIB), "d")).not.toThrow();
    expect(() => checkDocument(documentOf(MIB + 1), "d")).toThrow(
      "d: Value is too large (1048577 bytes > maximum size 1048576 bytes)",
    );
    const stored = { ...documentOf(MIB), _id: "x".repeat(32), _creationTime: 1 };
    expect(() => checkDocument(stored, "d")).not.toThrow();
    expect(() => checkDocument({ ...stored, _id: "x".repeat(33) }, "d")).toThrow("too large");
    const largest = new ArrayBuffer(16 * MIB - 2);
    expect(getConvexSize(largest)).toBe(16 * MIB);
    expect(() => checkValue(largest, "v")).not.toThrow();
    expect(() => checkValue(new ArrayBuffer(16 * MIB - 1), "v")).toThrow("too large");
  });

  it("accept random values", () => {
    fc.assert(
      fc.property(values, (value) => {
        checkValue(value, "v");
        checkDocument({ value }, "d");
      }),
      { seed: 91, numRuns: 500 },
    );
  });
});
