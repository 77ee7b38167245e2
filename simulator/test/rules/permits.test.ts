/** Section 4: permits of queries, mutations and actions, and the time that an action has. */
import { expect, test } from "vitest";
import type { Deployment } from "../../src/index.js";
import { CLASSES } from "../../src/index.js";
import {
  act,
  action,
  deploy,
  f,
  messageOf,
  mutate,
  mutation,
  newLoser,
  overlap,
  query,
  read,
  STEADY,
} from "./support.js";

const MINUTE = 60_000;
const sleep = async (ms: number) => await new Promise((resolve) => void setTimeout(resolve, ms));
const functions = {
  noop: mutation({ handler: () => Promise.resolve(1) }),
  look: query({ handler: () => Promise.resolve(2) }),
  sleep: action({ args: {}, handler: async () => await sleep(1_000).then(() => 3) }),
};
/** Executions take these times, in order. */
function lasting(app: Deployment, ...durations: number[]): void {
  app.latency = (ms) => (ms === STEADY.executionMs ? (durations.shift() ?? ms) : ms);
}

test("classes have the permits that Convex documents", () => {
  expect(CLASSES).toEqual({
    S16: { queries: 16, mutations: 16, actions: 64, scheduledJobs: 8, writeBytesPerSecond: 4 * 2 ** 20 },
    S256: { queries: 256, mutations: 256, actions: 512, scheduledJobs: 256, writeBytesPerSecond: 8 * 2 ** 20 },
    D1024: { queries: 1_024, mutations: 512, actions: 1_024, scheduledJobs: 512, writeBytesPerSecond: 32 * 2 ** 20 },
  });
});

test.each(["query", "mutation"] as const)(
  "a %s waits five seconds for a permit, first come, first served",
  async (kind) => {
    const app = deploy(functions, { permits: { queries: 1, mutations: 1 } });
    const begun = app.loop.now();
    const run = async () => (kind === "query" ? await app.query(f("look")) : await app.mutation(f("noop")));
    lasting(app, 4_000, 500, 1_000, 10, 10);
    const ends: Array<string | number> = [];
    const call = async (name: string) =>
      await run().then(
        () => ends.push(name, Math.round(app.loop.now() - begun)),
        (error: Error) => ends.push(error.message.slice(0, 24), Math.round(app.loop.now() - begun)),
      );
    await app.loop.drive(
      Promise.all(["a", "b", "c", "d"].map(async (name, i) => (await app.loop.sleep(i), await call(name)))),
    );
    expect(ends).toEqual(["a", 4_000, "b", 4_500, "TooManyConcurrentRequests".slice(0, 24), 5_003, "c", 5_500]);
    expect(app.permits[kind].peak).toBe(1);
  },
);

test("a snapshot is taken before the wait for a permit: what is committed meanwhile makes the call lose", async () => {
  const app = deploy({}, { permits: { mutations: 1 }, latencies: { ...STEADY, commitMs: 0 } });
  lasting(app, 10, 100);
  const writer = mutate(app, async ({ db }) => await db.insert("rows", { k: "q" }));
  const blocker = mutate(app, async ({ db }) => await db.insert("others", { x: 1 }));
  const seen: number[] = [];
  const reader = mutate(app, async ({ db }) => {
    seen.push((await db.query("rows").collect()).length);
    await db.insert("others", { x: 2 });
  });
  await app.loop.drive(Promise.all([writer, blocker, reader]));
  expect([seen, app.history.conflicts]).toEqual([[0, 1], 1]);
});

test("arguments are checked before the wait for a permit", async () => {
  const app = deploy(
    { strict: mutation({ args: {}, handler: () => Promise.resolve(null) }) },
    { permits: { mutations: 1 } },
  );
  lasting(app, 4_000);
  const start = app.loop.now();
  const blocker = mutate(app, () => Promise.resolve());
  await expect(app.mutation(f("strict"), { extra: 1 })).rejects.toThrow("ArgumentValidationError");
  expect(app.loop.now()).toBe(start);
  await app.loop.drive(blocker);
});

test("neither a commit nor the sleep before a retry holds a permit", async () => {
  const loser = newLoser();
  const app = deploy({ loser: mutation({ handler: loser.handler }) }, { latencies: { ...STEADY, commitMs: 1_000 } });
  const committing = mutate(app, async ({ db }) => await db.insert("others", { x: 1 }));
  await app.loop.advance(500);
  expect(app.permits.mutation.used).toBe(0);
  await app.loop.drive(committing);
  app.jitter = () => 0.9;
  loser.on(app);
  const losing = app.mutation(f("loser")).catch(() => null);
  await app.loop.advance(50);
  expect([loser.attempts.length, app.permits.mutation.used]).toEqual([1, 0]);
  await app.loop.drive(losing);
});

