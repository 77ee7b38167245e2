/** Trigger, condition, switch, set and output: nodes that only evaluate. */
import { describe, expect, it } from "vitest";
import { validateDefinition } from "../../src/engine/definition/validate.js";
import type { Json } from "../../src/shared/json.js";
import { MAX_VALUE_BYTES } from "../../src/shared/limits.js";
import {
  errorOf,
  failureOf,
  flow,
  outputOf,
  query,
  resultOf,
  run,
  runOf,
  worldOf,
  type Nodes,
} from "../support/flows.js";

describe("trigger", () => {
  it("hands on the input as its output, which is not stored a second time", async () => {
    const input = { big: "x".repeat(50_000), $key: { "": [1, null] } };
    const world = await run({ end: { type: "output", value: "{{ nodes.start.output }}" } }, { input });
    expect(resultOf(world)).toEqual(input);
    expect(outputOf(world, "start")).toBeNull();
  });

  it("can be all there is", async () => {
    const world = await run({});
    expect(resultOf(world)).toBeNull();
    expect(world.durableKeys).toEqual(["start"]);
  });
});

describe("condition", () => {
  const nodes: Nodes = {
    ask: { type: "condition", if: "input.value", next: { true: "yes", false: "no" } },
    yes: { type: "output", value: "yes" },
    no: { type: "output", value: "no" },
  };

  it.each([
    [true, "yes"],
    [false, "no"],
  ])("goes by %j", async (value, result) => {
    expect(resultOf(await run(nodes, { input: { value } }))).toBe(result);
  });

  it.each([42, 0, null, {}, [], "true", "", [true]])("takes %j for neither true nor false", async (value) => {
    const wired: Nodes = {
      ...nodes,
      ask: { type: "condition", if: "input.value", next: { true: "yes", false: "no", failure: "caught" } },
      caught: { type: "output", value: "{{ nodes.ask.error }}" },
    };
    const caught = resultOf(await run(wired, { input: { value } }));
    expect(caught).toMatchObject({ code: "EXPRESSION_NOT_BOOLEAN", class: "expression" });
    const uncaught = await run(nodes, { input: { value } });
    expect(failureOf(uncaught)).toMatchObject({ code: "EXPRESSION_NOT_BOOLEAN", node: "ask" });
    expect(runOf(uncaught, "ask")).toMatchObject({ status: "failed" });
    expect(runOf(uncaught, "ask").port).toBeUndefined();
  });
});

describe("switch", () => {
  const ports = (
    cases: Array<{ equals?: Json; if?: string }>,
    hasDefault = true,
    value: Json = "{{ input.value }}",
  ): Nodes => {
    const named = cases.map((one, i) => ({ ...one, port: `case${i}` }));
    const targets = [...named.map(({ port }) => port), ...(hasDefault ? ["default"] : [])];
    return {
      pick: {
        type: "switch",
        ...(cases.some(({ equals }) => equals !== undefined) ? { value } : {}),
        cases: named,
        next: Object.fromEntries(targets.map((port) => [port, `at_${port}`])),
      },
      ...Object.fromEntries(targets.map((port) => [`at_${port}`, { type: "output" as const, value: port }])),
    };
  };

  it.each<[Json, Json]>([
    [1, 1],
    ["1", "1"],
    [null, null],
    [true, true],
    [
      [1, { a: 2 }],
      [1, { a: 2 }],
    ],
    [
      { a: 1, $b: { c: [2] } },
      { $b: { c: [2] }, a: 1 },
    ],
  ])("matches %j with %j", async (value, equals) => {
    expect(resultOf(await run(ports([{ equals }]), { input: { value } }))).toBe("case0");
  });

  it.each<[Json, Json]>([
    [1, "1"],
    [0, false],
    [null, false],
    [
      [1, 2],
      [2, 1],
    ],
    [[1], [1, 2]],
    [{ a: 1 }, { a: 1, b: 2 }],
    [{ a: 1, b: 2 }, { a: 1 }],
    [{ a: null }, { b: null }],
    [[], {}],
    ["", null],
  ])("does not match %j with %j", async (value, equals) => {
    expect(resultOf(await run(ports([{ equals }]), { input: { value } }))).toBe("default");
  });

  it("takes the first case that matches, whichever kind it is of", async () => {
    const cases = [{ equals: 1 }, { if: "input.value > 1" }, { equals: 2 }, { if: "true" }];
    const results = [];
    for (const value of [1, 2, 0]) results.push(resultOf(await run(ports(cases), { input: { value } })));
    expect(results).toEqual(["case0", "case1", "case3"]);
  });

  it("does not evaluate the cases behind the one that matches", async () => {
    const nodes = ports([{ if: "input.value == 1" }, { if: "input.gone" }]);
    expect(resultOf(await run(nodes, { input: { value: 1 } }))).toBe("case0");
    expect(failureOf(await run(nodes, { input: { value: 2 } }))).toMatchObject({ code: "EXPRESSION_FAILED" });
  });

  it("hands on its value", async () => {
    const world = await run(ports([{ equals: { a: 1 } }]), { input: { value: { a: 1 } } });
    expect(outputOf(world, "pick")).toEqual({ a: 1 });
  });

  it("fails when nothing matches and no default leads on", async () => {
    const world = await run(ports([{ equals: 1 }], false), { input: { value: { secretly: "no" } } });
    expect(failureOf(world)).toMatchObject({ code: "SWITCH_NO_MATCH", node: "pick" });
    expect(failureOf(world).message).toContain('{"secretly":"no"}');
  });

  it("fails on a case that gives neither true nor false", async () => {
    const world = await run(ports([{ if: "input.value" }]), { input: { value: 1 } });
    expect(failureOf(world)).toMatchObject({ code: "EXPRESSION_NOT_BOOLEAN" });
  });
});

