/** The app functions that the definitions of the API tests call. */
import {
  actionGeneric,
  mutationGeneric,
  queryGeneric,
  type ActionBuilder,
  type MutationBuilder,
  type QueryBuilder,
} from "convex/server";
import { v } from "convex/values";
import { vOnCompleteArgs } from "../../../../src/shared/views.js";
import type { DataModel } from "./schema.js";

const query: QueryBuilder<DataModel, "public"> = queryGeneric;
const mutation: MutationBuilder<DataModel, "public"> = mutationGeneric;
const action: ActionBuilder<DataModel, "public"> = actionGeneric;

/** Bound as a query. */
export const lookup = query({
  args: { id: v.string() },
  returns: v.object({ id: v.string(), plan: v.string() }),
  handler: async (_ctx, { id }) => ({ id, plan: "pro" }),
});

/** Bound as an action: does what it is told. */
export const work = action({
  args: { mode: v.string(), ms: v.optional(v.number()) },
  returns: v.string(),
  handler: async (_ctx, { mode, ms = 0 }) => {
    if (mode === "throw") throw new Error("the app refuses");
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
    return mode;
  },
});

/** Bound as an action that is given a secret and gives it back, as a careless one would. */
export const leak = action({
  args: { key: v.string(), fail: v.boolean() },
  returns: v.object({ echoed: v.string() }),
  handler: async (_ctx, { key, fail }) => {
    if (fail) throw new Error(`the key ${key} was refused`);
    return { echoed: `Bearer ${key}` };
  },
});

/** Bound as a mutation: gives back what it was given. */
export const note = mutation({
  args: { text: v.string() },
  returns: v.string(),
  handler: async (_ctx, { text }) => text,
});

/** The onComplete of the tests. Writes, and then throws while the switch "callback" is on. */
export const completed = mutation({
  args: vOnCompleteArgs.fields,
  returns: v.null(),
  handler: async (ctx, args) => {
    await ctx.db.insert("completions", { executionId: args.executionId, args: JSON.stringify(args) });
    const row = await ctx.db
      .query("switches")
      .withIndex("by_name", (q) => q.eq("name", "callback"))
      .unique();
    if (row?.on === true) throw new Error("the callback refuses");
    return null;
  },
});
