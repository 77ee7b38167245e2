/** A small app to test the simulator with: counters, a queue, actions that call, jobs that are scheduled. */
import {
  actionGeneric,
  anyApi,
  defineSchema,
  defineTable,
  type ActionBuilder,
  type DataModelFromSchemaDefinition,
  type FunctionReference,
  type MutationBuilder,
  type QueryBuilder,
  internalMutationGeneric,
  mutationGeneric,
  queryGeneric,
} from "convex/server";
import { v } from "convex/values";
import { Deployment, type DeploymentOptions } from "../../src/index.js";

/** Untyped: there is no generated code here. */
const functions = anyApi as unknown as Record<string, Record<string, FunctionReference<"mutation", "internal">>>;

export const schema = defineSchema({
  counters: defineTable({ name: v.string(), n: v.number(), note: v.optional(v.string()) }).index("by_name", ["name"]),
  items: defineTable({ queue: v.string(), n: v.number() }).index("by_queue_n", ["queue", "n"]),
});

type Tables = DataModelFromSchemaDefinition<typeof schema>;
const query = queryGeneric as QueryBuilder<Tables, "public">;
const mutation = mutationGeneric as MutationBuilder<Tables, "public">;
const internalMutation = internalMutationGeneric as MutationBuilder<Tables, "internal">;
const action = actionGeneric as ActionBuilder<Tables, "public">;

const counters = {
  create: mutation({
    args: { name: v.string() },
    returns: v.id("counters"),
    handler: async (ctx, { name }) => await ctx.db.insert("counters", { name, n: 0 }),
  }),
  get: query({
    args: { name: v.string() },
    handler: async (ctx, { name }) =>
      await ctx.db
        .query("counters")
        .withIndex("by_name", (q) => q.eq("name", name))
        .unique(),
  }),
  increment: mutation({
    args: { id: v.id("counters") },
    returns: v.number(),
    handler: async (ctx, { id }) => {
      const row = await ctx.db.get("counters", id);
      if (row === null) throw new Error("gone");
      await ctx.db.patch("counters", id, { n: row.n + 1 });
      return row.n + 1;
    },
  }),
  incrementInternally: internalMutation({
    args: { id: v.id("counters") },
    handler: async (ctx, { id }) => {
      const row = await ctx.db.get("counters", id);
      await ctx.db.patch("counters", id, { n: (row?.n ?? 0) + 1 });
    },
  }),
  incrementLater: mutation({
    args: { id: v.id("counters"), ms: v.number() },
    handler: async (ctx, { id, ms }) =>
      await ctx.scheduler.runAfter(ms, functions.counters!.incrementInternally!, { id }),
  }),
  incrementFromAction: action({
    args: { id: v.id("counters"), times: v.number() },
    handler: async (ctx, { id, times }) => {
      const seen: number[] = [];
      for (let i = 0; i < times; i++)
        seen.push((await ctx.runMutation(functions.counters!.increment!, { id })) as number);
      return seen;
    },
  }),
};

const items = {
  push: mutation({
    args: { queue: v.string(), n: v.number() },
    handler: async (ctx, { queue, n }) => await ctx.db.insert("items", { queue, n }),
  }),
  list: query({
    args: { queue: v.string() },
    handler: async (ctx, { queue }) =>
      (
        await ctx.db
          .query("items")
          .withIndex("by_queue_n", (q) => q.eq("queue", queue))
          .collect()
      ).map((row) => row.n),
  }),
};

export const modules = {
  "./_generated/api.js": () => Promise.resolve({}),
  "./counters.ts": () => Promise.resolve(counters),
  "./items.ts": () => Promise.resolve(items),
};

export const api = anyApi as unknown as Record<string, Record<string, never>>;

export function startApp(options: DeploymentOptions = {}): Deployment {
  return new Deployment({ schema, modules, ...options });
}
