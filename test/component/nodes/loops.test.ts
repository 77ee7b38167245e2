/** Loops on the real component: concurrency that is real, and a thousand items over several stretches. */
import { beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../../../src/shared/json.js";
import { flow, type Nodes } from "../../support/flows.js";
import { api } from "../../support/harness.js";
import { preload, START, startWorld } from "../../support/hosts/nodes/world.js";

beforeAll(preload);

const loop = (action: string, args: Record<string, Json>, fields: object = {}): Nodes => ({
  each: { type: "loop", items: "{{ input }}", body: "pass", next: { done: "end" }, ...fields },
  pass: { type: "action", action, args },
  end: { type: "output", value: "{{ nodes.each.output }}" },
});
const numbers = (length: number) => Array.from({ length }, (_, i) => i);

describe("concurrency", () => {
  test.each([1, 3, 8])("%i passes are under way at once, and never more", async (concurrency) => {
    const world = await startWorld();
    const nodes = loop("actSlow", { ms: 2_000, value: "{{ item }}" }, { concurrency });
    const id = await world.run(nodes, numbers(16));
    expect(await world.resultOf(id)).toMatchObject({ results: numbers(16), passes: 16 });
    let [now, most] = [0, 0];
    for (const { fn } of await world.calls()) {
      now += fn === "begin" ? 1 : -1;
      most = Math.max(most, now);
    }
    expect(most).toBe(concurrency);
    const took = (await world.status(id)).endedAt! - START;
    expect(took).toBeGreaterThanOrEqual((16 / concurrency) * 2_000);
    expect(took).toBeLessThan((16 / concurrency) * 2_000 + 2_000);
  });
});

test("failed passes are left out or end the loop, as it says", async () => {
  const world = await startWorld();
  const results: Record<string, unknown> = {};
  for (const onItemError of ["fail", "continue", "stop"] as const) {
    const nodes: Nodes = {
      each: {
        type: "loop",
        items: "{{ input }}",
        onItemError,
        body: "check",
        next: { done: "end", failure: "caught" },
      },
      check: { type: "condition", if: "item > 0", next: { true: "pass", false: "pass" } },
      pass: { type: "action", action: "writeEcho", args: { item: "{{ item }}" } },
      caught: { type: "output", value: "{{ nodes.each.error.code }}" },
      end: { type: "output", value: "{{ nodes.each.output }}" },
    };
    results[onItemError] = await world.resultOf(await world.run(nodes, [1, "two", 3]));
  }
  expect(results).toMatchObject({
    fail: "LOOP_ITEM_FAILED",
    continue: { results: [{ item: 1 }, null, { item: 3 }], errors: [{ index: 1, code: "EXPRESSION_FAILED" }] },
    stop: { results: [{ item: 1 }, null], exit: "stop", passes: 2 },
  });
  expect((await world.calls()).map(({ args }) => args.item)).toEqual([1, 1, 3, 1]);
});

test("nested loops with carry, until and break", async () => {
  const world = await startWorld();
  const id = await world.run(
    {
      rows: {
        type: "loop",
        items: "{{ input }}",
        item: "row",
        index: "r",
        carry: { total: { initial: 0, next: "{{ loop.carry.total + nodes.cells.output.carry.sum }}" } },
        body: "cells",
        next: { done: "end" },
      },
      cells: {
        type: "loop",
        items: "{{ row }}",
        item: "cell",
        index: "c",
        until: "nodes.double.output.n >= 8",
        carry: { sum: { initial: 0, next: "{{ loop.carry.sum + nodes.double.output.n }}" } },
        body: "double",
      },
      double: { type: "action", action: "writeEcho", args: { n: "{{ cell * 2 }}" } },
      end: { type: "output", value: "{{ nodes.rows.output }}" },
    },
    [[1, 2, 3], [], [4, 5]],
  );
  expect(await world.resultOf(id)).toMatchObject({
    carry: { total: 20 },
    results: [
      { exit: "done", carry: { sum: 12 } },
      { exit: "done", results: [] },
      { exit: "break", carry: { sum: 8 }, passes: 1 },
    ],
  });
});

describe("a thousand items", () => {
  test("over several stretches come to one list, in order", { timeout: 60_000 }, async () => {
    const world = await startWorld();
    await world.t.mutation(api.admin.configure, { stretchBudgetMs: 1_000 });
    const nodes = loop(
      "actTick",
      { ms: 100, value: { n: "{{ item }}" } },
      { concurrency: 32, collect: "{{ {'index': index, 'got': nodes.pass.output.n} }}" },
    );
    const id = await world.run(nodes, numbers(1_000));
    expect(await world.resultOf(id)).toEqual({
      results: numbers(1_000).map((n) => ({ index: n, got: n })),
      passes: 1_000,
      errors: [],
      exit: "done",
      carry: {},
    });
    // Each stretch but the last gave way after a second; what it had collected was loaded by the last.
    expect((await world.describe(id)).leaseEpoch).toBeGreaterThan(2);
    const runs = await world.runsOf(id);
    expect(runs).toHaveLength(1_003);
    expect(new Set(runs.map(({ key }) => key)).size).toBe(1_003);
  });

  test("of mutations are written once each, and collected over several stretches", { timeout: 60_000 }, async () => {
    const world = await startWorld();
    await world.t.mutation(api.admin.configure, { stretchBudgetMs: 1_000 });
    // Every fiftieth pass takes time, so that the stretch gives way.
    const nodes: Nodes = {
      each: {
        type: "loop",
        items: "{{ input }}",
        onItemError: "continue",
        collect: "{{ 100 / (nodes.write.output.n % 10) }}",
        body: "ask",
        next: { done: "end" },
      },
      ask: { type: "condition", if: "item % 50 == 49", next: { true: "wait", false: "write" } },
      wait: { type: "action", action: "actSlow", args: { ms: 700 }, next: { success: "write" } },
      write: { type: "action", action: "writeEcho", args: { n: "{{ item }}" } },
      end: { type: "output", value: "{{ nodes.each.output }}" },
    };
    const id = await world.run(nodes, numbers(200));
    const { results, errors } = (await world.resultOf(id)) as { results: Json[]; errors: Array<{ index: number }> };
    // By ten is a division by zero: the pass fails although its mutation was written.
    expect(results).toEqual(numbers(200).map((n) => (n % 10 === 0 ? null : 100 / (n % 10))));
    expect(errors.map(({ index }) => index)).toEqual(numbers(20).map((n) => n * 10));
    const written = (await world.calls()).filter(({ fn }) => fn === "writeEcho").map(({ args }) => args.n);
    expect(written).toEqual(numbers(200));
    expect((await world.describe(id)).leaseEpoch).toBeGreaterThan(1);
  });
});

test("a loop that is too long, or over no list, is a typed error before any pass", async () => {
  const world = await startWorld();
  await world.publish(flow(loop("writeEcho", { item: "{{ item }}" }, { maxIterations: 3 })));
  for (const [input, code] of [
    [numbers(4), "LOOP_TOO_MANY_ITEMS"],
    ["abc", "LOOP_ITEMS_NOT_LIST"],
  ] as const) {
    const id = await world.start("flow", input);
    await world.untilEnded(id);
    expect(await world.status(id)).toMatchObject({ status: "failed", error: { code, node: "each" } });
  }
  expect(await world.calls()).toEqual([]);
});
