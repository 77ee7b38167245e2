import { convexToJson, type Value } from "convex/values";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkConvexValue,
  checkValueSize,
  fromConvexResult,
  joinChunks,
  splitChunks,
  toConvexArgs,
} from "../../src/engine/values.js";
import type { Json } from "../../src/shared/json.js";
import { MAX_CONVEX_ARGS_DEPTH, MAX_VALUE_BYTES, MB, PAYLOAD_CHUNK_BYTES } from "../../src/shared/limits.js";
import { thrownBy } from "./thrown.js";

const bytesOf = (text: string): number => new TextEncoder().encode(text).length;
const anyText = fc.string({ unit: fc.constantFrom("a", "é", "日", "😀", '"', "\ud800", "\udc00"), maxLength: 60 });

describe("splitChunks", () => {
  it("joins to the same text, within the bound, without cutting a pair, and fills every chunk", () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 4, max: 20 }), (text, maxBytes) => {
        const chunks = splitChunks(text, maxBytes);
        expect(joinChunks(chunks)).toBe(text);
        chunks.forEach((chunk, i) => {
          expect(chunk).not.toBe("");
          expect(bytesOf(chunk)).toBeLessThanOrEqual(maxBytes);
          const following = chunks[i + 1]?.match(/^./su)?.[0];
          if (following !== undefined) {
            expect(bytesOf(chunk) + bytesOf(following)).toBeGreaterThan(maxBytes);
            expect(/[\ud800-\udbff]$/.test(chunk) && /^[\udc00-\udfff]/.test(following)).toBe(false);
          }
        });
      }),
      { seed: 41, numRuns: 2000 },
    );
  });

  it("moves a pair that does not fit to the next chunk", () => {
    expect(splitChunks("aaa😀b", 6)).toEqual(["aaa", "😀b"]);
    expect(splitChunks("éé日", 4)).toEqual(["éé", "日"]);
    expect(splitChunks("", 4)).toEqual([]);
  });

  it("cuts 8 MB of four-byte characters", () => {
    const text = "😀".repeat((8 * MB) / 4);
    const chunks = splitChunks(text, PAYLOAD_CHUNK_BYTES);
    expect(chunks).toHaveLength(Math.ceil((8 * MB) / PAYLOAD_CHUNK_BYTES));
    expect(joinChunks(chunks) === text).toBe(true);
  });

  it.each([3, 0, -1, NaN])("refuses chunks of %d bytes", (maxBytes) => {
    expect(thrownBy(() => splitChunks("a", maxBytes)).code).toBe("ARGUMENT_INVALID");
  });
});

describe("checkValueSize", () => {
  it("measures in bytes and takes a value of exactly the limit", () => {
    expect(checkValueSize("日".repeat(10), "input", 30)).toBe(30);
    const error = thrownBy(() => checkValueSize("日".repeat(10), "input", 29));
    expect(error).toMatchObject({ code: "VALUE_TOO_LARGE", actual: 30, limit: 29 });
    expect(error.message).toMatch(/input is 30 bytes.*limit is 29/);
  });

  it("takes 4 MB and not a byte more", () => {
    const text = "x".repeat(MAX_VALUE_BYTES);
    expect(checkValueSize(text, "output of node a", MAX_VALUE_BYTES)).toBe(MAX_VALUE_BYTES);
    expect(thrownBy(() => checkValueSize(`${text}x`, "output of node a", MAX_VALUE_BYTES)).code).toBe(
      "VALUE_TOO_LARGE",
    );
  });
});

const nested = (levels: number): Json => {
  let value: Json = 0;
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
};
const objectOf = (fields: number): Json => Object.fromEntries(Array.from({ length: fields }, (_, i) => [`f${i}`, i]));

const names = (value: Json): string[] =>
  typeof value === "object" && value !== null
    ? [...(Array.isArray(value) ? [] : Object.keys(value)), ...Object.values(value).flatMap(names)]
    : [];

