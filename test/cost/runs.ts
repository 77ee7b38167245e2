/**
 * The runs whose costs are counted: bursts of executions, of Shardflow and of its vanilla peer, each in a fresh
 * deployment and until nothing is scheduled any more.
 *
 * Owns: what a run consists of (arrivals, definitions, times of nodes), and that it did what it should have done. All of
 * it is the same every time. Time is virtual and code takes none of it, so polls fall as rarely as they ever can.
 */
import workflow from "@convex-dev/workflow/test";
import { convexTest } from "convex-test";
import { makeFunctionReference } from "convex/server";
import { expect, vi } from "vitest";
import hostSchema from "../../convex/schema.js";
import type { Json } from "../../src/shared/json.js";
import shardflow from "../../src/test.js";
import { combine, Counters, sum, type Root, type Tally, type Touch } from "../support/counters.js";
import { api, keepContextInTimers, runToQuiet, settle } from "../support/harness.js";
import { INPUT_TEXT } from "../support/hosts/costs/functions.js";
import { hostModules } from "../support/hosts/costs/modules.js";

const START = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;
/** Executions arrive 5 to 20 ms apart. */
const gapBefore = (execution: number) => 5 + ((execution * 11) % 16);

export type Run = {
  executions: number;
  /** Action nodes of one execution, loop passes included. */
  nodes: number;
  roots: Root[];
};

export type ShardflowRun = {
  definition: Json & { name: string };
  nodes: number;
  executions?: number;
  input?: Record<string, Json>;
  /** Absent: the defaults of a fresh installation. */
  config?: { activeShards?: number; maxParallelism?: number; stretchBudgetMs?: number };
  shardKey?: string;
  onTouch?: (touch: Touch) => void;
};

const functions = {
  startShardflow: makeFunctionReference<"mutation", { definition: string; input: string; shardKey?: string }, string>(
    "functions:startShardflow",
  ),
  startVanilla: makeFunctionReference<"mutation", { execution: number; nodes: number; maxMs: number }>(
    "functions:startVanilla",
  ),
};

export async function runShardflow(run: ShardflowRun): Promise<Run> {
  const { definition, nodes, executions = 1, input = {}, config, shardKey } = run;
  const { t, counters } = startWorld();
  const { name } = definition;
  await t.mutation(api.bindings.sync, {
    bindings: [{ name: "app.node", kind: "action", handle: "function://;functions:runNode" }],
  });
  await t.mutation(api.definitions.publish, { name, source: JSON.stringify(definition) });
  if (config !== undefined) await t.mutation(api.admin.configure, config);
  await runToQuiet();

  const ids: string[] = [];
  if (run.onTouch !== undefined) counters.onTouch = run.onTouch;
  const roots = await count(counters, executions, nodes, async (execution) => {
    const text = JSON.stringify({ ...input, execution });
    const args = { definition: name, input: text, ...(shardKey === undefined ? {} : { shardKey }) };
    ids.push(await t.mutation(functions.startShardflow, args));
  });
  for (const executionId of ids) {
    expect(await t.query(api.history.getStatus, { executionId })).toMatchObject({ status: "succeeded" });
  }
  return { executions, nodes, roots };
}

export async function runVanilla(run: { nodes: number; executions?: number; maxMs: number }): Promise<Run> {
  const { nodes, executions = 1, maxMs } = run;
  const { t, counters } = startWorld();
  const roots = await count(counters, executions, nodes, async (execution) => {
    await t.mutation(functions.startVanilla, { execution, nodes, maxMs });
  });
  return { executions, nodes, roots };
}

