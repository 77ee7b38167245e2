/** Public: canceling executions, and asking whether one was canceled. */
import { v } from "convex/values";
import { mutation, query } from "./_generated/server.js";
import { cancelExecution } from "./model/canceling.js";
import { getExecution } from "./model/ids.js";

/**
 * Cancels an execution. When this commits, no node of it starts any more; what is in flight is aborted within seconds
 * and writes nothing.
 * Errors: ID_INVALID, EXECUTION_NOT_FOUND, EXECUTION_ENDED.
 */
export const cancelWorkflow = mutation({
  args: { executionId: v.string(), reason: v.optional(v.string()), requester: v.optional(v.string()) },
  returns: v.null(),
  handler: async (ctx, { executionId, reason, requester }) => {
    await cancelExecution(ctx, await getExecution(ctx, executionId), { reason, requester }, Date.now());
    return null;
  },
});

/** Whether the execution was canceled, for actions that want to stop early. False for one that is gone. */
export const isCanceled = query({
  args: { executionId: v.string() },
  returns: v.boolean(),
  handler: async (ctx, { executionId }) => {
    const id = ctx.db.normalizeId("executions", executionId);
    return id !== null && (await ctx.db.get("executions", id))?.status === "canceled";
  },
});
