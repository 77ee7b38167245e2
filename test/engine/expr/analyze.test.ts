import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { analyzeExpression, analyzeTemplate, type ScopeNames } from "../../../src/engine/expr/analyze.js";
import { ExpressionError } from "../../../src/engine/expr/error.js";
import { createEvaluator, type Scope } from "../../../src/engine/expr/evaluate.js";
import { FUNCTION_NAMES } from "../../../src/engine/expr/functions.js";
import { parseTemplate } from "../../../src/engine/expr/template.js";
import type { Reads } from "../../../src/engine/plan.js";
import * as limits from "../../../src/shared/limits.js";
import { names } from "./support.js";

const NOTHING: Reads = { nodes: [], input: false, vars: false, context: false };
const inLoop = names({
  nodes: new Set(["fetch", "classify"]),
  locals: new Set(["item", "index"]),
  inLoop: true,
  loops: new Set(["outer", "inner"]),
});

function messages(source: string, scope: ScopeNames = inLoop): string[] {
  return analyzeExpression(source, scope).problems.map((problem) => problem.message);
}

describe("reads", () => {
  it.each<[string, Partial<Reads>]>([
    ["1 + size('input.vars')", {}],
    ["input", { input: true }],
    ["vars.a > 1 && context.b", { vars: true, context: true }],
    ["nodes.fetch.output", { nodes: ["fetch"] }],
    ["nodes['fetch']", { nodes: ["fetch"] }],
    ["has(nodes.fetch.error)", { nodes: ["fetch"] }],
    ["default(nodes.classify.output, nodes.fetch.output.x[input.i])", { nodes: ["classify", "fetch"], input: true }],
    ["[nodes.fetch.output, nodes.fetch.error]", { nodes: ["fetch"] }],
    ["item.x + index + loop.index + loops.outer.index", {}],
    ["execution.id + node.id", {}],
    ["{'a': input.x, vars.key: 1}", { input: true, vars: true }],
    ["input.list.map(input, input.x)", { input: true }],
    ["[1].map(input, input.x)", {}],
    ["[1].map(nodes, nodes)", {}],
    ["[1].map(x, context.y, vars.z)", { context: true, vars: true }],
    ["cel.bind(vars, input.a, vars + vars)", { input: true }],
    ["cel.bind(x, vars, x)", { vars: true }],
    ["input.name.matches('a')", { input: true }],
    ["true ? -input.a : !vars.b", { input: true, vars: true }],
    ["false || true || context", { context: true }],
  ])("of %s", (source, reads) => {
    expect(analyzeExpression(source, inLoop)).toEqual({ problems: [], reads: { ...NOTHING, ...reads } });
  });

  it("of a template are those of all its expressions, sorted and once each", () => {
    const { template } = parseTemplate({
      a: "{{ nodes.fetch.output }} and {{ nodes.classify.output }}",
      b: ["{{ input.x }}", "{{ nodes.fetch.error }}", { c: "{{ vars.y }}" }],
    });
    expect(analyzeTemplate(template, inLoop)).toEqual({
      problems: [],
      reads: { nodes: ["classify", "fetch"], input: true, vars: true, context: false },
    });
    expect(analyzeTemplate({ kind: "literal", value: ["{{ input }}"] }, inLoop).reads).toEqual(NOTHING);
  });

  it("are all that the result depends on", () => {
    const scope: Scope = {
      input: { n: 1, list: [1, 2], s: "x" },
      vars: { n: 2, list: [], s: "n" },
      context: { n: 3, s: "y" },
      nodes: { fetch: { output: { n: 4, list: [3] } }, classify: { error: { s: "e", n: 5 } } },
      execution: { id: "e", n: 6 },
      node: { id: "n" },
      loop: { index: 0, n: 7 },
      loops: { outer: { index: 1, n: 8 }, inner: { index: 0 } },
      item: { n: 9, list: [0] },
      index: 0,
    };
    fc.assert(
      fc.property(arbitraryExpression(), (source) => {
        const { reads, problems } = analyzeExpression(source, inLoop);
        expect(problems).toEqual([]);
        expect(outcome(source, pruned(scope, reads))).toEqual(outcome(source, scope));
      }),
      { seed: 4_711, numRuns: 2_000 },
    );
  });
});

