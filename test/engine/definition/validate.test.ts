import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileDefinition } from "../../../src/engine/definition/compile.js";
import type { Definition, NodeSource } from "../../../src/engine/definition/schema.js";
import { validateDefinition } from "../../../src/engine/definition/validate.js";
import type { Plan } from "../../../src/engine/plan.js";
import type { Json, JsonObject } from "../../../src/shared/json.js";
import { MAX_DEFINITION_BYTES, MAX_NODES } from "../../../src/shared/limits.js";
import { definitions } from "../../support/arbitraries/definitions.js";

const generated = definitions({ actions: ["app.a", "app.b"] });

/** A chain of nodes behind a trigger. */
function chain(length: number): Definition {
  const nodes: Record<string, NodeSource> = { start: { type: "trigger", next: { success: "n1" } } };
  for (let i = 1; i < length; i++) {
    nodes[`n${i}`] = {
      type: "action",
      action: "a",
      args: { before: `{{ nodes.${i === 1 ? "start" : `n${i - 1}`}.output }}` },
    };
    if (i + 1 < length) nodes[`n${i}`]!.next = { success: `n${i + 1}` };
  }
  return { name: "chain", nodes };
}

describe("valid definitions", () => {
  test("every generated definition has no problem and compiles", () => {
    fc.assert(
      fc.property(generated, (definition) => {
        expect(validateDefinition(definition)).toEqual({ problems: [], definition });
        const plan = compileDefinition(definition);
        expect(Object.keys(plan.nodes)).toEqual(Object.keys(definition.nodes));
        checkPlan(plan);
      }),
      { seed: 21, numRuns: 600 },
    );
  });

  test("the generator makes every node type, nested loops, joins and parallel loops", () => {
    const seen = new Set<string>();
    for (const definition of fc.sample(generated, { seed: 22, numRuns: 300 })) {
      const { nodes } = compileDefinition(definition);
      const targets = Object.values(nodes).flatMap((node) => Object.values(node.next));
      if (new Set(targets).size < targets.length) seen.add("join");
      for (const node of Object.values(nodes)) {
        seen.add(node.type);
        let depth = 0;
        for (let loop = node.loop; loop !== null; loop = nodes[loop]?.loop ?? null) depth += 1;
        seen.add(`depth ${depth}`);
        if (node.type === "loop") {
          seen.add(node.concurrency > 1 ? "parallel" : "sequential").add(node.items === null ? "until" : "items");
          if (node.carry.length > 0) seen.add("carry");
        }
      }
    }
    expect([...seen].sort()).toEqual([
      ...[
        "action",
        "carry",
        "condition",
        "depth 0",
        "depth 1",
        "depth 2",
        "depth 3",
        "items",
        "join",
        "loop",
        "output",
      ],
      ...["parallel", "sequential", "set", "switch", "trigger", "until"],
    ]);
  });

  test("the largest number of nodes is valid, one more is not", () => {
    const largest = chain(MAX_NODES);
    expect(validateDefinition(largest).problems).toEqual([]);
    expect(Object.keys(compileDefinition(largest).nodes)).toHaveLength(MAX_NODES);
    expect(validateDefinition(chain(MAX_NODES + 1)).problems).toMatchObject([
      { code: "TOO_MANY_NODES", path: "nodes" },
    ]);
  });

  test("the last byte that fits is valid, one more is not; bytes are counted as UTF-8", () => {
    const sized = (bytes: number): Definition => {
      const empty = { name: "é".repeat(50), description: "", nodes: { start: { type: "trigger" as const } } };
      return { ...empty, description: "x".repeat(bytes - Buffer.byteLength(JSON.stringify(empty))) };
    };
    expect(Buffer.byteLength(JSON.stringify(sized(MAX_DEFINITION_BYTES)))).toBe(MAX_DEFINITION_BYTES);
    for (const form of [(value: Definition): Json => value, (value: Definition): Json => JSON.stringify(value)]) {
      expect(validateDefinition(form(sized(MAX_DEFINITION_BYTES))).problems).toEqual([]);
      expect(validateDefinition(form(sized(MAX_DEFINITION_BYTES + 1))).problems).toMatchObject([{ code: "TOO_LARGE" }]);
    }
  });
});

describe("broken definitions", () => {
  test("without the target of an edge there is TARGET_UNKNOWN at that edge", () => {
    const cut = fc.tuple(generated, fc.nat()).filter(([{ nodes }]) => Object.keys(nodes).length > 1);
    fc.assert(
      fc.property(cut, ([definition, choice]) => {
        const edges = Object.entries(definition.nodes).flatMap(([id, node]) => [
          ...Object.entries(node.next ?? {}).map(([port, to]) => ({ path: `nodes.${id}.next.${port}`, from: id, to })),
          ...(node.type === "loop" ? [{ path: `nodes.${id}.body`, from: id, to: node.body }] : []),
        ]);
        const edge = edges[choice % edges.length];
        if (edge === undefined) return;
        const nodes = Object.fromEntries(Object.entries(definition.nodes).filter(([id]) => id !== edge.to));
        const { problems } = validateDefinition({ ...definition, nodes });
        const dangling = edges.filter(({ from, to }) => to === edge.to && from !== edge.to).map(({ path }) => path);
        const found = problems.filter(({ code }) => code === "TARGET_UNKNOWN").map(({ path }) => path);
        expect(found.sort()).toEqual(dangling.sort());
      }),
      { seed: 23, numRuns: 400 },
    );
  });

  test("the same source always gives the same problems in the same order", () => {
    fc.assert(
      fc.property(mutated(), (definition) => {
        const first = validateDefinition(definition);
        expect(validateDefinition(JSON.stringify(definition))).toEqual(first);
        const order = Object.keys(((definition as JsonObject).nodes ?? {}) as JsonObject);
        const places = first.problems.map(({ node }) => (node === null ? -1 : order.indexOf(node)));
        expect(places).toEqual(places.toSorted((a, b) => a - b));
      }),
      { seed: 24, numRuns: 300 },
    );
  });

  test("a definition without problems compiles, whatever was done to it", () => {
    let valid = 0;
    fc.assert(
      fc.property(mutated(), (source) => {
        const { problems, definition } = validateDefinition(source);
        expect(definition === null).toBe(problems.length > 0);
        if (definition === null) return;
        valid += 1;
        checkPlan(compileDefinition(definition));
      }),
      { seed: 25, numRuns: 600 },
    );
    expect(valid).toBeGreaterThan(20);
  });
});

