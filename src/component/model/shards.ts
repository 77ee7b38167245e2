/**
 * The shards' workflow instances, and the proof that a workflow belongs to an execution.
 *
 * Invariant: no workflow is touched before {@link ownedWorkflow} has shown that its arguments name the execution: ids
 * repeat across shards, so an id alone may be a stranger's.
 */
import type { FunctionReference } from "convex/server";
import type { ComponentApi as WorkflowApi } from "@convex-dev/workflow/_generated/component.js";
import { safeShardIndex } from "../../engine/placement.js";
import type { Fence } from "../../shared/checkpoint.js";
import { components, internal } from "../_generated/api.js";
import type { MutationCtx, QueryCtx } from "../_generated/server.js";

const COMPONENTS: readonly WorkflowApi[] = [
  components.shard0,
  components.shard1,
  components.shard2,
  components.shard3,
  components.shard4,
  components.shard5,
  components.shard6,
  components.shard7,
];

/** The workflow function of each shard: a workflow is bound to its instance when it is defined. */
export function shardHandler(shardIndex: number): FunctionReference<"mutation", "internal"> {
  const { shard0, shard1, shard2, shard3, shard4, shard5, shard6, shard7 } = internal.host;
  return [shard0, shard1, shard2, shard3, shard4, shard5, shard6, shard7][shardIndex]!;
}

/** The stored shard of a row, or shard 0 with a warning when it is no shard at all. */
export function shardOf(row: { _id: string; shardIndex?: unknown }): number {
  return safeShardIndex(row.shardIndex, (message) => console.warn(`[shardflow] row ${row._id}: ${message}`));
}

export function shardComponent(shardIndex: number): WorkflowApi {
  return COMPONENTS[shardOf({ _id: "argument", shardIndex })]!;
}

export type OwnedWorkflow = { running: boolean; fences: Fence[] };

/** The workflow's state if it exists on the shard and belongs to the execution, else null. */
export async function ownedWorkflow(
  ctx: QueryCtx | MutationCtx,
  shardIndex: number,
  workflowId: string,
  executionId: string,
): Promise<OwnedWorkflow | null> {
  let status;
  try {
    status = await ctx.runQuery(shardComponent(shardIndex).workflow.getStatus, { workflowId });
  } catch {
    // getStatus throws for an id that is gone or not of this shard; a query has written nothing.
    return null;
  }
  const args: unknown = status.workflow.args;
  if (typeof args !== "object" || args === null || !("fences" in args) || !Array.isArray(args.fences)) return null;
  // Written by the pump only, so what is there has this shape.
  const fences = args.fences as Fence[];
  if (!fences.some((fence) => fence.executionId === executionId)) return null;
  return { running: status.workflow.runResult === undefined, fences };
}

/**
 * Removes a workflow that runs a stretch of the execution. A stranger's, or one that is gone, is left alone.
 * @returns false when it cannot be removed yet, because another execution's stretch is still under way in it.
 */
export async function removeWorkflow(
  ctx: MutationCtx,
  shardIndex: number,
  workflowId: string,
  executionId: string,
): Promise<boolean> {
  const owned = await ownedWorkflow(ctx, shardIndex, workflowId, executionId);
  if (owned === null) return true;
  const { workflow } = shardComponent(shardIndex);
  if (!owned.running) {
    await ctx.runMutation(workflow.cleanup, { workflowId });
    return true;
  }
  for (const fence of owned.fences) {
    if (fence.executionId !== executionId && (await isUnderWay(ctx, fence))) return false;
  }
  // Canceling runs `settle`, which cleans up.
  await ctx.runMutation(workflow.cancel, { workflowId });
  return true;
}

async function isUnderWay(ctx: MutationCtx, { taskId, leaseEpoch }: Fence): Promise<boolean> {
  const task = await ctx.db.get("tasks", taskId);
  return task !== null && task.state === "claimed" && task.leaseEpoch === leaseEpoch;
}
