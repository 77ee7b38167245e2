import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileDefinition } from "../../../src/engine/definition/compile.js";
import { readPlan, writePlan } from "../../../src/engine/definition/planCache.js";
import type { Definition, NodeSource } from "../../../src/engine/definition/schema.js";
import { validateDefinition } from "../../../src/engine/definition/validate.js";
import { PLAN_FORMAT, type NodeOf, type NodeType, type Plan } from "../../../src/engine/plan.js";
import { shardflowErrorData } from "../../../src/shared/errors.js";
import type { Json } from "../../../src/shared/json.js";
import { definitions } from "../../support/arbitraries/definitions.js";

function load(name: string): Definition {
  const url = new URL(`../../fixtures/definitions/valid/${name}.json`, import.meta.url);
  return checked(JSON.parse(readFileSync(url, "utf8")) as Json);
}

function checked(source: Json): Definition {
  const { problems, definition } = validateDefinition(source);
  expect(problems).toEqual([]);
  if (definition === null) throw new Error("no definition");
  return definition;
}

function nodeOf<T extends NodeType>(plan: Plan, id: string, type: T): NodeOf<T> {
  const node = plan.nodes[id];
  if (node?.type !== type) throw new Error(`${id} is not a ${type} node`);
  return node as NodeOf<T>;
}

const nothing = { nodes: [], input: false, vars: false, context: false };

