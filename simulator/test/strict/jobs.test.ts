/** Scheduled functions, and callers that repeat themselves (traps 22 to 27, 29 to 31, 50 and 53). */
import { expect, test } from "vitest";
import { v } from "convex/values";
import { DEFAULT_LATENCIES, type DeploymentOptions } from "../../src/index.js";
import { a, action, internalMutation, m, modulesOf, mutation, outcome, q, query, rows, start } from "./support.js";

const LIVE: DeploymentOptions = { latencies: DEFAULT_LATENCIES };
const DAY_MS = 86_400_000;

const jobs = {
  schedule: mutation({
    args: { name: v.string(), args: v.any(), ms: v.number() },
    handler: async (ctx, { name, args, ms }) =>
      await ctx.scheduler.runAfter(ms, m(name), args as Record<string, never>),
  }),
  cancel: mutation({
    args: { id: v.id("_scheduled_functions") },
    handler: async (ctx, { id }) => await ctx.scheduler.cancel(id),
  }),
  state: query({
    args: { id: v.id("_scheduled_functions") },
    handler: async (ctx, { id }) => (await ctx.db.system.get("_scheduled_functions", id))?.state.kind ?? null,
  }),
  watch: mutation({
    args: { key: v.string() },
    handler: async (ctx, { key }) => {
      const all = await ctx.db.system.query("_scheduled_functions").collect();
      await ctx.db.insert("rows", { key, n: all.length });
    },
  }),
  many: mutation({
    args: { at: v.number(), count: v.number() },
    handler: async (ctx, { at, count }) => {
      for (let n = 0; n < count; n++) await ctx.scheduler.runAt(at, m("rows:add"), { key: `k${n}`, n });
    },
  }),
  fail: internalMutation({
    args: {},
    handler: () => {
      throw new Error("no luck");
    },
  }),
  slow: action({
    args: { ms: v.number() },
    handler: async (_, { ms }) => await new Promise<null>((r) => setTimeout(() => r(null), ms)),
  }),
  effectful: action({
    args: {},
    handler: async (ctx) => {
      await ctx.runMutation(m("rows:add"), { key: "effect", n: 1 });
      await ctx.runMutation(m("rows:add"), { key: "afterwards", n: 1 });
    },
  }),
};
const schedule = { name: "rows:add", args: { key: "a", n: 1 }, ms: 1_000 };

test("trap 22: arguments of a job are validated when it runs, and then it fails", async () => {
  const app = start({ jobs, rows });
  await app.mutation(m("jobs:schedule"), { ...schedule, args: { key: 1 } });
  app.assertNoFailedJobs();
  await app.loop.advance(2_000);
  expect(() => app.assertNoFailedJobs()).toThrow(/rows:add: .*ArgumentValidationError/);
});

test("trap 23: a job that throws has failed, and only an assertion tells", async () => {
  const app = start({ jobs, rows });
  const id = await app.mutation(m("jobs:schedule"), { name: "jobs:fail", args: {}, ms: 0 });
  await app.loop.advance(DAY_MS);
  expect(await app.query(q("jobs:state"), { id })).toBe("failed");
  expect(app.jobs.started).toBe(1);
  expect(() => app.assertNoFailedJobs()).toThrow("jobs:fail: Uncaught Error: no luck");
});

test("trap 24: jobs of one time run in an order that the seed decides", async () => {
  const order = async (seed: number) => {
    const app = start({ jobs, rows }, { seed, permits: { scheduledJobs: 1 } });
    await app.mutation(m("jobs:many"), { at: app.loop.now() + 1_000, count: 10 });
    await app.loop.advance(60_000);
    return (await app.query(q("rows:keys"))) as string[];
  };
  const orders = [await order(1), await order(2), await order(1)];
  expect(orders[0]).toHaveLength(10);
  expect(orders[0]).toEqual(orders[2]);
  expect(orders[0]).not.toEqual(orders[1]);
  expect(orders[0]).not.toEqual([...orders[0]!].sort());
});

test("trap 25: long actions in all slots hold up every other job", async () => {
  const app = start({ jobs, rows }, { className: "S16" });
  for (let i = 0; i < 8; i++)
    await app.mutation(m("jobs:schedule"), { name: "jobs:slow", args: { ms: 60_000 }, ms: 0 });
  await app.mutation(m("jobs:schedule"), { ...schedule, ms: 10 });
  await app.loop.advance(30_000);
  expect([app.jobs.peak, await app.query(q("rows:keys"))]).toEqual([8, []]);
  await app.loop.advance(60_000);
  expect(await app.query(q("rows:keys"))).toEqual(["a"]);
});

