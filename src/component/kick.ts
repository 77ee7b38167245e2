/**
 * Wakes a shard. Scheduled by whoever queues a task on a shard that looks idle; many may be scheduled at once, the first
 * one flips the flag, the others find it set. A scheduled mutation, so Convex retries it until it commits. Internal.
 */
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import { internalMutation } from "./_generated/server.js";
import { executorRow } from "./model/queue.js";

export const kick = internalMutation({
  args: { shardIndex: v.number() },
  returns: v.null(),
  handler: async (ctx, { shardIndex }) => {
    const row = await executorRow(ctx, shardIndex);
    if (row?.running === true) return null;
    const generation = (row?.generation ?? 0) + 1;
    if (row === null) {
      await ctx.db.insert("executors", { shardIndex, running: true, generation, watching: false, watchGeneration: 0 });
    } else {
      await ctx.db.patch("executors", row._id, { running: true, generation });
    }
    await ctx.scheduler.runAfter(0, internal.pump.pump, { shardIndex, generation, idleSince: null });
    return null;
  },
});