describe("set", () => {
  it("overwrites variables as a whole and keeps the others", async () => {
    const world = await run({
      first: { type: "set", values: { user: { name: "Ada", age: 36 }, step: 1 }, next: { success: "second" } },
      second: { type: "set", values: { user: { name: "Bob" } }, next: { success: "end" } },
      end: { type: "output", value: "{{ vars }}" },
    });
    expect(resultOf(world)).toEqual({ user: { name: "Bob" }, step: 1 });
    expect(world.variables).toEqual({ user: { name: "Bob" }, step: 1 });
    expect(outputOf(world, "second")).toEqual({ user: { name: "Bob" } });
  });

  it("computes all its values from the variables as they were before", async () => {
    const world = await run({
      first: { type: "set", values: { a: 1, b: 2 }, next: { success: "swap" } },
      swap: { type: "set", values: { a: "{{ vars.b }}", b: "{{ vars.a }}" }, next: { success: "end" } },
      end: { type: "output", value: "{{ [vars.a, vars.b] }}" },
    });
    expect(resultOf(world)).toEqual([2, 1]);
  });

  it("inside nested loops is visible in the next pass and after the loops", async () => {
    const world = await run(
      {
        zero: { type: "set", values: { sum: 0, seen: [] }, next: { success: "rows" } },
        rows: { type: "loop", items: "{{ input }}", item: "row", index: "r", body: "cells", next: { done: "end" } },
        cells: { type: "loop", items: "{{ row }}", item: "cell", index: "c", body: "add" },
        add: {
          type: "set",
          values: { sum: "{{ vars.sum + cell }}", seen: "{{ vars.seen + [[r, c]] }}" },
        },
        end: { type: "output", value: "{{ vars }}" },
      },
      { input: [[1, 2], [], [3]] },
    );
    expect(resultOf(world)).toEqual({
      sum: 6,
      seen: [
        [0, 0],
        [0, 1],
        [2, 0],
      ],
    });
    expect(world.variables).toMatchObject({ sum: 6 });
  });

  it("never changes what was handed out before", async () => {
    const world = await run(
      {
        keep: { type: "set", values: { list: "{{ input.list }}" }, next: { success: "early" } },
        early: { type: "action", action: "echo", args: { list: "{{ vars.list }}" }, next: { success: "more" } },
        more: { type: "set", values: { list: "{{ vars.list + [9] }}" }, next: { success: "end" } },
        end: {
          type: "output",
          value: [
            "{{ input.list }}",
            "{{ nodes.early.output.list }}",
            "{{ nodes.keep.output.list }}",
            "{{ vars.list }}",
          ],
        },
      },
      { input: { list: [1] }, functions: { echo: query((args) => args) } },
    );
    expect(resultOf(world)).toEqual([[1], [1], [1], [1, 9]]);
  });

  it("that fails changes nothing", async () => {
    const world = await run({
      first: { type: "set", values: { a: 1 }, next: { success: "second" } },
      second: { type: "set", values: { a: 2, b: "{{ vars.gone }}" }, next: { failure: "end", success: "end" } },
      end: { type: "output", value: "{{ vars }}" },
    });
    expect(resultOf(world)).toEqual({ a: 1 });
    expect(errorOf(world, "second")).toMatchObject({ code: "EXPRESSION_FAILED" });
  });

  it("fails when all variables together are over their limit, and the execution can go on", async () => {
    const half = "x".repeat(MAX_VALUE_BYTES / 2);
    const world = await run(
      {
        first: { type: "set", values: { a: "{{ input }}" }, next: { success: "second" } },
        second: { type: "set", values: { b: "{{ input }}" }, next: { success: "end", failure: "caught" } },
        caught: { type: "output", value: "{{ [nodes.second.error.code, size(vars.a) > 9, has(vars.b)] }}" },
        end: { type: "output", value: "too much" },
      },
      { input: half },
    );
    expect(resultOf(world)).toEqual(["VALUE_TOO_LARGE", true, false]);
  });

  it("in passes that run at once is refused when the flow is published", () => {
    const definition = {
      name: "race",
      nodes: {
        start: { type: "trigger", next: { success: "each" } },
        each: { type: "loop", items: [1, 2], concurrency: 2, body: "write" },
        write: { type: "set", values: { last: "{{ item }}" } },
      },
    };
    const { problems } = validateDefinition(JSON.stringify(definition));
    expect(problems.map(({ code, node }) => [code, node])).toEqual([["SET_IN_PARALLEL", "write"]]);
  });
});

