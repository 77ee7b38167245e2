/** Values, validators, limits and ids (traps 32 to 38 and 54). */
import { expect, test } from "vitest";
import { v } from "convex/values";
import { TRANSACTION_LIMITS } from "../../src/index.js";
import { m, mutation, outcome, q, query, rows, start } from "./support.js";

const values = {
  store: mutation({
    args: { more: v.any() },
    handler: async (ctx, { more }) => void (await ctx.db.insert("rows", { key: "a", n: 1, more: more as unknown })),
  }),
  make: mutation({
    args: { what: v.string() },
    handler: async (ctx, { what }) => {
      const made: Record<string, () => unknown> = {
        set: () => new Set([1]),
        map: () => new Map(),
        date: () => new Date(0),
        function: () => () => 1,
        class: () => new (class Point {})(),
        undefinedElement: () => [undefined],
        nested: () => Array.from({ length: 16 }).reduce<unknown>((inner) => [inner], 1),
        long: () => Array.from({ length: 8_193 }, () => 1),
        wide: () => Object.fromEntries(Array.from({ length: 1_025 }, (_, i) => [`f${i}`, 1])),
        large: () => "x".repeat(2 ** 20),
        dollar: () => ({ $ref: 1 }),
        umlaut: () => ({ "\u00fc": 1 }),
        undefinedField: () => ({ gone: undefined, there: 1 }),
      };
      const id = await ctx.db.insert("rows", { key: what, n: 1, more: made[what]?.() });
      return (await ctx.db.get("rows", id))?.more as unknown;
    },
  }),
  record: mutation({
    args: { record: v.record(v.string(), v.union(v.literal("x"), v.number())) },
    returns: v.object({ known: v.optional(v.number()) }),
    handler: (_, { record }) => record as { known?: number },
  }),
  below: query({
    args: { n: v.number() },
    handler: async (ctx, { n }) =>
      (
        await ctx.db
          .query("others")
          .filter((f) => f.lt(f.field("stamp"), n))
          .collect()
      ).map(({ stamp }) => stamp ?? null),
  }),
  stamp: mutation({
    args: { stamp: v.optional(v.int64()) },
    handler: async (ctx, args) => void (await ctx.db.insert("others", args)),
  }),
  sorted: query({
    args: {},
    handler: async (ctx) => (await ctx.db.query("rows").withIndex("by_key").collect()).map(({ key }) => key),
  }),
  write: mutation({
    args: { times: v.number() },
    handler: async (ctx, { times }) => {
      try {
        for (let n = 0; n < times; n++) await ctx.db.insert("rows", { key: "a", n });
        return "all written";
      } catch (error) {
        return (error as Error).message;
      }
    },
  }),
  schedule: mutation({
    args: { times: v.number() },
    handler: async (ctx, { times }) => {
      for (let n = 0; n < times - 1; n++) await ctx.scheduler.runAfter(0, m("values:write"), { times: 0 });
      return await ctx.scheduler.runAfter(0, m("values:write"), { times: 0 }).catch((error: Error) => error.message);
    },
  }),
  zero: query({
    args: { n: v.number() },
    handler: async (ctx, { n }) =>
      (
        await ctx.db
          .query("rows")
          .withIndex("by_n", (range) => range.eq("n", n))
          .collect()
      ).length,
  }),
};

test("trap 32: the limits of a transaction are there without being asked for, and can be caught", async () => {
  const limits = { ...TRANSACTION_LIMITS, documentsWritten: 5 };
  expect(await start({ values }).mutation(m("values:write"), { times: 20 })).toBe("all written");
  expect(await start({ values }, { limits }).mutation(m("values:write"), { times: 5 })).toBe("all written");
  expect(await start({ values }, { limits }).mutation(m("values:write"), { times: 6 })).toContain("TooManyWrites");
  expect(await start({ values }).mutation(m("values:schedule"), { times: 1_001 })).toContain(
    "TooManyFunctionsScheduled",
  );
});