test("trap 26: an action that dies is failed and never run again", async () => {
  const app = start({ jobs, rows }, { faults: { plan: [{ kind: "killAction", point: "beforeMutation" }] } });
  const id = await app.mutation(m("jobs:schedule"), { name: "jobs:effectful", args: {}, ms: 0 });
  await app.loop.advance(DAY_MS);
  expect(await app.query(q("jobs:state"), { id })).toBe("failed");
  expect([await app.query(q("rows:keys")), app.jobs.started]).toEqual([[], 1]);
});

test("trap 27: a mutation of an action stays when the action dies before it hears of it", async () => {
  const app = start({ jobs, rows }, { faults: { plan: [{ kind: "killAction", point: "afterMutation" }] } });
  const id = await app.mutation(m("jobs:schedule"), { name: "jobs:effectful", args: {}, ms: 0 });
  await app.loop.advance(DAY_MS);
  expect(await app.query(q("jobs:state"), { id })).toBe("failed");
  expect(await app.query(q("rows:keys"))).toEqual(["effect"]);
});

test("trap 29: canceling what is over changes nothing; a mutation that runs is either done or canceled", async () => {
  const app = start({ jobs, rows }, LIVE);
  const done = await app.mutation(m("jobs:schedule"), { ...schedule, ms: 0 });
  await app.loop.advance(1_000);
  await app.mutation(m("jobs:cancel"), { id: done });
  expect(await app.query(q("jobs:state"), { id: done })).toBe("success");
  const seen = new Set<string>();
  for (let i = 0; i < 24; i++) {
    const key = `race ${i}`;
    const id = await app.mutation(m("jobs:schedule"), { ...schedule, args: { key, n: 1 }, ms: 0 });
    await app.loop.advance(i * 2);
    await app.mutation(m("jobs:cancel"), { id });
    await app.loop.advance(5_000);
    const state = (await app.query(q("jobs:state"), { id })) as string;
    const isThere = ((await app.query(q("rows:keys"))) as string[]).includes(key);
    expect([state, isThere]).toEqual(isThere ? ["success", true] : ["canceled", false]);
    seen.add(state);
  }
  expect([...seen].sort()).toEqual(["canceled", "success"]);
});

test("trap 30: records of jobs are gone after a week", async () => {
  const app = start({ jobs, rows });
  const id = await app.mutation(m("jobs:schedule"), schedule);
  await app.loop.advance(6 * DAY_MS);
  expect(await app.query(q("jobs:state"), { id })).toBe("success");
  await app.loop.advance(2 * DAY_MS);
  expect(await app.query(q("jobs:state"), { id })).toBe(null);
});

test("trap 31: a scan of the jobs conflicts with every job that is scheduled or ends", async () => {
  const app = start({ jobs, rows }, LIVE);
  await app.loop.drive(
    Promise.all([
      app.mutation(m("jobs:watch"), { key: "scan" }),
      ...[1, 2, 3].map(() => app.mutation(m("jobs:schedule"), schedule)),
    ]),
  );
  expect([...app.history.conflictsBy.keys()]).toEqual(["jobs:watch|jobs:schedule|/_scheduled_functions"]);
});

test("trap 50: a client that loses the reply calls again, and the mutation has run twice", async () => {
  const app = start({ rows }, { faults: { plan: [{ kind: "loseReply", point: "mutation" }] } });
  const call = () => app.mutation(m("rows:add"), { key: "a", n: 1 });
  expect(await outcome(call())).not.toContain("result");
  expect(await outcome(call())).toContain("result");
  expect(await app.query(q("rows:keys"))).toEqual(["a", "a"]);
});

test("trap 53: a job that waited over a deploy runs the new code with the old arguments", async () => {
  const add = (prefix: string) => ({
    keys: rows.keys,
    add: mutation({
      args: { key: v.string(), n: v.number() },
      handler: async (ctx, { key, n }) => void (await ctx.db.insert("rows", { key: `${prefix} ${key}`, n })),
    }),
  });
  const app = start({ jobs, rows: add("old") });
  await app.mutation(m("jobs:schedule"), schedule);
  await app.deploy("", modulesOf({ jobs, rows: add("new") }));
  await app.loop.advance(2_000);
  expect(await app.query(q("rows:keys"))).toEqual(["new a"]);
});

test("a timer that was cleared is held until its time", async () => {
  const timers = {
    race: action({
      args: {},
      handler: async () => {
        const timer = setTimeout(() => undefined, 60_000);
        await new Promise((resolve) => setTimeout(resolve, 10));
        clearTimeout(timer);
      },
    }),
  };
  const app = start({ timers });
  await app.action(a("timers:race"));
  expect(app.world.clearedTimers).toBe(1);
  await app.loop.advance(61_000);
  expect(app.world.clearedTimers).toBe(0);
});
