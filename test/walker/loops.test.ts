/** Loops: items, passes, carry, errors and nesting. */
import { describe, expect, it } from "vitest";
import type { Json } from "../../src/shared/json.js";
import { MAX_CARRY_BYTES, MAX_VALUE_BYTES } from "../../src/shared/limits.js";
import {
  collected,
  errorOf,
  failureOf,
  loopOver,
  outputOf,
  query,
  resultOf,
  run,
  runOf,
  type LoopFields,
  type Nodes,
} from "../support/flows.js";

const item = query(({ item: given }) => given);

describe("a loop over items", () => {
  it("runs its body once for each, in order, and collects the outputs", async () => {
    const world = await run(loopOver(), { input: ["a", "b", "c"], functions: { "app.pass": item } });
    expect(resultOf(world)).toEqual(collected(["a", "b", "c"]));
    expect(world.durableKeys).toEqual(["start", "each[0]/pass", "each[1]/pass", "each[2]/pass", "each", "end"]);
    expect(world.calls.map(({ args }) => args)).toEqual([
      { item: "a", index: 0 },
      { item: "b", index: 1 },
      { item: "c", index: 2 },
    ]);
  });

  it("takes a list that is written out, with templates in it", async () => {
    const nodes = loopOver({ items: [1, "{{ input[0] }}", { a: "{{ input[1] }}" }] });
    const world = await run(nodes, { input: ["x", "y"], functions: { "app.pass": item } });
    expect(resultOf(world)).toEqual(collected([1, "x", { a: "y" }]));
  });

  it("names item and index as it is told, besides loop and loops", async () => {
    const world = await run(
      {
        each: { type: "loop", items: "{{ input }}", item: "row", index: "at", body: "keep", next: { done: "end" } },
        keep: {
          type: "switch",
          value: "{{ [row, at, loop.item, loop.index, loop.count, loops.each.index] }}",
          cases: [{ equals: 0, port: "never" }],
          next: { default: "last" },
        },
        last: { type: "set", values: { seen: "{{ nodes.keep.output }}" } },
        end: { type: "output", value: "{{ nodes.each.output.results }}" },
      },
      { input: ["a", "b"] },
    );
    expect(resultOf(world)).toEqual([{ seen: ["a", 0, "a", 0, 2, 0] }, { seen: ["b", 1, "b", 1, 2, 1] }]);
  });

  it("leaves at once when the list is empty", async () => {
    const carry = { sum: { initial: "{{ size(input) }}", next: 1 } };
    const world = await run(loopOver({ carry }), { input: [], functions: { "app.pass": item } });
    expect(resultOf(world)).toEqual(collected([], { carry: { sum: 0 } }));
    expect(runOf(world, "each")).toMatchObject({ status: "succeeded", port: "done" });
    expect(world.durableKeys).toEqual(["start", "each", "end"]);
  });

  it.each(["text", 7, null, { a: 1 }])("fails over %j, which is no list", async (input) => {
    const world = await run(loopOver(), { input, functions: { "app.pass": item } });
    expect(failureOf(world)).toMatchObject({ code: "LOOP_ITEMS_NOT_LIST", node: "each" });
    expect(world.calls).toEqual([]);
  });

  it("fails over more items than maxIterations, and runs none", async () => {
    const world = await run(loopOver({ maxIterations: 2 }), { input: [1, 2, 3], functions: { "app.pass": item } });
    expect(failureOf(world)).toMatchObject({ code: "LOOP_TOO_MANY_ITEMS", node: "each" });
    expect(failureOf(world).message).toContain("3 items");
    expect(world.calls).toEqual([]);
    const enough = await run(loopOver({ maxIterations: 3 }), { input: [1, 2, 3], functions: { "app.pass": item } });
    expect(resultOf(enough)).toEqual(collected([1, 2, 3]));
  });

  it("fails over the default of 1,000 items, and takes exactly that many", async () => {
    const items = (length: number) => Array.from({ length }, (_, i) => i);
    const nodes: Nodes = {
      each: { type: "loop", items: "{{ input }}", body: "pass", next: { done: "end" } },
      pass: { type: "condition", if: "item % 2 == 0" },
      end: { type: "output", value: "{{ size(nodes.each.output.results) }}" },
    };
    expect(failureOf(await run(nodes, { input: items(1_001) })).code).toBe("LOOP_TOO_MANY_ITEMS");
    expect(resultOf(await run(nodes, { input: items(1_000) }))).toBe(1_000);
  });

  it("is not disturbed by what its body does to the list it came from", async () => {
    const world = await run(
      {
        keep: { type: "set", values: { list: "{{ input }}" }, next: { success: "each" } },
        each: { type: "loop", items: "{{ vars.list }}", body: "clear", next: { done: "end" } },
        clear: { type: "set", values: { list: [], last: "{{ item }}" } },
        end: { type: "output", value: "{{ [vars.last, nodes.each.output.passes] }}" },
      },
      { input: [1, 2, 3] },
    );
    expect(resultOf(world)).toEqual([3, 3]);
  });

  it("collects what collect says, from all that ran in the pass", async () => {
    const world = await run(
      {
        each: {
          type: "loop",
          items: "{{ input }}",
          collect: { n: "{{ item }}", got: "{{ nodes.first.output }}" },
          body: "first",
          next: { done: "end" },
        },
        first: { type: "action", action: "app.pass", args: { item: "{{ item * 10 }}" }, next: { success: "last" } },
        last: { type: "condition", if: "true" },
        end: { type: "output", value: "{{ nodes.each.output.results }}" },
      },
      { input: [1, 2], functions: { "app.pass": item } },
    );
    expect(resultOf(world)).toEqual([
      { n: 1, got: 10 },
      { n: 2, got: 20 },
    ]);
  });

  it("fails when its results together are too large, and can be caught", async () => {
    const world = await run(
      {
        each: {
          type: "loop",
          items: "{{ [1, 2, 3] }}",
          collect: "{{ input }}",
          body: "pass",
          next: { done: "end", failure: "caught" },
        },
        pass: { type: "condition", if: "true" },
        caught: { type: "output", value: "{{ nodes.each.error.code }}" },
        end: { type: "output", value: "too much" },
      },
      { input: "x".repeat(MAX_VALUE_BYTES / 2) },
    );
    expect(resultOf(world)).toBe("VALUE_TOO_LARGE");
    expect(runOf(world, "each")).toMatchObject({ status: "failed", port: "failure" });
  });
});

