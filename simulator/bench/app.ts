/** The app that is measured: a table with an index, one small transaction, one small range read, and a row that changes. */
import {
  anyApi,
  defineSchema,
  defineTable,
  mutationGeneric,
  queryGeneric,
  type DataModelFromSchemaDefinition,
  type FunctionReference,
  type MutationBuilder,
  type QueryBuilder,
} from "convex/server";
import { v } from "convex/values";

export const schema = defineSchema({
  anchors: defineTable({ name: v.string() }),
  items: defineTable({ n: v.number(), text: v.string() }).index("by_n", ["n"]),
});

type Tables = DataModelFromSchemaDefinition<typeof schema>;
const query = queryGeneric as QueryBuilder<Tables, "public">;
const mutation = mutationGeneric as MutationBuilder<Tables, "public">;

const TEXT = "forty characters that are in every row..";

const items = {
  anchor: mutation({
    args: {},
    returns: v.id("anchors"),
    handler: async (ctx) => await ctx.db.insert("anchors", { name: "anchor" }),
  }),
  /** The small transaction: one get by id, one insert. */
  small: mutation({
    args: { id: v.id("anchors"), n: v.number() },
    returns: v.null(),
    handler: async (ctx, { id, n }) => {
      const anchor = await ctx.db.get("anchors", id);
      await ctx.db.insert("items", { n, text: anchor?.name ?? "" });
      return null;
    },
  }),
  fill: mutation({
    args: { from: v.number(), count: v.number() },
    handler: async (ctx, { from, count }) => {
      for (let i = from; i < from + count; i++) await ctx.db.insert("items", { n: i, text: TEXT });
    },
  }),
  /** The small range read: ten rows from a place in the index. */
  range: query({
    args: { from: v.number() },
    handler: async (ctx, { from }) => {
      const rows = await ctx.db
        .query("items")
        .withIndex("by_n", (q) => q.gte("n", from))
        .take(10);
      return rows.length;
    },
  }),
  /** Writes every row of a range again, so that the table keeps its size and its old versions pile up. */
  touch: mutation({
    args: { from: v.number(), count: v.number(), text: v.string() },
    handler: async (ctx, { from, count, text }) => {
      const rows = await ctx.db
        .query("items")
        .withIndex("by_n", (q) => q.gte("n", from).lt("n", from + count))
        .collect();
      for (const row of rows) await ctx.db.patch("items", row._id, { text });
      return rows.length;
    },
  }),
};

export const modules = {
  "./_generated/api.js": () => Promise.resolve({}),
  "./items.ts": () => Promise.resolve(items),
};

type Reference<Kind extends "query" | "mutation"> = FunctionReference<Kind, "public">;
const functions = anyApi as unknown as {
  items: {
    anchor: Reference<"mutation">;
    small: Reference<"mutation">;
    fill: Reference<"mutation">;
    touch: Reference<"mutation">;
    range: Reference<"query">;
  };
};
export const api = functions.items;
