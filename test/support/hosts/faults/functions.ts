/**
 * The app functions that the definitions of the fault tests call.
 * Every effect is a row, so that a test counts what happened instead of trusting what was reported.
 */
import {
  actionGeneric,
  internalMutationGeneric,
  makeFunctionReference,
  mutationGeneric,
  queryGeneric,
  type ActionBuilder,
  type MutationBuilder,
  type QueryBuilder,
} from "convex/server";
import { v } from "convex/values";
import { vOnCompleteArgs } from "../../../../src/shared/views.js";
import { components } from "../../../../convex/_generated/api.js";
import type { DataModel } from "./schema.js";

const query: QueryBuilder<DataModel, "public"> = queryGeneric;
const mutation: MutationBuilder<DataModel, "public"> = mutationGeneric;
const internalMutation: MutationBuilder<DataModel, "internal"> = internalMutationGeneric;
const action: ActionBuilder<DataModel, "public"> = actionGeneric;

const called = makeFunctionReference<"mutation", { key: string; node: string; attempt: number }, number>(
  "functions:calledRow",
);
const node = { key: v.string(), node: v.string(), attempt: v.number() };

/** Bound as a mutation: one effect per node run. */
export const record = mutation({
  args: { key: v.string(), note: v.string() },
  returns: v.object({ key: v.string(), note: v.string() }),
  handler: async (ctx, args) => {
    await ctx.db.insert("effects", args);
    return args;
  },
});

/** Bound as a mutation that writes and then throws while the switch "refuse" is on. */
export const refuse = mutation({
  args: { key: v.string(), note: v.string() },
  returns: v.null(),
  handler: async (ctx, args) => {
    await ctx.db.insert("effects", args);
    const row = await ctx.db
      .query("switches")
      .withIndex("by_name", (q) => q.eq("name", "refuse"))
      .unique();
    if (row?.on === true) throw new Error("the app refuses");
    return null;
  },
});

/** Bound as a mutation that cancels the execution it runs in. */
export const cancelSelf = mutation({
  args: { key: v.string(), executionId: v.string() },
  returns: v.null(),
  handler: async (ctx, { key, executionId }) => {
    await ctx.db.insert("effects", { key, note: "canceled itself" });
    await ctx.runMutation(components.shardflow.cancellations.cancelWorkflow, { executionId, requester: "itself" });
    return null;
  },
});

/** Bound as a query. */
export const lookup = query({
  args: { word: v.string() },
  returns: v.string(),
  handler: async (_ctx, { word }) => word.toUpperCase(),
});

/** Bound as an action: its call is a row before it returns. */
export const notify = action({
  args: node,
  returns: v.object({ sent: v.boolean() }),
  handler: async (ctx, args) => {
    await ctx.runMutation(called, args);
    return { sent: true };
  },
});

/** Bound as an action whose first call throws, after it was seen. */
export const flaky = action({
  args: node,
  returns: v.string(),
  handler: async (ctx, args) => {
    const calls = await ctx.runMutation(called, args);
    if (calls === 1) throw new Error("not this time");
    return "at last";
  },
});

export const calledRow = internalMutation({
  args: node,
  returns: v.number(),
  handler: async (ctx, args) => {
    await ctx.db.insert("calls", args);
    const rows = await ctx.db
      .query("calls")
      .withIndex("by_key", (q) => q.eq("key", args.key))
      .collect();
    return rows.length;
  },
});

/** The onComplete of the tests. Writes, and then throws while the switch "callback" is on. */
export const completed = mutation({
  args: vOnCompleteArgs.fields,
  returns: v.null(),
  handler: async (ctx, { executionId, result, context }) => {
    await ctx.db.insert("completions", { executionId, status: result.status, result: JSON.stringify(result), context });
    const row = await ctx.db
      .query("switches")
      .withIndex("by_name", (q) => q.eq("name", "callback"))
      .unique();
    if (row?.on === true) throw new Error("the callback refuses");
    return null;
  },
});