describe("until, carry and break", () => {
  const sum = { sum: { initial: 0, next: "{{ loop.carry.sum + item }}" } };

  it("hands carried values to the next pass, and the last ones on", async () => {
    const nodes = loopOver(
      { carry: sum },
      { pass: { type: "action", action: "app.pass", args: { item: "{{ [loop.carry.sum, item] }}" } } },
    );
    const world = await run(nodes, { input: [1, 2, 3], functions: { "app.pass": item } });
    expect(resultOf(world)).toEqual(
      collected(
        [
          [0, 1],
          [1, 2],
          [3, 3],
        ],
        { carry: { sum: 6 } },
      ),
    );
  });

  it("leaves through break when until holds after a pass", async () => {
    const nodes: Nodes = {
      ...loopOver({ until: "nodes.pass.output == 2", next: { done: "end", break: "broken" } }),
      broken: { type: "output", value: "{{ nodes.each.output }}" },
    };
    const world = await run(nodes, { input: [1, 2, 3], functions: { "app.pass": item } });
    expect(resultOf(world)).toEqual(collected([1, 2], { exit: "break" }));
    expect(runOf(world, "each")).toMatchObject({ port: "break" });
    expect(world.durableKeys).toContain("broken");
  });

  it("leaves through done when break leads nowhere, and says why", async () => {
    const world = await run(loopOver({ until: "item == 2" }), { input: [1, 2, 3], functions: { "app.pass": item } });
    expect(resultOf(world)).toEqual(collected([1, 2], { exit: "break" }));
    expect(runOf(world, "each")).toMatchObject({ port: "done" });
  });

  it("repeats without items until the condition holds", async () => {
    const nodes = loopOver(
      { until: "loop.carry.n >= 3", carry: { n: { initial: 1, next: "{{ loop.carry.n + 1 }}" } } },
      { pass: { type: "action", action: "app.pass", args: { item: "{{ loop.carry.n }}" } } },
    );
    delete (nodes.each as { items?: unknown }).items;
    const world = await run(nodes, { functions: { "app.pass": item } });
    expect(resultOf(world)).toEqual(collected([1, 2, 3], { exit: "break", carry: { n: 4 } }));
  });

  it("stops at maxIterations when it never holds", async () => {
    const nodes = loopOver({ until: "false", maxIterations: 4 }, { pass: { type: "condition", if: "index % 2 == 0" } });
    delete (nodes.each as { items?: unknown }).items;
    const world = await run(nodes);
    expect(resultOf(world)).toEqual(collected([true, false, true, false]));
  });

  it("fails the pass when what is evaluated at its end does", async () => {
    for (const fields of [
      { until: "item" },
      { until: "nodes.pass.output.gone" },
      { collect: "{{ nodes.pass.output.gone }}" },
      { carry: { a: { initial: 0, next: "{{ nodes.pass.output.gone }}" } } },
    ] satisfies LoopFields[]) {
      const world = await run(loopOver(fields), { input: [1, 2], functions: { "app.pass": item } });
      expect(failureOf(world)).toMatchObject({ code: "LOOP_ITEM_FAILED", node: "each" });
      expect(failureOf(world).message).toMatch(/Pass 0 .*EXPRESSION_/);
      // Its last node did not fail.
      expect(runOf(world, "each[0]/pass")).toMatchObject({ status: "succeeded" });
    }
  });

  it("goes on with the carried values of before when a pass fails", async () => {
    const nodes = loopOver({ carry: sum, onItemError: "continue" });
    const world = await run(nodes, {
      input: [1, 2, 4],
      functions: {
        "app.pass": query(({ item: given }) => {
          if (given === 2) throw new Error("not two");
          return given;
        }),
      },
    });
    expect(resultOf(world)).toMatchObject({ results: [1, null, 4], carry: { sum: 5 } });
  });

  it("carries only so much, since it is part of every checkpoint", async () => {
    const nodes = loopOver({ carry: { all: { initial: "", next: "{{ input[0] }}" } } });
    const world = await run(nodes, { input: ["x".repeat(MAX_CARRY_BYTES)], functions: { "app.pass": item } });
    expect(failureOf(world)).toMatchObject({ code: "LOOP_ITEM_FAILED" });
    expect(errorOf(world, "each")).toMatchObject({ cause: { code: "VALUE_TOO_LARGE" } });
  });
});