describe("nothing is thrown", () => {
  test("for any JSON", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (source) => refuses(source as Json)),
      { seed: 26, numRuns: 500 },
    );
  });

  test("for any text", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), refuses), { seed: 27, numRuns: 500 });
  });

  test("for nearly a definition", () => {
    const word = fc.constantFrom(
      ...["name", "nodes", "type", "next", "body", "trigger", "loop", "llm", "switch", "cases", "items", "a", "b"],
      ...["success", "failure", "set", "values", "__proto__", "constructor", "{{ item }}", "{{", "carry", "messages"],
    );
    const { value } = fc.letrec<{ value: Json }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 6, depthSize: "medium" },
        fc.oneof<fc.Arbitrary<Json>[]>(word, fc.integer(), fc.constant(null), fc.boolean()),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(word, tie("value"), { maxKeys: 5 }),
      ),
    }));
    const nodes = fc.dictionary(word, fc.dictionary(word, value), { maxKeys: 5 });
    fc.assert(
      fc.property(nodes, (some) => refuses({ name: "x", nodes: some })),
      { seed: 28, numRuns: 1_000 },
    );
  });

  test("for what is not JSON at all", () => {
    const circular: { [key: string]: unknown } = {};
    circular.self = circular;
    let shared: unknown = {};
    for (let i = 0; i < 60; i++) shared = [shared, shared];
    const throwing = Object.defineProperty({}, "name", {
      enumerable: true,
      get: () => {
        throw new Error("no");
      },
    });
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    const hostile = [
      undefined,
      1n,
      Number.NaN,
      Symbol("x"),
      () => 1,
      new Date(0),
      new Map(),
      circular,
      throwing,
      deep,
      { a: undefined, nodes: [undefined] },
    ];
    for (const source of hostile) expect(codes(source)).toEqual(["NOT_JSON"]);
    expect(codes(shared)).toEqual(["TOO_LARGE"]);
    expect(
      codes({ name: "x", nodes: { start: { type: "trigger" } }, ["k".repeat(MAX_DEFINITION_BYTES)]: undefined }),
    ).toEqual([]);
    expect(codes({ name: undefined, nodes: {} })).toEqual(["SCHEMA_INVALID", "TRIGGER_MISSING"]);
  });

  test("thousands of wrong names are all reported", () => {
    const next = Object.fromEntries(Array.from({ length: 8_000 }, (_, i) => [`port${i}`, `target${i}`]));
    const nodes = { ...chain(200).nodes, last: { type: "action", action: "a", next } };
    const { problems } = validateDefinition({ name: "x", nodes });
    expect(problems.filter(({ code }) => code === "TARGET_UNKNOWN")).toHaveLength(8_000);
    expect(problems.filter(({ code }) => code === "PORT_UNKNOWN")).toHaveLength(8_000);
  });
});

function codes(source: unknown): string[] {
  return validateDefinition(source as Json).problems.map(({ code }) => code);
}

function refuses(source: Json): void {
  const { problems, definition } = validateDefinition(source);
  expect(definition === null).toBe(problems.length > 0);
  for (const { path, message } of problems) expect(typeof path === "string" && message.length > 0).toBe(true);
}

/** A generated definition in which some values were replaced, renamed or left out. */
function mutated(): fc.Arbitrary<Json> {
  const change = fc.record({
    at: fc.nat(),
    by: fc.constantFrom<Json | undefined>(
      undefined,
      null,
      0,
      "",
      "action0",
      "trigger0",
      "loop",
      [],
      {},
      "{{ nodes.action1.output }}",
    ),
  });
  return fc.tuple(generated, fc.array(change, { minLength: 1, maxLength: 3 })).map(([definition, changes]) => {
    const copy = structuredClone(definition) as unknown as JsonObject;
    for (const { at, by } of changes) {
      const places: Array<() => void> = [];
      const visit = (value: Json | undefined): void => {
        if (typeof value !== "object" || value === null || Array.isArray(value)) return;
        for (const key of Object.keys(value)) {
          places.push(() => {
            if (by === undefined) delete value[key];
            else value[key] = structuredClone(by);
          });
          visit(value[key]);
        }
      };
      visit(copy);
      places[at % places.length]?.();
    }
    return copy;
  });
}

/** What the walker relies on. */
function checkPlan(plan: Plan): void {
  expect(plan.nodes[plan.entry]?.type).toBe("trigger");
  for (const [id, node] of Object.entries(plan.nodes)) {
    expect(node.id).toBe(id);
    for (const to of Object.values(node.next)) expect(plan.nodes[to]?.loop).toBe(node.loop);
    if (node.type === "loop") expect(plan.nodes[node.body]?.loop).toBe(id);
    if (node.loop !== null) expect(plan.nodes[node.loop]?.type).toBe("loop");
    for (const read of node.reads.nodes) expect(Object.hasOwn(plan.nodes, read)).toBe(true);
  }
}
