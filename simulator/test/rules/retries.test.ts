/** Section 2: what is tried again, how often, after how long, and what its caller hears in the end. */
import { expect, test } from "vitest";
import { TRANSACTION_LIMITS as LIMITS, type Deployment } from "../../src/index.js";
import type { Commit } from "../../src/store/database.js";
import { act, deploy, f, gaps, messageOf, mutate, mutation, newLoser, STEADY } from "./support.js";

/** Every sleep is half of its bound; the execution of an attempt takes 10 ms. */
const halves = (initialMs: number, maxMs: number, count: number): number[] =>
  Array.from({ length: count }, (_, k) => 10 + Math.min(initialMs * 2 ** k, maxMs) / 2);

function start(extra: Record<string, unknown> = {}): { app: Deployment; attempts: number[] } {
  const loser = newLoser();
  const app = deploy(
    { loser: mutation({ handler: loser.handler }), ...extra },
    { latencies: { ...STEADY, commitMs: 0 } },
  );
  loser.on(app);
  app.jitter = () => 0.5;
  return { app, attempts: loser.attempts };
}

test("a client's mutation has five attempts, with sleeps up to 100, 200, 400 and 800 ms", async () => {
  const { app, attempts } = start();
  const [result] = await app.loop.drive(Promise.allSettled([app.mutation(f("loser"))]));
  expect(messageOf(result)).toMatch(
    /OptimisticConcurrencyControlFailure.*Documents read from or written to the "rows" table changed while this mutation was being run and on every subsequent retry\. A call to "inline" changed the document with ID "\w{32}"\. See https:\/\/docs\.convex\.dev\/error#1/,
  );
  expect(gaps(attempts)).toEqual(halves(100, 2_000, 4));
  expect(await mutate(app, async ({ db }) => await db.query("others").first())).toBeNull();
});

test("a mutation that an action calls has as many, and the action can catch the error, which has no code", async () => {
  const { app, attempts } = start();
  const caught = await act(app, async (ctx) => await ctx.runMutation(f("loser"), {}).catch((error: unknown) => error));
  expect(caught).toBeInstanceOf(Error);
  expect(caught).not.toHaveProperty("code");
  expect((caught as Error).message).toContain("changed while this mutation was being run");
  expect(gaps(attempts)).toEqual(halves(100, 2_000, 4));
});

test("one that lost to another call of the same function says so; one that lost to jobs names no table", async () => {
  const app = deploy({
    insert: mutation({
      handler: async ({ db }) => {
        const found = await db.query("rows").collect();
        await db.insert("rows", { k: "q", n: found.length });
      },
    }),
    scan: mutation({
      handler: async (ctx) => {
        await ctx.db.system.query("_scheduled_functions").collect();
        await ctx.scheduler.runAfter(3_600_000, f("scan"), {});
      },
    }),
  });
  app.jitter = () => 0;
  const messages = async (name: string) => {
    const calls = Array.from({ length: 8 }, () => app.mutation(f(name)));
    const results = await app.loop.drive(Promise.allSettled(calls));
    return new Set(results.map((result) => messageOf(result).replace(/"\w{32}"/, "ID")).filter((text) => text !== ""));
  };
  const [same] = await messages("insert");
  expect(same).toContain("Another call to this mutation changed the document with ID ID.");
  const [jobs] = await messages("scan");
  expect(jobs).toContain("Data read or written in this mutation changed while it was being run");
  expect(jobs).not.toContain("_scheduled_functions");
});

test("sleeps are uniform from nothing to their bound", () => {
  const app = deploy();
  const draws = Array.from({ length: 2_000 }, () => app.jitter());
  expect(Math.min(...draws)).toBeLessThan(0.01);
  expect(Math.max(...draws)).toBeGreaterThan(0.99);
  expect(Math.max(...draws)).toBeLessThan(1);
  expect(Math.abs(draws.reduce((a, b) => a + b) / draws.length - 0.5)).toBeLessThan(0.03);
});

test("a scheduled mutation is tried without end, with sleeps up to 100 ms, doubled up to a minute", async () => {
  const { app, attempts } = start();
  await mutate(app, async ({ scheduler }) => await scheduler.runAfter(0, f("loser"), {}));
  await app.loop.advance(300_000);
  expect(attempts.length).toBeGreaterThan(15);
  expect(gaps(attempts)).toEqual(halves(100, 60_000, attempts.length - 1));
  expect([app.jobs.running, app.jobs.failed]).toEqual([1, 0]);
});

test("errors of the function and of its limits are not tried again", async () => {
  let runs = 0;
  const app = deploy({}, { limits: { ...LIMITS, documentsWritten: 1 } });
  await expect(
    mutate(app, () => {
      runs++;
      return Promise.reject(new Error("as asked"));
    }),
  ).rejects.toThrow("as asked");
  await expect(
    mutate(app, async ({ db }) => {
      runs++;
      for (let i = 0; i < 2; i++) await db.insert("others", { x: i });
    }),
  ).rejects.toThrow("TooManyWrites");
  expect([runs, app.history.retries]).toEqual([2, 0]);
});

test("too many bytes in a second: refused before it runs, tried again as if it had lost", async () => {
  const setUp = async () => {
    const app = deploy({}, { permits: { writeBytesPerSecond: 1_000 } });
    await mutate(app, async ({ db }) => await db.insert("others", { x: "x".repeat(2_000) }));
    return app;
  };
  let runs = 0;
  const write = async (app: Deployment) =>
    await mutate(app, async ({ db }) => {
      runs++;
      await db.insert("others", { x: 1 });
    });
  const impatient = await setUp();
  impatient.jitter = () => 0.2;
  await expect(write(impatient)).rejects.toThrow("TooManyWrites");
  expect([runs, impatient.history.retries]).toEqual([0, 5]);

  const patient = await setUp();
  patient.jitter = () => 0.99;
  await write(patient);
  // After 99, 198 and 396 ms the second is not over; after 792 more it is.
  expect([runs, patient.history.retries]).toEqual([1, 4]);
});

test("what an action schedules or cancels has three attempts, with sleeps up to 10 and 20 ms", async () => {
  const app = deploy({ noop: mutation({ handler: () => Promise.resolve(null) }) });
  const winners: Commit[] = [];
  app.committer.onPublish((commit) => void winners.push(commit));
  await mutate(app, async ({ db }) => await db.insert("others", { x: 1 }));
  app.jitter = () => 0.5;
  const times: number[] = [];
  const commit = app.committer.commit.bind(app.committer);
  app.committer.commit = (request) => {
    if (request.source !== "scheduler.runAfter") return commit(request);
    times.push(app.loop.now());
    const [winner] = winners as [Commit];
    const [{ table, id }] = winner.writes as [Commit["writes"][number]];
    return Promise.resolve({ kind: "conflict", conflict: { index: "", table, documentId: id, commit: winner } });
  };
  const caught = await act(app, async ({ scheduler }) => await scheduler.runAfter(0, f("noop"), {}).catch(String));
  expect(caught).toContain("OptimisticConcurrencyControlFailure");
  expect(gaps(times)).toEqual(halves(10, 2_000, 2));
});