describe("checkConvexValue", () => {
  it.each<[string, Json, string]>([
    ["a $ name", { filter: [{ $gt: 1 }] }, '$.filter[0] has the field "$gt", which starts with `$`'],
    ["an empty name", { a: { "": 1 } }, '$.a has the field "", which is empty'],
    ["an umlaut", { größe: 1 }, '$ has the field "größe", which is not printable ASCII'],
    ["a control character", { "a\nb": 1 }, '$ has the field "a\\nb", which is not printable ASCII'],
    ["a delete character", { "a\x7f": 1 }, "which is not printable ASCII"],
    ["a long name", { ["n".repeat(1025)]: 1 }, "which is 1025 characters long; Convex takes 1024"],
    ["__proto__", JSON.parse('{"a":{"__proto__":{"admin":true}}}') as Json, '$.a has the field "__proto__"'],
    ["a long list", { a: new Array<Json>(8193).fill(0) }, "$.a is a list of 8193 items; Convex takes 8192"],
    ["a wide object", { a: objectOf(1025) }, "$.a is an object of 1025 fields; Convex takes 1024"],
    ["deep nesting", nested(MAX_CONVEX_ARGS_DEPTH + 1), `is nested deeper than ${MAX_CONVEX_ARGS_DEPTH}`],
    ["half a pair", { a: ["ok", "\ud83d"] }, "$.a[1] holds half of a surrogate pair"],
  ])("refuses %s with the path", (_, value, problem) => {
    expect(checkConvexValue(value)).toContain(problem);
  });

  it.each<[string, Json]>([
    ["names with an underscore, as in a document", { _id: "k1", _creationTime: 1.5, nested: { _x: 1 } }],
    ["a $ inside a name", { a$: 1 }],
    ["names of inherited members", { constructor: 1, toString: 2 }],
    [
      "full lists, objects, names and nesting",
      [new Array<Json>(8192).fill(0), objectOf(1024), { ["n".repeat(1024)]: 1 }],
    ],
    ["nesting up to the bound", nested(MAX_CONVEX_ARGS_DEPTH)],
    ["whole pairs and all other text", ["😀", "größe", "\u0000", "\uffff"]],
    ["plain values", [null, true, -0, 1e300, ""]],
  ])("allows %s", (_, value) => {
    expect(checkConvexValue(value)).toBeNull();
    expect(convexToJson(value as Value)).toBeDefined();
  });

  it("refuses what Convex's own client refuses or loses, the empty name, which the backend refuses, and nothing else", () => {
    const name = fc.oneof(fc.string(), fc.constantFrom("$a", "_a", "", "__proto__", "ü", "\x7f", "a$"));
    const { value } = fc.letrec<{ value: Json }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom<Json>(null, true, 1, "text"),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.array(fc.tuple(name, tie("value")), { maxLength: 3 }).map((entries) => Object.fromEntries(entries) as Json),
      ),
    }));
    fc.assert(
      fc.property(value, (json) => {
        let carried: boolean;
        try {
          // The client sorts names, so compare as sets of own members.
          expect(convexToJson(json as Value)).toEqual(json);
          carried = !names(json).some((one) => one === "" || one === "__proto__");
        } catch {
          carried = false;
        }
        expect(checkConvexValue(json) === null).toBe(carried);
      }),
      { seed: 42, numRuns: 2000 },
    );
  });
});

describe("toConvexArgs", () => {
  it("gives the object itself", () => {
    const args = { orderId: "o1", lines: [{ sku: "a" }] };
    expect(toConvexArgs(args)).toBe(args);
  });

  it.each<[Json, string]>([
    [null, "they are null"],
    [[1], "they are a list"],
    ["text", "they are a string"],
    [{ where: { $eq: 1 } }, "$.where has the field"],
  ])("refuses %j", (args, problem) => {
    const error = thrownBy(() => toConvexArgs(args));
    expect(error.code).toBe("VALUE_NOT_CONVEX");
    expect(error.message).toContain(problem);
  });
});

describe("fromConvexResult", () => {
  it("is the JSON text, with null for nothing", () => {
    expect(fromConvexResult(undefined, "output")).toBe("null");
    expect(fromConvexResult({ a: [1, "é", null], b: undefined }, "output")).toBe('{"a":[1,"é",null]}');
  });

  it.each<[string, unknown, string, RegExp]>([
    ["a bigint", { total: [12n] }, "$.total[0]", /the bigint 12\. Return it as a string/],
    ["bytes", { file: new ArrayBuffer(2) }, "$.file", /bytes\. Return base64 text/],
    ["NaN", [1, NaN], "$[1]", /NaN\. Return null or a string/],
    ["an infinity", -Infinity, "$", /-Infinity\. Return null or a string/],
  ])("refuses %s and says how to convert it", (_, value, path, message) => {
    const error = thrownBy(() => fromConvexResult(value, "output of node total"));
    expect(error).toMatchObject({ code: "VALUE_NOT_JSON", path });
    expect(error.message).toMatch(message);
    expect(error.message).toContain("output of node total");
  });

  it("refuses anything else that JSON cannot carry", () => {
    const circular: { self?: unknown } = {};
    circular.self = circular;
    for (const value of [new Map(), [undefined], circular, () => 1]) {
      expect(thrownBy(() => fromConvexResult(value, "output")).code).toBe("VALUE_NOT_JSON");
    }
  });

  it("carries every JSON value unchanged", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(fromConvexResult(value, "output")).toBe(JSON.stringify(value));
      }),
      { seed: 43 },
    );
  });
});