describe("output", () => {
  it("ends the execution with its value", async () => {
    const world = await run({ end: { type: "output", value: { a: ["{{ input }}", "<{{ input }}>"] } } }, { input: 7 });
    expect(resultOf(world)).toEqual({ a: [7, "<7>"] });
  });

  it("that fails can lead on to another", async () => {
    const world = await run({
      end: { type: "output", value: "{{ input.gone }}", next: { failure: "instead" } },
      instead: { type: "output", value: "{{ nodes.end.error.code }}" },
    });
    expect(resultOf(world)).toBe("EXPRESSION_FAILED");
  });

  it("that fails for good fails the execution", async () => {
    const world = await run({ end: { type: "output", value: "{{ input.gone }}" } });
    expect(failureOf(world)).toMatchObject({ code: "EXPRESSION_FAILED", node: "end" });
  });
});

describe("templates", () => {
  it("are rendered once: braces in data stay text", async () => {
    const braces = "{{ 1 + 1 }} {{ input.secret }}";
    const world = await run(
      {
        keep: { type: "set", values: { text: "{{ input.text }}" }, next: { success: "call" } },
        call: { type: "action", action: "echo", args: { text: "<{{ vars.text }}>" }, next: { success: "end" } },
        end: { type: "output", value: "{{ nodes.call.output.text }} and {{ vars.text }}" },
      },
      { input: { text: braces, secret: "leaked" }, functions: { echo: query((args) => args) } },
    );
    expect(resultOf(world)).toBe(`<${braces}> and ${braces}`);
  });

  it("see the context and the facts of the execution and the run", async () => {
    const world = await run(
      { end: { type: "output", value: "{{ [context.tenant, execution.id, node.key, node.idempotencyKey] }}" } },
      { context: { tenant: "acme" } },
    );
    expect(resultOf(world)).toEqual(["acme", "execution1", "end", "execution1:end"]);
  });

  it("see null for a context that was not given", async () => {
    expect(resultOf(await run({ end: { type: "output", value: "{{ context }}" } }))).toBeNull();
  });

  it("fail where a node on another branch is read, and say so", async () => {
    const world = await run({
      ask: { type: "condition", if: "false", next: { true: "other", false: "end" } },
      other: { type: "set", values: { a: 1 }, next: { success: "end" } },
      end: { type: "output", value: "{{ nodes.other.output }}" },
    });
    expect(failureOf(world)).toMatchObject({ code: "EXPRESSION_FAILED", node: "end" });
  });
});

describe("flows", () => {
  it("end without a result where a port leads nowhere", async () => {
    const world = await run({
      ask: { type: "condition", if: "true", next: { false: "end" } },
      end: { type: "output", value: 1 },
    });
    expect(resultOf(world)).toBeNull();
  });

  it("of 490 nodes run in a few writes", async () => {
    const nodes: Nodes = {};
    for (let i = 0; i < 490; i++) {
      nodes[`n${i}`] = { type: "set", values: { n: i === 0 ? 1 : "{{ vars.n + 1 }}" }, next: { success: `n${i + 1}` } };
    }
    nodes.n490 = { type: "output", value: "{{ vars.n }}" };
    const world = worldOf(nodes);
    await world.run();
    expect(resultOf(world)).toBe(490);
    expect(world.flushes.length).toBeLessThan(10);
    expect(flow(nodes).nodes.n489?.next).toEqual({ success: "n490" });
  });
});
