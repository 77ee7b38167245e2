/** Snapshot reads of a shard's queue, for callers that must not conflict with inserts into it. Internal. */
import { v } from "convex/values";
import { internalQuery } from "./_generated/server.js";
import { executorRow, NEW_LANE, RESUMED_LANE } from "./model/queue.js";

/** Whether the shard's pump is alive. Call with a stale snapshot: see ensureRunning. */
export const isRunning = internalQuery({
  args: { shardIndex: v.number() },
  returns: v.boolean(),
  handler: async (ctx, { shardIndex }) => (await executorRow(ctx, shardIndex))?.running === true,
});

/**
 * The tasks to claim next, oldest execution first, and how many stretches are in flight. One task more than there is
 * room for, so that the head of a full queue can say why it waits.
 */
export const head = internalQuery({
  args: { shardIndex: v.number(), limit: v.number(), capacity: v.number() },
  returns: v.object({ taskIds: v.array(v.id("tasks")), inFlight: v.number() }),
  handler: async (ctx, { shardIndex, limit, capacity }) => {
    const queued = async (lane: number, count: number) =>
      await ctx.db
        .query("tasks")
        .withIndex("by_shard_state_lane_order", (q) =>
          q.eq("shardIndex", shardIndex).eq("state", "queued").eq("lane", lane),
        )
        .take(count);
    const resumed = await queued(RESUMED_LANE, limit);
    const fresh = await queued(NEW_LANE, Math.min(1, limit - resumed.length));
    // What is in flight is counted only when there is something to claim, and only as far as it matters.
    if (resumed.length + fresh.length === 0) return { taskIds: [], inFlight: 0 };
    const claimed = await ctx.db
      .query("tasks")
      .withIndex("by_shard_state_claimedAt", (q) => q.eq("shardIndex", shardIndex).eq("state", "claimed"))
      .take(capacity);
    const room = Math.min(limit, capacity - claimed.length + 1);
    const more = room - resumed.length > 1 ? await queued(NEW_LANE, room - resumed.length) : fresh;
    const taskIds = [...resumed, ...more].slice(0, room).map((row) => row._id);
    return { taskIds, inFlight: claimed.length };
  },
});

/** Claimed tasks of the shard whose owner has given no sign of life for too long. */
export const expired = internalQuery({
  args: { shardIndex: v.number(), claimedBefore: v.number(), renewedBefore: v.number(), limit: v.number() },
  returns: v.array(v.id("tasks")),
  handler: async (ctx, { shardIndex, claimedBefore, renewedBefore, limit }) => {
    const found = [];
    const claimed = await ctx.db
      .query("tasks")
      .withIndex("by_shard_state_claimedAt", (q) => q.eq("shardIndex", shardIndex).eq("state", "claimed"))
      .take(limit);
    for (const task of claimed) {
      const position = await ctx.db
        .query("positions")
        .withIndex("by_execution", (q) => q.eq("executionId", task.executionId))
        .unique();
      if (position === null || isExpired(task.claimedAt ?? 0, position.renewedAt, claimedBefore, renewedBefore)) {
        found.push(task._id);
      }
    }
    return found;
  },
});

/** An owner that was heard of is given the lease; one that never began is given time in the workpool's queue. */
export function isExpired(claimedAt: number, renewedAt: number, claimedBefore: number, renewedBefore: number): boolean {
  return renewedAt > claimedAt ? renewedAt < renewedBefore : claimedAt < claimedBefore;
}
