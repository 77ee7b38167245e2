/**
 * The end of a stretch's workflow, and what follows when the stretch did not conclude. Internal.
 *
 * Invariants: (S1) a task that is still claimed under the lease epoch of the workflow that ended is requeued, so an
 * execution that has not ended always has a next event; (S2) a workflow is removed as soon as it has ended, in the
 * transaction that ended it; (S3) a stretch that keeps dying without a checkpoint in between waits longer each time and
 * at last fails its execution, with the evidence.
 */
import { vWorkflowId } from "@convex-dev/workflow";
import { vResultValidator } from "@convex-dev/workpool";
import { v } from "convex/values";
import { MAX_CRASHES, MINUTE, REAP_DELAY_MS, SECOND } from "../shared/limits.js";
import { nodeError } from "../shared/nodeError.js";
import { internal } from "./_generated/api.js";
import type { Doc } from "./_generated/dataModel.js";
import { internalMutation, type MutationCtx } from "./_generated/server.js";
import { addEvent, endExecution, moveStatus, positionOf } from "./model/ending.js";
import { removeWorkflow, shardComponent, shardOf } from "./model/shards.js";
import { vFence, type Fence } from "../shared/checkpoint.js";

const FIRST_CRASH_DELAY_MS = 1 * SECOND;
const LAST_CRASH_DELAY_MS = 1 * MINUTE;

export const settle = internalMutation({
  args: {
    workflowId: vWorkflowId,
    result: vResultValidator,
    context: v.object({ fences: v.array(vFence), shardIndex: v.number() }),
  },
  returns: v.null(),
  handler: async (ctx, { workflowId, result, context }) => {
    const why = result.kind === "failed" ? result.error : `its workflow ended as ${result.kind} without a conclusion`;
    for (const fence of context.fences) await requeueIfClaimed(ctx, fence, why);
    await ctx.runMutation(shardComponent(context.shardIndex).workflow.cleanup, { workflowId });
    return null;
  },
});

/** One of several stretches died; the others of its workflow go on. */
export const crashed = internalMutation({
  args: { fence: vFence, why: v.string() },
  returns: v.null(),
  handler: async (ctx, { fence, why }) => {
    await requeueIfClaimed(ctx, fence, why);
    return null;
  },
});

async function requeueIfClaimed(ctx: MutationCtx, { taskId, leaseEpoch }: Fence, why: string): Promise<void> {
  const task = await ctx.db.get("tasks", taskId);
  if (task !== null && task.state === "claimed" && task.leaseEpoch === leaseEpoch)
    await requeueAfterCrash(ctx, task, why);
}

/** Removes the workflow of a stretch that was overtaken or canceled, if it is still there. */
export const reap = internalMutation({
  args: { shardIndex: v.number(), workflowId: v.string(), executionId: v.string() },
  returns: v.null(),
  handler: async (ctx, { shardIndex, workflowId, executionId }) => {
    const shard = shardOf({ _id: executionId, shardIndex });
    if (await removeWorkflow(ctx, shard, workflowId, executionId)) return null;
    // Others are under way in it. It ends by itself within the length of an action; until then, look again.
    await ctx.scheduler.runAfter(REAP_DELAY_MS, internal.settle.reap, { shardIndex: shard, workflowId, executionId });
    return null;
  },
});

/** Takes the execution from an owner that died: fences it, and lets the next stretch begin after a while. */
export async function requeueAfterCrash(ctx: MutationCtx, task: Doc<"tasks">, why: string): Promise<void> {
  const now = Date.now();
  await ctx.db.delete("tasks", task._id);
  const position = await positionOf(ctx, task.executionId);
  const execution = await ctx.db.get("executions", task.executionId);
  if (position === null || execution === null || position.ended) return;
  const crashes = position.crashes + 1;
  await ctx.db.patch("positions", position._id, { leaseEpoch: position.leaseEpoch + 1, crashes });
  await addEvent(
    ctx,
    execution._id,
    now,
    "reclaimed",
    `Stretch ${task.leaseEpoch ?? 0} ended without a conclusion: ${why}`,
  );
  if (crashes >= MAX_CRASHES) {
    const { cause: _, ...error } = nodeError(
      "INTERNAL",
      `${crashes} stretches in a row ended without a checkpoint; the last one: ${why}`,
    );
    await ctx.db.patch("positions", position._id, { ended: true });
    await endExecution(ctx, execution, { event: "fail", error }, now);
    return;
  }
  await moveStatus(ctx, execution, "park");
  const wakeAt = now + Math.min(FIRST_CRASH_DELAY_MS * 2 ** (crashes - 1), LAST_CRASH_DELAY_MS);
  const shardIndex = shardOf(task);
  const waitId = await ctx.db.insert("waits", {
    executionId: execution._id,
    shardIndex,
    kind: "crash",
    wakeAt,
    reason: why,
  });
  await ctx.scheduler.runAt(wakeAt, internal.wake.wake, { waitId });
}
