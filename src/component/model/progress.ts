/**
 * Writes a checkpoint: node runs, values, position and conclusion. The only writer of node runs and positions besides
 * the claim. Called behind the fence, in the fence's transaction.
 */
import { mergeVariables } from "../../engine/variables.js";
import type { Fence, FinishedRun, Progress } from "../../shared/checkpoint.js";
import { shardflowError } from "../../shared/errors.js";
import { fromJsonText, isJsonObject, type JsonObject } from "../../shared/json.js";
import { INLINE_POSITION_BYTES } from "../../shared/limits.js";
import { internal } from "../_generated/api.js";
import type { Doc } from "../_generated/dataModel.js";
import type { MutationCtx } from "../_generated/server.js";
import { endExecution, moveStatus } from "./ending.js";
import { ensureRunning } from "./queue.js";
import { shardOf } from "./shards.js";
import { loadValue, replaceValue, storeValue } from "./values.js";

/** @param committedRuns - Runs that the caller inserts itself, behind those of `progress`. */
export async function applyProgress(
  ctx: MutationCtx,
  fence: Fence,
  row: Doc<"positions">,
  progress: Progress,
  now: number,
  committedRuns = 0,
): Promise<void> {
  for (const [ordinal, run] of progress.runs.entries()) await insertRun(ctx, row, progress.seq, ordinal, run);
  for (const { name, text } of progress.payloads) await storeValue(ctx, row.executionId, name, text, 0);
  for (const [ordinal, end] of progress.passEnds.entries()) await endPass(ctx, row, `${progress.seq}.${ordinal}`, end);
  const { executionId } = row;
  await ctx.db.patch("positions", row._id, {
    lastSeq: progress.seq,
    lastFlushId: progress.flushId,
    position: await replaceValue(
      ctx,
      executionId,
      row.position,
      `position:${progress.seq}`,
      progress.position,
      INLINE_POSITION_BYTES,
    ),
    ...(progress.variables.length > 0 ? { variables: await mergedVariables(ctx, row, progress) } : {}),
    nodeRuns: row.nodeRuns + progress.runs.length + committedRuns,
    crashes: 0,
    renewedAt: now,
    ...(isEnd(progress) ? { ended: true } : {}),
  });
  if (progress.conclusion !== undefined) await conclude(ctx, fence, row, progress.conclusion, now);
}

export async function insertRun(
  ctx: MutationCtx,
  row: Doc<"positions">,
  seq: number,
  ordinal: number,
  run: FinishedRun,
): Promise<void> {
  const { output, passResult, ...fields } = run;
  const { executionId } = row;
  const name = `${seq}.${ordinal}`;
  await ctx.db.insert("nodeRuns", {
    executionId,
    shardIndex: shardOf(row),
    seq,
    ordinal,
    ...fields,
    ...(output === undefined ? {} : { output: await storeValue(ctx, executionId, `run:${name}`, output) }),
    ...(passResult === undefined
      ? {}
      : { passResult: await storeValue(ctx, executionId, `passResult:${name}`, passResult) }),
  });
}

/** Adds to a run that was written before what the pass that it ended came to. */
async function endPass(
  ctx: MutationCtx,
  { executionId }: Doc<"positions">,
  name: string,
  { key, result, error }: Progress["passEnds"][number],
): Promise<void> {
  const run = await ctx.db
    .query("nodeRuns")
    .withIndex("by_execution_key", (q) => q.eq("executionId", executionId).eq("key", key))
    .first();
  if (run === null) throw shardflowError("CORRUPT_ROW", { message: `The run "${key}" is missing.`, executionId });
  await ctx.db.patch("nodeRuns", run._id, {
    ...(result === undefined ? {} : { passResult: await storeValue(ctx, executionId, `passEnd:${name}`, result) }),
    ...(error === undefined ? {} : { passError: error }),
  });
}

const isEnd = ({ conclusion }: Progress) => conclusion?.kind === "succeeded" || conclusion?.kind === "failed";

async function mergedVariables(
  ctx: MutationCtx,
  row: Doc<"positions">,
  progress: Progress,
): Promise<Doc<"positions">["variables"]> {
  const { executionId } = row;
  const base = object(await loadValue(ctx, executionId, row.variables));
  const patches = progress.variables.map((text) => {
    const { writer, values } = object(text);
    return { writer: typeof writer === "string" ? writer : "", values: isJsonObject(values) ? values : {} };
  });
  return await replaceValue(
    ctx,
    executionId,
    row.variables,
    `variables:${progress.seq}`,
    JSON.stringify(mergeVariables(base, patches)),
  );
}

function object(text: string): JsonObject {
  const value = fromJsonText(text, "the variables");
  if (!isJsonObject(value)) throw shardflowError("CORRUPT_ROW", { message: "The stored variables are not an object." });
  return value;
}

/** Ends the stretch: the task goes away or back to the queue, in the same transaction as the last runs. */
async function conclude(
  ctx: MutationCtx,
  fence: Fence,
  row: Doc<"positions">,
  conclusion: NonNullable<Progress["conclusion"]>,
  now: number,
): Promise<void> {
  const execution = await ctx.db.get("executions", row.executionId);
  if (execution === null) throw shardflowError("CORRUPT_ROW", { message: `Execution ${row.executionId} is missing.` });
  const shardIndex = shardOf(row);
  if (conclusion.kind === "yield") {
    await ctx.db.patch("tasks", fence.taskId, {
      shardIndex,
      state: "queued",
      lane: 0,
      leaseEpoch: undefined,
      claimedAt: undefined,
      workflowId: undefined,
    });
    await ensureRunning(ctx, shardIndex);
    return;
  }
  await ctx.db.delete("tasks", fence.taskId);
  switch (conclusion.kind) {
    case "succeeded":
      return await endExecution(ctx, execution, { event: "succeed", output: conclusion.output }, now);
    case "failed":
      return await endExecution(ctx, execution, { event: "fail", error: conclusion.error, node: conclusion.node }, now);
    case "park": {
      const { wakeAt, node, reason } = conclusion;
      await moveStatus(ctx, execution, "park");
      const waitId = await ctx.db.insert("waits", {
        executionId: execution._id,
        shardIndex,
        kind: "retry",
        node,
        wakeAt,
        reason,
      });
      await ctx.scheduler.runAt(wakeAt, internal.wake.wake, { waitId });
    }
  }
}
