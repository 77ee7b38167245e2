/** Section 5: what is paid for, by component, and how many calls there were. */
import { expect, test } from "vitest";
import type { GenericId } from "convex/values";
import { encodeKey } from "../../src/values/keys.js";
import { type Deployment } from "../../src/index.js";
import {
  act,
  action,
  deploy,
  f,
  inChild,
  messageOf,
  mutate,
  mutation,
  newLoser,
  overlap,
  query,
  read,
  STEADY,
  type MutationCtx,
} from "./support.js";

type Id = GenericId<"rows">;
/** {k: "q", n: 1} with _id and _creationTime: by the formula of section 5. */
const SIZE = 2 + (1 + 1 + 2 + 1) + (1 + 1 + 9) + 38 + 23;

async function start(): Promise<{ app: Deployment; id: Id; keyBytes: number }> {
  const app = deploy(
    { noop: mutation({ handler: () => Promise.resolve(null) }) },
    {},
    {
      write: mutation({ handler: async (ctx) => void (await insert(ctx, 1)) }),
      look: query({ handler: async ({ db }) => (await db.query("rows").collect()).length }),
    },
  );
  const row = await mutate(app, async (ctx) => await ctx.db.get("rows", await insert(ctx, 1)));
  const keyBytes = encodeKey(["q", 1, row!._creationTime, row!._id]).length;
  app.costs.clear();
  return { app, id: row!._id, keyBytes };
}
const insert = async ({ db }: MutationCtx, n: number) => await db.insert("rows", { k: "q", n });
const costOf = (app: Deployment, component = "") => {
  const cost = app.costs.get(component);
  return [cost?.documentsRead ?? 0, cost?.bytesRead ?? 0, cost?.documentsWritten ?? 0, cost?.bytesWritten ?? 0];
};

test("a get costs the document, each time; a miss costs nothing", async () => {
  const { app, id } = await start();
  await read(app, async ({ db }) => {
    for (let i = 0; i < 3; i++) await db.get("rows", id);
  });
  expect(costOf(app)).toEqual([3, 3 * SIZE, 0, 0]);
});

test("a scanned row costs the document, and its key where the index is the user's; rows that a filter rejects, too", async () => {
  const { app, keyBytes } = await start();
  const scans: Array<(db: MutationCtx["db"]) => Promise<unknown>> = [
    (db) => db.query("rows").collect(),
    (db) =>
      db
        .query("rows")
        .withIndex("by_creation_time", (q) => q.gt("_creationTime", 0))
        .collect(),
    (db) => db.query("rows").withIndex("by_k_n").collect(),
    (db) =>
      db
        .query("rows")
        .withIndex("by_k_n")
        .filter((q) => q.eq(q.field("n"), 99))
        .first(),
    (db) => db.query("rows").withIndex("by_k_n").take(0),
  ];
  const bytes: unknown[] = [];
  for (const scan of scans) {
    app.costs.clear();
    await read(app, async ({ db }) => void (await scan(db as MutationCtx["db"])));
    bytes.push(costOf(app)[1]);
  }
  expect(bytes).toEqual([SIZE, SIZE, SIZE + keyBytes, SIZE + keyBytes, 0]);
});

test("a write costs the new document once for each commit, with its key in every index of the user", async () => {
  const { app, id, keyBytes } = await start();
  await mutate(app, async ({ db }) => {
    // The last one counts; its key is as long as the old one.
    await db.patch("rows", id, { note: "x".repeat(1_000) });
    await db.patch("rows", id, { note: "" });
  });
  const noteBytes = 4 + 1 + 2;
  expect(costOf(app).slice(2)).toEqual([1, SIZE + noteBytes + keyBytes]);
});

test("a delete writes no bytes, a patch that changes nothing writes nothing; both read", async () => {
  const { app, id } = await start();
  await mutate(app, async ({ db }) => await db.patch("rows", id, { n: 1 }));
  expect(costOf(app)).toEqual([1, SIZE, 0, 0]);
  await mutate(app, async ({ db }) => await db.delete("rows", id));
  expect(costOf(app)).toEqual([2, 2 * SIZE, 1, 0]);
  app.costs.clear();
  await mutate(app, async (ctx) => await ctx.db.delete("rows", await insert(ctx, 5)));
  expect(costOf(app)).toEqual([1, SIZE, 0, 0]);
});

