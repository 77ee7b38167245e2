import workflow from "@convex-dev/workflow/test";
import { convexTest, type TestConvex } from "convex-test";
import { makeFunctionReference } from "convex/server";
import { vi } from "vitest";
import hostSchema from "../../convex/schema.js";
import shardflow from "../../src/test.js";
import { Counters, sumTallies, type Modules, type Tally, type Touch } from "../support/counters.js";
import { api, runToQuiet, settle } from "../support/harness.js";

const START = Date.UTC(2026, 0, 1);

export type Bench = { t: TestConvex<typeof hostSchema>; counters: Counters };

export function startBench(onTouch?: (touch: Touch) => void): Bench {
  vi.useFakeTimers({ now: START, toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  const counters = new Counters(onTouch);
  const hostModules: Modules = { "./_generated/api.js": async () => ({}), "./host.ts": () => import("./host.js") };
  const t = convexTest(hostSchema, counters.instrument("", hostModules));
  const register = t.registerComponent;
  t.registerComponent = (path, schema, modules) => register(path, schema, counters.instrument(path, modules));
  shardflow.register(t);
  workflow.register(t, "workflow");
  return { t, counters };
}

export function chain(name: string, nodes: number, maxMs: number): string {
  const node = (index: number) => ({
    type: "action",
    action: "work",
    args: { execution: "{{ input.execution }}", node: index, maxMs, text: "i".repeat(150) },
    next: { success: index + 1 < nodes ? `n${index + 1}` : "end" },
  });
  return JSON.stringify({
    name,
    nodes: {
      start: { type: "trigger", next: { success: "n0" } },
      ...Object.fromEntries(Array.from({ length: nodes }, (_, i) => [`n${i}`, node(i)])),
      end: { type: "output", value: { done: true } },
    },
  });
}

export function loop(name: string, items: number, maxMs: number, concurrency = 1): string {
  return JSON.stringify({
    name,
    nodes: {
      start: { type: "trigger", next: { success: "each" } },
      each: { type: "loop", items: "{{ input.items }}", body: "do", maxIterations: items, concurrency, next: { done: "end" } },
      do: { type: "action", action: "work", args: { execution: "{{ input.execution }}", node: "{{ item }}", maxMs, text: "i".repeat(150) } },
      end: { type: "output", value: { done: "{{ nodes.each.output.passes }}" } },
    },
  });
}

export async function prepare(bench: Bench, sources: string[], config: Record<string, number>): Promise<void> {
  const { t } = bench;
  await t.mutation(api.bindings.sync, { bindings: [{ name: "work", kind: "action", handle: "function://;host:work" }] });
  for (const source of sources) await t.mutation(api.definitions.publish, { name: (JSON.parse(source) as { name: string }).name, source });
  await t.mutation(api.admin.configure, config);
  await runToQuiet();
}

const startShardflow = makeFunctionReference<"mutation">("host:startShardflow");
const startVanilla = makeFunctionReference<"mutation">("host:startVanilla");

export async function arrive(bench: Bench, count: number, start: (index: number) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i++) {
    await bench.counters.client(() => start(i));
    await settle();
    const gap = 5 + (i * 7) % 16;
    const until = Date.now() + gap;
    await advanceTo(until);
  }
}
async function advanceTo(until: number) {
  let fired = false;
  const timer = setTimeout(() => { fired = true; }, until - Date.now());
  void timer;
  while (!fired) { vi.advanceTimersToNextTimer(); await settle(); }
}

export async function runShardflow(bench: Bench, definition: string, count: number, extra: Record<string, unknown> = {}, shardKey?: string): Promise<Tally> {
  bench.counters.reset();
  const ids: string[] = [];
  await arrive(bench, count, async (i) => {
    ids.push(await bench.t.mutation(startShardflow, { definition, input: JSON.stringify({ execution: i, ...extra }), ...(shardKey === undefined ? {} : { shardKey }) }));
  });
  await runToQuiet(24 * 3600_000);
  for (const executionId of ids) {
    const s = await bench.t.query(api.executions.getStatus, { executionId });
    if (s.status !== "succeeded") throw new Error(JSON.stringify(s));
  }
  return sumTallies(bench.counters.byFunction.map((f) => f.tally));
}

export async function runVanilla(bench: Bench, count: number, steps: number, maxMs: number): Promise<Tally> {
  bench.counters.reset();
  await arrive(bench, count, async (i) => { await bench.t.mutation(startVanilla, { execution: i, steps, maxMs }); });
  await runToQuiet(24 * 3600_000);
  return sumTallies(bench.counters.byFunction.map((f) => f.tally));
}