describe("compile", () => {
  test("a small definition, whole", () => {
    const plan = compileDefinition(
      checked({
        name: "small",
        nodes: {
          start: { type: "trigger", next: { success: "call" } },
          call: { type: "action", action: "a.b", next: { success: "out" } },
          out: {
            type: "output",
            value: { got: "{{ nodes.call.output }}", and: "<{{ input.x }}>", list: [1, "{{ vars.v }}"] },
          },
        },
      }),
    );
    const never = { maxAttempts: 1, initialMs: 1_000, factor: 2, maxMs: 60_000, on: [] };
    expect(plan).toEqual({
      format: PLAN_FORMAT,
      name: "small",
      entry: "start",
      nodes: {
        start: {
          id: "start",
          type: "trigger",
          loop: null,
          next: { success: "call" },
          retry: never,
          timeoutMs: 60_000,
          reads: nothing,
        },
        call: {
          id: "call",
          type: "action",
          loop: null,
          next: { success: "out" },
          retry: { ...never, on: ["app", "rateLimit", "unavailable", "timeout"] },
          timeoutMs: 60_000,
          reads: nothing,
          action: "a.b",
          args: { kind: "literal", value: {} },
        },
        out: {
          id: "out",
          type: "output",
          loop: null,
          next: {},
          retry: never,
          timeoutMs: 60_000,
          reads: { nodes: ["call"], input: true, vars: true, context: false },
          value: {
            kind: "object",
            entries: [
              ["got", { kind: "expression", source: "nodes.call.output" }],
              ["and", { kind: "text", parts: ["<", { source: "input.x" }, ">"] }],
              [
                "list",
                {
                  kind: "array",
                  items: [
                    { kind: "literal", value: 1 },
                    { kind: "expression", source: "vars.v" },
                  ],
                },
              ],
            ],
          },
        },
      },
      actions: ["a.b"],
      models: [],
    });
  });

  test("retry: the node over the defaults of the definition over those of its type", () => {
    const { nodes } = compileDefinition(load("ticketTriage"));
    expect(nodes.customer?.retry).toMatchObject({ maxAttempts: 5, on: ["unavailable"] });
    expect(nodes.handOver?.retry).toMatchObject({ maxAttempts: 3, on: ["app", "rateLimit", "unavailable", "timeout"] });
    expect(nodes.classify?.retry).toMatchObject({ maxAttempts: 3, on: ["rateLimit", "unavailable", "timeout"] });
  });

  test("timeouts: the node over the defaults of the definition over those of its type", () => {
    const { nodes } = compileDefinition(load("ticketTriage"));
    expect([nodes.classify?.timeoutMs, nodes.answer?.timeoutMs]).toEqual([60_000, 30_000]);
    const ask = { type: "llm", model: "p:m", prompt: "hi" };
    const plain = compileDefinition(
      checked({ name: "x", nodes: { start: { type: "trigger", next: { success: "ask" } }, ask } }),
    );
    expect(plain.nodes.ask?.timeoutMs).toBe(120_000);
  });

  test("actions, literal models and nodes that are read are listed once and sorted", () => {
    const ask = (model: string, next: string) => ({ type: "llm", model, prompt: "hi", next: { success: next } });
    const call = (action: string, next: string) => ({ type: "action", action, next: { success: next } });
    const plan = compileDefinition(
      checked({
        name: "x",
        nodes: {
          start: { type: "trigger", next: { success: "d" } },
          d: call("z.last", "c"),
          c: call("a.first", "b"),
          b: call("z.last", "a1"),
          a1: ask("q:m", "a2"),
          a2: ask("p:m", "a3"),
          a3: ask("q:m", "a4"),
          a4: ask("{{ input.model }}", "a5"),
          a5: ask("p:{{ input.model }}", "out"),
          out: {
            type: "output",
            value: ["{{ nodes.d.output }}", "{{ nodes.b.output == nodes.d.error }}", "{{ nodes.b }}"],
          },
        },
      }),
    );
    expect(plan.actions).toEqual(["a.first", "z.last"]);
    expect(plan.models).toEqual(["p:m", "q:m"]);
    expect(plan.nodes.out?.reads.nodes).toEqual(["b", "d"]);
  });

  test("reads of an llm node: model, system, prompt and messages", () => {
    const plan = compileDefinition(load("ticketTriage"));
    expect(nodeOf(plan, "answer", "llm").reads).toEqual({ ...nothing, input: true });
    expect(nodeOf(plan, "route", "switch").reads).toEqual({ ...nothing, nodes: ["classify", "customer"] });
    expect(nodeOf(plan, "handOver", "action").reads).toEqual({ ...nothing, nodes: ["classify"] });
    expect(nodeOf(plan, "answered", "output").reads).toEqual({ ...nothing, vars: true });
  });

  test("defaults of an llm node; no repair without a schema", () => {
    const plan = compileDefinition(load("ticketTriage"));
    expect(nodeOf(plan, "classify", "llm")).toMatchObject({
      repairAttempts: 2,
      maxOutputTokens: null,
      temperature: 0,
      messages: null,
    });
    expect(nodeOf(plan, "answer", "llm")).toMatchObject({
      repairAttempts: 0,
      maxOutputTokens: 800,
      temperature: null,
      prompt: null,
      schema: null,
    });
  });

  test("loops: places, names and what is read before and at the end of a pass", () => {
    const plan = compileDefinition(load("loops"));
    const places = Object.entries(plan.nodes).map(([id, { loop }]) => [id, loop]);
    expect(Object.fromEntries(places.filter(([, loop]) => loop !== null))).toEqual({
      lines: "orders",
      book: "orders",
      price: "lines",
      improve: "refine",
      judge: "refine",
    });
    expect(nodeOf(plan, "orders", "loop")).toMatchObject({
      itemName: "order",
      indexName: "orderIndex",
      maxIterations: 1_000,
      onItemError: "continue",
      until: null,
      carry: [],
      reads: { ...nothing, input: true },
      passReads: { ...nothing, nodes: ["lines"] },
    });
    expect(nodeOf(plan, "refine", "loop")).toMatchObject({
      items: null,
      concurrency: 1,
      onItemError: "fail",
      until: "nodes.judge.output.good",
      carry: [{ name: "draft", initial: { kind: "expression", source: "input.draft" } }],
      reads: { ...nothing, input: true },
      passReads: { ...nothing, nodes: ["improve", "judge"] },
    });
  });

  test("a plan shares nothing that can change with the defaults", () => {
    const [first, second] = [compileDefinition(load("smallest")), compileDefinition(load("smallest"))];
    first.nodes.start?.retry.on.push("app");
    expect(second.nodes.start?.retry.on).toEqual([]);
  });

  test("what was not validated is refused", () => {
    const code = (definition: Definition) => {
      try {
        return compileDefinition(definition);
      } catch (error) {
        return shardflowErrorData(error)?.code;
      }
    };
    expect(code({ name: "x", nodes: {} })).toBe("DEFINITION_INVALID");
    const start: NodeSource = { type: "trigger", next: { success: "out" } };
    expect(code({ name: "x", nodes: { start, out: { type: "output", value: "{{ open" } } })).toBe("DEFINITION_INVALID");
    const pick: NodeSource = { type: "switch", cases: [{ port: "a" }] };
    expect(code({ name: "x", nodes: { start, out: pick } })).toBe("DEFINITION_INVALID");
  });
});

