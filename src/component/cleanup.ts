/** Continues cleanups, sweeps what is past its retention, and deletes definitions. Internal. */
import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import { internalMutation } from "./_generated/server.js";
import { cancelExecution, hasEnded } from "./model/canceling.js";
import { cleanupExecution, owesCallback } from "./model/cleaning.js";
import { loadSettings } from "./model/config.js";
import { deleteVersionText } from "./model/versions.js";

const DELETE_BATCH = 20;
/** Of versions: a source has up to 256 KB, its plan some more, and a transaction reads 16 MiB. */
const VERSION_BATCH = 5;
const BATCH_DELAY_MS = 500;
/** Between looks when only callbacks are waited for. */
const CALLBACK_DELAY_MS = 5_000;
const SWEEP_BATCH = 100;

export const resume = internalMutation({
  args: { executionId: v.id("executions") },
  returns: v.null(),
  handler: async (ctx, { executionId }) => {
    const execution = await ctx.db.get("executions", executionId);
    if (execution !== null) await cleanupExecution(ctx, execution);
    return null;
  },
});

/** Cleans up executions that ended longer ago than the retention. Run by the component's cron. */
export const sweep = internalMutation({
  args: {},
  returns: v.number(),
  handler: async (ctx) => {
    const { retentionMs } = await loadSettings(ctx);
    if (retentionMs === 0) return 0;
    const due = await ctx.db
      .query("executions")
      .withIndex("by_endedAt", (q) => q.gt("endedAt", 0).lt("endedAt", Date.now() - retentionMs))
      .take(SWEEP_BATCH);
    // Each in a transaction of its own, and out of the range as soon as it is gone; the next batch starts after them.
    for (const { _id } of due) await ctx.scheduler.runAfter(0, internal.cleanup.resume, { executionId: _id });
    if (due.length === SWEEP_BATCH) await ctx.scheduler.runAfter(60_000, internal.cleanup.sweep, {});
    return due.length;
  },
});

/** Deletes a definition that is marked as deleting: its executions, each on its own shard, then itself. */
export const deleteDefinition = internalMutation({
  args: { definitionId: v.id("definitions"), reason: v.optional(v.string()), requester: v.optional(v.string()) },
  returns: v.null(),
  handler: async (ctx, { definitionId, reason, requester }) => {
    const definition = await ctx.db.get("definitions", definitionId);
    if (definition?.deleting !== true) return null;
    const executions = await ctx.db
      .query("executions")
      .withIndex("by_definitionId", (q) => q.eq("definitionId", definitionId))
      .take(DELETE_BATCH);
    let waiting = 0;
    for (const execution of executions) {
      if (!hasEnded(execution)) await cancelExecution(ctx, execution, { reason, requester }, Date.now());
      if (await owesCallback(ctx, execution._id)) waiting++;
      else await ctx.scheduler.runAfter(0, internal.cleanup.resume, { executionId: execution._id });
    }
    const again = {
      definitionId,
      ...(reason === undefined ? {} : { reason }),
      ...(requester === undefined ? {} : { requester }),
    };
    if (executions.length > 0) {
      const delay = waiting === executions.length ? CALLBACK_DELAY_MS : BATCH_DELAY_MS;
      await ctx.scheduler.runAfter(delay, internal.cleanup.deleteDefinition, again);
      return null;
    }
    const versions = await ctx.db
      .query("versions")
      .withIndex("by_definition_version", (q) => q.eq("definitionId", definitionId))
      .take(VERSION_BATCH);
    for (const { _id } of versions) {
      await deleteVersionText(ctx, _id, "source");
      await deleteVersionText(ctx, _id, "plan");
      await ctx.db.delete("versions", _id);
    }
    if (versions.length === VERSION_BATCH) {
      await ctx.scheduler.runAfter(0, internal.cleanup.deleteDefinition, again);
      return null;
    }
    const drafts = await ctx.db
      .query("drafts")
      .withIndex("by_definition", (q) => q.eq("definitionId", definitionId))
      .take(10);
    for (const { _id } of drafts) await ctx.db.delete("drafts", _id);
    await ctx.db.delete("definitions", definitionId);
    return null;
  },
});
