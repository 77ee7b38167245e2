/**
 * Values on their way through the whole component: in as input, through variables, outputs, loops and app functions, out
 * as the result, and in between in rows and chunks. What comes out is what went in.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { shardflowErrorData } from "../../../src/shared/errors.js";
import { fromJsonText, type Json, type JsonObject } from "../../../src/shared/json.js";
import { INLINE_VALUE_BYTES, MAX_VALUE_BYTES, PAYLOAD_CHUNK_BYTES } from "../../../src/shared/limits.js";
import { flow, type Nodes } from "../../support/flows.js";
import { api } from "../../support/harness.js";
import { canonical } from "../../support/reference.js";
import { preload, startWorld, type NodeWorld } from "../../support/hosts/nodes/world.js";

beforeAll(preload);

/** The value goes through the input, a variable, a loop's items and results, an output, and an action as JSON text. */
const THROUGH: Nodes = {
  keep: { type: "set", values: { kept: "{{ input }}" }, next: { success: "each" } },
  each: { type: "loop", items: ["{{ vars.kept }}"], body: "pass", next: { done: "call" } },
  pass: { type: "switch", value: "{{ item }}", cases: [{ equals: "never", port: "never" }], next: { default: "last" } },
  last: { type: "set", values: { inLoop: "{{ nodes.pass.output }}" } },
  call: {
    type: "action",
    action: "readEcho",
    args: { text: "{{ string(size(nodes.each.output.results)) }}" },
    next: { success: "end" },
  },
  end: {
    type: "output",
    value: [
      "{{ input }}",
      "{{ vars.kept }}",
      "{{ nodes.each.output.results[0].inLoop }}",
      "{{ nodes.keep.output.kept }}",
    ],
  },
};

async function through(world: NodeWorld, input: Json): Promise<void> {
  const id = await world.run(THROUGH, input);
  const result = await world.resultOf(id);
  expect(result).toEqual([input, input, input, input]);
  // Also what a deep comparison does not look at, such as a key named `__proto__`.
  expect(canonical(result)).toBe(canonical([input, input, input, input]));
  const described = await world.describe(id);
  expect(fromJsonText(described.input!, "the input")).toEqual(input);
  expect(fromJsonText(described.variables!, "the variables")).toEqual({ kept: input, inLoop: input });
  expect(await world.outputOf(id, "keep")).toEqual({ kept: input });
  expect(await world.outputOf(id, "each[0]/pass")).toEqual(input);
}

/** JSON text, parsed: the only way to an object with a key of its own named `__proto__`. */
const parsed = (text: string) => JSON.parse(text) as Json;
const nested = (depth: number, wrap: (inner: Json) => Json) =>
  Array.from({ length: depth }).reduce<Json>((inner) => wrap(inner), "core");

describe("comes out as it went in:", () => {
  test.each<[string, Json]>([
    [
      "keys that Convex refuses",
      { $ref: "#/$defs/a", $: 1, "": "empty", _id: 2, größe: 3, "😀": [4], "a.b": 5, "a b": 6 },
    ],
    ["names of what every object has", parsed('{"__proto__":{"a":1},"constructor":2,"toString":3,"hasOwnProperty":4}')],
    ["texts of every kind", ["", " ", "größe 😀 \u0000 \u2028 \\ \" ' ` ${x}", "{{ 1 + 1 }}", "\\{{", "</script>"]],
    ["numbers at the edges", [0, -1, 1e-7, 1.7976931348623157e308, 5e-324, 9_007_199_254_740_991, 0.1]],
    ["empty things", [[], {}, [[]], { a: {} }, null, false]],
    ["lists sixty deep", nested(60, (inner) => [inner])],
    ["objects sixty deep", nested(60, (inner) => ({ $in: inner }))],
    ["a list of 10,000 items", Array.from({ length: 10_000 }, (_, i) => i)],
    ["an object of 3,000 fields", Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`field ${i}`, i]))],
  ])("%s", async (_name, value) => {
    await through(await startWorld(), value);
  });

  test("any JSON", { timeout: 60_000 }, async () => {
    const world = await startWorld();
    const json = fc.jsonValue({ maxDepth: 6 }) as fc.Arbitrary<Json>;
    for (const value of fc.sample(json, { seed: 51, numRuns: 12 })) {
      // JSON text knows no negative zero.
      await through(world, JSON.parse(JSON.stringify(value)) as Json);
    }
  });
});

