/**
 * Section 1.2 row by row: what each operation puts into the read set, seen through the writes that it then loses to.
 * Three rows with n = 10, 20 and 30 are there; every reader meets every writer.
 */
import { expect, test } from "vitest";
import type { GenericId } from "convex/values";
import { deploy, mutate, mutation, overlap, transactionOf, type MutationCtx } from "./support.js";

type Rows = Record<10 | 20 | 30, GenericId<"rows">>;
type Program = (ctx: MutationCtx, rows: Rows) => Promise<unknown>;

const insertAt =
  (n: number, k = "q"): Program =>
  async ({ db }) =>
    await db.insert("rows", { k, n });
/** No index has the field that these write. */
const touch =
  (n: 10 | 20 | 30): Program =>
  async ({ db }, rows) =>
    await db.patch("rows", rows[n], { note: "touched" });
const WRITERS: Record<string, Program> = {
  i5: insertAt(5),
  i15: insertAt(15),
  i25: insertAt(25),
  i35: insertAt(35),
  elsewhere: insertAt(15, "z"),
  u10: touch(10),
  u20: touch(20),
  u30: touch(30),
};

/** The writers that make the reader lose, if they commit while it runs. */
async function losesTo(reader: Program): Promise<string> {
  const lost: string[] = [];
  for (const [name, writer] of Object.entries(WRITERS)) {
    const app = deploy();
    const rows = await mutate(app, async ({ db }): Promise<Rows> => {
      const insert = async (n: number) => await db.insert("rows", { k: "q", n });
      return { 10: await insert(10), 20: await insert(20), 30: await insert(30) };
    });
    let attempts = 0;
    const [wrote, read] = await overlap(
      app,
      () => mutate(app, async (ctx) => await writer(ctx, rows)),
      () =>
        mutate(app, async (ctx) => {
          attempts++;
          await reader(ctx, rows);
          // A transaction that writes nothing is never checked.
          await ctx.db.insert("others", { x: 1 });
        }),
    );
    expect([wrote.status, read.status]).toEqual(["fulfilled", "fulfilled"]);
    expect(attempts).toBe(1 + app.history.conflicts);
    if (app.history.conflicts > 0) lost.push(name);
  }
  return lost.join(" ");
}

const inQueue = ({ db }: MutationCtx) => db.query("rows").withIndex("by_k_n", (q) => q.eq("k", "q"));
const exactly = ({ db }: MutationCtx, n: number) =>
  db.query("rows").withIndex("by_k_n", (q) => q.eq("k", "q").eq("n", n));
const ALL = "i5 i15 i25 i35 elsewhere u10 u20 u30";
const QUEUE = "i5 i15 i25 i35 u10 u20 u30";

test.each<[string, Program, string]>([
  ["get of a row", async ({ db }, rows) => await db.get("rows", rows[20]), "u20"],
  [
    "get of a row that is missing",
    async ({ db }, rows) => {
      // An id of the table that no row has.
      const id = await db.insert("rows", { k: "gone" });
      await db.delete("rows", id);
      expect(await db.get("rows", id)).toBeNull();
      expect(await db.get("rows", rows[10])).not.toBeNull();
    },
    "u10",
  ],
  ["patch", async ({ db }, rows) => await db.patch("rows", rows[20], { note: 1 }), "u20"],
  ["a patch that changes nothing", async ({ db }, rows) => await db.patch("rows", rows[20], { n: 20 }), "u20"],
  ["replace", async ({ db }, rows) => await db.replace("rows", rows[20], { k: "q", n: 20, note: 1 }), "u20"],
  ["delete", async ({ db }, rows) => await db.delete("rows", rows[20]), "u20"],
  ["insert", async ({ db }) => await db.insert("rows", { k: "q", n: 15 }), ""],
  ["collect of the table", async ({ db }) => await db.query("rows").collect(), ALL],
  ["take(2) of the table", async ({ db }) => await db.query("rows").take(2), "u10 u20"],
  ["first of the table", async ({ db }) => await db.query("rows").first(), "u10"],
  ["last of the table", async ({ db }) => await db.query("rows").order("desc").first(), "i5 i15 i25 i35 elsewhere u30"],
  [
    "count of the table",
    async ({ db }) => await (db.query("rows") as unknown as { count(): Promise<number> }).count(),
    ALL,
  ],
  ["collect of a range", async (ctx) => await inQueue(ctx).collect(), QUEUE],
  ["collect backwards", async (ctx) => await inQueue(ctx).order("desc").collect(), QUEUE],
  ["first of a range", async (ctx) => await inQueue(ctx).first(), "i5 u10"],
  ["take(2) with three rows", async (ctx) => await inQueue(ctx).take(2), "i5 i15 u10 u20"],
  ["take(3) with three rows", async (ctx) => await inQueue(ctx).take(3), "i5 i15 i25 u10 u20 u30"],
  ["take(4) with three rows", async (ctx) => await inQueue(ctx).take(4), QUEUE],
  ["take(0)", async (ctx) => await inQueue(ctx).take(0), ""],
  ["last of a range", async (ctx) => await inQueue(ctx).order("desc").first(), "i35 u30"],
  ["last two of a range", async (ctx) => await inQueue(ctx).order("desc").take(2), "i25 i35 u20 u30"],
  [
    "collect between bounds",
    async ({ db }) =>
      await db
        .query("rows")
        .withIndex("by_k_n", (q) => q.eq("k", "q").gte("n", 15).lt("n", 25))
        .collect(),
    "i15 u20",
  ],
  ["unique with one row", async (ctx) => await exactly(ctx, 20).unique(), "u20"],
  ["unique with none", async (ctx) => await exactly(ctx, 15).unique(), "i15"],
  ["first of an empty range", async (ctx) => await exactly(ctx, 25).first(), "i25"],
  [
    "filter().first()",
    async (ctx) =>
      await inQueue(ctx)
        .filter((q) => q.eq(q.field("n"), 20))
        .first(),
    "i5 i15 u10 u20",
  ],
  [
    "filter that rejects all",
    async (ctx) =>
      await inQueue(ctx)
        .filter((q) => q.eq(q.field("n"), 99))
        .collect(),
    QUEUE,
  ],
  [
    "a loop that stops",
    async (ctx) => {
      for await (const row of inQueue(ctx)) if (row.n === 20) break;
    },
    "i5 i15 u10 u20",
  ],
  ["a page", async (ctx) => await inQueue(ctx).paginate({ cursor: null, numItems: 2 }), "i5 i15 u10 u20"],
  ["a page that is the last", async (ctx) => await inQueue(ctx).paginate({ cursor: null, numItems: 9 }), QUEUE],
])("%s loses to: see the table", async (_, reader, expected) => {
  expect(await losesTo(reader)).toBe(expected);
});

