/**
 * The watchdog of a shard: finds claimed tasks whose owner is dead. Internal.
 *
 * It lives while any task of the shard is claimed, re-arms itself, and is gone when none is. It looks through a stale
 * snapshot and reads for real only what looks dead, so it never stands in the way of checkpoints.
 */
import { v } from "convex/values";
import { LEASE_MS, REAP_DELAY_MS, START_LEASE_MS, WATCH_INTERVAL_MS } from "../shared/limits.js";
import { internal } from "./_generated/api.js";
import { internalMutation } from "./_generated/server.js";
import { positionOf } from "./model/ending.js";
import { executorRow } from "./model/queue.js";
import { shardOf } from "./model/shards.js";
import { isExpired } from "./queue.js";
import { requeueAfterCrash } from "./settle.js";

const WATCH_LIMIT = 500;

export const watch = internalMutation({
  args: { shardIndex: v.number(), watchGeneration: v.number() },
  returns: v.null(),
  handler: async (ctx, { shardIndex, watchGeneration }) => {
    const row = await executorRow(ctx, shardIndex);
    if (row === null || !row.watching || row.watchGeneration !== watchGeneration) return null;
    const now = Date.now();
    const limits = { claimedBefore: now - START_LEASE_MS, renewedBefore: now - LEASE_MS };
    const suspects = await ctx.runQuery(
      internal.queue.expired,
      { shardIndex, ...limits, limit: WATCH_LIMIT },
      { useStaleSnapshot: true },
    );
    for (const taskId of suspects) {
      const task = await ctx.db.get("tasks", taskId);
      if (task === null || task.state !== "claimed") continue;
      const position = await positionOf(ctx, task.executionId);
      const renewedAt = position?.renewedAt ?? 0;
      if (position !== null && !isExpired(task.claimedAt ?? 0, renewedAt, limits.claimedBefore, limits.renewedBefore))
        continue;
      const silence = Math.round((now - Math.max(renewedAt, task.claimedAt ?? 0)) / 1000);
      await requeueAfterCrash(ctx, task, `its owner gave no sign of life for ${silence} s`);
      if (task.workflowId !== undefined) {
        const { workflowId, executionId } = task;
        await ctx.scheduler.runAfter(REAP_DELAY_MS, internal.settle.reap, {
          shardIndex: shardOf(task),
          workflowId,
          executionId,
        });
      }
    }
    const claimed = await ctx.db
      .query("tasks")
      .withIndex("by_shard_state_claimedAt", (q) => q.eq("shardIndex", shardIndex).eq("state", "claimed"))
      .first();
    if (claimed === null) await ctx.db.patch("executors", row._id, { watching: false });
    else await ctx.scheduler.runAfter(WATCH_INTERVAL_MS, internal.watch.watch, { shardIndex, watchGeneration });
    return null;
  },
});
