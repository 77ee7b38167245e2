/**
 * Calling onComplete functions exactly once. Internal.
 *
 * `attempt` schedules `deliver`, which runs the function and deletes the row in one transaction, and `check`, which looks
 * later whether the row is still there. Nothing is caught inside `deliver`: catching a nested mutation whose return
 * value is refused would keep its writes and run it again (docs/architecture.md).
 */
import type { FunctionHandle } from "convex/server";
import { v } from "convex/values";
import { MAX_CALLBACK_ATTEMPTS, SECOND } from "../shared/limits.js";
import { truncateText } from "../shared/nodeError.js";
import type { OnCompleteArgs } from "../shared/views.js";
import { internal } from "./_generated/api.js";
import { internalMutation } from "./_generated/server.js";
import { addEvent } from "./model/ending.js";
import { callbackArgs } from "./model/callbacks.js";

const CHECK_AFTER_MS = 5 * SECOND;

export const attempt = internalMutation({
  args: { outboxId: v.id("outbox") },
  returns: v.null(),
  handler: async (ctx, { outboxId }) => {
    const row = await ctx.db.get("outbox", outboxId);
    if (row === null || row.state !== "pending") return null;
    const number = row.attempt + 1;
    await ctx.db.patch("outbox", outboxId, { attempt: number });
    const jobId = await ctx.scheduler.runAfter(0, internal.outbox.deliver, { outboxId, attempt: number });
    await ctx.scheduler.runAfter(CHECK_AFTER_MS, internal.outbox.check, { outboxId, attempt: number, jobId });
    return null;
  },
});

export const deliver = internalMutation({
  args: { outboxId: v.id("outbox"), attempt: v.number() },
  returns: v.null(),
  handler: async (ctx, { outboxId, attempt: number }) => {
    const row = await ctx.db.get("outbox", outboxId);
    if (row === null || row.state !== "pending" || row.attempt !== number) return null;
    const args = await callbackArgs(ctx, row.executionId);
    if (args !== null) await ctx.runMutation(row.handle as FunctionHandle<"mutation", OnCompleteArgs>, args);
    await ctx.db.delete("outbox", outboxId);
    return null;
  },
});

export const check = internalMutation({
  args: { outboxId: v.id("outbox"), attempt: v.number(), jobId: v.id("_scheduled_functions") },
  returns: v.null(),
  handler: async (ctx, { outboxId, attempt: number, jobId }) => {
    const row = await ctx.db.get("outbox", outboxId);
    if (row === null || row.state !== "pending" || row.attempt !== number) return null;
    const job = await ctx.db.system.get("_scheduled_functions", jobId);
    if (job !== null && (job.state.kind === "pending" || job.state.kind === "inProgress")) {
      await ctx.scheduler.runAfter(CHECK_AFTER_MS, internal.outbox.check, { outboxId, attempt: number, jobId });
      return null;
    }
    // Convex keeps why a job failed; convex-test, where apps run this too, does not.
    const error: string | undefined = job?.state.kind === "failed" ? job.state.error : undefined;
    const why = error ?? "the delivery ended without a trace";
    const lastError = truncateText(why, 1000);
    if (number >= MAX_CALLBACK_ATTEMPTS) {
      await ctx.db.patch("outbox", outboxId, { state: "failed", lastError });
      await addEvent(
        ctx,
        row.executionId,
        Date.now(),
        "callbackFailed",
        `onComplete failed ${number} times; the last time: ${lastError}`,
      );
      console.error(`[shardflow] onComplete of execution ${row.executionId} failed ${number} times: ${lastError}`);
      return null;
    }
    await ctx.db.patch("outbox", outboxId, { lastError });
    await ctx.scheduler.runAfter(CHECK_AFTER_MS * 3 ** (number - 1), internal.outbox.attempt, { outboxId });
    return null;
  },
});
