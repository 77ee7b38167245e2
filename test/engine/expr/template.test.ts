import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createEvaluator } from "../../../src/engine/expr/evaluate.js";
import { parseTemplate } from "../../../src/engine/expr/template.js";
import type { Template } from "../../../src/engine/plan.js";
import type { Json, JsonObject } from "../../../src/shared/json.js";
import { errorOf } from "./support.js";

const SEED = { seed: 20_260_131, numRuns: 300 };
const evaluator = createEvaluator();
const render = (value: Json, scope: JsonObject = {}): Json => evaluator.render(parsed(value), scope);

function parsed(value: Json): Template {
  const { template, problems } = parseTemplate(value);
  expect(problems).toEqual([]);
  return template;
}

/** JSON as text carries it: without negative zero. */
const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as Json);
const textWithoutTags = fc.string({ unit: fc.constantFrom("{", "}", "\\", "a", '"', " ", "é", "😀") });
const jsonWithoutTags = fc
  .letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      textWithoutTags,
      json,
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(
        fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "", "$x", "{{ k }}")),
        tie("value"),
      ),
    ),
  }))
  .value.filter((value) => !hasTag(value));

function hasTag(value: Json): boolean {
  if (typeof value === "string") return value.includes("{{");
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).some(hasTag);
}

describe("parseTemplate", () => {
  it("leaves every value without a tag as it is, as one literal", () => {
    fc.assert(
      fc.property(jsonWithoutTags, (value) => {
        const template = parsed(value);
        expect(template.kind).toBe("literal");
        expect(JSON.stringify(evaluator.render(template, {}))).toBe(JSON.stringify(value));
      }),
      SEED,
    );
  });

  it("keeps literal subtrees in one piece next to expressions", () => {
    expect(parsed({ a: { b: [1, "x"] }, c: ["{{ input }}", { d: null }] })).toEqual({
      kind: "object",
      entries: [
        ["a", { kind: "literal", value: { b: [1, "x"] } }],
        [
          "c",
          {
            kind: "array",
            items: [
              { kind: "expression", source: "input" },
              { kind: "literal", value: { d: null } },
            ],
          },
        ],
      ],
    });
  });

  it.each<[string, Template]>([
    ["{{ input.a }}", { kind: "expression", source: "input.a" }],
    ["{{input.a}}", { kind: "expression", source: "input.a" }],
    [" {{ input.a }}", { kind: "text", parts: [" ", { source: "input.a" }] }],
    ["{{ a }}{{ b }}", { kind: "text", parts: [{ source: "a" }, { source: "b" }] }],
    ["x {{ a }} y {{ b }} z", { kind: "text", parts: ["x ", { source: "a" }, " y ", { source: "b" }, " z"] }],
    ["{{ '}}' }}", { kind: "expression", source: "'}}'" }],
    ['{{ "a\\"}}" }}', { kind: "expression", source: '"a\\"}}"' }],
    ["{{ r'}}' + '''it's }}''' }}", { kind: "expression", source: "r'}}' + '''it's }}'''" }],
    ['{{ """ "}} """ }}', { kind: "expression", source: '""" "}} """' }],
    ["{{ {'a': {'b': 1}}}}", { kind: "expression", source: "{'a': {'b': 1}}" }],
    ["{{ {'a': 1} }} }}", { kind: "text", parts: [{ source: "{'a': 1}" }, " }}"] }],
    ["{{ a }}}", { kind: "text", parts: [{ source: "a" }, "}"] }],
    ["{{ a // }} not yet\n }}", { kind: "expression", source: "a // }} not yet" }],
    ["{{\n  a\n}}", { kind: "expression", source: "a" }],
  ])("finds the tags of %j", (text, template) => {
    expect(parsed(text)).toEqual(template);
  });

  it.each<[string, string]>([
    ["\\{{ a }}", "{{ a }}"],
    ["\\\\\\{{", "\\{{"],
    ["a\\b", "a\\b"],
    ["\\\\server", "\\\\server"],
    ["\\{", "\\{"],
    ["{{ 1 }}\\{{ 2 }}", "1{{ 2 }}"],
    ["\\\\{{ 1 }}", "\\1"],
    ["\\\\\\\\{{ 1 }}", "\\\\1"],
  ])("unescapes %j to %j", (text, rendered) => {
    expect(render(text)).toBe(rendered);
  });

  it.each<[Json, Array<string | number>, RegExp]>([
    ["{{ a", [], /character 1 has no `}}`/],
    ["ok {{ a }} then {{ b }", [], /character 17 has no `}}`/],
    ["{{ 'abc }}", [], /has no `}}`/],
    ["{{ {'a': 1 }}", [], /has no `}}`/],
    ["{{ a // comment }}", [], /has no `}}`/],
    ["{{}}", [], /empty/],
    ["a {{   }}", [], /character 3 is empty/],
    [{ list: ["fine", { "a b": "{{ x" }] }, ["list", 1, "a b"], /has no `}}`/],
  ])("reports %j", (value, path, message) => {
    const { problems } = parseTemplate(value);
    expect(problems).toEqual([{ path, code: "EXPRESSION_INVALID", message: expect.stringMatching(message) as string }]);
  });

  it("reports every string with a problem", () => {
    expect(parseTemplate(["{{ a", { b: "{{}}" }, "{{ fine }}"]).problems.map((one) => one.path)).toEqual([
      [0],
      [1, "b"],
    ]);
  });

  it("never takes keys for templates", () => {
    expect(render({ "{{ input.n }}": "{{ input.n }}" }, { input: { n: 1 } })).toEqual({ "{{ input.n }}": 1 });
  });
});