test.each([
  ["nested", "too nested"],
  ["long", "too long"],
  ["wide", "too many fields"],
  ["large", "too large"],
  ["dollar", "$ref"],
  ["umlaut", "\u00fc"],
])("trap 33: a document that is %s is refused as it is written", async (what, message) => {
  expect(await outcome(start({ values }).mutation(m("values:make"), { what }))).toContain(message);
});

test("trap 34: the order of values is Convex's, and not that of JavaScript", async () => {
  const app = start({ values, rows });
  for (const key of ["\u{1f600}", "\uffee", "b", "B"]) await app.mutation(m("rows:add"), { key, n: -0 });
  expect(await app.query(q("values:sorted"))).toEqual(["B", "b", "\uffee", "\u{1f600}"]);
  expect([await app.query(q("values:zero"), { n: 0 }), await app.query(q("values:zero"), { n: -0 })]).toEqual([0, 4]);
  await app.mutation(m("values:stamp"), { stamp: 5n });
  // Every bigint comes before every number.
  expect(await app.query(q("values:below"), { n: -1 })).toEqual([5n]);
});

test("trap 35: what is missing comes before everything; undefined is no element", async () => {
  const app = start({ values });
  await app.mutation(m("values:stamp"), {});
  expect(await app.query(q("values:below"), { n: 0 })).toEqual([null]);
  expect(await outcome(app.mutation(m("values:make"), { what: "undefinedElement" }))).toContain("undefined is not");
  expect(await app.mutation(m("values:make"), { what: "undefinedField" })).toEqual({ there: 1 });
  expect(await outcome(app.mutation(m("values:stamp"), { stamp: undefined }))).toBe("result null");
});

test.each(["set", "map", "date", "function", "class"])("trap 36: a %s is no value", async (what) => {
  expect(await outcome(start({ values }).mutation(m("values:make"), { what }))).toContain(
    "is not a supported Convex type",
  );
});

test("trap 37: records and unions are validated, arguments and results alike", async () => {
  const app = start({ values });
  expect(await app.mutation(m("values:record"), { record: { known: 1 } })).toEqual({ known: 1 });
  const refused = async (record: object) => await outcome(app.mutation(m("values:record"), { record }));
  expect(await refused({ known: "y" })).toContain("ArgumentValidationError");
  expect(await refused({ _key: 1 })).toContain("ArgumentValidationError");
  expect(await refused({ known: "x" })).toContain("ReturnsValidationError");
});

test("trap 38: fields that a validator does not name are refused", async () => {
  const app = start({ values, rows });
  expect(await outcome(app.mutation(m("rows:add"), { key: "a", n: 1, extra: 1 }))).toContain("extra field `extra`");
  expect(await outcome(app.mutation(m("values:record"), { record: { extra: 1 } }))).toContain("extra field `extra`");
});

test("trap 54: ids and cursors tell nothing, and a cursor belongs to its query", async () => {
  const pages = {
    page: query({
      args: { cursor: v.union(v.string(), v.null()), key: v.string() },
      handler: async (ctx, { cursor, key }) =>
        await ctx.db
          .query("rows")
          .withIndex("by_key", (range) => range.eq("key", key))
          .paginate({ cursor, numItems: 5 }),
    }),
  };
  const app = start({ rows, pages });
  const ids: string[] = [];
  for (let n = 0; n < 8; n++) ids.push((await app.mutation(m("rows:add"), { key: "a", n })) as string);
  for (const id of ids) expect(id).toMatch(/^[0-9a-hjkmnp-tv-z]{31,37}$/);
  expect(ids).not.toEqual([...ids].sort());
  const page = async (cursor: string | null, key = "a") =>
    (await app.query(q("pages:page"), { cursor, key })) as { page: unknown[]; continueCursor: string; isDone: boolean };
  const { continueCursor } = await page(null);
  expect(await page(continueCursor)).toMatchObject({ page: [{ n: 5 }, { n: 6 }, { n: 7 }], isDone: true });
  expect(await outcome(page(continueCursor, "b"))).toContain("InvalidCursor");
  expect(await outcome(page("8"))).toContain("InvalidCursor");
});
