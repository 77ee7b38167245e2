import { describe, expect, it } from "vitest";
import { Budget } from "../../../src/engine/expr/budget.js";
import { createEvaluator, type Scope } from "../../../src/engine/expr/evaluate.js";
import { parseTemplate } from "../../../src/engine/expr/template.js";
import type { Json } from "../../../src/shared/json.js";
import {
  MAX_EXPRESSION_OUTPUT_CHARS,
  MAX_EXPRESSION_STEPS,
  MAX_JSON_DEPTH,
  MAX_TEMPLATE_STEPS,
  MAX_VALUE_BYTES,
} from "../../../src/shared/limits.js";
import { errorOf } from "./support.js";

const evaluator = createEvaluator();
const value = (source: string, scope: Scope = {}): Json => evaluator.evaluate(source, scope);
const overLimit = (source: string, scope: Scope = {}): string => {
  const error = errorOf(() => value(source, scope));
  expect(error).toMatchObject({ code: "EXPRESSION_LIMIT", source });
  return error.message;
};

const STEPS = `takes more than ${MAX_EXPRESSION_STEPS} steps`;
const CHARS = `builds more than ${MAX_EXPRESSION_OUTPUT_CHARS} characters`;
const MB = 1024 * 1024;
const manyItems = Array.from({ length: 10_000 }, (_, i) => i);
const longText = "a".repeat(3 * MB);

/** `cel.bind(v1, <first>, cel.bind(v2, <v1 doubled>, ...))`: doubles a value so many times. */
function doubling(
  first: string,
  double: (name: string) => string,
  times: number,
  body: (name: string) => string,
): string {
  const names = Array.from({ length: times + 1 }, (_, i) => `v${i}`);
  return names.reduceRight(
    (inner, name, i) => `cel.bind(${name}, ${i === 0 ? first : double(`v${i - 1}`)}, ${inner})`,
    body(`v${times}`),
  );
}

describe("steps", () => {
  it.each<[string, string]>([
    ["nested macros", "input.map(x, input.map(y, x * y))"],
    ["nested tests", "input.all(x, input.exists(y, x == y + 100000) || true)"],
    [
      "deeply nested macros",
      "range(9).map(a, range(9).map(b, range(9).map(c, range(9).map(d, range(9).map(e, range(9))))))",
    ],
    ["macros over what macros gave", "input.map(x, input).map(list, list.map(y, y))"],
    ["a long range", "range(1000000000)"],
    ["nested ranges", "range(1000).map(x, range(1000))"],
    [
      "lists that grow by +",
      doubling(
        "input",
        (v) => `${v} + ${v}`,
        12,
        (v) => `size(${v})`,
      ),
    ],
    [
      "equality of lists that share their items",
      doubling(
        "[[1], [1]]",
        (v) => `[[${v}[0], ${v}[0]], [${v}[1], ${v}[1]]]`,
        25,
        (v) => `${v}[0] == ${v}[1]`,
      ),
    ],
    ["membership", "input.map(x, -1 in input)"],
    ["keys of a large object", "range(10000).map(x, size(wide))"],
    ["keys of a large object in a macro", "range(100).map(x, wide.map(k, k))"],
    ["comparing objects", "range(1000).map(x, {} == wide)"],
    ["sorting over and over", "range(1000).map(x, size(input.sort()))"],
    ["distinct lists", "input.map(x, [x]).distinct()"],
    ["reversing", "input.map(x, input.reverse())"],
    ["slicing", "input.map(x, input.slice(1))"],
    ["sums", "input.map(x, input.sum())"],
    ["flattening", "input.map(x, input).flatten()"],
    ["failures that are outvoted", "range(20000).exists(x, x.gone) || true"],
    ["looking through long text", 'range(1000).map(x, text.contains("b"))'],
    ["comparing long texts", "range(1000).map(x, text == other || text < other)"],
    ["measuring long text", "range(1000).map(x, size(text))"],
    ["matching long text", 'range(1000).map(x, text.matches("a*b"))'],
    ["matching very long text with a slow pattern", 'text.matches("(?:a?[ab]){9}[ab]{0,9}b")'],
    ["time zones", 'input.map(x, timestamp(x).getHours("Asia/Tokyo"))'],
    ["counting parts", 'range(100).map(x, text.split("a", 2))'],
  ])("stop %s", (_what, source) => {
    const wide = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, i]));
    expect(overLimit(source, { input: manyItems, text: longText, other: `${longText}`, wide })).toMatch(
      /steps|characters/,
    );
  });

  it("count alike however often the expression runs", () => {
    const source = `range(${MAX_EXPRESSION_STEPS - 2})`;
    for (let i = 0; i < 3; i++)
      expect(value(`size(range(${MAX_EXPRESSION_STEPS - 3}))`)).toBe(MAX_EXPRESSION_STEPS - 3);
    for (let i = 0; i < 3; i++) expect(overLimit(`size(${source})`)).toContain(STEPS);
  });

  it("are enough for a macro over tens of thousands of items", () => {
    const input = Array.from({ length: 25_000 }, (_, i) => ({ price: i, count: 2 }));
    expect(value("input.map(x, x.price * x.count).sum()", { input })).toBe(25_000 * 24_999);
  });

  it("are spent on a long part that almost matches everywhere in proportion to the text", () => {
    const scope = { text: "a".repeat(2 * MB), part: `b${"a".repeat(100_000)}` };
    expect(value("text.contains(part)", scope)).toBe(false);
    expect(value("text.lastIndexOf(part)", scope)).toBe(-1);
    expect(value("text.replace(part, '') == ''", { ...scope, text: "a".repeat(MB) })).toBe(false);
  });

  it("of a template are bounded as a whole", () => {
    const { template } = parseTemplate(manyItems.slice(0, 500).map(() => "{{ size(range(100000)) }}"));
    const error = errorOf(() => evaluator.render(template, {}));
    expect(error).toMatchObject({ code: "EXPRESSION_LIMIT" });
    expect(error.message).toContain(`${MAX_TEMPLATE_STEPS} steps together`);
    const fewer = parseTemplate(Array.from({ length: 19 }, () => "{{ size(range(100000)) }}")).template;
    expect(evaluator.render(fewer, {})).toEqual(Array.from({ length: 19 }, () => 100_000));
  });
});