test("a page from a cursor reads behind the cursor, and up to the end cursor if there is one", async () => {
  const app = deploy();
  await mutate(app, async ({ db }) => {
    for (const n of [10, 20, 30]) await db.insert("rows", { k: "q", n });
  });
  const first = await mutate(app, async (ctx) => await inQueue(ctx).paginate({ cursor: null, numItems: 1 }));
  const second = await mutate(
    app,
    async (ctx) => await inQueue(ctx).paginate({ cursor: first.continueCursor, numItems: 1 }),
  );
  expect(second.page.map(({ n }) => n as number)).toEqual([20]);
  const from = first.continueCursor;
  expect(await losesTo(async (ctx) => await inQueue(ctx).paginate({ cursor: from, numItems: 1 }))).toBe("i15 u20");
  const again = { cursor: from, endCursor: second.continueCursor, numItems: 1 };
  expect(await losesTo(async (ctx) => await inQueue(ctx).paginate(again))).toBe("i15 u20");
  // The end of the page is fixed: rows that appear in between belong to it.
  await mutate(app, async ({ db }) => await db.insert("rows", { k: "q", n: 15 }));
  const grown = await mutate(app, async (ctx) => await inQueue(ctx).paginate(again));
  expect(grown.page.map(({ n }) => n as number)).toEqual([15, 20]);
});

test("unique with two rows throws", async () => {
  const app = deploy();
  await mutate(app, async ({ db }) => {
    for (let i = 0; i < 2; i++) await db.insert("rows", { k: "q", n: 20 });
  });
  await expect(mutate(app, async (ctx) => await exactly(ctx, 20).unique())).rejects.toThrow("unique");
});

test("rows that were fetched ahead are neither read nor counted, and own writes show from the next page on", async () => {
  const app = deploy();
  await mutate(app, async ({ db }) => {
    for (let n = 0; n < 150; n++) await db.insert("rows", { k: "q", n });
  });
  const seen = await mutate(app, async (ctx) => {
    const values: number[] = [];
    for await (const { n } of inQueue(ctx)) {
      values.push(n as number);
      const { documentsRead } = transactionOf().meter.used;
      expect(documentsRead).toBe(values.length);
      // One on the page that is there already, one on the next.
      if (n === 0) for (const at of [50.5, 120.5]) await ctx.db.insert("rows", { k: "q", n: at });
    }
    return values;
  });
  expect(seen).not.toContain(50.5);
  expect(seen).toContain(120.5);
});

test("a scan of jobs loses to every change of any job of its component, a get only to those of its own", async () => {
  const schedule = async ({ scheduler }: MutationCtx) => await scheduler.runAfter(3_600_000, "f:noop" as never, {});
  const setUp = async () => {
    const app = deploy({ noop: mutation({ handler: () => Promise.resolve(null) }) });
    return { app, id: await mutate(app, schedule) };
  };
  const conflictsOf = async (reader: (ctx: MutationCtx, id: GenericId<"_scheduled_functions">) => Promise<unknown>) => {
    const found: number[] = [];
    for (const writer of [schedule, "cancel" as const]) {
      const { app, id } = await setUp();
      await overlap(
        app,
        () => mutate(app, async (ctx) => (writer === "cancel" ? await ctx.scheduler.cancel(id) : await writer(ctx))),
        () =>
          mutate(app, async (ctx) => {
            await reader(ctx, id);
            await ctx.db.insert("others", { x: 1 });
          }),
      );
      found.push(app.history.conflicts);
    }
    return found;
  };
  expect(await conflictsOf(async ({ db }) => await db.system.query("_scheduled_functions").collect())).toEqual([1, 1]);
  expect(await conflictsOf(async ({ db }, id) => await db.system.get("_scheduled_functions", id))).toEqual([0, 1]);
  expect(await conflictsOf(schedule)).toEqual([0, 0]);
});