/** Keeps of a scope what is read. */
function pruned(scope: Scope, reads: Reads): Scope {
  const { input, vars, context, nodes, ...others } = scope;
  const kept = Object.entries(nodes as Scope).filter(([id]) => reads.nodes.includes(id));
  const result: Scope = { ...others, nodes: Object.fromEntries(kept) };
  if (reads.input && input !== undefined) result.input = input;
  if (reads.vars && vars !== undefined) result.vars = vars;
  if (reads.context && context !== undefined) result.context = context;
  return result;
}

function outcome(source: string, scope: Scope): unknown {
  try {
    return createEvaluator().evaluate(source, scope);
  } catch (error) {
    if (error instanceof ExpressionError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

function arbitraryExpression(): fc.Arbitrary<string> {
  const root = fc.constantFrom(
    ...["input", "vars", "context", "item", "index", "loop", "execution", "nodes.fetch", "nodes.classify"],
    ...['nodes["fetch"].output', "loops.outer", "loops.inner", "nodes.fetch.output", "nodes.classify.error", "node"],
  );
  const key = fc.constantFrom(".n", ".list", ".s", '["n"]', "[0]", ".gone");
  const literal = fc.constantFrom("1", "2.5", '"n"', "true", "null", "[]", '{"n": 1}');
  return fc.letrec<{ expr: string }>((tie) => {
    const expr = tie("expr");
    const variable = fc.constantFrom("x", "input", "vars", "nodes", "loop");
    const macro = fc.constantFrom("map", "filter", "all", "exists", "exists_one");
    return {
      expr: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        fc.oneof(root, literal),
        fc.tuple(root, key).map(([a, b]) => a + b),
        fc.tuple(root, key, key).map(([a, b, c]) => a + b + c),
        fc
          .tuple(expr, fc.constantFrom("+", "==", "&&", "||", "<", "in", "/"), expr)
          .map(([a, op, b]) => `(${a} ${op} ${b})`),
        fc.tuple(expr, expr, expr).map(([a, b, c]) => `(${a} == ${b} ? ${b} : ${c})`),
        fc.tuple(root, key, key).map(([a, b, c]) => `has(${a}${b}${c})`),
        fc.tuple(root, key, expr).map(([a, b, c]) => `default(${a}${b}, ${c})`),
        fc.tuple(expr, expr).map(([a, b]) => `[${a}, ${b}]`),
        fc.tuple(expr, expr).map(([a, b]) => `{"k": ${a}, "l": ${b}}`),
        fc.tuple(expr, expr).map(([a, b]) => `[${a}, 1][${b}]`),
        // The body may also use its variable, under a name that is one of the scope's.
        fc.tuple(expr, macro, variable, root).map(([a, m, v, b]) => `[${a}].${m}(${v}, ${v} == ${shadowed(b, v)})`),
        fc.tuple(variable, expr, expr).map(([v, a, b]) => `cel.bind(${v}, ${a}, [${v}, typeOf(${shadowed(b, v)})])`),
      ),
    };
  }).expr;
}

/** Inside of a body `nodes` may be a variable, which has no entries by id; use the variable itself then. */
function shadowed(expr: string, variable: string): string {
  return expr.includes(variable) ? variable : expr;
}

describe("names", () => {
  it.each<[string, RegExp, string | undefined]>([
    ["inptu.x", /Nothing is called `inptu` here. Known names: input, vars, context/, "input"],
    ["var2.x", /Nothing is called `var2`/, "vars"],
    ["fetch.output", /A node is read through `nodes`/, "nodes.fetch"],
    ["nodes.fetsh.output", /There is no node `fetsh`/, "nodes.fetch"],
    ['nodes["clasify"].output', /There is no node `clasify`/, "nodes.classify"],
    ["nodes.zzz", /There is no node `zzz`/, undefined],
    ["loops.outr.index", /There is no loop around this node with the id `outr`/, "loops.outer"],
    ["nodes[input.x]", /read by an id that is written out/, undefined],
    ["nodes[0]", /read by an id that is written out/, undefined],
    ["nodes", /cannot be used as a whole/, undefined],
    ["size(nodes)", /cannot be used as a whole/, undefined],
    ["nodes.map(n, n)", /cannot be used as a whole/, undefined],
    ["'fetch' in nodes", /cannot be used as a whole/, undefined],
    ["loops", /cannot be used as a whole/, undefined],
    ["{name: 1}", /key `name` of a map literal needs quotes/, '"name"'],
    ["[1].map(x, x) + x", /Nothing is called `x`/, undefined],
    ["cel.bind(x, x, 1)", /Nothing is called `x`/, undefined],
    ["__proto__", /reserved identifier/, undefined],
    ["constructor", /Nothing is called `constructor`/, undefined],
    ["cel", /Nothing is called `cel`/, undefined],
    ["int", /Nothing is called `int`/, undefined],
  ])("%s", (source, message, suggestion) => {
    const { problems } = analyzeExpression(source, inLoop);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ code: "EXPRESSION_INVALID", source });
    expect(problems[0]?.message).toMatch(message);
    expect(problems[0]?.suggestion).toBe(suggestion);
  });

  it("of loops exist in loops only", () => {
    expect(messages("loop.index", names())).toEqual(["`loop` exists only in the body of a loop."]);
    expect(messages("loops.outer.index", names())).toEqual(["There is no loop around this node with the id `outer`."]);
    expect(messages("item", names())[0]).toMatch(/Nothing is called `item`/);
    expect(messages("loop.index + index", inLoop)).toEqual([]);
  });

  it("are all reported, each once", () => {
    expect(messages("aaa + bbb + aaa + nodes.ccc.x + nodes.ccc.y")).toHaveLength(3);
  });

  it("that are wrong are not read", () => {
    expect(analyzeExpression("nodes.nope.output + inputt.x", inLoop).reads).toEqual(NOTHING);
  });

  it("of secrets are allowed where the caller says so", () => {
    expect(messages('secret("KEY")')[0]).toMatch(/secret\(\) is not allowed here/);
    expect(messages('secret("KEY")', names({ secrets: true }))).toEqual([]);
    expect(messages("secret(item)", { ...inLoop, secrets: true })[0]).toMatch(/name of a secret as a string/);
  });
});

