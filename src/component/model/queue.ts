/**
 * Putting tasks into a shard's queue and waking its pump.
 *
 * Invariant: whoever inserts or requeues a task calls {@link ensureRunning} in the same transaction, so a queued task
 * always has a pump that will look again, or a kick that starts one.
 * The running flag is read from a stale snapshot first. Not running: a kick is scheduled, a blind insert, and nothing
 * was depended on, so 500 starts on an idle deployment do not conflict. Running: it is read again for real, because
 * the pump may be going idle; only that flip conflicts with a start.
 */
import { internal } from "../_generated/api.js";
import type { Doc, Id } from "../_generated/dataModel.js";
import type { MutationCtx, QueryCtx } from "../_generated/server.js";

export async function ensureRunning(ctx: MutationCtx, shardIndex: number): Promise<void> {
  const seen = await ctx.runQuery(internal.queue.isRunning, { shardIndex }, { useStaleSnapshot: true });
  if (seen) {
    const row = await executorRow(ctx, shardIndex);
    if (row?.running === true) return;
  }
  await ctx.scheduler.runAfter(0, internal.kick.kick, { shardIndex });
}

export async function executorRow(ctx: Pick<QueryCtx, "db">, shardIndex: number): Promise<Doc<"executors"> | null> {
  return await ctx.db
    .query("executors")
    .withIndex("by_shard", (q) => q.eq("shardIndex", shardIndex))
    .unique();
}

/** Lane of a task: what was begun goes before what is new. */
export const RESUMED_LANE = 0;
export const NEW_LANE = 1;

/** Queues a stretch of an execution that has begun. */
export async function enqueueResumed(
  ctx: MutationCtx,
  execution: Doc<"executions">,
  shardIndex: number,
): Promise<Id<"tasks">> {
  const taskId = await ctx.db.insert("tasks", {
    shardIndex,
    state: "queued",
    lane: RESUMED_LANE,
    priority: 0,
    order: execution.createdTs,
    scope: execution.scope,
    executionId: execution._id,
  });
  await ensureRunning(ctx, shardIndex);
  return taskId;
}