describe("a limit is not swallowed", () => {
  const tooMuch = "size(range(1000000)) > 0";

  it.each([
    `${tooMuch} || true`,
    `true && ${tooMuch} && false`,
    `input.gone || ${tooMuch} || true`,
    `[input, 1, 2].exists(x, x == 2 || (x == 1 ? ${tooMuch} : x.gone))`,
    `[1, 2].exists(x, x == 2 || ${tooMuch})`,
    `[1, 2].all(x, x != 2 && ${tooMuch})`,
    `default(input[string(${tooMuch})], 1)`,
    `has(input[string(${tooMuch})])`,
    `[1].exists_one(x, ${tooMuch})`,
  ])("by %s", (source) => {
    expect(overLimit(source, { input: {} })).toContain(STEPS);
  });
});

describe("built text", () => {
  const kilobyte = `"${"x".repeat(1024)}"`;

  it.each<[string, string]>([
    [
      "doubling by +",
      doubling(
        '"0123456789"',
        (v) => `${v} + ${v}`,
        25,
        (v) => `size(${v})`,
      ),
    ],
    ["doubling by nested macros", `range(60).map(a, range(60).map(b, ${kilobyte} + string(a)))`],
    [
      "doubling by join",
      doubling(
        '"0123456789"',
        (v) => `[${v}, ${v}].join(${v})`,
        25,
        (v) => `size(${v})`,
      ),
    ],
    [
      "doubling by replace",
      doubling(
        '"aaaaaaaa"',
        (v) => `${v}.replace("a", ${v})`,
        8,
        (v) => `size(${v})`,
      ),
    ],
    ["joining with a long separator", `range(5000).join(${kilobyte})`],
    [
      "json of what shares its parts",
      doubling(
        `[${kilobyte}]`,
        (v) => `[${v}, ${v}]`,
        25,
        (v) => `json(${v})`,
      ),
    ],
    [
      "json of nothing but brackets",
      doubling(
        "[]",
        (v) => `[${v}, ${v}]`,
        25,
        (v) => `json(${v})`,
      ),
    ],
    [
      "json of json",
      doubling(
        'json("\\"")',
        (v) => `json(${v})`,
        25,
        (v) => `size(${v})`,
      ),
    ],
    ["a replacement of every character", `text.slice(0, 100000).replace("a", ${kilobyte}) == ""`],
    ["json over and over", "range(10).map(x, size(json(text)))"],
    ["json that fails each time", "range(10000).exists(x, json([text, timestamp(0)]) == '')"],
    ["upper", "range(10).map(x, text.upper())"],
    ["adding to long data", 'range(10).map(x, text + "!")'],
    ["splitting long data", 'range(5).map(x, size(text.split("b")))'],
    [
      "bytes",
      doubling(
        'b"0123456789"',
        (v) => `${v} + ${v}`,
        25,
        (v) => `size(${v})`,
      ),
    ],
    ["bytes of long text", "bytes(text).hex()"],
    ["copying by slice", "range(10).map(x, text.slice(1))"],
  ])("is bounded for %s", (_what, source) => {
    expect(overLimit(source, { text: "a".repeat(MB / 2) })).toMatch(/characters|left for it/);
  });

  it("may reach its bound", () => {
    const half = "a".repeat(MAX_EXPRESSION_OUTPUT_CHARS / 2);
    expect(value("size(input + input)", { input: half })).toBe(MAX_EXPRESSION_OUTPUT_CHARS);
    expect(overLimit('size(input + input + "!")', { input: half })).toContain(CHARS);
  });

  it("counts a chain of + once, not once per operator", () => {
    const source = Array.from({ length: 100 }, () => "input").join(" + ");
    const input = "a".repeat(MAX_EXPRESSION_OUTPUT_CHARS / 100);
    expect(value(`size(${source})`, { input })).toBe(input.length * 100);
  });

  it("does not count what is only passed through", () => {
    expect(value("input", { input: longText })).toBe(longText);
  });
});

