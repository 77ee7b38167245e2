/**
 * What should have happened on a shard and has not: the questions that revive acts on and health reports.
 * Each reads the first rows of one index range.
 */
import { MINUTE, START_LEASE_MS } from "../../shared/limits.js";
import type { Doc } from "../_generated/dataModel.js";
import type { QueryCtx } from "../_generated/server.js";
import { NEW_LANE, RESUMED_LANE } from "./queue.js";

/** A healthy pump looks five times a second; a queue this old is stuck, or full. */
const STUCK_AFTER_MS = 2 * MINUTE;

export async function hasStuckQueue(ctx: QueryCtx, shardIndex: number, now: number): Promise<boolean> {
  for (const lane of [RESUMED_LANE, NEW_LANE]) {
    const oldest = await ctx.db
      .query("tasks")
      .withIndex("by_shard_state_lane_order", (q) =>
        q.eq("shardIndex", shardIndex).eq("state", "queued").eq("lane", lane),
      )
      .first();
    if (oldest !== null && oldest._creationTime < now - STUCK_AFTER_MS) return true;
  }
  return false;
}

export async function hasForgottenClaim(ctx: QueryCtx, shardIndex: number, now: number): Promise<boolean> {
  const oldest = await ctx.db
    .query("tasks")
    .withIndex("by_shard_state_claimedAt", (q) => q.eq("shardIndex", shardIndex).eq("state", "claimed"))
    .first();
  return oldest !== null && (oldest.claimedAt ?? 0) < now - START_LEASE_MS - STUCK_AFTER_MS;
}

export async function overdueWaits(
  ctx: QueryCtx,
  shardIndex: number,
  now: number,
  limit: number,
): Promise<Doc<"waits">[]> {
  return await ctx.db
    .query("waits")
    .withIndex("by_shard_wakeAt", (q) => q.eq("shardIndex", shardIndex).lt("wakeAt", now - STUCK_AFTER_MS))
    .take(limit);
}
