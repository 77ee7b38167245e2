/** Section 1.5: queries and mutations that a query or mutation runs in its own transaction. */
import { expect, test } from "vitest";
import { v } from "convex/values";
import type { Deployment } from "../../src/index.js";
import { act, deploy, f, inChild, mutate, mutation, overlap, query, read, transactionOf } from "./support.js";

const OTHER_KIND = /Trying to execute \S+ as (Query|Mutation)/;
const order: string[] = [];
const functions = {
  insert: mutation({
    args: { n: v.number(), fails: v.optional(v.boolean()) },
    handler: async (ctx, { n, fails }) => {
      await ctx.db.insert("rows", { k: "q", n });
      await ctx.scheduler.runAfter(3_600_000, f("insert"), { n: 100 });
      if (fails === true) throw new Error("as asked");
    },
  }),
  readAll: query({ handler: async ({ db }) => (await db.query("rows").collect()).length }),
  readAndFail: mutation({
    handler: async ({ db }) => {
      await db.query("rows").collect();
      throw new Error("as asked");
    },
  }),
  slow: mutation({
    args: { name: v.string() },
    handler: async (ctx, { name }) => {
      order.push(`${name} begins`);
      for (let i = 0; i < 3; i++) await ctx.runQuery(f("readAll"), {});
      order.push(`${name} ends`);
    },
  }),
  descend: mutation({
    args: { levels: v.number() },
    handler: async (ctx, { levels }): Promise<number> =>
      levels === 0 ? 0 : 1 + ((await ctx.runMutation(f("descend"), { levels: levels - 1 })) as number),
  }),
  random: query({ handler: () => Promise.resolve([Math.random(), Date.now()]) }),
};
const start = (): Deployment => deploy(functions, {}, functions);
const countIn = async (app: Deployment, component = "") =>
  await read(
    app,
    async ({ db }) => [
      (await db.query("rows").collect()).length,
      (await db.system.query("_scheduled_functions").collect()).length,
    ],
    component,
  );
const used = () => ({ ...transactionOf().meter.used });

test("a nested mutation that throws leaves no rows and no jobs, and its caller goes on", async () => {
  const app = start();
  await mutate(app, async (ctx) => {
    await ctx.runMutation(f("insert"), { n: 1 });
    await expect(ctx.runMutation(f("insert"), { n: 2, fails: true })).rejects.toThrow("as asked");
    expect(await ctx.runQuery(f("readAll"), {})).toBe(1);
    await expect(ctx.runMutation(inChild("insert"), { n: 3, fails: true })).rejects.toThrow("as asked");
    await ctx.runMutation(inChild("insert"), { n: 3 });
  });
  expect([await countIn(app), await countIn(app, "child")]).toEqual([
    [1, 1],
    [1, 1],
  ]);
});

test("undoing takes back changes of rows that were there before, in their order", async () => {
  const app = deploy({
    shake: mutation({
      args: { id: v.id("rows") },
      handler: async ({ db }, { id }) => {
        await db.patch("rows", id, { n: 5 });
        await db.delete("rows", id);
        throw new Error("as asked");
      },
    }),
  });
  const seen = await mutate(app, async (ctx) => {
    const id = await ctx.db.insert("rows", { k: "q", n: 1 });
    await ctx.db.patch("rows", id, { n: 2 });
    await ctx.runMutation(f("shake"), { id }).catch(() => null);
    const byIndex = ctx.db.query("rows").withIndex("by_k_n", (q) => q.eq("k", "q").eq("n", 2));
    return [(await ctx.db.get("rows", id))?.n as unknown, (await byIndex.collect()).length];
  });
  expect(seen).toEqual([2, 1]);
});

test("undone: rows written and their bytes. Not undone: reads, intervals, jobs and the bytes of their arguments", async () => {
  const app = start();
  await mutate(app, async (ctx) => {
    await ctx.db.insert("rows", { k: "q", n: 0 });
    const before = used();
    await ctx.runMutation(f("insert"), { n: 1, fails: true }).catch(() => null);
    await ctx.runMutation(f("readAndFail"), {}).catch(() => null);
    const after = used();
    expect([after.documentsWritten, after.bytesWritten]).toEqual([before.documentsWritten, before.bytesWritten]);
    expect(after.functionsScheduled).toBe(1);
    expect(after.scheduledFunctionArgsBytes).toBeGreaterThan(0);
    expect([after.documentsRead, after.databaseQueries]).toEqual([1, 1]);
  });
});

test("creation times go on over what was undone, and no id comes twice", async () => {
  const times: number[] = [];
  const app = deploy({
    insertAndFail: mutation({
      handler: async ({ db }) => {
        const row = await db.get("rows", await db.insert("rows", { k: "q" }));
        times.push(row!._creationTime);
        throw new Error("as asked");
      },
    }),
  });
  await mutate(app, async (ctx) => {
    const keep = async () =>
      times.push((await ctx.db.get("rows", await ctx.db.insert("rows", { k: "q" })))!._creationTime);
    await keep();
    await ctx.runMutation(f("insertAndFail"), {}).catch(() => null);
    await keep();
  });
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(new Set(times).size).toBe(3);
});

test("nested calls happen one at a time in the order in which they were asked for", async () => {
  order.length = 0;
  const app = start();
  await mutate(app, async (ctx) => {
    const later = ctx.runMutation(f("slow"), { name: "a" });
    const last = ctx.runMutation(f("slow"), { name: "b" });
    const row = ctx.db.insert("rows", { k: "q" }).then(() => order.push("insert"));
    await Promise.all([later, last, row]);
  });
  expect(order).toEqual(["a begins", "a ends", "b begins", "b ends", "insert"]);
});

