/**
 * Starts again what has stopped. Run by the component's cron every few minutes. Internal.
 *
 * Pumps, watchdogs and wakes are scheduled mutations, which Convex never loses. But an operator can cancel scheduled
 * functions, and a deploy can remove the function of a job. Then a flag says "running" and nothing runs; this finds it.
 * A chain that is alive after all notices the new generation and ends itself, so a needless revival does no harm.
 * A task whose shard is none is in the queue of no shard: it is moved to shard 0, like every such row.
 */
import { v } from "convex/values";
import { MAX_SHARDS } from "../shared/limits.js";
import { internal } from "./_generated/api.js";
import type { Doc } from "./_generated/dataModel.js";
import { internalMutation, type MutationCtx } from "./_generated/server.js";
import { hasForgottenClaim, hasStuckQueue, overdueWaits } from "./model/overdue.js";
import { ensureRunning, executorRow } from "./model/queue.js";
import { shardOf } from "./model/shards.js";

const WAKE_BATCH = 100;
const STRAY_BATCH = 100;

export const revive = internalMutation({
  args: {},
  returns: v.object({ pumps: v.number(), watches: v.number(), wakes: v.number(), strays: v.number() }),
  handler: async (ctx) => {
    const now = Date.now();
    const counts = { pumps: 0, watches: 0, wakes: 0, strays: await adoptStrays(ctx) };
    for (let shardIndex = 0; shardIndex < MAX_SHARDS; shardIndex++) {
      const row = await executorRow(ctx, shardIndex);
      const stuck = await hasStuckQueue(ctx, shardIndex, now);
      if (row === null) {
        // Never kicked: the first kick is the one that was lost, and nothing else of the shard can be.
        if (!stuck) continue;
        await ctx.scheduler.runAfter(0, internal.kick.kick, { shardIndex });
        counts.pumps++;
        continue;
      }
      if (stuck) {
        const generation = row.generation + 1;
        await ctx.db.patch("executors", row._id, { running: true, generation });
        await ctx.scheduler.runAfter(0, internal.pump.pump, { shardIndex, generation, idleSince: null });
        counts.pumps++;
      }
      if (await hasForgottenClaim(ctx, shardIndex, now)) {
        const watchGeneration = row.watchGeneration + 1;
        await ctx.db.patch("executors", row._id, { watching: true, watchGeneration });
        await ctx.scheduler.runAfter(0, internal.watch.watch, { shardIndex, watchGeneration });
        counts.watches++;
      }
      counts.wakes += await wakeOverdue(ctx, shardIndex, now);
    }
    return counts;
  },
});

/** What index order puts before shard 0, after the last shard (with all that is no number), and in between. */
async function adoptStrays(ctx: MutationCtx): Promise<number> {
  const strays = await tasksBetween(ctx, null, 0);
  for (let shardIndex = 0; shardIndex < MAX_SHARDS - 1; shardIndex++) {
    strays.push(...(await tasksBetween(ctx, shardIndex, shardIndex + 1)));
  }
  strays.push(...(await tasksBetween(ctx, MAX_SHARDS - 1, null)));
  for (const task of strays) {
    const shardIndex = shardOf(task);
    await ctx.db.patch("tasks", task._id, { shardIndex });
    await ensureRunning(ctx, shardIndex);
  }
  return strays.length;
}

async function tasksBetween(ctx: MutationCtx, after: number | null, before: number | null): Promise<Doc<"tasks">[]> {
  return await ctx.db
    .query("tasks")
    .withIndex("by_shard_state_lane_order", (q) => {
      if (after === null) return q.lt("shardIndex", before ?? 0);
      return before === null ? q.gt("shardIndex", after) : q.gt("shardIndex", after).lt("shardIndex", before);
    })
    .take(STRAY_BATCH);
}

async function wakeOverdue(ctx: MutationCtx, shardIndex: number, now: number): Promise<number> {
  const overdue = await overdueWaits(ctx, shardIndex, now, WAKE_BATCH);
  for (const { _id } of overdue) await ctx.scheduler.runAfter(0, internal.wake.wake, { waitId: _id });
  return overdue.length;
}
