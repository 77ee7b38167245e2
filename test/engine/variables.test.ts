import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mergeVariables, type VariablePatch } from "../../src/engine/variables.js";
import type { Json, JsonObject } from "../../src/shared/json.js";
import { MAX_VALUE_BYTES } from "../../src/shared/limits.js";
import { thrownBy } from "./thrown.js";

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const member of Object.values(value)) deepFreeze(member);
  }
  return value;
}

const name = fc.constantFrom("a", "b", "c", "__proto__", "constructor", "toString", "");
const values = fc
  .array(fc.tuple(name, fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>), { maxLength: 4 })
  .map((entries): JsonObject => Object.fromEntries(entries));
const patches = (writer: fc.Arbitrary<string>): fc.Arbitrary<VariablePatch[]> =>
  fc.array(fc.record({ writer, values }), { maxLength: 5 });

describe("mergeVariables", () => {
  it("overwrites whole variables and keeps the others", () => {
    const base = deepFreeze({ user: { name: "Ada", age: 36 }, step: 1 });
    expect(mergeVariables(base, [{ writer: "n1", values: { user: { name: "Bob" }, extra: [true] } }])).toEqual({
      user: { name: "Bob" },
      step: 1,
      extra: [true],
    });
  });

  it("takes the later of two patches of one writer", () => {
    const patch = (n: number): VariablePatch => ({ writer: "n1", values: { n } });
    expect(mergeVariables({ n: 0 }, [patch(1), patch(2)])).toEqual({ n: 2 });
    expect(mergeVariables({ n: 0 }, [patch(2), patch(1)])).toEqual({ n: 1 });
  });

  it("takes different names of different writers", () => {
    const batch = [
      { writer: "n1", values: { a: 1 } },
      { writer: "n2", values: { b: 2 } },
      { writer: "n1", values: { a: 3 } },
    ];
    expect(mergeVariables({}, batch)).toEqual({ a: 3, b: 2 });
  });

  it.each(["total", "__proto__", "constructor"])("refuses two writers of %s, and names them", (variable) => {
    const set = (value: Json): JsonObject => Object.fromEntries([[variable, value]]);
    const batch = deepFreeze([
      { writer: "left[0]", values: set(1) },
      { writer: "right[0]", values: set(1) },
    ]);
    const error = thrownBy(() => mergeVariables({}, batch));
    expect(error.code).toBe("VARIABLE_CONFLICT");
    expect(error.message).toContain(`"${variable}" is set by left[0] and by right[0]`);
  });

  it("refuses variables over the limit and takes those of exactly the limit", () => {
    const filler = "x".repeat(MAX_VALUE_BYTES - '{"base":"","text":""}'.length - 4);
    const merge = (text: string): JsonObject => mergeVariables({ base: "1234" }, [{ writer: "n1", values: { text } }]);
    expect(merge(filler)).toHaveProperty("text", filler);
    expect(thrownBy(() => merge(`${filler}x`))).toMatchObject({
      code: "VALUE_TOO_LARGE",
      actual: MAX_VALUE_BYTES + 1,
      limit: MAX_VALUE_BYTES,
    });
  });

  it("treats __proto__ as an ordinary name", () => {
    const hostile = deepFreeze(JSON.parse('{"__proto__":{"admin":true}}') as JsonObject);
    const merged = mergeVariables({ a: 1 }, [{ writer: "n1", values: hostile }]);
    expect(Object.keys(merged).sort()).toEqual(["__proto__", "a"]);
    expect((merged as { admin?: unknown }).admin).toBeUndefined();
    expect(({} as { admin?: unknown }).admin).toBeUndefined();
    expect(JSON.stringify(mergeVariables(merged, []))).toBe('{"a":1,"__proto__":{"admin":true}}');
  });

  it("never changes its input, and gives the last value of each name", () => {
    fc.assert(
      fc.property(values, patches(fc.constant("n1")), (base, batch) => {
        const before = JSON.stringify([base, batch]);
        const merged = mergeVariables(deepFreeze(base), deepFreeze(batch));
        expect(JSON.stringify([base, batch])).toBe(before);
        const expected = new Map(Object.entries(base));
        for (const patch of batch) for (const [key, value] of Object.entries(patch.values)) expected.set(key, value);
        expect(new Map(Object.entries(merged))).toEqual(expected);
      }),
      { seed: 51, numRuns: 500 },
    );
  });

  it("refuses exactly the batches in which two writers meet, in any order", () => {
    let conflicts = 0;
    fc.assert(
      fc.property(values, patches(fc.constantFrom("n1", "n2", "n3")), (base, batch) => {
        const writersOf = new Map<string, Set<string>>();
        for (const { writer, values: set } of batch) {
          for (const key of Object.keys(set)) writersOf.set(key, (writersOf.get(key) ?? new Set()).add(writer));
        }
        const meets = [...writersOf.values()].some((writers) => writers.size > 1);
        const reversedByWriter = ["n3", "n2", "n1"].flatMap((writer) =>
          batch.filter((patch) => patch.writer === writer),
        );
        if (meets) {
          conflicts++;
          for (const order of [batch, reversedByWriter]) {
            expect(thrownBy(() => mergeVariables(base, order)).code).toBe("VARIABLE_CONFLICT");
          }
        } else expect(mergeVariables(base, reversedByWriter)).toEqual(mergeVariables(base, batch));
      }),
      { seed: 52, numRuns: 500 },
    );
    expect(conflicts).toBeGreaterThan(50);
  });
});
