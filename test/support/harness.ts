/**
 * One harness for component tests: the real component on convex-test, with virtual time.
 *
 * Time is driven as leases need it: everything that can run now runs first, then the clock jumps to the next timer and
 * no further. (`vi.runAllTimers` would jump past leases.)
 */
import { AsyncResource } from "node:async_hooks";
import { convexTest } from "convex-test";
import { vi } from "vitest";
import { components } from "../../convex/_generated/api.js";
import hostSchema from "../../convex/schema.js";
import shardflow from "../../src/test.js";

const hostModules = import.meta.glob("../../convex/**/*.*s");
const START = Date.UTC(2026, 0, 1);

export type Harness = ReturnType<typeof startHarness>;

/** A convex-test instance with the component installed as in convex/convex.config.ts. Call preload() once before. */
export function startHarness() {
  vi.useFakeTimers({ now: START, toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  keepContextInTimers();
  const t = convexTest(hostSchema, hostModules);
  shardflow.register(t);
  return t;
}

/**
 * convex-test knows by an AsyncLocalStorage which function a call comes from. A fake timer's callback runs in the
 * context of whoever advances time; it must run in the context of whoever set it, as with real timers.
 */
export function keepContextInTimers(): void {
  const fake = globalThis.setTimeout;
  const bound = (callback: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) =>
    fake(
      AsyncResource.bind(() => callback(...args)),
      ms,
    );
  globalThis.setTimeout = bound as typeof globalThis.setTimeout;
}

/** Imports every module once: the workflow handler hides `process` while it runs, and vite's loader needs it. */
export async function preload(): Promise<void> {
  await load({ ...shardflow.modules, ...hostModules });
  const { default: workflow } = await import("@convex-dev/workflow/test");
  const { default: workpool } = await import("@convex-dev/workpool/test");
  const { default: batchWorker } = await import("@convex-dev/batch-worker/test");
  for (const { modules } of [workflow, workpool, batchWorker]) await load(modules);
}

/** Configurations and tests of the packages are no functions, and do not load here. */
async function load(modules: Record<string, () => Promise<unknown>>): Promise<void> {
  for (const [path, importModule] of Object.entries(modules)) {
    if (!/convex\.config|\.test\.|\/_generated\//.test(path)) await importModule();
  }
}

/** Lets everything run that needs no time: several turns of the event loop. */
export async function settle(turns = 4): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise<void>((resolve) => setImmediateReal(resolve));
}

const setImmediateReal: (callback: () => void) => unknown =
  typeof setImmediate === "function" ? setImmediate : (callback) => queueMicrotask(callback);

/** Drives time until the condition holds, a timer at a time; fails after `maxMs` of virtual time. */
export async function runUntil(done: () => Promise<boolean> | boolean, maxMs = 10 * 60_000): Promise<void> {
  const end = Date.now() + maxMs;
  for (;;) {
    await settle();
    if (await done()) return;
    if (vi.getTimerCount() === 0) {
      await settle(20);
      if (await done()) return;
      if (vi.getTimerCount() === 0) throw new Error("nothing is scheduled any more, and the condition does not hold");
    }
    if (Date.now() > end) throw new Error(`the condition does not hold after ${maxMs} ms of virtual time`);
    vi.advanceTimersToNextTimer();
  }
}

/** Drives time until nothing is scheduled. */
export async function runToQuiet(maxMs = 60 * 60_000): Promise<void> {
  const end = Date.now() + maxMs;
  for (;;) {
    await settle();
    if (vi.getTimerCount() === 0) {
      await settle(20);
      if (vi.getTimerCount() === 0) return;
    }
    if (Date.now() > end) throw new Error(`still busy after ${maxMs} ms of virtual time`);
    vi.advanceTimersToNextTimer();
  }
}

export const api = components.shardflow;
