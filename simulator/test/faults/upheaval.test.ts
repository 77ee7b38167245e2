/** Restarts and deploys in the middle of everything. */
import { expect, test } from "vitest";
import { DEFAULT_LATENCIES } from "../../src/index.js";
import { api, appOf, count, jobStates, modulesOf, startApp } from "./app.js";

const HOUR = 3_600_000;
const latencies = { ...DEFAULT_LATENCIES, spread: 0, clockSkewMs: 0 };

test("a restart in the middle of many jobs loses no scheduled mutation, and doubles none", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const app = startApp({ seed, permits: { scheduledJobs: 8 } });
    for (let i = 0; i < 30; i++) await app.mutation(api.app!.later!, { key: `k${i}`, kind: "mutation", ms: 1_000 });
    const until = 1_000 + seed * 3;
    await app.loop.advance(until - (app.loop.now() % 1_000));
    app.restart(500);
    await app.loop.advance(HOUR);
    expect(Array.from({ length: 30 }, (_, i) => count(app, `k${i}`))).toEqual(Array.from({ length: 30 }, () => 1));
  }
});

test("a restart kills actions: their jobs are failed, and never run again", async () => {
  const app = startApp({ latencies });
  const id = await app.mutation(api.app!.later!, { key: "k", kind: "action", ms: 0 });
  await app.loop.advance(60);
  expect(await app.query(api.app!.job!, { id })).toMatchObject({ kind: "inProgress" });
  app.restart(1_000);
  await app.loop.advance(HOUR);
  expect(await app.query(api.app!.job!, { id })).toMatchObject({
    kind: "failed",
    error: "Transient error while executing action",
  });
  expect(count(app, "k")).toBe(0);
});

test("clients get an error while the machine is gone, whether their commit was written or not", async () => {
  const outcomes = new Set<number>();
  for (const draw of [0.1, 0.3, 0.5, 0.7, 0.9]) {
    const app = startApp({
      latencies,
      faults: { plan: [{ kind: "restart", point: "assign", source: "app:increment", draw, ms: 300 }] },
    });
    const id = await app.mutation(api.app!.create!, { name: "a" });
    await expect(app.mutation(api.app!.increment!, { id })).rejects.toThrow("The deployment was restarted");
    await expect(app.mutation(api.app!.increment!, { id })).rejects.toThrow("The deployment was restarted");
    await app.loop.advance(1_000);
    const n = (await app.query(api.app!.read!, { id })) as number;
    expect(count(app, "increment a")).toBe(n);
    await app.mutation(api.app!.increment!, { id });
    expect(await app.query(api.app!.read!, { id })).toBe(n + 1);
    outcomes.add(n);
  }
  expect([...outcomes].sort()).toEqual([0, 1]);
});

test("what had only been executed when the machine went away has not happened", async () => {
  const app = startApp({ latencies, faults: { plan: [{ kind: "restart", point: "execute", nth: 2, ms: 5 }] } });
  const id = await app.mutation(api.app!.create!, { name: "a" });
  await expect(app.mutation(api.app!.increment!, { id })).rejects.toThrow("The deployment was restarted");
  await app.loop.advance(60_000);
  expect(count(app, "increment a")).toBe(0);
  expect([...app.invariants.snapshot.rows("", "counters")]).toMatchObject([{ n: 0 }]);
});

test("a deploy in the middle: mutations in flight conflict and run the new code, actions keep theirs", async () => {
  const app = startApp({ latencies });
  const running = app.action(api.app!.everything!, { key: "k" });
  await app.mutation(api.app!.later!, { key: "job", kind: "mutation", ms: 60_000 });
  await app.loop.advance(300);
  const conflicts = app.history.conflicts;
  const inFlight = app.mutation(api.app!.later!, { key: "in flight", kind: "mutation", ms: 0 });
  await app.deploy("", modulesOf("new"));
  await app.loop.drive(inFlight);
  expect(app.history.conflicts).toBeGreaterThan(conflicts);
  expect(await app.loop.drive(running)).toBe(9);
  await app.loop.advance(HOUR);
  const versions = async (name: string) => await app.query(api.app!.effects!, { key: name });
  expect(await versions("k 1")).toEqual(["old"]);
  expect(await versions("k 9")).toEqual(["new"]);
  expect(await versions("job")).toEqual(["new"]);
  expect(await versions("in flight")).toEqual(["new"]);
});

test("deploys by plan take the code they are given, in order", async () => {
  const app = startApp({
    faults: {
      plan: [
        { kind: "deploy", atMs: 1_000 },
        { kind: "deploy", atMs: 2_000 },
      ],
      deploys: [
        { path: "", modules: modulesOf("second") },
        { path: "", modules: modulesOf("third") },
      ],
    },
  });
  for (const ms of [0, 1_500, 2_500]) await app.mutation(api.app!.later!, { key: "k", kind: "mutation", ms });
  await app.loop.advance(HOUR);
  expect(await app.query(api.app!.effects!, { key: "k" })).toEqual(["old", "second", "third"]);
  expect(jobStates(app)).toEqual(["success", "success", "success"]);
});

test("what a deploy takes away: its jobs fail, and its handles lead nowhere", async () => {
  const app = startApp();
  const handle = await app.query(api.app!.handle!, {});
  const id = await app.mutation(api.app!.later!, { key: "k", kind: "mutation", ms: 10_000 });
  const { effect: _, ...rest } = appOf("new");
  await app.deploy("", { ...modulesOf("new"), "./app.ts": () => Promise.resolve(rest) });
  await expect(app.mutation(api.app!.throughHandle!, { key: "k", handle })).rejects.toThrow("FunctionHandleNotFound");
  await app.loop.advance(20_000);
  expect(await app.query(api.app!.job!, { id })).toMatchObject({ kind: "failed" });
  await app.deploy("", modulesOf("newest"));
  await app.mutation(api.app!.throughHandle!, { key: "k", handle });
  expect(await app.query(api.app!.effects!, { key: "k" })).toEqual(["newest"]);
});

test("records of finished jobs are collected, though the machine goes away just then", async () => {
  const app = startApp({
    latencies,
    faults: {
      plan: [
        { kind: "collectJobs", ms: 1_000 },
        { kind: "restart", point: "assign", source: "(retention)", draw: 0.5, ms: 100 },
      ],
    },
  });
  await app.mutation(api.app!.later!, { key: "k", kind: "mutation", ms: 0 });
  await app.loop.advance(60_000);
  expect(app.faults?.injected.map(({ kind }) => kind)).toEqual(["collectJobs", "restart"]);
  expect(jobStates(app)).toEqual([]);
});
