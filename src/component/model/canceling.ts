/**
 * Canceling one execution.
 *
 * Invariant: after the transaction commits no node of the execution starts and nothing of it is recorded any more: the
 * cancellation row is in the range that every checkpoint reads. The hot row is not touched, so an execution that
 * checkpoints without pause cannot starve its cancel.
 */
import { isTerminal } from "../../engine/machine/machine.js";
import { EXECUTION_MACHINE } from "../../engine/machine/execution.js";
import { shardflowError } from "../../shared/errors.js";
import { internal } from "../_generated/api.js";
import type { Doc } from "../_generated/dataModel.js";
import type { MutationCtx } from "../_generated/server.js";
import { REAP_DELAY_MS } from "../../shared/limits.js";
import { dropPending, endExecution } from "./ending.js";
import { shardOf } from "./shards.js";

export type CancelRequest = { reason?: string | undefined; requester?: string | undefined };

export function hasEnded(execution: Doc<"executions">): boolean {
  return isTerminal(EXECUTION_MACHINE, execution.status);
}

export async function cancelExecution(
  ctx: MutationCtx,
  execution: Doc<"executions">,
  request: CancelRequest,
  now: number,
): Promise<void> {
  if (hasEnded(execution)) {
    throw shardflowError("EXECUTION_ENDED", {
      message: `Execution ${execution._id} has ended (${execution.status}); it cannot be canceled.`,
      executionId: execution._id,
      status: execution.status,
    });
  }
  const { reason, requester } = request;
  await ctx.db.insert("cancellations", {
    executionId: execution._id,
    at: now,
    ...(reason === undefined ? {} : { reason }),
    ...(requester === undefined ? {} : { requester }),
  });
  const tasks = await dropPending(ctx, execution._id);
  await endExecution(ctx, execution, { event: "cancel" }, now);
  // A stretch that runs notices by itself within seconds and its workflow then ends; only one that hangs is removed.
  for (const { workflowId } of tasks) {
    if (workflowId === undefined) continue;
    const shardIndex = shardOf(execution);
    await ctx.scheduler.runAfter(REAP_DELAY_MS, internal.settle.reap, {
      shardIndex,
      workflowId,
      executionId: execution._id,
    });
  }
}