describe("a value of", () => {
  const text = (bytes: number) => "x".repeat(bytes - 2);
  const twice: Nodes = {
    keep: { type: "set", values: { kept: "{{ input }}" }, next: { success: "end" } },
    end: { type: "output", value: "{{ vars.kept }}" },
  };

  test.each([
    ["8 KB less one byte", INLINE_VALUE_BYTES - 1],
    ["8 KB", INLINE_VALUE_BYTES],
    ["8 KB and one byte", INLINE_VALUE_BYTES + 1],
    ["one chunk", PAYLOAD_CHUNK_BYTES],
    ["one chunk and one byte", PAYLOAD_CHUNK_BYTES + 1],
    ["1 MB", 1024 * 1024],
  ])("%s", async (_name, bytes) => {
    const world = await startWorld();
    const value = text(bytes);
    const id = await world.run(twice, value);
    expect(await world.resultOf(id)).toBe(value);
    expect(await world.outputOf(id, "end")).toBe(value);
    const chunks = (await world.rows("payloads")).filter(({ name }) => name === "input");
    expect(chunks).toHaveLength(bytes <= INLINE_VALUE_BYTES ? 0 : Math.ceil(bytes / PAYLOAD_CHUNK_BYTES));
  });

  test("4 MB, the largest there is", { timeout: 60_000 }, async () => {
    const world = await startWorld();
    const value = text(MAX_VALUE_BYTES);
    const id = await world.run({ end: { type: "output", value: "{{ input }}" } }, value);
    const { output } = await world.status(id);
    expect(output).toHaveLength(MAX_VALUE_BYTES);
    expect(output === JSON.stringify(value)).toBe(true);
  });

  test("4 MB in every place of a flow fits the transactions that write it", { timeout: 60_000 }, async () => {
    const world = await startWorld();
    const value = text(MAX_VALUE_BYTES - 1_000);
    const big = "{{ input }}";
    const id = await world.run(
      {
        keep: { type: "set", values: { kept: big }, next: { success: "outer" } },
        outer: {
          type: "loop",
          items: [big],
          item: "o",
          index: "oi",
          collect: big,
          body: "inner",
          next: { done: "again" },
        },
        inner: { type: "loop", items: [big], item: "i", index: "ii", collect: big, body: "pass" },
        pass: { type: "switch", value: big, cases: [{ equals: 1, port: "never" }], next: { default: "last" } },
        last: { type: "set", values: { kept: "{{ i }}" } },
        again: { type: "set", values: { kept: "{{ nodes.outer.output.results[0] }}" }, next: { success: "end" } },
        end: { type: "output", value: "{{ vars.kept }}" },
      },
      value,
    );
    const { output, error } = await world.status(id);
    expect(error).toBeUndefined();
    expect(output === JSON.stringify(value)).toBe(true);
    expect((await world.describe(id)).events).toEqual([]);
  });

  test("3.5 MB, six times, can be read together by a later stretch", { timeout: 60_000 }, async () => {
    const world = await startWorld();
    const names = [0, 1, 2, 3, 4, 5].map((i) => `n${i}`);
    const nodes: Nodes = Object.fromEntries(
      names.map((name, i) => [
        name,
        {
          type: "switch" as const,
          value: "{{ input }}",
          cases: [{ equals: 1, port: "never" }],
          next: { default: names[i + 1] ?? "wait" },
        },
      ]),
    );
    const hour = 3_600_000;
    const id = await world.run(
      {
        ...nodes,
        wait: {
          type: "action",
          action: "actFlaky",
          args: { times: 1 },
          retry: { maxAttempts: 2, initialMs: hour, maxMs: hour },
          next: { success: "end" },
        },
        end: { type: "output", value: `{{ ${names.map((name) => `nodes.${name}.output != ""`).join(" && ")} }}` },
      },
      text(3_500_000),
    );
    expect(await world.resultOf(id)).toBe(true);
    const { events, leaseEpoch } = await world.describe(id);
    expect([events, leaseEpoch]).toEqual([[], 2]);
  });

  test("four bytes a character is cut between characters", async () => {
    const world = await startWorld();
    const value = `x${"😀".repeat(PAYLOAD_CHUNK_BYTES / 3)}`;
    const id = await world.run(twice, value);
    expect((await world.resultOf(id)) === value).toBe(true);
  });

  test.each(["input", "context"])("one byte too many is refused as %s, and starts nothing", async (field) => {
    const world = await startWorld();
    await world.publish(flow(twice));
    const before = await world.counts();
    const given = { input: "null", [field]: JSON.stringify(text(MAX_VALUE_BYTES + 1)) };
    const call = world.t.mutation(api.executions.startWorkflow, { definition: "flow", ...given });
    const error: unknown = await call.catch((thrown: unknown) => thrown);
    expect(shardflowErrorData(error)).toMatchObject({ code: "VALUE_TOO_LARGE", actual: MAX_VALUE_BYTES + 1 });
    expect(await world.counts()).toEqual(before);
  });

  test("too many bytes in the middle of a flow is a typed error of the node", async () => {
    const world = await startWorld();
    const half = text(MAX_VALUE_BYTES / 2);
    const caught = (node: string): Nodes => ({
      caught: { type: "output", value: `{{ nodes.${node}.error.code }}` },
      end: { type: "output", value: "it went through" },
    });
    const next = { success: "end", failure: "caught" };
    const flows: Array<[Nodes, string]> = [
      [
        { twice: { type: "set", values: { a: ["{{ input }}", "{{ input }}"] }, next }, ...caught("twice") },
        "EXPRESSION_LIMIT",
      ],
      [
        {
          first: { type: "set", values: { a: "{{ input }}" }, next: { success: "second" } },
          second: { type: "set", values: { b: "{{ input }}" }, next },
          ...caught("second"),
        },
        "VALUE_TOO_LARGE",
      ],
      [
        {
          each: {
            type: "loop",
            items: [1, 2],
            collect: "{{ input }}",
            body: "pass",
            next: { done: "end", failure: "caught" },
          },
          pass: { type: "condition", if: "true" },
          ...caught("each"),
        },
        "VALUE_TOO_LARGE",
      ],
    ];
    for (const [nodes, code] of flows) {
      const id = await world.run(nodes, half);
      expect(await world.resultOf(id)).toBe(code);
      expect((await world.describe(id)).events).toEqual([]);
    }
  });
});

