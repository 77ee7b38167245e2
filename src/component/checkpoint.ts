/**
 * The mutations through which a stretch writes. Internal.
 *
 * Invariants: every write stands behind the fence (src/engine/fence.ts); user code runs in a transaction of its own,
 * together with the record of its node run, and nothing is caught inside it.
 */
import { v } from "convex/values";
import type { FunctionHandle } from "convex/server";
import { checkFence, type FenceVerdict } from "../engine/fence.js";
import { createSecretScope, lazySecrets } from "../engine/secrets.js";
import { checkValueSize, fromConvexResult, toConvexArgs } from "../engine/values.js";
import {
  vCommitReply,
  vFence,
  vFinishedRun,
  vProgress,
  vReply,
  type CommitReply,
  type Fence,
  type Reply,
} from "../shared/checkpoint.js";
import { shardflowError } from "../shared/errors.js";
import { fromJsonText, isJsonObject } from "../shared/json.js";
import { MAX_VALUE_BYTES, MB } from "../shared/limits.js";
import { vNodeError } from "../shared/values.js";
import type { Doc } from "./_generated/dataModel.js";
import { env, internalMutation, internalQuery, type MutationCtx, type QueryCtx } from "./_generated/server.js";
import { dropPending, endExecution } from "./model/ending.js";
import { applyProgress, insertRun } from "./model/progress.js";
import { loadValue } from "./model/values.js";

/**
 * What the app's mutation may use; the rest of the transaction is for the record of its run. Position and variables, up
 * to MAX_VALUE_BYTES each, are read and written beside it, and a transaction has 16 MiB of either.
 */
const USER_TRANSACTION_LIMITS = {
  documentsWritten: 15_000,
  documentsRead: 30_000,
  bytesWritten: 7 * MB,
  bytesRead: 7 * MB,
  databaseQueries: 4_000,
};

export const checkpoint = internalMutation({
  args: { fence: vFence, progress: vProgress },
  returns: vReply,
  handler: async (ctx, { fence, progress }): Promise<Reply> => {
    const { row, verdict } = await checkWriter(ctx, fence, progress);
    if (row === null || verdict !== "apply") return { kind: verdict === "repeat" ? "repeated" : refusal(verdict) };
    await applyProgress(ctx, fence, row, progress, Date.now());
    return { kind: "applied" };
  },
});

/**
 * Runs the app's mutation and records its node run, in one transaction: the mutation's effects and the record commit
 * together or not at all. Throws what the mutation throws.
 */
export const commitUserMutation = internalMutation({
  args: {
    fence: vFence,
    progress: vProgress,
    run: vFinishedRun.omit("output", "status", "endedAt", "port", "error", "usage", "passResult", "passError"),
    handle: v.string(),
    /** JSON text of the arguments, with markers in place of secrets. */
    args: v.string(),
    secretNonce: v.string(),
  },
  returns: vCommitReply,
  handler: async (ctx, { fence, progress, run, handle, args, secretNonce }): Promise<CommitReply> => {
    const { row, verdict } = await checkWriter(ctx, fence, progress);
    if (row !== null && verdict === "repeat")
      return { kind: "committed", output: await recordedOutput(ctx, row, run.key) };
    if (row === null || verdict !== "apply") return { kind: refusal(verdict) };

    const secrets = createSecretScope(lazySecrets(env.SHARDFLOW_SECRETS), secretNonce);
    const rendered = secrets.resolve(fromJsonText(args, "the arguments"), "app");
    if (!isJsonObject(rendered))
      throw shardflowError("VALUE_NOT_CONVEX", { message: "The arguments are not an object." });
    const result: unknown = await ctx.runMutation(handle as FunctionHandle<"mutation">, toConvexArgs(rendered), {
      transactionLimits: USER_TRANSACTION_LIMITS,
    });
    const output = secrets.scrub(fromConvexResult(result, "The result of the mutation"));
    checkValueSize(output, "The result of the mutation", MAX_VALUE_BYTES);

    // The mutation may have canceled or cleaned up its own execution: what it did is recorded, and nothing goes on.
    const after = await checkWriter(ctx, fence, progress);
    if (after.row === null) return { kind: "stale" };
    if (after.verdict !== "apply" && after.verdict !== "canceled") return { kind: refusal(after.verdict) };
    const now = Date.now();
    await applyProgress(ctx, fence, after.row, progress, now, 1);
    await insertRun(ctx, after.row, progress.seq, progress.runs.length, {
      ...run,
      status: "succeeded",
      port: "success",
      output,
      endedAt: now,
    });
    return after.verdict === "canceled" ? { kind: "canceled" } : { kind: "committed", output };
  },
});