describe("render", () => {
  const scope = {
    input: { text: "a", n: 1.5, i: 3, yes: true, no: null, list: [1, "b"], object: { k: [null] }, big: 1e21 },
  };

  it.each<[string, Json]>([
    ["{{ input.text }}", "a"],
    ["{{ input.n }}", 1.5],
    ["{{ input.yes }}", true],
    ["{{ input.no }}", null],
    ["{{ input.list }}", [1, "b"]],
    ["{{ input.object }}", { k: [null] }],
    ["{{ size(input.list) }}", 2],
  ])("keeps the type of %s", (text, value) => {
    expect(render(text, scope)).toEqual(value);
  });

  it.each<[string, string]>([
    ["<{{ input.text }}>", "<a>"],
    ["<{{ input.n }}|{{ input.i }}|{{ input.big }}>", "<1.5|3|1e+21>"],
    ["<{{ input.yes }}>", "<true>"],
    ["<{{ input.no }}>", "<>"],
    ["<{{ input.list }}>", '<[1,"b"]>'],
    ["<{{ input.object }}>", '<{"k":[null]}>'],
    ["<{{ size(input.list) }}>", "<2>"],
  ])("turns the value of %s into text", (text, rendered) => {
    expect(render(text, scope)).toBe(rendered);
  });

  it("never evaluates what data holds", () => {
    const tag = fc.constantFrom("{{ secret('KEY') }}", "{{ 1 + 1 }}", "{{", "}}", "\\{{ input }}", "{{ input.text }}");
    const data = fc.array(fc.oneof(tag, fc.string()), { minLength: 1, maxLength: 6 }).map((parts) => parts.join(""));
    const marked = createEvaluator({ secretMarker: () => "LEAK" });
    const template = parsed({ alone: "{{ input.text }}", within: "<{{ input.text }}>", list: ["{{ [input.text] }}"] });
    fc.assert(
      fc.property(data, (text) => {
        const rendered = marked.render(template, { input: { text } });
        expect(rendered).toEqual({ alone: text, within: `<${text}>`, list: [[text]] });
      }),
      SEED,
    );
  });

  it("passes every JSON value through unchanged", () => {
    const template = parsed({ "{{ a }}": ["{{ input }}"] });
    fc.assert(
      fc.property(json, (input) => {
        expect(evaluator.render(template, { input })).toEqual({ "{{ a }}": [input] });
      }),
      SEED,
    );
  });

  it("names the expression that failed", () => {
    const error = errorOf(() => render(["{{ input.text }}", "x {{ input.gone }}"], scope));
    expect(error).toMatchObject({ code: "EXPRESSION_FAILED", source: "input.gone" });
    expect(error.message).toContain('`input` has no key "gone"');
  });

  it("keeps keys such as __proto__ as they are", () => {
    const value = JSON.parse('{"__proto__": {"polluted": "{{ 1 }}"}, "constructor": "{{ 2 }}"}') as Json;
    const rendered = render(value);
    expect(JSON.stringify(rendered)).toBe('{"__proto__":{"polluted":1},"constructor":2}');
    expect(Object.getPrototypeOf(rendered)).toBe(Object.prototype);
  });
});
