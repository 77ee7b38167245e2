/** Ends a wait: the wait row goes, a task comes. Touches neither the execution nor its position. Internal. */
import { v } from "convex/values";
import { internalMutation } from "./_generated/server.js";
import { enqueueResumed } from "./model/queue.js";
import { shardOf } from "./model/shards.js";

export const wake = internalMutation({
  args: { waitId: v.id("waits") },
  returns: v.null(),
  handler: async (ctx, { waitId }) => {
    const wait = await ctx.db.get("waits", waitId);
    // Gone: the execution was canceled or cleaned up, or this is a repeat.
    if (wait === null) return null;
    const execution = await ctx.db.get("executions", wait.executionId);
    await ctx.db.delete("waits", waitId);
    if (execution !== null) await enqueueResumed(ctx, execution, shardOf(wait));
    return null;
  },
});
