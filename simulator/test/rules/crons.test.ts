/** Section 3: crons, which have a loop of their own. */
import { expect, test } from "vitest";
import { cronJobs } from "convex/server";
import type { Deployment } from "../../src/index.js";
import { action, deploy, f, gaps, mutate, mutation, newLoser, STEADY } from "./support.js";

const MINUTE = 60_000;

function withCrons(functions: Record<string, unknown>, crons: unknown, isEnabled = true): Deployment {
  const app = deploy(functions, {
    latencies: { ...STEADY, commitMs: 0 },
    permits: { scheduledJobs: 1 },
    modules: {
      "./_generated/api.js": () => Promise.resolve({}),
      "./f.ts": () => Promise.resolve(functions),
      "./crons.ts": () => Promise.resolve({ default: crons }),
    },
  });
  app.crons.enabled = isEnabled;
  return app;
}
const every = (name: string, minutes: number) => {
  const crons = cronJobs();
  crons.interval(name, { minutes }, f(name), {});
  return crons;
};

test("an interval runs at its times, also when the slots of jobs are taken, and goes on after an error", async () => {
  const times: number[] = [];
  const functions = {
    tick: mutation({
      handler: () => {
        times.push(Date.now());
        return times.length === 2 ? Promise.reject(new Error("as asked")) : Promise.resolve();
      },
    }),
    long: action({ handler: async () => void (await new Promise((resolve) => void setTimeout(resolve, 9 * MINUTE))) }),
  };
  const app = withCrons(functions, every("tick", 1));
  const start = app.loop.now();
  await mutate(app, async ({ scheduler }) => await scheduler.runAfter(0, f("long"), {}));
  await app.loop.advance(3.5 * MINUTE);
  expect(times.map((at) => (at - start) / MINUTE)).toEqual([1, 2, 3]);
  expect(app.jobs.running).toBe(1);
  const off = withCrons(functions, every("tick", 1), false);
  await mutate(off, () => Promise.resolve());
  await off.loop.advance(3.5 * MINUTE);
  expect(times.length).toBe(3);
});

test("one run at a time: those that come due meanwhile are skipped", async () => {
  const times: number[] = [];
  const functions = {
    slow: action({
      handler: async () => {
        times.push(Date.now());
        await new Promise((resolve) => void setTimeout(resolve, 2.5 * MINUTE));
      },
    }),
  };
  const app = withCrons(functions, every("slow", 1));
  const start = app.loop.now();
  await mutate(app, () => Promise.resolve());
  await app.loop.advance(8 * MINUTE);
  expect(times.map((at) => (at - start) / MINUTE)).toEqual([1, 4, 7]);
});

test("a cron's mutation that loses is tried without end, with sleeps up to 500 ms, doubled up to 15 s", async () => {
  const loser = newLoser();
  const crons = cronJobs();
  crons.daily("loser", { hourUTC: 0, minuteUTC: 30 }, f("loser"), {});
  const app = withCrons({ loser: mutation({ handler: loser.handler }) }, crons);
  loser.on(app);
  app.jitter = () => 0.5;
  const start = app.loop.now();
  await mutate(app, () => Promise.resolve());
  await app.loop.advance(32 * MINUTE);
  expect(Math.round((loser.attempts[0]! - start) / MINUTE)).toBe(30);
  expect(gaps(loser.attempts).slice(0, 8)).toEqual([260, 510, 1_010, 2_010, 4_010, 7_510, 7_510, 7_510]);
});