/** Fails the execution of a stretch that cannot read what is stored: the next one would read the same. */
export const giveUp = internalMutation({
  args: { fence: vFence, error: vNodeError },
  returns: v.null(),
  handler: async (ctx, { fence, error }) => {
    const { row, owner } = await ownership(ctx, fence);
    const execution = await ctx.db.get("executions", fence.executionId);
    if (row === null || execution === null || !owner) return null;
    await ctx.db.patch("positions", row._id, { ended: true });
    await dropPending(ctx, fence.executionId);
    await endExecution(ctx, execution, { event: "fail", error }, Date.now());
    return null;
  },
});

/** A sign of life of a stretch whose node takes long. False: the execution was canceled or taken over. */
export const renew = internalMutation({
  args: { fence: vFence },
  returns: v.boolean(),
  handler: async (ctx, { fence }) => {
    const { row, owner } = await ownership(ctx, fence);
    if (row === null || !owner) return false;
    await ctx.db.patch("positions", row._id, { renewedAt: Date.now() });
    return true;
  },
});

/** Whether the stretch still owns the execution. */
export const isOwner = internalQuery({
  args: { fence: vFence },
  returns: v.boolean(),
  handler: async (ctx, { fence }) => (await ownership(ctx, fence)).owner,
});

/** Whether a flush whose reply was lost has been written. */
export const hasLanded = internalQuery({
  args: { fence: vFence, seq: v.number(), flushId: v.string() },
  returns: v.boolean(),
  handler: async (ctx, { fence, seq, flushId }) => {
    const row = await ctx.db.get("positions", fence.positionId);
    return row !== null && row.lastSeq === seq && row.lastFlushId === flushId;
  },
});

async function ownership(ctx: QueryCtx, fence: Fence): Promise<{ row: Doc<"positions"> | null; owner: boolean }> {
  const row = await ctx.db.get("positions", fence.positionId);
  const owner = row !== null && !row.ended && row.leaseEpoch === fence.leaseEpoch && !(await isCanceled(ctx, fence));
  return { row, owner };
}

/**
 * Reads the fence: one row, and the empty range of cancellations. The range counts no document, but an insert into it
 * by cancel conflicts with this transaction, so no checkpoint commits after a cancel.
 */
async function checkWriter(
  ctx: MutationCtx,
  fence: Fence,
  claim: { seq: number; flushId: string },
): Promise<{ row: Doc<"positions"> | null; verdict: FenceVerdict }> {
  const row = await ctx.db.get("positions", fence.positionId);
  if (row === null) return { row, verdict: "stale" };
  const { ended, leaseEpoch, lastSeq, lastFlushId } = row;
  const state = { canceled: await isCanceled(ctx, fence), ended, leaseEpoch, lastSeq, lastFlushId };
  return { row, verdict: checkFence(state, { leaseEpoch: fence.leaseEpoch, seq: claim.seq, flushId: claim.flushId }) };
}

async function isCanceled(ctx: QueryCtx, fence: Fence): Promise<boolean> {
  const cancellation = await ctx.db
    .query("cancellations")
    .withIndex("by_execution", (q) => q.eq("executionId", fence.executionId))
    .first();
  return cancellation !== null;
}

function refusal(verdict: FenceVerdict): "canceled" | "stale" | "conflict" {
  return verdict === "canceled" || verdict === "conflict" ? verdict : "stale";
}

async function recordedOutput(ctx: QueryCtx, row: Doc<"positions">, key: string): Promise<string> {
  const run = await ctx.db
    .query("nodeRuns")
    .withIndex("by_execution_key", (q) => q.eq("executionId", row.executionId).eq("key", key))
    .first();
  if (run?.output === undefined) {
    throw shardflowError("CORRUPT_ROW", {
      message: `The recorded run "${key}" has no output.`,
      executionId: row.executionId,
    });
  }
  return await loadValue(ctx, row.executionId, run.output);
}