describe("user JSON is taken over as it is", () => {
  let deep: Json = { "": "größe 🦊 \u2028 \ud800", $bottom: [] };
  for (let i = 0; i < 60; i++) deep = i % 2 === 0 ? { [`k${i}`]: deep } : [deep];
  const strange = JSON.parse(
    '{"$ref":1,"$":{"$where":[]},"":0,"__proto__":{"polluted":true},"constructor":{"prototype":null},"größe":"𝕏","_id":-0.5e-7,"a.b":[[]]}',
  ) as Json;
  const values: Array<[string, Json]> = [
    ["strange keys", strange],
    ["depth of 60", deep],
    ["10 000 items", Array.from({ length: 10_000 }, (_, i) => i)],
    ["10 000 items that are no numbers", Array.from({ length: 10_000 }, (_, i) => (i % 2 === 0 ? {} : [0]))],
  ];

  /** The literal JSON that a template stands for, when it holds no expression. */
  const compiled = (value: Json): { switchCase: Json; schema: Json; template: unknown } => {
    const plan = compileDefinition(
      checked(
        JSON.stringify({
          name: "x",
          nodes: {
            start: { type: "trigger", next: { success: "pick" } },
            pick: {
              type: "switch",
              value: "{{ input }}",
              cases: [{ equals: value, port: "one" }],
              next: { one: "ask" },
            },
            ask: { type: "llm", model: "p:m", prompt: "hi", schema: { default: value }, next: { success: "out" } },
            out: { type: "output", value },
          },
        }),
      ),
    );
    const stored = readPlan(writePlan(plan), "").plan;
    expect(stored).toEqual(plan);
    const one = nodeOf(stored, "pick", "switch").cases[0];
    if (one === undefined || !("equals" in one)) throw new Error("no case");
    return {
      switchCase: one.equals,
      schema: nodeOf(stored, "ask", "llm").schema,
      template: nodeOf(stored, "out", "output").value,
    };
  };

  test.each(values)("%s", (_, value) => {
    const { switchCase, schema, template } = compiled(value);
    const text = JSON.stringify(value);
    expect(JSON.stringify(switchCase)).toBe(text);
    expect(JSON.stringify(schema)).toBe(`{"default":${text}}`);
    expect(template).toEqual({ kind: "literal", value });
    expect(JSON.stringify((template as { value: Json }).value)).toBe(text);
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });

  test("an expression deep in strange keys is found there, and its plan can be stored", () => {
    const text = JSON.stringify(deep).replace("[]", '"{{ input.x }}"');
    const plan = compileDefinition(
      checked(
        `{"name":"x","nodes":{"start":{"type":"trigger","next":{"success":"out"}},"out":{"type":"output","value":${text}}}}`,
      ),
    );
    expect(plan.nodes.out?.reads).toEqual({ ...nothing, input: true });
    expect(readPlan(writePlan(plan), "")).toEqual({ plan, recompiled: false });
  });

  test("any JSON without braces", () => {
    const json = fc
      .jsonValue({ maxDepth: 5, noUnicodeString: false })
      .filter((value) => !JSON.stringify(value).includes("{{"));
    fc.assert(
      fc.property(json, (value) => {
        const text = JSON.stringify(value);
        const { switchCase, template } = compiled(JSON.parse(text) as Json);
        expect(JSON.stringify(switchCase)).toBe(text);
        expect(template).toEqual({ kind: "literal", value: JSON.parse(text) as Json });
      }),
      { seed: 31, numRuns: 200 },
    );
  });
});

describe("stored plans", () => {
  const definition = load("loops");
  const source = JSON.stringify(definition);
  const plan = compileDefinition(definition);

  test("a plan of this format is used as it is, and its source is not even read", () => {
    const changed = { ...plan, name: "only the plan says so" };
    expect(readPlan(writePlan(changed), "not JSON")).toEqual({ plan: changed, recompiled: false });
  });

  test("every generated plan survives storage", () => {
    fc.assert(
      fc.property(definitions({ actions: ["a"] }), (generated) => {
        const compiled = compileDefinition(generated);
        expect(readPlan(writePlan(compiled), "")).toEqual({ plan: compiled, recompiled: false });
      }),
      { seed: 32, numRuns: 100 },
    );
  });

  test.each([
    ["another format", JSON.stringify({ ...plan, format: PLAN_FORMAT + 1 })],
    ["no format", JSON.stringify({ ...plan, format: undefined })],
    ["cut text", writePlan(plan).slice(0, -20)],
    ["empty text", ""],
    ["no nodes", JSON.stringify({ ...plan, nodes: undefined })],
    ["an entry that is no node", JSON.stringify({ ...plan, entry: "toString" })],
    ["other JSON", "[]"],
  ])("%s is compiled again from the source", (_, text) => {
    expect(readPlan(text, source)).toEqual({ plan, recompiled: true });
  });

  test.each([["not JSON"], ["null"], ["{}"], ['{"name":"x","nodes":{"start":{"type":"trigger"},"x":{"type":"set"}}}']])(
    "with the source %s too it is a corrupt row",
    (broken) => {
      let code: unknown = null;
      try {
        readPlan("", broken);
      } catch (error) {
        code = shardflowErrorData(error)?.code;
      }
      expect(code).toBe("CORRUPT_ROW");
    },
  );
});

test("what reads plans is small: it bundles no zod", async () => {
  const { metafile } = await build({
    entryPoints: [fileURLToPath(new URL("../../../src/engine/definition/planCache.ts", import.meta.url))],
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    logLevel: "silent",
  });
  const inputs = Object.keys(metafile.inputs);
  expect(inputs.some((file) => file.endsWith("definition/compile.ts"))).toBe(true);
  expect(inputs.filter((file) => file.includes("node_modules/zod/") || file.endsWith("definition/schema.ts"))).toEqual(
    [],
  );
});
