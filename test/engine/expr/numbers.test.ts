import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createEvaluator, type Scope } from "../../../src/engine/expr/evaluate.js";
import type { Json } from "../../../src/shared/json.js";
import { errorOf } from "./support.js";

const SEED = { seed: 31_415, numRuns: 500 };
const evaluator = createEvaluator();
const value = (source: string, scope: Scope = {}): Json => evaluator.evaluate(source, scope);

/** Ways to write a whole number: an int literal, an int result, a double literal, data. */
const FORMS: ReadonlyArray<[string, (n: number) => string, "int" | "double"]> = [
  ["literal", (n) => String(n), "int"],
  ["result", (n) => `int(${n})`, "int"],
  ["decimal", (n) => `${n}.0`, "double"],
  ["data", (n) => `input.n${n}`, "double"],
];
const SCOPE = { input: { n7: 7, n2: 2, list: ["a", "b", "c"] } };

describe("every form of number with every other one", () => {
  const pairs = FORMS.flatMap(([leftName, left, leftType]) =>
    FORMS.map(([rightName, right, rightType]) => ({
      pair: `${leftName} and ${rightName}`,
      left: left(7),
      right: right(2),
      isInt: leftType === "int" && rightType === "int",
    })),
  );

  it.each(pairs)("$pair", ({ left, right, isInt }) => {
    const results = ["+", "-", "*", "%", "/"].map((operator) => value(`${left} ${operator} ${right}`, SCOPE));
    expect(results).toEqual([9, 5, 14, 1, isInt ? 3 : 3.5]);
    const comparisons = ["<", "<=", ">", ">=", "==", "!="].map((operator) =>
      value(`${left} ${operator} ${right}`, SCOPE),
    );
    expect(comparisons).toEqual([false, false, true, true, false, true]);
    expect(value(`[${left}, ${right}]`, SCOPE)).toEqual([7, 2]);
    expect(value(`{"a": ${left}, "b": ${right}}`, SCOPE)).toEqual({ a: 7, b: 2 });
    expect(value(`true ? ${left} : ${right}`, SCOPE)).toBe(7);
    expect(value(`[${left}, ${right}].sum() + [${left}, ${right}].max() - min([${left}, ${right}])`, SCOPE)).toBe(14);
    expect(value(`${left} in [${right}, 7]`, SCOPE)).toBe(true);
  });

  it.each(FORMS)("%s alone", (_name, form) => {
    const [seven, two] = [form(7), form(2)];
    expect(value(`-(${seven})`, SCOPE)).toBe(-7);
    expect(value(`input.list[${two}]`, SCOPE)).toBe("c");
    expect(value(`${seven} == 7 && ${seven} == 7.0 && 7 == ${seven}`, SCOPE)).toBe(true);
    expect(value(`size(input.list) > ${two}`, SCOPE)).toBe(true);
    expect(value(`string(${seven})`, SCOPE)).toBe("7");
    expect(value(`"abc".substring(0, ${two}) + [1, 2, 3].slice(${two}).join("")`, SCOPE)).toBe("ab3");
    expect(value(`range(${two})`, SCOPE)).toEqual([0, 1]);
    expect(value(`abs(${seven}) + floor(${seven}) + ceil(${seven}) + round(${seven})`, SCOPE)).toBe(28);
    expect(value(`int(timestamp(${seven}))`, SCOPE)).toBe(7);
    expect(value(`double(${seven}) / 2`, SCOPE)).toBe(3.5);
    expect(value(`int(${seven}) / 2`, SCOPE)).toBe(3);
  });
});