describe("results", () => {
  it("may have as many bytes as a value may have, and no more", () => {
    const fitting = "a".repeat(MAX_VALUE_BYTES - 2);
    expect(value("input", { input: fitting })).toBe(fitting);
    expect(overLimit("input", { input: `${fitting}a` })).toContain(`larger than the ${MAX_VALUE_BYTES} bytes`);
    expect(overLimit("input", { input: "é".repeat(MAX_VALUE_BYTES / 2) })).toContain("larger than");
  });

  it("cannot grow by sharing", () => {
    overLimit("range(10000).map(x, input)", { input: longText });
    overLimit(
      doubling(
        "[1]",
        (v) => `[${v}, ${v}]`,
        25,
        (v) => v,
      ),
    );
    overLimit(
      doubling(
        "[]",
        (v) => `{"a": ${v}, "b": ${v}}`,
        25,
        (v) => v,
      ),
    );
  });

  it("are not nested deeper than JSON may be", () => {
    const deep = (levels: number): Json => (levels === 0 ? 1 : [deep(levels - 1)]);
    expect(value("input", { input: deep(MAX_JSON_DEPTH) })).toEqual(deep(MAX_JSON_DEPTH));
    expect(overLimit("[input]", { input: deep(MAX_JSON_DEPTH) })).toContain("nested deeper than 100 levels");
  });

  it("of a template are bounded as a whole", () => {
    const scope = { input: "a".repeat(MB) };
    const render = (value: Json): Json => evaluator.render(parseTemplate(value).template, scope);
    expect(render(["{{ input }}", "x{{ input }}", "{{ input }}"])).toHaveLength(3);
    for (const many of [
      Array.from({ length: 1_000 }, () => "{{ input }}"),
      "{{ input }}".repeat(1_000),
      { a: "{{ input }}{{ input }}", b: "{{ [input, input] }}", c: "{{ input }}" },
      ["{{ input }}{{ input }}{{ input }}", "b".repeat(MB)],
    ]) {
      expect(errorOf(() => render(many)).code).toBe("EXPRESSION_LIMIT");
    }
  });
});

describe("Budget", () => {
  it("charges before the work: it is spent to the last step and then refuses", () => {
    const budget = new Budget(2);
    budget.step();
    budget.elements(2);
    expect(budget.stepsLeft).toBe(0);
    budget.read(32);
    expect(() => budget.read(1)).toThrow(STEPS);
  });
});
