import { describe, expect, it } from "vitest";
import { analyzeExpression, analyzeTemplate } from "../../../src/engine/expr/analyze.js";
import { createEvaluator, type Scope } from "../../../src/engine/expr/evaluate.js";
import { FUNCTION_NAMES } from "../../../src/engine/expr/functions.js";
import { parseTemplate } from "../../../src/engine/expr/template.js";
import * as limits from "../../../src/shared/limits.js";
import type { Json } from "../../../src/shared/json.js";
import { blocks, DOC, errorOf, names } from "./support.js";

type Example = { source: string; result: string };

function examples(info: string): Example[] {
  return blocks(info).flatMap((block) =>
    block
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const at = line.lastIndexOf(" => ");
        if (at < 0) throw new Error(`not an example: ${line}`);
        return { source: line.slice(0, at), result: line.slice(at + 4) };
      }),
  );
}

const [scopeText = ""] = blocks("json scope");
const scope = JSON.parse(scopeText) as Scope;
const allNames = names({
  nodes: new Set(["classify", "fetch"]),
  locals: new Set(["item", "index"]),
  inLoop: true,
  loops: new Set(["eachTag"]),
});
const evaluator = createEvaluator();
const EXPRESSIONS = examples("expr");
const TEMPLATES = examples("template");

describe("docs/expressions.md", () => {
  it("has examples of both kinds", () => {
    expect(EXPRESSIONS.length).toBeGreaterThan(120);
    expect(TEMPLATES.length).toBeGreaterThan(10);
  });

  it.each(EXPRESSIONS)("$source => $result", ({ source, result }) => {
    const { problems } = analyzeExpression(source, allNames);
    if (result === "! EXPRESSION_INVALID") return expect(problems).not.toEqual([]);
    expect(problems).toEqual([]);
    if (result.startsWith("! ")) expect(errorOf(() => evaluator.evaluate(source, scope)).code).toBe(result.slice(2));
    else expect(evaluator.evaluate(source, scope)).toEqual(JSON.parse(result));
  });

  it.each(TEMPLATES)("template $source => $result", ({ source, result }) => {
    const { template, problems } = parseTemplate(JSON.parse(source) as Json);
    if (result === "! EXPRESSION_INVALID") return expect(problems).not.toEqual([]);
    expect(problems).toEqual([]);
    expect(analyzeTemplate(template, allNames).problems).toEqual([]);
    expect(evaluator.render(template, scope)).toEqual(JSON.parse(result));
  });

  it.each([...FUNCTION_NAMES])("lists `%s` in a table and shows it in an example", (name) => {
    const tables = DOC.split("\n").filter((line) => line.startsWith("|"));
    expect(tables.some((line) => new RegExp(`\\b${name}\\(`).test(line))).toBe(true);
    // Parts of timestamps are alike: one stands for the others.
    if (!name.startsWith("get")) expect(EXPRESSIONS.some(({ source }) => source.includes(`${name}(`))).toBe(true);
  });

  it("names bounds that exist", () => {
    const named = [...new Set(DOC.match(/\bMAX_[A-Z_]+\b/g))];
    expect(named.length).toBeGreaterThan(8);
    expect(named.filter((name) => !Object.hasOwn(limits, name))).toEqual([]);
  });
});
