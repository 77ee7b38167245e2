/** Section 12: what stays behind - index rows of what was deleted or moved, and the closures of cleared timers. */
import { expect, test } from "vitest";
import type { Deployment } from "../../src/index.js";
import { act, deploy, mutate, read, STEADY, transactionOf, type MutationCtx, type QueryCtx } from "./support.js";

const QUEUE = 50;

async function drained(how: "delete" | "move"): Promise<Deployment> {
  const app = deploy({}, { latencies: { ...STEADY, tombstoneMs: 2 } });
  await mutate(app, async ({ db }) => {
    for (let n = 0; n < QUEUE; n++) await db.insert("rows", { k: "q", n });
  });
  await mutate(app, async ({ db }) => {
    for (const { _id } of await db.query("rows").collect()) {
      if (how === "delete") await db.delete("rows", _id);
      else await db.patch("rows", _id, { k: "done" });
    }
    await db.insert("rows", { k: "q", n: 100 });
  });
  return app;
}
const head = ({ db }: QueryCtx, from = 0) =>
  db
    .query("rows")
    .withIndex("by_k_n", (q) => q.eq("k", "q").gte("n", from))
    .first();

/** Dead rows that a read of the queue's head passes, and how long the read takes. */
async function lookAtHead(app: Deployment, from = 0): Promise<[passed: number, ms: number]> {
  const start = app.loop.now();
  let passed = 0;
  await read(app, async (ctx) => {
    await head(ctx, from);
    passed = transactionOf().tombstones;
  });
  return [passed, Math.round(app.loop.now() - start)];
}

test.each(["delete", "move"] as const)(
  "a scan from the head passes all rows that a %s took out of the range",
  async (how) => {
    const app = await drained(how);
    expect(await lookAtHead(app)).toEqual([QUEUE, 10 + 2 * QUEUE]);
    // Who begins behind them does not.
    expect(await lookAtHead(app, 60)).toEqual([0, 10]);
  },
);

test("for four minutes; afterwards they are gone with the next commits", async () => {
  const app = await drained("delete");
  const touch = async () => await mutate(app, async ({ db }) => await db.insert("others", { x: 1 }));
  await app.loop.advance(239_000);
  await touch();
  expect((await lookAtHead(app))[0]).toBe(QUEUE);
  await app.loop.advance(2_000);
  await touch();
  expect(await lookAtHead(app)).toEqual([0, 10]);
});

/** Takes the only permit of queries for three seconds; what happens meanwhile is after the snapshot of the late one. */
async function queryWhile<T>(
  app: Deployment,
  late: (ctx: QueryCtx) => Promise<T>,
  meanwhile: () => Promise<unknown>,
): Promise<T> {
  const durations = [3_000];
  app.latency = (ms) => (ms === STEADY.executionMs ? (durations.shift() ?? ms) : ms);
  const [, result] = await app.loop.drive(
    Promise.all([
      read(app, () => Promise.resolve()),
      read(app, late),
      (async () => {
        await app.loop.sleep(1);
        await meanwhile();
      })(),
    ]),
  );
  return result;
}
const fill = async ({ db }: MutationCtx) => {
  for (let n = 0; n < QUEUE; n++) await db.insert("rows", { k: "q", n });
};

test("rows that are newer than the snapshot are not dead ones", async () => {
  const app = deploy({}, { permits: { queries: 1 } });
  const seen = await queryWhile(
    app,
    async (ctx) => [await head(ctx), transactionOf().tombstones],
    () => mutate(app, fill),
  );
  expect(seen).toEqual([null, 0]);
});

test("a snapshot that is in use keeps its versions; what nobody can read any more is dropped", async () => {
  const app = deploy({}, { permits: { queries: 1 } });
  const id = await mutate(app, async ({ db }) => await db.insert("rows", { k: "q", n: 0 }));
  const write = async (n: number) => await mutate(app, async ({ db }) => await db.patch("rows", id, { n }));
  let held = 0;
  const seen = await queryWhile(
    app,
    async ({ db }) => {
      held = app.database.held.versions;
      return [(await db.get("rows", id))?.n as unknown, (await db.query("rows").first())?.n as unknown];
    },
    async () => {
      for (let n = 1; n <= 20; n++) await write(n);
    },
  );
  expect(seen).toEqual([0, 0]);
  expect(held).toBeGreaterThan(1);
  await app.loop.advance(300_000);
  await write(21);
  expect(app.database.held.versions).toBeLessThan(4);
});

test("a timer that was cleared holds its closure until its time, and is reported", async () => {
  const app = deploy();
  let fired = 0;
  await act(app, () => {
    const cleared = setTimeout(() => fired++, 60_000);
    setTimeout(() => fired++, 60_000);
    clearTimeout(cleared);
    clearTimeout(cleared);
    return Promise.resolve();
  });
  expect(app.world.clearedTimers).toBe(1);
  await app.loop.advance(59_000);
  expect(app.world.clearedTimers).toBe(1);
  await app.loop.advance(2_000);
  expect([app.world.clearedTimers, fired]).toEqual([0, 0]);
});
