/** Sections 1.3 and 1.4: what a write hits, and how commits are checked, numbered and made visible. */
import { expect, test } from "vitest";
import type { GenericId } from "convex/values";
import type { Deployment } from "../../src/index.js";
import { deploy, messageOf, mutate, overlap, read, STEADY, transactionOf, type MutationCtx } from "./support.js";

type Id = GenericId<"rows">;
const insert = async ({ db }: MutationCtx, n: number): Promise<Id> => await db.insert("rows", { k: "q", n });
const between = ({ db }: MutationCtx, from: number, to: number) =>
  db.query("rows").withIndex("by_k_n", (q) => q.eq("k", "q").gte("n", from).lt("n", to));

async function conflictsOf(
  writer: (ctx: MutationCtx, id: Id) => Promise<unknown>,
  reader: (ctx: MutationCtx, id: Id) => Promise<unknown>,
): Promise<number> {
  const app = deploy();
  const id = await mutate(app, async (ctx) => await insert(ctx, 20));
  const [written, done] = await overlap(
    app,
    () => mutate(app, async (ctx) => await writer(ctx, id)),
    () =>
      mutate(app, async (ctx) => {
        await reader(ctx, id).catch(() => null);
        await ctx.db.insert("others", { x: 1 });
      }),
  );
  expect(messageOf(written) + messageOf(done)).toBe("");
  return app.history.conflicts;
}

const move = async ({ db }: MutationCtx, id: Id) => await db.patch("rows", id, { n: 40 });

test.each<[string, number, number, number]>([
  ["the old key", 15, 25, 1],
  ["the new key", 35, 45, 1],
  ["neither key", 25, 35, 0],
])("a move hits readers of %s", async (_, from, to, conflicts) => {
  expect(await conflictsOf(move, async (ctx) => await between(ctx, from, to).collect())).toBe(conflicts);
});

test("a write hits every index of its table", async () => {
  expect(await conflictsOf(move, async ({ db }, id) => await db.get("rows", id))).toBe(1);
  expect(await conflictsOf(move, async ({ db }) => await db.query("rows").first())).toBe(1);
  expect(await conflictsOf(move, async ({ db }) => await db.query("others").first())).toBe(0);
  const remove = async ({ db }: MutationCtx, id: Id) => await db.delete("rows", id);
  expect(await conflictsOf(remove, async (ctx) => await between(ctx, 15, 25).collect())).toBe(1);
});

test("several writes of one document are one, from the first old to the last new state", async () => {
  const viaThirty = async ({ db }: MutationCtx, id: Id) => {
    await db.patch("rows", id, { n: 30 });
    await db.patch("rows", id, { n: 40 });
  };
  const hits = async (from: number) =>
    await conflictsOf(viaThirty, async (ctx) => await between(ctx, from, from + 5).collect());
  expect([await hits(20), await hits(30), await hits(40)]).toEqual([1, 0, 1]);
});

test("a row that is inserted and deleted again is no write at all", async () => {
  const vanish = async (ctx: MutationCtx) => await ctx.db.delete("rows", await insert(ctx, 22));
  expect(await conflictsOf(vanish, async (ctx) => await between(ctx, 15, 25).collect())).toBe(0);
});

test("replacing a document by itself is no write, and loses to nobody who only reads it", async () => {
  const same = async ({ db }: MutationCtx, id: Id) => await db.replace("rows", id, { n: 20, k: "q" });
  expect(await conflictsOf(same, async (ctx) => await between(ctx, 15, 25).collect())).toBe(0);
});

test("patch, replace and delete of a document that is missing throw", async () => {
  const app = deploy();
  await mutate(app, async (ctx) => {
    const id = await insert(ctx, 1);
    await ctx.db.delete("rows", id);
    await expect(ctx.db.patch("rows", id, { n: 2 })).rejects.toThrow(`Update on nonexistent document ID ${id}`);
    await expect(ctx.db.replace("rows", id, { k: "q" })).rejects.toThrow(`Replace on nonexistent document ID ${id}`);
    await expect(ctx.db.delete("rows", id)).rejects.toThrow(`Delete on nonexistent document ID ${id}`);
  });
});