describe("arithmetic", () => {
  const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
  const int = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

  it("of doubles is that of JavaScript, or an error where that is not finite", () => {
    const operators = {
      "+": (a: number, b: number) => a + b,
      "-": (a: number, b: number) => a - b,
      "*": (a: number, b: number) => a * b,
      "/": (a: number, b: number) => a / b,
      "%": (a: number, b: number) => a % b,
    };
    fc.assert(
      fc.property(
        finite,
        finite,
        fc.constantFrom<keyof typeof operators>("+", "-", "*", "/", "%"),
        (a, b, operator) => {
          const expected = operators[operator](a, b);
          const calculate = (): Json => value(`input.a ${operator} input.b`, { input: { a, b } });
          if (Number.isFinite(expected)) expect(calculate()).toBe(expected === 0 ? 0 : expected);
          else expect(errorOf(calculate).code).toBe("EXPRESSION_FAILED");
        },
      ),
      SEED,
    );
  });

  it("of ints is exact within 64 bits, or an error", () => {
    const operators = {
      "+": (a: bigint, b: bigint) => a + b,
      "-": (a: bigint, b: bigint) => a - b,
      "*": (a: bigint, b: bigint) => a * b,
      "/": (a: bigint, b: bigint) => a / b,
      "%": (a: bigint, b: bigint) => a % b,
    };
    fc.assert(
      fc.property(int, int, fc.constantFrom<keyof typeof operators>("+", "-", "*", "/", "%"), (a, b, operator) => {
        const calculate = (): Json => value(`string(${a} ${operator} ${b})`);
        const expected = b === 0n && "/%".includes(operator) ? null : operators[operator](a, b);
        if (expected !== null && BigInt.asIntN(64, expected) === expected) expect(calculate()).toBe(String(expected));
        else expect(errorOf(calculate).code).toBe("EXPRESSION_FAILED");
      }),
      SEED,
    );
  });

  it("orders and equates ints and doubles by value, not by rounding", () => {
    fc.assert(
      fc.property(int, finite, (a, b) => {
        expect(value(`${a} < input.b`, { input: { b } })).toBe(a < b);
        expect(value(`input.b <= ${a}`, { input: { b } })).toBe(b <= a);
        // TypeScript knows the two types as comparable.
        expect(value(`${a} == input.b`, { input: { b } })).toBe(a == (b as unknown as bigint));
      }),
      SEED,
    );
    expect(value("9007199254740993 == input.b", { input: { b: 9007199254740992 } })).toBe(false);
  });

  it("divides data with decimals whether the data happens to be whole or not", () => {
    expect([7, 7.5, 8].map((n) => value("input.n / 2", { input: { n } }))).toEqual([3.5, 3.75, 4]);
    expect([7, -7].map((n) => value(`${n} / 2`))).toEqual([3, -3]);
    expect([7, -7].map((n) => value(`${n} % 4`))).toEqual([3, -3]);
  });

  it.each([
    ["1 / 0", "Division by zero"],
    ["1 % 0", "Division by zero"],
    ["1.0 / 0", "Division by zero"],
    ["1 / input.zero", "Division by zero"],
    ["input.zero % input.zero", "Division by zero"],
    ["1e308 * 10", "too large for a number"],
    ["9223372036854775807 + 1", "does not fit 64 bits"],
    ["-(-9223372036854775807 - 1)", "does not fit 64 bits"],
    ["int(1e300)", "does not fit 64 bits"],
    ['"1" + 1', "`+` cannot be applied to string and number. Convert the other one with string(x)"],
    ["1 - null", "`-` cannot be applied to number and null"],
    ["true + true", "`+` cannot be applied to bool and bool"],
    ["[1] < [2]", "`<` cannot be applied to list and list"],
    ['1 < "2"', "`<` cannot be applied to number and string"],
    ["-[]", "`-` cannot be applied to list"],
  ])("%s fails", (source, message) => {
    const error = errorOf(() => value(source, { input: { zero: 0 } }));
    expect(error.code).toBe("EXPRESSION_FAILED");
    expect(error.message).toContain(message);
  });

  it("gives whole results back as plain JSON numbers", () => {
    expect([
      value("9007199254740991"),
      value("-9007199254740991"),
      value("-0.0"),
      value("-input.z", { input: { z: 0 } }),
    ]).toEqual([Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 0, 0]);
    expect(value("-9223372036854775808 < 0")).toBe(true);
  });
});