describe("functions", () => {
  it.each<[string, RegExp, string | undefined]>([
    ["input.x.lenght()", /no function `lenght`/, undefined],
    ["input.x.containz('a')", /no function `containz`/, "contains"],
    ["Size(input.x)", /no function `Size`/, "size"],
    ["type(input.x)", /no function `type`/, undefined],
    ["toString(input)", /no function `toString`/, undefined],
    ["constructor(input)", /no function `constructor`/, undefined],
    ["size()", /size\(\) takes 1 argument, counting the value before the dot, but got 0/, undefined],
    ["input.x.split()", /split\(\) takes 2 to 3 arguments, counting the value before the dot, but got 1/, undefined],
    ["input.x.string()", /write string\(x\), not x.string\(\)/, undefined],
    ["map(input.x, y, y)", /`map` is written list.map\(x, expression\)/, undefined],
    ["input.x.map(y)", /`map` is written list.map\(x, expression\)/, undefined],
    ["input.x.filter(y, y, y)", /`filter` is written list.filter\(x, expression\)/, undefined],
    ["input.x.map(1, 2)", /invalid predicate iteration variable/, undefined],
    ["has(input)", /has\(\) takes a path/, undefined],
    ["has(size(input.x))", /has\(\) takes a path/, undefined],
    ["default(input.x)", /default\(\) takes 2 arguments/, undefined],
    ["cel.bind(1, 2, 3)", /invalid variable argument/, undefined],
    ["input.x.matches(vars.y)", /must be a string literal/, undefined],
    ['input.x.matches("a" + "b")', /must be a string literal/, undefined],
    ['input.x.matches("(")', /has a `\(` without a `\)`/, undefined],
    ["{1: 2}", /Keys of a map literal must be strings/, undefined],
    ["input.?x", /Optional access/, undefined],
    ["input[?0]", /Optional access/, undefined],
    ["1u", /Unsigned integers such as 1u are not supported/, "1"],
    ["9223372036854775808", /does not fit 64 bits/, "9223372036854775808.0"],
  ])("%s", (source, message, suggestion) => {
    const { problems } = analyzeExpression(source, inLoop);
    expect(problems.map((problem) => problem.message)).toEqual([expect.stringMatching(message)]);
    expect(problems[0]?.suggestion).toBe(suggestion);
  });

  it("are known by their own names only", () => {
    expect(FUNCTION_NAMES).not.toContain("constructor");
    expect(new Set(FUNCTION_NAMES).size).toBe(FUNCTION_NAMES.length);
  });
});