// ── Commits ──

const SLOW_COMMITS = { latencies: { ...STEADY, commitMs: 100 } };
const collectAndWrite = async (app: Deployment, begins: number[] = []) =>
  await mutate(app, async (ctx) => {
    begins.push(transactionOf().begin);
    await between(ctx, 0, 100).collect();
    await ctx.db.insert("others", { x: 1 });
  });

test("a commit that is checked and not visible yet makes others lose; the retry begins when it is visible", async () => {
  const app = deploy({}, SLOW_COMMITS);
  // No sleep at all before the retry.
  app.jitter = () => 0;
  const begins: number[] = [];
  let ts = 0;
  app.committer.onPublish((commit) => (ts ||= commit.ts));
  await app.loop.drive(
    Promise.all([
      mutate(app, async (ctx) => await insert(ctx, 1)),
      (async () => {
        await app.loop.sleep(20);
        await collectAndWrite(app, begins);
      })(),
    ]),
  );
  expect(app.history.conflicts).toBe(1);
  expect(begins).toEqual([0, ts]);
});

test("the first to arrive at the committer wins, whoever began first", async () => {
  const app = deploy();
  const durations = [30, 10, 10];
  app.latency = (ms) => (ms === STEADY.executionMs ? (durations.shift() ?? ms) : ms);
  const ended: string[] = [];
  const competitor = (name: string) => async () => {
    await mutate(
      app,
      async (ctx) => {
        await between(ctx, 0, 100).collect();
        await insert(ctx, 1);
      },
      { name },
    );
    ended.push(name);
  };
  await overlap(app, competitor("long"), competitor("short"));
  expect(ended).toEqual(["short", "long"]);
  expect([...app.history.conflictsBy.keys()]).toEqual(["long|short|/rows"]);
});

test("commits become visible in the order of their timestamps, and are answered then", async () => {
  const app = deploy();
  const persistence = [50, 5];
  app.latency = (ms) => (ms === STEADY.commitMs ? (persistence.shift() ?? ms) : ms);
  const start = app.loop.now();
  const answers: Array<[string, number]> = [];
  const write = (name: string) => async () => {
    await mutate(app, async (ctx) => await insert(ctx, 1));
    answers.push([name, Math.round(app.loop.now() - start)]);
  };
  await overlap(app, write("slow"), write("fast"));
  expect(answers).toEqual([
    ["slow", 60],
    ["fast", 60],
  ]);
});

test("a commit timestamp is the time, or one more than the last one; a snapshot is the newest visible commit", async () => {
  const app = deploy({}, { latencies: { ...STEADY, executionMs: 0, commitMs: 0 } });
  const stamps: number[] = [];
  app.committer.onPublish(({ ts }) => void stamps.push(ts));
  await app.loop.drive(Promise.all([1, 2, 3].map(async (n) => await mutate(app, async (ctx) => await insert(ctx, n)))));
  expect(stamps).toEqual([1, 2, 3]);
  await app.loop.advance(1_000);
  expect(await read(app, () => Promise.resolve(transactionOf().begin))).toBe(3);
  await mutate(app, async (ctx) => await insert(ctx, 4));
  expect(stamps[3]).toBe(1_000 * 10_000);
  expect(await read(app, () => Promise.resolve(transactionOf().begin))).toBe(stamps[3]);
});

test("the caller of a mutation begins its next transaction at its own commit or later", async () => {
  const app = deploy({}, SLOW_COMMITS);
  await mutate(app, async (ctx) => await insert(ctx, 1));
  const rows = await mutate(app, async (ctx) => await between(ctx, 0, 100).collect());
  expect(rows.length).toBe(1);
});

test("what writes nothing is never checked: queries and mutations that only read", async () => {
  const app = deploy();
  const readAll = async ({ db }: Pick<MutationCtx, "db">) => await db.query("rows").collect();
  await overlap(
    app,
    () => mutate(app, async (ctx) => await insert(ctx, 1)),
    () => Promise.all([mutate(app, readAll), read(app, readAll as never)]),
  );
  expect([app.history.conflicts, app.history.retries]).toEqual([0, 0]);
});