test("attempts that fail cost what they read and nothing that they wrote", async () => {
  const { app, id, keyBytes } = await start();
  const touch = async () => await mutate(app, async ({ db }) => await db.patch("rows", id, { n: 2 }));
  const [, second] = await overlap(app, touch, touch);
  expect([messageOf(second), app.history.conflicts]).toEqual(["", 1]);
  // The second attempt of the second one finds its value there already.
  expect(costOf(app)).toEqual([3, 3 * SIZE, 1, SIZE + keyBytes]);
  app.costs.clear();
  const failing = mutate(app, async (ctx) => {
    await ctx.db.get("rows", id);
    await insert(ctx, 9);
    throw new Error("as asked");
  });
  await expect(failing).rejects.toThrow("as asked");
  expect(costOf(app)).toEqual([1, SIZE, 0, 0]);
});

test("costs are those of the component that owns the table", async () => {
  const { app, keyBytes } = await start();
  await mutate(app, async (ctx) => {
    await ctx.runMutation(inChild("write"), {});
    expect(await ctx.runQuery(inChild("look"), {})).toBe(1);
  });
  expect(costOf(app)).toEqual([0, 0, 0, 0]);
  expect(costOf(app, "child")).toEqual([1, SIZE, 1, SIZE + keyBytes]);
});

test("jobs and their bookkeeping cost nothing", async () => {
  const { app } = await start();
  await mutate(app, async ({ scheduler, db }) => {
    const id = await scheduler.runAfter(0, f("noop"), {});
    await db.system.get("_scheduled_functions", id);
    await db.system.query("_scheduled_functions").collect();
  });
  await app.loop.advance(1_000);
  expect([app.jobs.started, costOf(app)]).toEqual([1, [0, 0, 0, 0]]);
});

test("calls: of clients, of actions and of jobs; none inside of a transaction", async () => {
  const functions = {
    look: query({ handler: () => Promise.resolve(null) }),
    write: mutation({ handler: async (ctx) => void (await ctx.runQuery(f("look"), {})) }),
    work: action({
      handler: async (ctx) => {
        await ctx.runQuery(f("look"), {});
        await ctx.runMutation(f("write"), {});
        await ctx.runMutation(f("write"), {});
      },
    }),
  };
  const app = deploy(functions);
  await app.query(f("look"));
  await app.mutation(f("write"));
  expect(app.calls).toEqual({ query: 1, mutation: 1, action: 0, lostAttempts: 0 });
  await app.action(f("work"));
  expect(app.calls).toEqual({ query: 2, mutation: 3, action: 1, lostAttempts: 0 });
  await mutate(app, async ({ scheduler }) => {
    await scheduler.runAfter(0, f("work"), {});
    await scheduler.runAfter(0, f("write"), {});
  });
  await app.loop.advance(1_000);
  expect(app.calls).toEqual({ query: 3, mutation: 7, action: 2, lostAttempts: 0 });
});

test("calls that fail by an error of theirs count, calls that the deployment refuses do not, lost attempts on their own", async () => {
  const loser = newLoser();
  const fails = { args: {}, handler: () => Promise.reject(new Error("as asked")) };
  const app = deploy(
    {
      query: query(fails),
      mutation: mutation(fails),
      action: action(fails),
      loser: mutation({ handler: loser.handler }),
    },
    { permits: { queries: 1 }, latencies: { ...STEADY, commitMs: 0 } },
  );
  for (const args of [{}, { extra: 1 }]) {
    await app.query(f("query"), args).catch(() => null);
    await app.mutation(f("mutation"), args).catch(() => null);
    await app.action(f("action"), args).catch(() => null);
  }
  expect(app.calls).toEqual({ query: 2, mutation: 2, action: 2, lostAttempts: 0 });

  app.latency = (ms) => (ms === STEADY.executionMs ? 9_000 : ms);
  const [, refused] = await overlap(
    app,
    () => read(app, () => Promise.resolve()),
    () => app.query(f("query")),
  );
  expect(messageOf(refused)).toContain("TooManyConcurrentRequests");
  expect(app.calls.query).toBe(3);

  loser.on(app);
  const before = app.calls.mutation;
  await app.mutation(f("loser")).catch(() => null);
  // The five that it lost to are calls, too.
  expect([app.calls.mutation - before, app.calls.lostAttempts]).toEqual([5, 5]);
  await act(app, () => Promise.resolve());
  expect(app.calls.action).toBe(3);
});
