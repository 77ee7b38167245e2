/** Section 4: what one transaction may use. Usage up to the limit is fine, one more is an error with its code. */
import { expect, test } from "vitest";
import type { GenericId } from "convex/values";
import { TRANSACTION_LIMITS, type Deployment } from "../../src/index.js";
import { deploy, f, mutate, mutation, read, transactionOf, type MutationCtx } from "./support.js";

const MIB = 2 ** 20;
/** Of a row of "others" beside the characters of its text: the object, _id, _creationTime, the name "x", the string. */
const OVERHEAD = 2 + 38 + 23 + 2 + 2;

test("the limits are those of Convex", () => {
  expect(TRANSACTION_LIMITS).toEqual({
    bytesRead: 16 * MIB,
    bytesWritten: 16 * MIB,
    databaseQueries: 4_096,
    documentsRead: 32_000,
    documentsWritten: 16_000,
    functionsScheduled: 1_000,
    scheduledFunctionArgsBytes: 16 * MIB,
  });
});

const functions = { noop: mutation({ handler: () => Promise.resolve(null) }) };
const limited = (limits: Partial<typeof TRANSACTION_LIMITS>): Deployment =>
  deploy(functions, { limits: { ...TRANSACTION_LIMITS, ...limits } });
const insertRows = async ({ db }: MutationCtx, count: number) => {
  const ids: GenericId<"rows">[] = [];
  for (let n = 0; n < count; n++) ids.push(await db.insert("rows", { k: "q", n }));
  return ids;
};
/** How often the work can be done in one transaction, and the error of once more; the error does not end it. */
async function untilRefused(app: Deployment, work: (ctx: MutationCtx, i: number) => Promise<unknown>) {
  return await mutate(app, async (ctx) => {
    for (let i = 0; ; i++) {
      try {
        await work(ctx, i);
      } catch (error) {
        return [i, (error as Error).message.replace(/^.*?(?=TooMany|Scheduled)/, "").split(":")[0]];
      }
    }
  });
}

test("documents written: every call counts, also on one document and when it changes nothing", async () => {
  const insert = await untilRefused(limited({ documentsWritten: 5 }), async (ctx) => await insertRows(ctx, 1));
  expect(insert).toEqual([5, "TooManyWrites"]);
  const app = limited({ documentsWritten: 5 });
  const [id] = await mutate(app, async (ctx) => await insertRows(ctx, 1));
  expect(await untilRefused(app, async ({ db }, i) => await db.patch("rows", id!, { n: i }))).toEqual([
    5,
    "TooManyWrites",
  ]);
  const real = await untilRefused(deploy(), async ({ db }) => await db.insert("others", { x: 1 }));
  expect(real).toEqual([16_000, "TooManyWrites"]);
});

test("bytes written: of new documents; a delete writes none", async () => {
  const app = limited({ bytesWritten: 3 * (OVERHEAD + 100) });
  const insert = async ({ db }: MutationCtx) => await db.insert("others", { x: "x".repeat(100) });
  expect(await untilRefused(app, insert)).toEqual([3, "TooManyBytesWritten"]);
  const withDelete = await untilRefused(app, async (ctx, i) => {
    const first = i === 0 ? await ctx.db.query("others").first() : null;
    if (first !== null) await ctx.db.delete("others", first._id);
    await insert(ctx);
  });
  expect(withDelete).toEqual([3, "TooManyBytesWritten"]);
});

test("documents read: gets, scanned rows, and rows that are changed", async () => {
  const app = limited({ documentsRead: 5 });
  const ids = await mutate(app, async (ctx) => await insertRows(ctx, 6));
  expect(await untilRefused(app, async ({ db }) => await db.get("rows", ids[0]!))).toEqual([5, "TooManyDocumentsRead"]);
  expect(await untilRefused(app, async ({ db }, i) => await db.patch("rows", ids[i]!, { note: 1 }))).toEqual([
    5,
    "TooManyDocumentsRead",
  ]);
  await mutate(app, async ({ db }) => {
    expect((await db.query("rows").take(5)).length).toBe(5);
  });
  await expect(mutate(app, async ({ db }) => await db.query("rows").collect())).rejects.toThrow("TooManyDocumentsRead");
  const rejecting = mutate(
    app,
    async ({ db }) =>
      await db
        .query("rows")
        .filter((q) => q.eq(q.field("n"), 99))
        .first(),
  );
  await expect(rejecting).rejects.toThrow("TooManyDocumentsRead");
});

test("bytes read", async () => {
  const app = limited({ bytesRead: 3 * (OVERHEAD + 100) });
  const id = await mutate(app, async ({ db }) => await db.insert("others", { x: "x".repeat(100) }));
  expect(await untilRefused(app, async ({ db }) => await db.get("others", id))).toEqual([3, "TooManyBytesRead"]);
});