describe("onItemError", () => {
  const failing = query(({ item: given }) => {
    if (given === 2) throw new Error("not two");
    return given;
  });
  const flowWith = (onItemError?: "fail" | "continue" | "stop"): Nodes => ({
    ...loopOver({ ...(onItemError === undefined ? {} : { onItemError }), next: { done: "end", failure: "caught" } }),
    caught: { type: "output", value: "{{ nodes.each.error }}" },
  });
  const options = { input: [1, 2, 3], functions: { "app.pass": failing } };

  it.each([undefined, "fail" as const])("%s fails the loop with the error of the pass", async (mode) => {
    const world = await run(flowWith(mode), options);
    expect(resultOf(world)).toMatchObject({ code: "LOOP_ITEM_FAILED", cause: { code: "ACTION_FAILED" } });
    expect(world.calls).toHaveLength(2);
    expect(runOf(world, "each")).toMatchObject({ status: "failed", port: "failure" });
  });

  it("continue goes on with the next item", async () => {
    const result = resultOf(await run(flowWith("continue"), options));
    expect(result).toMatchObject({ results: [1, null, 3], passes: 3, exit: "done" });
    expect(result).toMatchObject({ errors: [{ index: 1, code: "ACTION_FAILED" }] });
  });

  it("stop begins no further pass", async () => {
    const world = await run(flowWith("stop"), options);
    expect(resultOf(world)).toMatchObject({ results: [1, null], passes: 2, exit: "stop" });
    expect(world.calls).toHaveLength(2);
  });

  it("is not asked when the body catches the failure itself", async () => {
    const nodes: Nodes = {
      each: { type: "loop", items: "{{ input }}", body: "pass", next: { done: "end" } },
      pass: { type: "action", action: "app.pass", args: { item: "{{ item }}" }, next: { failure: "instead" } },
      instead: { type: "set", values: { failed: "{{ nodes.pass.error.code }}" } },
      end: { type: "output", value: "{{ nodes.each.output }}" },
    };
    const world = await run(nodes, options);
    expect(resultOf(world)).toEqual(collected([1, { failed: "ACTION_FAILED" }, 3]));
  });
});

