/**
 * Deleting an execution: everything in every table, in bounded batches that continue by themselves.
 *
 * Invariants: an onComplete that is owed has run, or failed for good, before anything goes; the execution's own row goes
 * last, so a cleanup that was interrupted can be found and repeated; the rows of the shard's workflow go through the
 * shard the row names, and only if they are its own.
 */
import { CLEANUP_BATCH_ROWS, REAP_DELAY_MS, SECOND } from "../../shared/limits.js";
import { internal } from "../_generated/api.js";
import type { Doc, Id, TableNames } from "../_generated/dataModel.js";
import type { MutationCtx } from "../_generated/server.js";
import { positionOf } from "./ending.js";
import { shardOf } from "./shards.js";

/** Chunks are up to 900 KB each, and a transaction reads 16 MiB. */
const PAYLOAD_BATCH = 10;

/** How long a cleanup waits for a callback before it looks again. */
const CALLBACK_WAIT_MS = 5 * SECOND;

/** Whether an onComplete is still to be run. What it is told is deleted with the execution, so it goes first. */
export async function owesCallback(ctx: MutationCtx, executionId: Id<"executions">): Promise<boolean> {
  const owed = await ctx.db
    .query("outbox")
    .withIndex("by_execution", (q) => q.eq("executionId", executionId))
    .first();
  return owed?.state === "pending";
}

/** Deletes one batch; true when the execution is gone. Otherwise the next batch is scheduled. */
export async function cleanupExecution(ctx: MutationCtx, execution: Doc<"executions">): Promise<boolean> {
  if (await owesCallback(ctx, execution._id)) {
    await ctx.scheduler.runAfter(CALLBACK_WAIT_MS, internal.cleanup.resume, { executionId: execution._id });
    return false;
  }
  const position = await positionOf(ctx, execution._id);
  if (position?.workflowId !== undefined) {
    const { workflowId } = position;
    // The workflow removes itself when it ends; one that hangs is removed later. In a transaction of its own: that one
    // touches the shard's shared documents, this one does not.
    await ctx.scheduler.runAfter(REAP_DELAY_MS, internal.settle.reap, {
      shardIndex: shardOf(execution),
      workflowId,
      executionId: execution._id,
    });
    await ctx.db.patch("positions", position._id, { workflowId: undefined });
  }
  if (await deleteRows(ctx, execution._id)) {
    await ctx.db.delete("executions", execution._id);
    return true;
  }
  await ctx.scheduler.runAfter(0, internal.cleanup.resume, { executionId: execution._id });
  return false;
}

async function deleteRows(ctx: MutationCtx, executionId: Id<"executions">): Promise<boolean> {
  let room = CLEANUP_BATCH_ROWS;
  for (const [table, batch] of [
    ["payloads", PAYLOAD_BATCH],
    ["nodeRuns", CLEANUP_BATCH_ROWS],
    ["events", CLEANUP_BATCH_ROWS],
    ["tags", CLEANUP_BATCH_ROWS],
    ["waits", CLEANUP_BATCH_ROWS],
    ["tasks", CLEANUP_BATCH_ROWS],
    ["outbox", CLEANUP_BATCH_ROWS],
    ["cancellations", CLEANUP_BATCH_ROWS],
    ["executionData", CLEANUP_BATCH_ROWS],
    ["positions", CLEANUP_BATCH_ROWS],
  ] as const) {
    const limit = Math.min(batch, room);
    const rows = await rowsOf(ctx, table, executionId, limit);
    for (const row of rows) await ctx.db.delete(table, row);
    room -= rows.length;
    if (rows.length === limit) return false;
  }
  return true;
}

type OwnedTable = Extract<
  TableNames,
  | "payloads"
  | "nodeRuns"
  | "events"
  | "tags"
  | "waits"
  | "tasks"
  | "outbox"
  | "cancellations"
  | "executionData"
  | "positions"
>;

async function rowsOf(
  ctx: MutationCtx,
  table: OwnedTable,
  executionId: Id<"executions">,
  limit: number,
): Promise<Array<Id<OwnedTable>>> {
  switch (table) {
    case "payloads":
      return ids(
        await ctx.db
          .query(table)
          .withIndex("by_execution_name_chunk", (q) => q.eq("executionId", executionId))
          .take(limit),
      );
    case "nodeRuns":
      return ids(
        await ctx.db
          .query(table)
          .withIndex("by_execution_seq", (q) => q.eq("executionId", executionId))
          .take(limit),
      );
    default:
      return ids(
        await ctx.db
          .query(table)
          .withIndex("by_execution", (q) => q.eq("executionId", executionId))
          .take(limit),
      );
  }
}

const ids = <T extends OwnedTable>(rows: Array<{ _id: Id<T> }>) => rows.map((row) => row._id);
