/** Section 3: which job starts when, what it is checked for, and what is left of it. */
import { expect, test } from "vitest";
import { v } from "convex/values";
import type { Deployment, DeploymentOptions } from "../../src/index.js";
import { act, action, deploy, f, inChild, internalMutation, mutate, mutation, query, read, STEADY } from "./support.js";

const HOUR = 3_600_000;

/** Functions that say when they ran. */
function logging(options: DeploymentOptions = {}): { app: Deployment; log: string[] } {
  const log: string[] = [];
  const functions = {
    note: internalMutation({
      args: { name: v.string() },
      handler: (_, { name }) => Promise.resolve(void log.push(name)),
    }),
    schedule: mutation({
      args: { names: v.array(v.string()), at: v.optional(v.number()) },
      handler: async ({ scheduler }, { names, at }) => {
        for (const name of names) {
          if (at === undefined) await scheduler.runAfter(0, f("note"), { name });
          else await scheduler.runAt(at, f("note"), { name });
        }
      },
    }),
    long: action({
      args: { name: v.string(), ms: v.number() },
      handler: async (_, { name, ms }) => {
        log.push(`${name} begins`);
        await new Promise((resolve) => void setTimeout(resolve, ms));
        log.push(`${name} ends`);
      },
    }),
    fails: mutation({
      handler: async ({ db }) => {
        await db.insert("rows", { k: "q" });
        throw new Error("as asked");
      },
    }),
    query: query({ handler: () => Promise.resolve(null) }),
    who: mutation({ handler: async (ctx) => void log.push(String((await ctx.auth.getUserIdentity())?.subject)) }),
  };
  return { app: deploy(functions, options, functions), log };
}

const jobsOf = async (app: Deployment, component = "") =>
  await read(app, async ({ db }) => await db.system.query("_scheduled_functions").collect(), component);

test("a job exists exactly when its transaction is committed", async () => {
  const { app, log } = logging();
  await mutate(app, async ({ scheduler }) => {
    await scheduler.runAfter(0, f("note"), { name: "lost" });
    throw new Error("as asked");
  }).catch(() => null);
  expect(await jobsOf(app)).toEqual([]);
  await act(app, async ({ scheduler }) => {
    await scheduler.runAfter(0, f("note"), { name: "from an action" });
    throw new Error("as asked");
  }).catch(() => null);
  await app.loop.advance(1_000);
  expect(log).toEqual(["from an action"]);
});

test("a job's record: what runs, with which arguments, when, and how far it is", async () => {
  const { app } = logging();
  const at = Math.ceil(app.loop.now()) + 5_000;
  const id = await mutate(app, async ({ scheduler }) => await scheduler.runAt(at, f("note"), { name: "a" }));
  const [pending] = await jobsOf(app);
  expect(pending).toMatchObject({ _id: id, name: "f.js:note", args: [{ name: "a" }], scheduledTime: at });
  expect(pending!.state).toEqual({ kind: "pending" });
  expect(pending).not.toHaveProperty("completedTime");
  await app.loop.advance(6_000);
  const [done] = await jobsOf(app);
  expect(done!.state).toEqual({ kind: "success" });
  expect(done!.completedTime).toBeGreaterThanOrEqual(at);
});

test("a running mutation is in progress for itself only, a running action for everybody", async () => {
  const states: string[] = [];
  const app = deploy({
    watching: mutation({
      handler: async ({ db }) => void states.push((await db.system.query("_scheduled_functions").first())!.state.kind),
    }),
    waiting: action({ handler: async () => void (await new Promise((resolve) => void setTimeout(resolve, 1_000))) }),
  });
  const others = async () => (await jobsOf(app))[0]!.state.kind;
  app.latency = (ms) => (ms === STEADY.executionMs && states.length === 1 ? 1_000 : ms);
  await mutate(app, async ({ scheduler }) => await scheduler.runAfter(100, f("watching"), {}));
  await app.loop.advance(500);
  expect(states).toEqual(["inProgress"]);
  states.length = 0;
  expect(await others()).toBe("pending");
  await app.loop.advance(2_000);
  expect(await others()).toBe("success");

  const acting = deploy({
    waiting: action({ handler: async () => void (await new Promise((done) => void setTimeout(done, 1_000))) }),
  });
  await mutate(acting, async ({ scheduler }) => await scheduler.runAfter(0, f("waiting"), {}));
  await acting.loop.advance(500);
  expect((await jobsOf(acting))[0]!.state.kind).toBe("inProgress");
  await acting.loop.advance(1_000);
  expect((await jobsOf(acting))[0]!.state.kind).toBe("success");
});