function startWorld() {
  vi.useFakeTimers({ now: START, toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  keepContextInTimers();
  const counters = new Counters();
  const t = convexTest(hostSchema, counters.instrument("", hostModules));
  const register = t.registerComponent;
  t.registerComponent = (path, schema, modules) => register(path, schema, counters.instrument(path, modules));
  shardflow.register(t);
  workflow.register(t, "workflow");
  return { t, counters };
}

/** Starts the executions one by one, lets everything come to rest, and checks that what was seen is all there was. */
async function count(
  counters: Counters,
  executions: number,
  nodes: number,
  start: (execution: number) => Promise<void>,
): Promise<Root[]> {
  counters.reset();
  // The workpool reports once a minute.
  const info = vi.spyOn(console, "info").mockImplementation(() => undefined);
  for (let execution = 0; execution < executions; execution++) {
    await advance(gapBefore(execution));
    await counters.client(() => start(execution));
  }
  await runToQuiet(24 * HOUR);
  info.mockRestore();
  const { scheduled, canceled } = counters;
  // A copy: what the test looks up from here on is none of the run's.
  const roots = [...counters.roots];
  const total = sum(roots.map(tallyOf));
  expect(total.jobs, "jobs that ran, of those that were scheduled and not canceled").toBe(scheduled - canceled);
  const calls = roots.filter(({ component, name }) => component === "" && name === "functions:runNode").length;
  expect(calls, "calls of the app's action").toBe(executions * nodes);
  return roots;
}

async function advance(ms: number): Promise<void> {
  let isOver = false;
  setTimeout(() => (isOver = true), ms);
  await settle();
  while (!isOver) {
    vi.advanceTimersToNextTimer();
    await settle();
  }
}

// ── What was counted ─────────────────────────────────────────────────────────────────────────────────────────────────

const tallyOf = (root: Root): Tally => sum([...root.runs.values()].map(({ tally }) => tally));

export const perExecution = ({ executions }: Run, tally: Tally): Tally =>
  combine([tally], (value) => value / executions);

export const totalOf = ({ roots }: Run): Tally => sum(roots.map(tallyOf));

/**
 * A look of a workpool's loop that finds nothing to do. A loop that is awake takes five a second, and stays awake for
 * two seconds after its last work: they come with time and with shards, neither with nodes nor with executions.
 */
export function isIdlePoll({ component, name, runs }: Root): boolean {
  return component.endsWith("/batchWorker") && name === "loop:loop" && !runs.has(`${poolOf(component)} loop:run`);
}

const poolOf = (worker: string) => worker.slice(0, worker.lastIndexOf("/"));

export const idlePollsOf = ({ roots }: Run): Tally => sum(roots.filter(isIdlePoll).map(tallyOf));

export const workOf = ({ roots }: Run): Tally => sum(roots.filter((root) => !isIdlePoll(root)).map(tallyOf));

/** Tallies by component path, the shards taken together; "" is the app. */
export function byComponent({ roots }: Run): Map<string, Tally> {
  const parts = new Map<string, Tally[]>();
  for (const { component, tally } of roots.flatMap((root) => [...root.runs.values()])) {
    const part = component.replace(/shard\d/, "shardK");
    parts.set(part, [...(parts.get(part) ?? []), tally]);
  }
  return new Map([...parts].sort().map(([part, tallies]) => [part, sum(tallies)]));
}

/** What one node adds, and what remains of an execution without nodes: the line through two measured points. */
export function lineThrough(
  few: { nodes: number; tally: Tally },
  many: { nodes: number; tally: Tally },
): { perNode: Tally; fixed: Tally } {
  const span = many.nodes - few.nodes;
  const perNode = combine([few.tally, many.tally], (a = 0, b = 0) => (b - a) / span);
  const fixed = combine([few.tally, perNode], (a = 0, slope = 0) => a - slope * few.nodes);
  return { perNode, fixed };
}

// ── Definitions ──────────────────────────────────────────────────────────────────────────────────────────────────────

type Definition = Json & { name: string };

/** A chain of action nodes that take 0 to `maxMs` and give back 1 KB each. */
export function chain(nodes: number, maxMs: number): Definition {
  const node = (index: number) => ({
    type: "action",
    action: "app.node",
    args: { execution: "{{ input.execution }}", node: index, maxMs, text: INPUT_TEXT, large: true },
    next: { success: index + 1 < nodes ? `n${index + 1}` : "end" },
  });
  return {
    name: `chain of ${nodes}`,
    nodes: {
      start: { type: "trigger", next: { success: "n0" } },
      ...Object.fromEntries(Array.from({ length: nodes }, (_, index) => [`n${index}`, node(index)])),
      end: { type: "output", value: { last: `{{ nodes.n${nodes - 1}.output.node }}` } },
    },
  };
}

/** A loop over `input.items` with one action node that takes 0 to `maxMs`. */
export function loop(items: number, maxMs: number, concurrency = 1): Definition {
  return {
    name: `loop of ${items}`,
    nodes: {
      start: { type: "trigger", next: { success: "each" } },
      each: {
        type: "loop",
        items: "{{ input.items }}",
        body: "do",
        maxIterations: items,
        concurrency,
        next: { done: "end" },
      },
      do: {
        type: "action",
        action: "app.node",
        args: { execution: "{{ input.execution }}", node: "{{ item }}", maxMs, text: INPUT_TEXT, large: false },
      },
      end: { type: "output", value: { passes: "{{ nodes.each.output.passes }}" } },
    },
  };
}

export const items = (count: number): Json[] => Array.from({ length: count }, (_, index) => index);