test("arguments and results of app functions keep their depth and size, as far as Convex takes them", async () => {
  const world = await startWorld();
  const values: JsonObject = {
    deep: nested(60, (inner) => [inner]),
    long: Array.from({ length: 8_192 }, (_, i) => i),
    wide: Object.fromEntries(Array.from({ length: 1_024 }, (_, i) => [`f${i}`, i])),
    text: "größe 😀",
    _odd: { " ": 1 },
  };
  for (const action of ["readEcho", "writeEcho", "actEcho"]) {
    for (const [name, value] of Object.entries(values)) {
      const id = await world.run(
        {
          call: { type: "action", action, args: { value: "{{ input }}" }, next: { success: "end" } },
          end: { type: "output", value: "{{ nodes.call.output.value }}" },
        },
        value,
      );
      expect([action, name, await world.resultOf(id)]).toEqual([action, name, value]);
    }
  }
});

test("data of an error that is too large to keep is left out, and said to be", async () => {
  const world = await startWorld();
  const nodes: Nodes = {
    call: {
      type: "action",
      action: "actFlaky",
      args: { times: 9, data: { code: "TOO_MUCH", text: "{{ input }}", retryAfterMs: 5 } },
      retry: { maxAttempts: 2, initialMs: 0 },
      next: { failure: "caught" },
    },
    caught: { type: "output", value: "{{ nodes.call.error.cause }}" },
  };
  const id = await world.run(nodes, "x".repeat(900_000));
  const cause = (await world.resultOf(id)) as JsonObject;
  expect(cause).toMatchObject({ code: "TOO_MUCH" });
  expect(cause.data).toBeUndefined();
  expect(cause.message).toMatch(/its data of 9\d{5} bytes is not kept/);
  // No row is anywhere near the limit of a document.
  const rows = [...(await world.rows("nodeRuns")), ...(await world.rows("positions"))];
  for (const row of rows) expect(JSON.stringify(row).length).toBeLessThan(20_000);
  const small = await world.run(nodes, "x".repeat(2_000));
  expect(await world.resultOf(small)).toMatchObject({ code: "TOO_MUCH", data: { text: "x".repeat(2_000) } });
});

describe("a definition", () => {
  test("of 500 nodes is published and run", { timeout: 60_000 }, async () => {
    const world = await startWorld();
    const nodes: Nodes = {};
    for (let i = 0; i < 498; i++) {
      nodes[`n${i}`] = { type: "set", values: { n: i === 0 ? 1 : "{{ vars.n + 1 }}" }, next: { success: `n${i + 1}` } };
    }
    nodes.n498 = { type: "output", value: "{{ vars.n }}" };
    const id = await world.run(nodes);
    expect(await world.resultOf(id)).toBe(498);
    const runs = await world.runsOf(id);
    expect(runs.map(({ node }) => node)).toEqual(["start", ...Object.keys(nodes)]);
    expect((await world.describe(id)).nodeRuns).toBe(500);
  });

  test("of nearly 256 KB, with literals of every kind, is the same when it is read and run", async () => {
    const world = await startWorld();
    const literal: Json = { $schema: { "": [null, { größe: "😀".repeat(1_000) }] }, text: "x".repeat(240_000) };
    const definition = flow({ end: { type: "output", value: literal } });
    await world.publish(definition);
    const stored = await world.t.query(api.definitions.get, { name: "flow" });
    expect(JSON.parse(stored?.version?.source ?? "null")).toEqual(definition);
    const id = await world.start("flow");
    await world.untilEnded(id);
    expect(await world.resultOf(id)).toEqual(literal);
  });
});