test("arguments and kinds are looked at when the job runs, not when it is scheduled; the name must be right at once", async () => {
  const { app, log } = logging();
  await mutate(app, async ({ scheduler }) => {
    await scheduler.runAfter(0, f("note"), { name: 5 });
    await scheduler.runAfter(0, f("query"), {});
    await expect(scheduler.runAfter(0, f("nothing"), {})).rejects.toThrow("Could not find function");
    await expect(scheduler.runAfter(-1, f("note"), { name: "a" })).rejects.toThrow("non-negative");
    await expect(scheduler.runAfter(6 * 365 * 24 * HOUR, f("note"), { name: "a" })).rejects.toThrow("five years");
  });
  await app.loop.advance(1_000);
  const states = (await jobsOf(app)).map(({ state }) => state);
  expect(states).toEqual([
    { kind: "failed", error: expect.stringContaining("ArgumentValidationError") as unknown },
    { kind: "failed", error: expect.any(String) as unknown },
  ]);
  expect([app.jobs.failed, log]).toEqual([2, []]);
});

test("a mutation that throws has failed: nothing of it stays, and it is not tried again", async () => {
  const { app } = logging();
  await mutate(app, async ({ scheduler }) => await scheduler.runAfter(0, f("fails"), {}));
  await app.loop.advance(HOUR);
  const [job] = await jobsOf(app);
  expect(job!.state).toEqual({ kind: "failed", error: expect.stringContaining("as asked") as unknown });
  expect([app.jobs.started, app.jobs.failed]).toEqual([1, 1]);
  expect(await read(app, async ({ db }) => await db.query("rows").first())).toBeNull();
});

test("a mutation's effects and the end of its job are one commit", async () => {
  const app = deploy({ effect: mutation({ handler: async ({ db }) => void (await db.insert("rows", { k: "q" })) }) });
  const tables: string[][] = [];
  app.committer.onPublish(({ writes }) => void tables.push(writes.map(({ table }) => table.name).sort()));
  await mutate(app, async ({ scheduler }) => await scheduler.runAfter(0, f("effect"), {}));
  await app.loop.advance(1_000);
  expect(tables).toEqual([["_scheduled_functions"], ["_scheduled_functions", "rows"]]);
});

test("jobs take slots for as long as they run, and the earliest due comes next, whatever its component", async () => {
  const { app, log } = logging({ permits: { scheduledJobs: 2 } });
  await mutate(app, async ({ scheduler }) => {
    for (const name of ["a", "b", "c"])
      await scheduler.runAfter(0, f("long"), { name, ms: name === "a" ? 9_000 : 3_000 });
    await scheduler.runAfter(900, f("note"), { name: "third" });
  });
  await mutate(
    app,
    async ({ scheduler }) => {
      await scheduler.runAfter(500, f("note"), { name: "first" });
      await scheduler.runAfter(700, f("note"), { name: "second" });
    },
    { component: "child" },
  );
  await app.loop.advance(2_900);
  expect(log).toEqual(["a begins", "b begins"]);
  await app.loop.advance(20_000);
  expect(log).toEqual(["a begins", "b begins", "b ends", "c begins", "c ends", "first", "second", "third", "a ends"]);
  expect(app.jobs.peak).toBe(2);
});

