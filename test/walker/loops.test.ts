/** Loops: items, passes, carry, errors, concurrency and nesting. */
import { describe, expect, it } from "vitest";
import type { Json } from "../../src/shared/json.js";
import { MAX_CARRY_BYTES, MAX_TOKENS, MAX_VALUE_BYTES } from "../../src/shared/limits.js";
import type { AppFunction, World } from "../support/recordingPorts.js";
import {
  action,
  errorOf,
  failureOf,
  mutation,
  outputOf,
  query,
  resultOf,
  run,
  runOf,
  worldOf,
  type Nodes,
} from "../support/flows.js";

type LoopFields = Partial<Extract<Nodes[string], { type: "loop" }>>;

/** A loop over the input whose passes call `app.pass`; its output is the result. */
const loop = (fields: LoopFields = {}, body: Nodes = {}): Nodes => ({
  each: { type: "loop", items: "{{ input }}", body: "pass", next: { done: "end" }, ...fields },
  pass: { type: "action", action: "app.pass", args: { item: "{{ item }}", index: "{{ index }}" } },
  ...body,
  end: { type: "output", value: "{{ nodes.each.output }}" },
});
const item = query(({ item: given }) => given);
const done = (results: Json[], rest: object = {}) => ({
  results,
  passes: results.length,
  errors: [],
  exit: "done",
  carry: {},
  ...rest,
});

