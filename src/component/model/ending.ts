/**
 * The one way an execution ends.
 *
 * Invariant: in one transaction the status becomes terminal, the result is kept, the owed callback is put into the
 * outbox, and no task or wait is left. The status machine refuses a second end.
 */
import { EXECUTION_MACHINE } from "../../engine/machine/execution.js";
import { move } from "../../engine/machine/machine.js";
import type { ExecutionStatus } from "../../shared/status.js";
import type { StoredNodeError } from "../../shared/values.js";
import { nodeError, truncateText } from "../../shared/nodeError.js";
import { internal } from "../_generated/api.js";
import type { Doc, Id } from "../_generated/dataModel.js";
import type { MutationCtx, QueryCtx } from "../_generated/server.js";
import { shardOf } from "./shards.js";
import { storeValue } from "./values.js";

export type Ending =
  | { event: "succeed"; output: string }
  | { event: "fail"; error: StoredNodeError; node?: string | undefined }
  | { event: "cancel" };

export async function endExecution(
  ctx: MutationCtx,
  execution: Doc<"executions">,
  wanted: Ending,
  now: number,
): Promise<void> {
  const data = await dataOf(ctx, execution._id);
  // A result that cannot be kept is none.
  const ending = data === null && wanted.event === "succeed" ? withoutValues() : wanted;
  const status: ExecutionStatus = move(EXECUTION_MACHINE, execution.status, ending.event);
  await ctx.db.patch("executions", execution._id, {
    status,
    endedAt: now,
    ...(ending.event === "fail" ? { lastError: errorLine(ending.error, ending.node) } : {}),
  });
  if (data !== null) await keepResult(ctx, data, ending);
  if (data?.onComplete !== undefined) await oweCallback(ctx, execution, data.onComplete);
}

function withoutValues(): Ending {
  const message = "The row with the input is missing, so there is nowhere to keep the result.";
  const { cause: _, ...error } = nodeError("CORRUPT_ROW", message);
  return { event: "fail", error };
}

/** Deletes what would make the execution go on. */
export async function dropPending(ctx: MutationCtx, executionId: Id<"executions">): Promise<Array<Doc<"tasks">>> {
  // One task and one wait at most; more would be a broken invariant, and is cleaned all the same.
  const tasks = await ctx.db
    .query("tasks")
    .withIndex("by_execution", (q) => q.eq("executionId", executionId))
    .take(10);
  for (const task of tasks) await ctx.db.delete("tasks", task._id);
  const waits = await ctx.db
    .query("waits")
    .withIndex("by_execution", (q) => q.eq("executionId", executionId))
    .take(10);
  for (const wait of waits) await ctx.db.delete("waits", wait._id);
  return tasks;
}

export async function dataOf(
  ctx: Pick<QueryCtx, "db">,
  executionId: Id<"executions">,
): Promise<Doc<"executionData"> | null> {
  return await ctx.db
    .query("executionData")
    .withIndex("by_execution", (q) => q.eq("executionId", executionId))
    .unique();
}

export async function positionOf(
  ctx: Pick<QueryCtx, "db">,
  executionId: Id<"executions">,
): Promise<Doc<"positions"> | null> {
  return await ctx.db
    .query("positions")
    .withIndex("by_execution", (q) => q.eq("executionId", executionId))
    .unique();
}

export async function addEvent(
  ctx: MutationCtx,
  executionId: Id<"executions">,
  at: number,
  type: string,
  detail: string,
): Promise<void> {
  await ctx.db.insert("events", { executionId, at, type, detail });
}

/** Moves the status along, writing only when it changes. */
export async function moveStatus(
  ctx: MutationCtx,
  execution: Doc<"executions">,
  event: "claim" | "park",
): Promise<void> {
  if (event === "claim" && execution.status === "running") return;
  await ctx.db.patch("executions", execution._id, { status: move(EXECUTION_MACHINE, execution.status, event) });
}

async function keepResult(ctx: MutationCtx, data: Doc<"executionData">, ending: Ending): Promise<void> {
  if (ending.event === "succeed") {
    const output = await storeValue(ctx, data.executionId, "output", ending.output);
    await ctx.db.patch("executionData", data._id, { output });
  } else if (ending.event === "fail") {
    const error = ending.node === undefined ? ending.error : { ...ending.error, node: ending.node };
    await ctx.db.patch("executionData", data._id, { error });
  }
}

async function oweCallback(ctx: MutationCtx, execution: Doc<"executions">, handle: string): Promise<void> {
  const outboxId = await ctx.db.insert("outbox", {
    executionId: execution._id,
    shardIndex: shardOf(execution),
    handle,
    state: "pending",
    attempt: 0,
  });
  await ctx.scheduler.runAfter(0, internal.outbox.attempt, { outboxId });
}

function errorLine(error: StoredNodeError, node: string | undefined): string {
  return truncateText(`${error.code}${node === undefined ? "" : ` at ${node}`}: ${error.message}`, 300);
}