test("what is scheduled for at once starts in the order of the calls; equal times in the future are in no order", async () => {
  const names = ["a", "b", "c", "d", "e", "f"];
  const orders = new Set<string>();
  for (let seed = 1; seed <= 5; seed++) {
    const { app, log } = logging({ permits: { scheduledJobs: 1 }, seed });
    await app.mutation(f("schedule"), { names });
    await app.loop.advance(10_000);
    expect(log).toEqual(names);
    log.length = 0;
    await app.mutation(f("schedule"), { names, at: app.loop.now() + 5_000 });
    await app.loop.advance(20_000);
    expect([...log].sort()).toEqual(names);
    orders.add(log.join(""));
  }
  expect(orders.size).toBeGreaterThan(2);
});

test("a job runs the code of its time with the arguments of old, and fails when there is none", async () => {
  const { app, log } = logging();
  await app.mutation(f("schedule"), { names: ["old"], at: app.loop.now() + 1_000 });
  const deployed = async (functions: Record<string, unknown>) => {
    app
      .component("")
      .replaceModules({ "./_generated/api.js": () => Promise.resolve({}), "./f.ts": () => Promise.resolve(functions) });
    await app.load();
  };
  await deployed({ note: mutation({ handler: (_, args) => Promise.resolve(void log.push(JSON.stringify(args))) }) });
  await mutate(app, async ({ scheduler }) => await scheduler.runAfter(60_000, f("note"), {}));
  await app.loop.advance(2_000);
  expect(log).toEqual(['{"name":"old"}']);
  await deployed({});
  await app.loop.advance(60_000);
  expect((await jobsOf(app)).map(({ state }) => state.kind)).toEqual(["success", "failed"]);
});

test("jobs run as nobody", async () => {
  const { app, log } = logging();
  const asUser = { identity: { subject: "user" } };
  await app.mutation(f("who"), {}, asUser);
  const relay = deploy({
    who: mutation({ handler: async (ctx) => void log.push(String((await ctx.auth.getUserIdentity())?.subject)) }),
    later: mutation({ handler: async ({ scheduler }) => void (await scheduler.runAfter(0, f("who"), {})) }),
  });
  await relay.mutation(f("later"), {}, asUser);
  await relay.loop.advance(1_000);
  expect(log).toEqual(["user", "undefined"]);
});

test("a mutation that gets no permit gives its slot back and comes again, later each time", async () => {
  const { app, log } = logging({ permits: { mutations: 1, scheduledJobs: 1 } });
  app.jitter = () => 0.5;
  await mutate(app, async ({ scheduler }) => await scheduler.runAfter(1_000, f("note"), { name: "done" }));
  const durations = [30_000];
  app.latency = (ms) => (ms === STEADY.executionMs ? (durations.shift() ?? ms) : ms);
  const starts: number[] = [];
  const start = app.loop.now();
  const blocking = mutate(app, async ({ db }) => await db.insert("others", { x: 1 }));
  for (let ms = 0; ms < 29_000; ms += 50) {
    const before = app.jobs.started;
    await app.loop.advance(50);
    if (app.jobs.started > before) starts.push(Math.round((app.loop.now() - start) / 50) * 50);
  }
  expect(await jobsOf(app)).toMatchObject([{ state: { kind: "pending" } }]);
  await app.loop.drive(blocking);
  await app.loop.advance(20_000);
  // Five seconds of waiting, then 250, 500, 1000 and 2000 ms.
  expect(starts).toEqual([1_000, 6_250, 11_750, 17_750, 24_750]);
  expect([log, app.jobs.failed]).toEqual([["done"], 0]);
});

test("a handle of another component's function leaves its job with the caller", async () => {
  const { app, log } = logging();
  await mutate(app, async ({ scheduler }) => await scheduler.runAfter(0, inChild("schedule"), { names: ["a"] }));
  await app.loop.advance(1_000);
  expect((await jobsOf(app)).length).toBe(1);
  expect((await jobsOf(app, "child")).map(({ name }) => name)).toEqual(["f.js:note"]);
  expect(log).toEqual(["a"]);
});

test("finished jobs are there for seven days", async () => {
  const { app } = logging();
  await app.mutation(f("schedule"), { names: ["a"] });
  await app.loop.advance(6.9 * 24 * HOUR);
  expect((await jobsOf(app)).length).toBe(1);
  await app.loop.advance(0.2 * 24 * HOUR);
  expect(await jobsOf(app)).toEqual([]);
});