describe("nesting", () => {
  it("keeps items, indexes, outputs and results of each level apart", async () => {
    const world = await run(
      {
        rows: { type: "loop", items: "{{ input }}", item: "row", index: "r", body: "name", next: { done: "end" } },
        name: { type: "action", action: "echo", args: { value: "{{ row.name }}" }, next: { success: "cells" } },
        cells: {
          type: "loop",
          items: "{{ row.cells }}",
          item: "cell",
          index: "c",
          body: "mark",
          collect: "{{ [nodes.name.output, loops.rows.index, loop.index, nodes.mark.output] }}",
        },
        mark: { type: "action", action: "echo", args: { value: "{{ cell * 2 }}" } },
        end: { type: "output", value: "{{ nodes.rows.output.results }}" },
      },
      {
        input: [
          { name: "a", cells: [1, 2] },
          { name: "b", cells: [] },
          { name: "c", cells: [3] },
        ],
        functions: { echo: query(({ value }) => value) },
      },
    );
    const results = (outputOf(world, "rows") as { results: Array<{ results: Json }> }).results;
    expect(results.map((one) => one.results)).toEqual([
      [
        ["a", 0, 0, 2],
        ["a", 0, 1, 4],
      ],
      [],
      [["c", 2, 0, 6]],
    ]);
    expect(resultOf(world)).toEqual(results);
    expect(world.durableKeys).toContain("rows[0]/cells[1]/mark");
  });

  it("lets a failed inner loop fail its pass of the outer one only", async () => {
    const world = await run(
      {
        outer: {
          type: "loop",
          items: "{{ input }}",
          item: "list",
          index: "o",
          onItemError: "continue",
          body: "inner",
          next: { done: "end" },
        },
        inner: { type: "loop", items: "{{ list }}", body: "check" },
        check: { type: "condition", if: "item > 0" },
        end: { type: "output", value: "{{ nodes.outer.output }}" },
      },
      { input: [[1], ["x"], [2, 3]] },
    );
    expect(resultOf(world)).toMatchObject({
      results: [{ results: [true] }, null, { results: [true, true] }],
      errors: [{ index: 1, code: "LOOP_ITEM_FAILED" }],
    });
    expect(runOf(world, "outer[1]/inner")).toMatchObject({ status: "failed" });
  });

  it("goes eight deep", async () => {
    const nodes: Nodes = {};
    for (let depth = 0; depth < 8; depth++) {
      nodes[`loop${depth}`] = {
        type: "loop",
        items: [0, 1],
        item: `item${depth}`,
        index: `index${depth}`,
        body: depth < 7 ? `loop${depth + 1}` : "leaf",
        ...(depth === 0 ? { next: { done: "end" } } : {}),
      };
    }
    nodes.leaf = { type: "set", values: { count: "{{ has(vars.count) ? vars.count + 1 : 1 }}" } };
    nodes.end = { type: "output", value: "{{ vars.count }}" };
    expect(resultOf(await run(nodes))).toBe(256);
  });
});
