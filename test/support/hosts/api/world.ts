/**
 * The world of the API tests: the real component on convex-test with virtual time, a small host app, and the rows of
 * every component in reach.
 */
import { convexTest } from "convex-test";
import { createFunctionHandle, makeFunctionReference } from "convex/server";
import { expect, onTestFinished, vi } from "vitest";
import { shardflowErrorData, type ErrorCode, type ShardflowErrorData } from "../../../../src/shared/errors.js";
import type { Json } from "../../../../src/shared/json.js";
import shardflow from "../../../../src/test.js";
import { api, preload as preloadComponent, runToQuiet, runUntil } from "../../harness.js";
import { inside } from "../../inside.js";
import { hostModules } from "./modules.js";
import hostSchema from "./schema.js";

export const START = Date.UTC(2026, 0, 1);
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const BINDINGS = [
  { name: "app.lookup", kind: "query", fn: "functions:lookup" },
  { name: "app.work", kind: "action", fn: "functions:work" },
  { name: "app.leak", kind: "action", fn: "functions:leak" },
  { name: "app.note", kind: "mutation", fn: "functions:note" },
] as const;

type Source = { name: string; [field: string]: unknown };
type StartOptions = Omit<(typeof api.executions.startWorkflow)["_args"], "definition" | "input">;

/** Ends at once; its result is `{{ input }}`. */
export const echo = (name = "echo", more: Record<string, unknown> = {}): Source => ({
  name,
  ...more,
  nodes: {
    start: { type: "trigger", next: { success: "end" } },
    end: { type: "output", value: "{{ input }}" },
  },
});

/** One action that does what the input says: `mode` "throw" parks it for an hour, `ms` lets it take its time. */
export const worker = (name = "worker"): Source => ({
  name,
  nodes: {
    start: { type: "trigger", next: { success: "work" } },
    work: {
      type: "action",
      action: "app.work",
      args: { mode: "{{ input.mode }}", ms: "{{ default(input.ms, 0) }}" },
      retry: { maxAttempts: 3, initialMs: HOUR, maxMs: HOUR },
      timeoutMs: 5 * MINUTE,
      next: { success: "end" },
    },
    end: { type: "output", value: "{{ nodes.work.output }}" },
  },
});

/** Sets a variable for each item of `input`: two node runs a pass. */
export const looping = (name = "looping", maxIterations = 1_000): Source => ({
  name,
  nodes: {
    start: { type: "trigger", next: { success: "each" } },
    each: { type: "loop", items: "{{ input }}", body: "keep", maxIterations, next: { done: "end" } },
    keep: { type: "set", values: { last: "{{ item }}" } },
    end: { type: "output", value: "{{ vars.last }}" },
  },
});

/** Imports every module once: an import takes real time, and virtual time would run ahead of it. For `beforeAll`. */
export async function preload(): Promise<void> {
  await preloadComponent();
  for (const load of Object.values(hostModules)) await load();
}

export type World = Awaited<ReturnType<typeof startWorld>>;

/** A fresh deployment with the app's functions bound. */
export async function startWorld() {
  vi.useFakeTimers({ now: START, toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  const logged: string[] = [];
  for (const level of ["log", "info", "warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((...parts) => void logged.push(parts.map(String).join(" ")));
  }
  // Delays of retries are drawn at random; here each is half of the longest.
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  onTestFinished(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  });
  const t = convexTest(hostSchema, hostModules);
  shardflow.register(t);

  const handle = async (fn: string) =>
    await t.run(async () => await createFunctionHandle(makeFunctionReference<"mutation">(fn)));
  const bind = async () => {
    const bindings = BINDINGS.map(async ({ name, kind, fn }) => ({ name, kind, handle: await handle(fn) }));
    await t.mutation(api.bindings.sync, { bindings: await Promise.all(bindings) });
  };
  const publish = async (source: Source, scope = "") =>
    (await t.mutation(api.definitions.publish, { name: source.name, scope, source: JSON.stringify(source) })).version;
  const start = async (definition: string, input: Json = null, options: StartOptions = {}) =>
    await t.mutation(api.executions.startWorkflow, { definition, input: JSON.stringify(input), ...options });
  const status = async (executionId: string) => await t.query(api.history.getStatus, { executionId });
  const untilEnded = async (...ids: string[]) => {
    const open = [...ids];
    await runUntil(async () => {
      while (open.length > 0 && (await status(open[0]!)).endedAt !== undefined) open.shift();
      return open.length === 0;
    }, DAY);
  };
  const flip = async (name: string, on: boolean) =>
    await t.run(async ({ db }) => {
      const row = await db
        .query("switches")
        .withIndex("by_name", (q) => q.eq("name", name))
        .unique();
      if (row === null) await db.insert("switches", { name, on });
      else await db.patch("switches", row._id, { on });
    });

  await bind();
  return {
    t,
    ...inside(t),
    /** What was written to the console. */
    logged,
    handle,
    publish,
    start,
    status,
    describe: async (executionId: string) => await t.query(api.history.describe, { executionId }),
    untilEnded,
    untilQuiet: async () => await runToQuiet(7 * DAY),
    flip,
    completions: async () => await t.run(async ({ db }) => await db.query("completions").collect()),
  };
}

/** Matchers, as what they are to a type checker: values of any kind. */
export const aNumber: unknown = expect.any(Number);
export const matching = (pattern: RegExp): unknown => expect.stringMatching(pattern);
export const containing = (text: string): unknown => expect.stringContaining(text);

/** Lets virtual time pass: everything that falls due runs, in order, and nothing later. */
export async function pass(ms: number): Promise<void> {
  // A timer holds 24 days at most.
  for (let left = ms; left > 0; left -= DAY) {
    const step = Math.min(left, DAY);
    let due = false;
    setTimeout(() => (due = true), step);
    await runUntil(() => due, step + MINUTE);
  }
}

/** The data of the Shardflow error that a call is refused with; fails when it is not, or with another code. */
export async function refusal(call: Promise<unknown>, code: ErrorCode): Promise<ShardflowErrorData> {
  const thrown: unknown = await call.then(
    () => expect.fail(`it was not refused, but should be with ${code}`),
    (error: unknown) => error,
  );
  const data = shardflowErrorData(thrown);
  if (data === null) throw thrown;
  expect(data.code, data.message).toBe(code);
  expect(data.message.length).toBeGreaterThan(10);
  return data;
}

/** Like {@link refusal}, and shows that no row and no scheduled job of any component is different after it. */
export async function refusedWithoutATrace(
  world: World,
  call: () => Promise<unknown>,
  code: ErrorCode,
): Promise<ShardflowErrorData> {
  const before = await world.snapshot();
  const data = await refusal(call(), code);
  expect(await world.snapshot()).toEqual(before);
  return data;
}