test("intervals read: those that touch are one, and those of inserted rows are none", async () => {
  const app = limited({ databaseQueries: 3 });
  await mutate(app, async (ctx) => await insertRows(ctx, 10));
  const at = async ({ db }: MutationCtx, n: number) =>
    await db
      .query("rows")
      .withIndex("by_k_n", (q) => q.eq("k", "q").eq("n", n))
      .collect();
  expect(await untilRefused(app, async (ctx, i) => await at(ctx, i))).toEqual([3, "TooManyReads"]);
  await mutate(app, async (ctx) => {
    for (const n of [0, 5, 9]) await at(ctx, n);
    await insertRows(ctx, 10);
    for (const n of [0, 5, 9]) await at(ctx, n);
    expect(transactionOf().meter.used.databaseQueries).toBe(3);
  });
  await mutate(app, async (ctx) => {
    for (const n of [0, 5, 9]) await at(ctx, n);
    await ctx.db
      .query("rows")
      .withIndex("by_k_n", (q) => q.eq("k", "q"))
      .collect();
    expect(transactionOf().meter.used.databaseQueries).toBe(1);
  });
});

test("jobs: a thousand, and 16 MiB of arguments; they count as no writes of the function", async () => {
  const schedule = async ({ scheduler }: MutationCtx) => await scheduler.runAfter(3_600_000, f("noop"), {});
  expect(await untilRefused(deploy(functions), schedule)).toEqual([1_000, "TooManyFunctionsScheduled"]);
  // An object of 100 bytes: itself, the name, and the string.
  const big = "x".repeat(100 - 2 - 4 - 2);
  const scheduleBig = async ({ scheduler }: MutationCtx) => await scheduler.runAfter(3_600_000, f("noop"), { big });
  const small = limited({ scheduledFunctionArgsBytes: 400 });
  expect(await untilRefused(small, scheduleBig)).toEqual([4, "ScheduledFunctionsArgumentsTooLarge"]);
  await mutate(limited({ documentsWritten: 1, bytesWritten: 100 }), async (ctx) => {
    await ctx.db.insert("others", { x: 1 });
    for (let i = 0; i < 5; i++) await schedule(ctx);
  });
});

test("a scheduled mutation's own bookkeeping counts for nothing", async () => {
  const app = deploy(
    { one: mutation({ handler: async ({ db }) => await db.insert("others", { x: 1 }) }) },
    { limits: { ...TRANSACTION_LIMITS, documentsRead: 0, documentsWritten: 1 } },
  );
  await mutate(app, async ({ scheduler }) => await scheduler.runAfter(0, f("one"), {}));
  await app.loop.advance(1_000);
  expect([app.jobs.started, app.jobs.failed]).toEqual([1, 0]);
});

test("all components share the limits of the transaction, and an error that is caught leaves the rest", async () => {
  const app = deploy(
    { fill: mutation({ handler: async (ctx) => void (await insertRows(ctx, 3)) }) },
    { limits: { ...TRANSACTION_LIMITS, documentsWritten: 5 } },
  );
  await mutate(app, async (ctx) => {
    await insertRows(ctx, 3);
    await expect(ctx.runMutation(f("fill"), {})).rejects.toThrow("TooManyWrites");
    await insertRows(ctx, 2);
  });
  expect((await read(app, async ({ db }) => await db.query("rows").collect())).length).toBe(5);
});

test("arguments and results up to 16 MiB; a result that is larger leaves nothing", async () => {
  const app = deploy({
    take: mutation({ handler: () => Promise.resolve(null) }),
    give: mutation({
      handler: async ({ db }, { size }: { size: number }) => {
        await db.insert("others", { x: 1 });
        return "x".repeat(size);
      },
    }),
  });
  // Of the object, of its field's name, and of the string.
  await app.mutation(f("take"), { big: "x".repeat(16 * MIB - 2 - 4 - 2) });
  await expect(app.mutation(f("take"), { big: "x".repeat(16 * MIB - 2 - 4 - 1) })).rejects.toThrow("too large");
  await app.mutation(f("give"), { size: 16 * MIB - 2 });
  await expect(app.mutation(f("give"), { size: 16 * MIB - 1 })).rejects.toThrow("too large");
  expect((await read(app, async ({ db }) => await db.query("others").collect())).length).toBe(1);
});

test("documents: 1 MiB, 8192 elements, nesting 16, no names with a dollar sign or an underscore in front", async () => {
  const app = deploy();
  const room = MIB - OVERHEAD;
  const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
  const refused = async (x: unknown) =>
    await mutate(app, async ({ db }) => {
      await db.insert("others", { x });
    }).then(
      () => "",
      (error: Error) => error.message,
    );
  expect(await refused("x".repeat(room))).toBe("");
  expect(await refused("x".repeat(room + 1))).toContain("too large");
  expect(await refused(Array(8_192).fill(null))).toBe("");
  expect(await refused(Array(8_193).fill(null))).toContain("Array length is too long");
  expect(await refused(nested(15))).toBe("");
  expect(await refused(nested(16))).toContain("too nested");
  expect(await refused({ $name: 1 })).not.toBe("");
  // Arguments of a job may be larger and deeper than a document.
  const big = deploy(functions);
  await mutate(big, async ({ scheduler }) => {
    await scheduler.runAfter(0, f("noop"), { big: "x".repeat(2 * MIB), deep: nested(30) });
  });
  await big.loop.advance(1_000);
  expect(big.jobs.failed).toBe(0);
});