describe("syntax and bounds", () => {
  it.each<[string, RegExp]>([
    ["", /is empty/],
    ["  \n ", /is empty/],
    ["1 +", /at character 4, unexpected token: the end/],
    ["(1", /at character 3, expected `\)`, got the end/],
    ["a b", /at character 3, unexpected character/],
    ["input.in", /at character 7, expected a name, got `in`/],
    ["'abc", /unterminated string/],
    ["for", /reserved identifier: for/],
    ["loop loop", /unexpected character/],
    ["1 // {{", /^$/],
  ])("%j", (source, message) => {
    expect(messages(source).join("\n")).toMatch(message);
  });

  it("allow an expression of the greatest length, depth and size, and none beyond", () => {
    const padded = (length: number): string => "1".padEnd(length);
    expect(messages(padded(limits.MAX_EXPRESSION_LENGTH))).toEqual([]);
    expect(messages(padded(limits.MAX_EXPRESSION_LENGTH + 1))[0]).toMatch(/has 4097 characters; at most 4096/);

    const nested = (depth: number): string => "[".repeat(depth - 1) + "1" + "]".repeat(depth - 1);
    expect(messages(nested(limits.MAX_EXPRESSION_DEPTH))).toEqual([]);
    expect(messages(nested(limits.MAX_EXPRESSION_DEPTH + 1))[0]).toMatch(/nested deeper than 64 levels/);

    const list = (items: number): string => `[${Array.from({ length: items }, () => "1").join(",")}]`;
    expect(messages(list(limits.MAX_EXPRESSION_LITERAL_ITEMS))).toEqual([]);
    expect(messages(list(limits.MAX_EXPRESSION_LITERAL_ITEMS + 1))[0]).toMatch(/more than 1000 items/);

    // n operands and the n - 1 operators between them.
    const chain = (operands: number): string => Array.from({ length: operands }, () => "1").join("+");
    expect(messages(chain(limits.MAX_EXPRESSION_AST_NODES / 2))).toEqual([]);
    expect(messages(chain(limits.MAX_EXPRESSION_AST_NODES / 2 + 1))[0]).toMatch(/more than 2000 parts/);
  });

  it("count prefix operators as levels, which the parser does not bound", () => {
    for (const operator of ["!", "-"]) {
      expect(messages(`${operator.repeat(limits.MAX_EXPRESSION_DEPTH - 1)}input`)).toEqual([]);
      expect(messages(`${operator.repeat(limits.MAX_EXPRESSION_DEPTH)}input`)[0]).toMatch(
        /nested deeper than 64 levels/,
      );
    }
  });

  it("count long chains of operators as one level", () => {
    for (const operator of ["+", "&&", "||", "==", "-"]) {
      expect(messages(Array.from({ length: 900 }, () => "1").join(operator))).toEqual([]);
    }
  });

  it.each([
    ["(", "1", ")"],
    ["!", "true", ""],
    ["-", "input", ""],
    ["[1].map(x, ", "1", ")"],
    ["cel.bind(x, 1, ", "1", ")"],
    ["size(", "1", ")"],
    ["true ? 1 : ", "1", ""],
    ["{'a': ", "1", "}"],
    ["input[", "0", "]"],
  ])("refuse deep nesting of %s", (open, core, close) => {
    const times = Math.floor((limits.MAX_EXPRESSION_LENGTH - core.length) / (open.length + close.length));
    expect(messages(open.repeat(times) + core + close.repeat(times)).length).toBeGreaterThan(0);
  });

  it("give a problem, never anything else, for any text", () => {
    const token = fc.constantFrom(
      ..."input nodes loop x 1 2.5 'a' \"b\" ( ) [ ] { } . , : ? + - * / % ! && || == < in .map( has( matches( // ''' r' \\ \n".split(
        " ",
      ),
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 30 }), (tokens) => {
        const source = tokens.join(" ");
        const { problems } = analyzeExpression(source, inLoop);
        for (const problem of problems) expect(problem).toMatchObject({ code: "EXPRESSION_INVALID", source });
        outcome(source, { input: { x: [1] } });
      }),
      { seed: 99, numRuns: 3_000 },
    );
  });
});