test("calls inside of a transaction take no permit, calls of an action one each, and the action keeps its own", async () => {
  const app = deploy(functions, { permits: { queries: 1, mutations: 1, actions: 1 } });
  await mutate(app, async (ctx) => {
    expect(await ctx.runQuery(f("look"), {})).toBe(2);
    expect(await ctx.runMutation(f("noop"), {})).toBe(1);
    expect([app.permits.mutation.used, app.permits.query.used]).toEqual([1, 0]);
  });
  await act(app, async (ctx) => {
    await Promise.all([ctx.runQuery(f("look"), {}), ctx.runMutation(f("noop"), {})]);
    expect(app.permits.action.used).toBe(1);
  });
  expect([app.permits.mutation.peak, app.permits.query.peak]).toEqual([1, 1]);
});

test("actions that call actions can use up their class: after ten seconds the inner calls fail, and can be caught", async () => {
  const app = deploy(functions, { permits: { actions: 2 } });
  const start = app.loop.now();
  const parent = async () =>
    await act(app, async (ctx) => {
      const error = await ctx.runAction(f("sleep"), {}).catch(String);
      const waited = Math.round(app.loop.now() - start);
      await sleep(MINUTE);
      return [/TooMany\w+/.exec(error as string)?.[0], waited];
    });
  const results = await app.loop.drive(Promise.all([parent(), parent()]));
  expect(results).toEqual([
    ["TooManyConcurrentRequests", 10_000],
    ["TooManyConcurrentRequests", 10_000],
  ]);
  const roomy = deploy(functions, { permits: { actions: 4 } });
  const both = [0, 1].map(async () => await act(roomy, async (ctx) => (await ctx.runAction(f("sleep"), {})) as number));
  expect(await roomy.loop.drive(Promise.all(both))).toEqual([3, 3]);
  expect(roomy.permits.action.peak).toBe(4);
});

test("a client's action waits ten seconds for a permit, a scheduled one for as long as it takes", async () => {
  const app = deploy(functions, { permits: { actions: 1 } });
  const scheduled = mutate(app, async ({ scheduler }) => await scheduler.runAfter(1_000, f("sleep"), {}));
  await app.loop.drive(scheduled);
  const [blocker, client] = await overlap(
    app,
    () => act(app, async () => await sleep(20_000)),
    () => app.action(f("sleep")),
  );
  expect([blocker.status, messageOf(client)]).toEqual([
    "fulfilled",
    expect.stringContaining("TooManyConcurrentRequests"),
  ]);
  await app.loop.advance(5_000);
  const [job] = await read(app, async ({ db }) => await db.system.query("_scheduled_functions").collect());
  expect(job!.state.kind).toBe("success");
});

test("an action has ten minutes, or as long as the deployment is told; then its job has failed and its permit is free", async () => {
  const long = (minutes: number) => action({ handler: async () => await sleep(minutes * MINUTE).then(() => "done") });
  const app = deploy({ nine: long(9.9), eleven: long(10.1) });
  expect(await app.action(f("nine"))).toBe("done");
  await expect(app.action(f("eleven"))).rejects.toThrow("timed out (maximum duration: 600s)");
  expect(app.permits.action.used).toBe(0);

  const hasty = deploy({ nine: long(9.9) }, { actionTimeoutMs: 5_000 });
  const start = hasty.loop.now();
  const overlapping = [0, 2_000].map(async (ms) => {
    await hasty.loop.sleep(ms);
    await hasty.action(f("nine")).catch(() => null);
    return Math.round(hasty.loop.now() - start);
  });
  expect(await hasty.loop.drive(Promise.all(overlapping))).toEqual([5_000, 7_000]);
  await mutate(hasty, async ({ scheduler }) => await scheduler.runAfter(0, f("nine"), {}));
  await hasty.loop.advance(MINUTE);
  const [job] = await read(hasty, async ({ db }) => await db.system.query("_scheduled_functions").collect());
  expect(job!.state).toEqual({ kind: "failed", error: expect.stringContaining("timed out") as unknown });
  const caught = await act(hasty, async (ctx) => {
    await sleep(1);
    return await ctx.runMutation(f("nine"), {}).catch(() => "not a mutation");
  });
  expect(caught).toBe("not a mutation");
});