describe("a loop over items", () => {
  it("runs its body once for each, in order, and collects the outputs", async () => {
    const world = await run(loop(), { input: ["a", "b", "c"], functions: { "app.pass": item } });
    expect(resultOf(world)).toEqual(done(["a", "b", "c"]));
    expect(world.durableKeys).toEqual(["start", "each[0]/pass", "each[1]/pass", "each[2]/pass", "each", "end"]);
    expect(world.calls.map(({ args }) => args)).toEqual([
      { item: "a", index: 0 },
      { item: "b", index: 1 },
      { item: "c", index: 2 },
    ]);
  });

  it("takes a list that is written out, with templates in it", async () => {
    const nodes = loop({ items: [1, "{{ input[0] }}", { a: "{{ input[1] }}" }] });
    const world = await run(nodes, { input: ["x", "y"], functions: { "app.pass": item } });
    expect(resultOf(world)).toEqual(done([1, "x", { a: "y" }]));
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
    const world = await run(loop({ carry }), { input: [], functions: { "app.pass": item } });
    expect(resultOf(world)).toEqual(done([], { carry: { sum: 0 } }));
    expect(runOf(world, "each")).toMatchObject({ status: "succeeded", port: "done" });
    expect(world.durableKeys).toEqual(["start", "each", "end"]);
  });

  it.each(["text", 7, null, { a: 1 }])("fails over %j, which is no list", async (input) => {
    const world = await run(loop(), { input, functions: { "app.pass": item } });
    expect(failureOf(world)).toMatchObject({ code: "LOOP_ITEMS_NOT_LIST", node: "each" });
    expect(world.calls).toEqual([]);
  });

  it("fails over more items than maxIterations, and runs none", async () => {
    const world = await run(loop({ maxIterations: 2 }), { input: [1, 2, 3], functions: { "app.pass": item } });
    expect(failureOf(world)).toMatchObject({ code: "LOOP_TOO_MANY_ITEMS", node: "each" });
    expect(failureOf(world).message).toContain("3 items");
    expect(world.calls).toEqual([]);
    const enough = await run(loop({ maxIterations: 3 }), { input: [1, 2, 3], functions: { "app.pass": item } });
    expect(resultOf(enough)).toEqual(done([1, 2, 3]));
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
    const nodes = loop(
      { carry: sum },
      { pass: { type: "action", action: "app.pass", args: { item: "{{ [loop.carry.sum, item] }}" } } },
    );
    const world = await run(nodes, { input: [1, 2, 3], functions: { "app.pass": item } });
    expect(resultOf(world)).toEqual(
      done(
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
      ...loop({ until: "nodes.pass.output == 2", next: { done: "end", break: "broken" } }),
      broken: { type: "output", value: "{{ nodes.each.output }}" },
    };
    const world = await run(nodes, { input: [1, 2, 3], functions: { "app.pass": item } });
    expect(resultOf(world)).toEqual(done([1, 2], { exit: "break" }));
    expect(runOf(world, "each")).toMatchObject({ port: "break" });
    expect(world.durableKeys).toContain("broken");
  });

  it("leaves through done when break leads nowhere, and says why", async () => {
    const world = await run(loop({ until: "item == 2" }), { input: [1, 2, 3], functions: { "app.pass": item } });
    expect(resultOf(world)).toEqual(done([1, 2], { exit: "break" }));
    expect(runOf(world, "each")).toMatchObject({ port: "done" });
  });

  it("repeats without items until the condition holds", async () => {
    const nodes = loop(
      { until: "loop.carry.n >= 3", carry: { n: { initial: 1, next: "{{ loop.carry.n + 1 }}" } } },
      { pass: { type: "action", action: "app.pass", args: { item: "{{ loop.carry.n }}" } } },
    );
    delete (nodes.each as { items?: unknown }).items;
    const world = await run(nodes, { functions: { "app.pass": item } });
    expect(resultOf(world)).toEqual(done([1, 2, 3], { exit: "break", carry: { n: 4 } }));
  });

  it("stops at maxIterations when it never holds", async () => {
    const nodes = loop({ until: "false", maxIterations: 4 }, { pass: { type: "condition", if: "index % 2 == 0" } });
    delete (nodes.each as { items?: unknown }).items;
    const world = await run(nodes);
    expect(resultOf(world)).toEqual(done([true, false, true, false]));
  });

  it("fails the pass when what is evaluated at its end does", async () => {
    for (const fields of [
      { until: "item" },
      { until: "nodes.pass.output.gone" },
      { collect: "{{ nodes.pass.output.gone }}" },
      { carry: { a: { initial: 0, next: "{{ nodes.pass.output.gone }}" } } },
    ] satisfies LoopFields[]) {
      const world = await run(loop(fields), { input: [1, 2], functions: { "app.pass": item } });
      expect(failureOf(world)).toMatchObject({ code: "LOOP_ITEM_FAILED", node: "each" });
      expect(failureOf(world).message).toMatch(/Pass 0 .*EXPRESSION_/);
      // Its last node did not fail.
      expect(runOf(world, "each[0]/pass")).toMatchObject({ status: "succeeded" });
    }
  });

  it("goes on with the carried values of before when a pass fails", async () => {
    const nodes = loop({ carry: sum, onItemError: "continue" });
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
    const nodes = loop({ carry: { all: { initial: "", next: "{{ input[0] }}" } } });
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
    ...loop({ ...(onItemError === undefined ? {} : { onItemError }), next: { done: "end", failure: "caught" } }),
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
    expect(resultOf(world)).toEqual(done([1, { failed: "ACTION_FAILED" }, 3]));
  });
});

describe("concurrency", () => {
  const slow = (world: () => World, ms: (given: number) => number) =>
    action(({ item: given }) =>
      world()
        .clock.sleep(ms(Number(given)))
        .then(() => given),
    );
  const runSlow = async (fields: LoopFields, count: number, ms: (given: number) => number) => {
    const input = Array.from({ length: count }, (_, i) => i);
    const functions = { "app.pass": slow(() => world, ms) };
    const world: World = worldOf(loop(fields), { input, functions });
    await world.run();
    return world;
  };

  it.each([1, 2, 5])("%i passes run at once, and no more", async (concurrency) => {
    const world = await runSlow({ concurrency }, 10, () => 1_000);
    expect(world.mostInFlight).toBe(concurrency);
    // Ten seconds of work, shared.
    expect(world.clock.now).toBe(10_000 / concurrency);
    expect(resultOf(world)).toEqual(done([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
  });

  it("starts the next pass as soon as any ends", async () => {
    // One pass takes as long as all the others together.
    const world = await runSlow({ concurrency: 2 }, 10, (given) => (given === 0 ? 9_000 : 1_000));
    expect(world.clock.now).toBe(9_000);
    expect(resultOf(world)).toEqual(done([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
  });

  it("collects in the order of the items, whatever order they end in", async () => {
    const world = await runSlow({ concurrency: 4 }, 8, (given) => 1_000 - given * 100);
    expect(resultOf(world)).toEqual(done([0, 1, 2, 3, 4, 5, 6, 7]));
    const ended = world.durableKeys.filter((key) => key.endsWith("/pass"));
    expect(ended).not.toEqual(ended.toSorted());
  });

  it("gives up what is in flight when a pass fails the loop", async () => {
    const functions = {
      "app.pass": action(({ item: given }) =>
        world.clock.sleep(given === 1 ? 100 : 50_000).then(() => {
          if (given === 1) throw new Error("no");
        }),
      ),
    };
    const world: World = worldOf(loop({ concurrency: 3 }), { input: [0, 1, 2, 3], functions });
    await world.run();
    expect(failureOf(world)).toMatchObject({ code: "LOOP_ITEM_FAILED", node: "each" });
    // Nothing was waited for, and no fourth pass began.
    expect(world.clock.now).toBe(100);
    expect(world.calls).toHaveLength(3);
    for (const key of ["each[0]/pass", "each[2]/pass"]) {
      expect(runOf(world, key)).toMatchObject({ status: "canceled", error: { code: "NODE_CANCELED" } });
    }
  });

  it("does not begin a mutation in a loop that has been left", async () => {
    const functions = {
      fail: action(() =>
        world.clock.sleep(122).then(() => {
          throw new Error("no");
        }),
      ),
      wait: action(() => world.clock.sleep(95)),
      write: mutation(() => null),
    };
    const world: World = worldOf(
      {
        each: { type: "loop", items: [0, 1, 2], concurrency: 3, body: "ask", next: { failure: "end" } },
        ask: {
          type: "switch",
          value: "{{ item }}",
          cases: [{ equals: 0, port: "zero" }],
          next: { zero: "fail", default: "wait" },
        },
        fail: { type: "action", action: "fail" },
        wait: { type: "action", action: "wait", next: { success: "write" } },
        write: { type: "action", action: "write" },
        end: { type: "output", value: "{{ nodes.each.error.code }}" },
      },
      // The first mutation is on its way when the loop is left, the second one waits for its turn.
      { functions, writeMs: 10 },
    );
    await world.run();
    expect(resultOf(world)).toBe("LOOP_ITEM_FAILED");
    expect(world.calls.filter(({ name }) => name === "write").map(({ at }) => at)).toEqual([120]);
    expect(world.runs.filter(({ node }) => node === "write").map(({ key }) => key)).toEqual(["each[1]/write"]);
  });

  it("waits for the passes in flight when one stops the loop", async () => {
    const functions = {
      "app.pass": action(({ item: given }) =>
        world.clock.sleep(given === 0 ? 100 : 1_000).then(() => {
          if (given === 0) throw new Error("no");
          return given;
        }),
      ),
    };
    const world: World = worldOf(loop({ concurrency: 3, onItemError: "stop" }), { input: [0, 1, 2, 3], functions });
    await world.run();
    expect(resultOf(world)).toMatchObject({ results: [null, 1, 2], passes: 3, exit: "stop" });
  });

  it("loses no result when passes end while a checkpoint is on its way", async () => {
    const functions = {
      "app.pass": action(({ item: given }) => world.clock.sleep(50 + Number(given) * 3).then(() => given)),
    };
    const world: World = worldOf(loop({ concurrency: 8 }), {
      input: Array.from({ length: 40 }, (_, i) => i),
      functions,
      writeMs: 25,
      readMs: 1,
    });
    await world.run();
    expect(resultOf(world)).toEqual(done(Array.from({ length: 40 }, (_, i) => i)));
  });

  it("loses no result when a pass ends in the very moment in which a checkpoint begins", async () => {
    const turns = async (count: number) => {
      for (let i = 0; i < count; i++) await Promise.resolve();
    };
    // The last node of pass 0 and the first one of pass 1 end together, give or take a few turns.
    for (let lead = -12; lead <= 12; lead++) {
      const gate = () => world.clock.sleep(100);
      let opens: Promise<void> | null = null;
      const wait = async (ahead: number) => {
        await (opens ??= gate());
        await turns(ahead);
      };
      const functions = {
        first: action(({ item: given }) => (given === 1 ? wait(Math.max(0, -lead)) : null)),
        last: action(({ item: given }) => (given === 0 ? wait(Math.max(0, lead)).then(() => "kept") : "kept")),
      };
      const world: World = worldOf(
        {
          each: { type: "loop", items: [0, 1], concurrency: 2, body: "first", next: { done: "end" } },
          first: { type: "action", action: "first", args: { item: "{{ item }}" }, next: { success: "last" } },
          last: { type: "action", action: "last", args: { item: "{{ item }}" } },
          end: { type: "output", value: "{{ nodes.each.output.results }}" },
        },
        { functions, writeMs: 20 },
      );
      await world.run();
      expect(resultOf(world)).toEqual(["kept", "kept"]);
    }
  });

  it("of loops in loops stays within the bound on places, and all passes run", async () => {
    const functions = { tick: action(({ at }) => world.clock.sleep(10).then(() => at)) };
    const world: World = worldOf(
      {
        outer: {
          type: "loop",
          items: "{{ input }}",
          item: "o",
          index: "oi",
          concurrency: 16,
          body: "inner",
          next: { done: "end" },
        },
        inner: { type: "loop", items: "{{ input }}", item: "i", index: "ii", concurrency: 8, body: "tick" },
        tick: { type: "action", action: "tick", args: { at: "{{ [o, i] }}" } },
        end: { type: "output", value: "{{ size(nodes.outer.output.results) }}" },
      },
      { input: Array.from({ length: 20 }, (_, i) => i), functions },
    );
    await world.run();
    expect(resultOf(world)).toBe(20);
    expect(world.mostInFlight).toBe(MAX_TOKENS);
    const called = world.calls.map(({ args }) => JSON.stringify(args?.at));
    expect(new Set(called).size).toBe(400);
    expect(called).toHaveLength(400);
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

describe("a loop of many passes", () => {
  const thousand = Array.from({ length: 1_000 }, (_, i) => i);
  const big = (fields: LoopFields = {}): Nodes => ({
    ...loop({ maxIterations: 1_000, ...fields }),
    end: { type: "output", value: "{{ nodes.each.output }}" },
  });

  it.each([
    ["the outputs of queries", "query", {}],
    ["the outputs of mutations", "mutation", {}],
    ["what collect makes of queries", "query", { collect: "{{ {'given': nodes.pass.output.given} }}" }],
    ["what collect makes of mutations", "mutation", { collect: "{{ {'given': nodes.pass.output.given} }}" }],
  ] as const)("collects %s over several stretches", async (_name, kind, fields) => {
    const called: AppFunction = {
      kind,
      run: ({ item: given }) => (kind === "query" ? world.clock.sleep(3).then(() => ({ given })) : { given }),
    };
    const world: World = worldOf(big(fields), {
      input: thousand,
      functions: { "app.pass": called },
      budgetMs: 500,
      writeMs: 3,
      readMs: 3,
    });
    await world.run();
    expect(resultOf(world)).toEqual(done(thousand.map((given) => ({ given }))));
    expect(world.stretches.length).toBeGreaterThan(3);
    expect(world.calls).toHaveLength(1_000);
  });

  it("remembers over stretches which passes failed, also by what was evaluated at their end", async () => {
    const world = worldOf(big({ onItemError: "continue", collect: "{{ 10 / (item % 10) }}", concurrency: 4 }), {
      input: thousand.slice(0, 100),
      functions: {
        "app.pass": mutation(({ item: given }) => {
          if (Number(given) % 7 === 0) throw new Error("seven");
          return given;
        }),
      },
      budgetMs: 100,
      writeMs: 5,
      readMs: 1,
    });
    await world.run();
    expect(world.stretches.length).toBeGreaterThan(3);
    const { results, errors } = resultOf(world) as { results: Json[]; errors: Array<{ index: number; code: string }> };
    const expected = thousand.slice(0, 100).map((given) => {
      if (given % 7 === 0) return "ACTION_FAILED";
      return given % 10 === 0 ? "EXPRESSION_FAILED" : null;
    });
    expect(errors.map(({ index, code }) => [index, code])).toEqual(
      expected.flatMap((code, index) => (code === null ? [] : [[index, code]])),
    );
    expect(results).toEqual(expected.map((code, index) => (code === null ? 10 / (index % 10) : null)));
  });

  it("comes to the same when its owner dies at any moment", async () => {
    const nodes = loop({ onItemError: "continue", collect: "{{ {'tenth': 10 / (item % 3)} }}", concurrency: 2 });
    const begin = () =>
      worldOf(nodes, {
        input: [0, 1, 2, 3, 4, 5],
        functions: {
          "app.pass": mutation(({ item: given }) => {
            if (given === 4) throw new Error("not four");
            return given;
          }),
        },
        writeMs: 6,
        readMs: 2,
      });
    const undisturbed = begin();
    await undisturbed.run();
    const expected = resultOf(undisturbed);
    expect(expected).toMatchObject({
      results: [null, { tenth: 10 }, { tenth: 5 }, null, null, { tenth: 5 }],
      errors: [
        { index: 0, code: "EXPRESSION_FAILED" },
        { index: 3, code: "EXPRESSION_FAILED" },
        { index: 4, code: "ACTION_FAILED" },
      ],
    });
    for (let dies = 1; dies < undisturbed.clock.now; dies++) {
      const world = begin();
      const owner = world.startStretch();
      await world.clock.pass(dies);
      owner.kill();
      if (!world.ended) await world.run();
      expect(resultOf(world)).toEqual(expected);
    }
  });

  it("does not send more for a later pass than for an early one", async () => {
    const world = worldOf(big(), { input: thousand, functions: { "app.pass": mutation(({ item: given }) => given) } });
    await world.run();
    const bytes = world.flushes.map(({ progress }) => JSON.stringify(progress).length);
    // The first writes hold the items, the last one the results.
    const passes = bytes.slice(2, -2);
    expect(passes.length).toBeGreaterThan(900);
    expect(Math.max(...passes)).toBeLessThan(Math.min(...passes) * 2);
  });
});