test("eight levels below the top are allowed, the ninth is an error that can be caught", async () => {
  const app = start();
  expect(await app.mutation(f("descend"), { levels: 8 })).toBe(8);
  await expect(app.mutation(f("descend"), { levels: 9 })).rejects.toThrow("call depth limit exceeded");
  const caught = await mutate(app, async (ctx) => {
    await ctx.db.insert("rows", { k: "q" });
    return await ctx.runMutation(f("descend"), { levels: 8 }).catch(() => "caught");
  });
  expect([caught, (await countIn(app))[0]]).toEqual(["caught", 1]);
});

test("a query runs queries and nothing else, and what a call names must be of its kind", async () => {
  const app = start();
  await read(app, async (ctx) => {
    expect(await ctx.runQuery(f("readAll"), {})).toBe(0);
    expect(ctx).not.toHaveProperty("runMutation");
    await expect(ctx.runQuery(f("insert"), { n: 1 })).rejects.toThrow(OTHER_KIND);
    const stale = ctx.runQuery as (reference: unknown, args: object, options: object) => unknown;
    expect(() => stale(f("readAll"), {}, { useStaleSnapshot: true })).toThrow("only supported in mutations");
  });
  await mutate(app, async (ctx) => {
    await expect(ctx.runMutation(f("readAll"), {})).rejects.toThrow(OTHER_KIND);
  });
});

test("arguments of nested calls are checked, results after the writes are merged", async () => {
  const app = deploy({
    ...functions,
    wrong: mutation({
      args: { n: v.number() },
      returns: v.null(),
      handler: async ({ db }, { n }) => (await db.insert("rows", { k: "q", n })) as unknown as null,
    }),
  });
  await mutate(app, async (ctx) => {
    await expect(ctx.runMutation(f("wrong"), { n: "1" })).rejects.toThrow("ArgumentValidationError");
    await expect(ctx.runMutation(f("wrong"), { n: 1, extra: 1 })).rejects.toThrow("ArgumentValidationError");
    expect(await ctx.runQuery(f("readAll"), {})).toBe(0);
    await expect(ctx.runMutation(f("wrong"), { n: 1 })).rejects.toThrow("ReturnsValidationError");
    expect(await ctx.runQuery(f("readAll"), {})).toBe(1);
  });
  expect((await countIn(app))[0]).toBe(1);
});

test("all calls of a transaction share its snapshot and its clock, and each has its own chance", async () => {
  const app = start();
  const [, seen] = await overlap(
    app,
    () => mutate(app, async ({ db }) => await db.insert("rows", { k: "q" })),
    () =>
      mutate(app, async (ctx) => [
        [Math.random(), Date.now()],
        await ctx.runQuery(f("random"), {}),
        await ctx.runQuery(inChild("random"), {}),
      ]),
  );
  const rows = (seen as PromiseFulfilledResult<Array<[number, number]>>).value;
  expect(new Set(rows.map(([, now]) => now)).size).toBe(1);
  expect(new Set(rows.map(([chance]) => chance)).size).toBe(3);
});

test("a nested call's budgets are on top of what is used, within the caller's ceiling, and end with it", async () => {
  const app = deploy({
    ...functions,
    narrow: mutation({
      handler: async (ctx) => {
        // It cannot give more than it has itself.
        const limits = { transactionLimits: { documentsRead: 100 } };
        await expect(ctx.runQuery(f("readAll"), {}, limits)).rejects.toThrow("TooManyDocumentsRead");
        return "refused";
      },
    }),
  });
  await mutate(app, async (ctx) => {
    for (let n = 0; n < 5; n++) await ctx.db.insert("rows", { k: "q", n });
  });
  await mutate(app, async (ctx) => {
    const limited = async (documentsRead: number) =>
      await ctx.runQuery(f("readAll"), {}, { transactionLimits: { documentsRead } });
    expect(await limited(5)).toBe(5);
    await expect(limited(4)).rejects.toThrow("TooManyDocumentsRead");
    expect(await limited(5)).toBe(5);
    expect(await ctx.runMutation(f("narrow"), {}, { transactionLimits: { documentsRead: 4 } })).toBe("refused");
    expect((await ctx.db.query("rows").collect()).length).toBe(5);
    const stale = { useStaleSnapshot: true, transactionLimits: { documentsRead: 4 } } as const;
    await expect(ctx.runQuery(f("readAll"), {}, stale)).rejects.toThrow("TooManyDocumentsRead");
  });
});

test("a stale snapshot counts no reads for its caller, though they are paid for", async () => {
  const app = start();
  await mutate(app, async ({ db }) => await db.insert("rows", { k: "q" }));
  const before = app.costs.get("")!.documentsRead;
  await mutate(app, async (ctx) => {
    const counters = used();
    expect(await ctx.runQuery(f("readAll"), {}, { useStaleSnapshot: true })).toBe(1);
    expect(used()).toEqual(counters);
    expect(transactionOf().reads.size).toBe(0);
  });
  expect(app.costs.get("")!.documentsRead).toBe(before + 1);
});

test("from an action each call is a transaction of its own", async () => {
  const app = start();
  await act(app, async (ctx) => {
    await ctx.runMutation(f("insert"), { n: 1 });
    await ctx.runMutation(f("insert"), { n: 2, fails: true }).catch(() => null);
    expect(await ctx.runQuery(f("readAll"), {})).toBe(1);
    expect(ctx).not.toHaveProperty("db");
  });
});
