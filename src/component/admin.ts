/**
 * Public: settings, load per shard, and callbacks that failed. For operators: never re-export these to clients.
 * Run by hand: `npx convex run --component shardflow admin:getConfig '{}'`.
 */
import { v } from "convex/values";
import { shardflowError } from "../shared/errors.js";
import * as limits from "../shared/limits.js";
import { MAX_PARALLELISM, MAX_SHARDS, MINUTE, PLACEMENT_VERSION, SECOND } from "../shared/limits.js";
import { vConfigView, vShardCounts, type ConfigView } from "../shared/views.js";
import { internal } from "./_generated/api.js";
import { mutation, query, type QueryCtx } from "./_generated/server.js";
import { loadSettings } from "./model/config.js";
import { getExecution } from "./model/ids.js";

/** A count stops here: it is for people, and a transaction reads a bounded number of rows. */
const COUNT_TO = 500;
const MAX_LISTED = 200;

/**
 * Changes settings; what is left out stays. Shards count for new executions only: running ones stay where they are.
 * Errors: CONFIG_INVALID, and nothing changes.
 */
export const configure = mutation({
  args: {
    /** 1..8. Default 4; 2 on the smallest deployment class. */
    activeShards: v.optional(v.number()),
    /** Stretches one shard runs at once, 1..100. Default 25. */
    maxParallelism: v.optional(v.number()),
    /** A stretch starts no node after this long. 1 s..5 min, default 4 min. */
    stretchBudgetMs: v.optional(v.number()),
    /** Ended executions are deleted after this long; 0 keeps them. Default 30 days. */
    retentionMs: v.optional(v.number()),
  },
  returns: vConfigView,
  handler: async (ctx, args) => {
    requireInteger("activeShards", args.activeShards, 1, MAX_SHARDS);
    requireInteger("maxParallelism", args.maxParallelism, 1, MAX_PARALLELISM);
    requireInteger("stretchBudgetMs", args.stretchBudgetMs, SECOND, 5 * MINUTE);
    requireInteger("retentionMs", args.retentionMs, 0, Number.MAX_SAFE_INTEGER);
    const row = await ctx.db.query("config").first();
    if (row === null) await ctx.db.insert("config", args);
    else await ctx.db.patch("config", row._id, args);
    return await configView(ctx);
  },
});

/** All settings with the defaults filled in, and the limits that are fixed. */
export const getConfig = query({
  args: {},
  returns: vConfigView,
  handler: async (ctx) => await configView(ctx),
});

async function configView(ctx: QueryCtx): Promise<ConfigView> {
  const fixed: Record<string, number> = {};
  for (const [name, value] of Object.entries(limits))
    if (name.startsWith("MAX_") || name.startsWith("DEFAULT_")) fixed[name] = value;
  return { ...(await loadSettings(ctx)), maxShards: MAX_SHARDS, placementVersion: PLACEMENT_VERSION, limits: fixed };
}

function requireInteger(name: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= min && value <= max)) return;
  throw shardflowError("CONFIG_INVALID", {
    message: `${name} must be a whole number from ${min} to ${max}; it is ${value}.`,
    name,
  });
}

/** Tasks and executions of every shard. Counts stop at `countedTo`. */
export const countsPerShard = query({
  args: {},
  returns: v.object({ shards: v.array(vShardCounts), countedTo: v.number() }),
  handler: async (ctx) => {
    const { activeShards } = await loadSettings(ctx);
    const shards = [];
    for (let shardIndex = 0; shardIndex < MAX_SHARDS; shardIndex++) {
      const tasks = async (state: "queued" | "claimed") =>
        (
          await ctx.db
            .query("tasks")
            .withIndex("by_shard_state_lane_order", (q) => q.eq("shardIndex", shardIndex).eq("state", state))
            .take(COUNT_TO)
        ).length;
      const executions = async (status: "pending" | "running" | "waiting") =>
        (
          await ctx.db
            .query("executions")
            .withIndex("by_shardIndex_status", (q) => q.eq("shardIndex", shardIndex).eq("status", status))
            .take(COUNT_TO)
        ).length;
      shards.push({
        shardIndex,
        active: shardIndex < activeShards,
        queued: await tasks("queued"),
        claimed: await tasks("claimed"),
        pending: await executions("pending"),
        running: await executions("running"),
        waiting: await executions("waiting"),
      });
    }
    return { shards, countedTo: COUNT_TO };
  },
});

/** onComplete callbacks that failed for good, oldest first; at most 200. */
export const listFailedCallbacks = query({
  args: {},
  returns: v.array(v.object({ executionId: v.string(), attempt: v.number(), lastError: v.optional(v.string()) })),
  handler: async (ctx) => {
    const rows = await ctx.db
      .query("outbox")
      .withIndex("by_state", (q) => q.eq("state", "failed"))
      .take(MAX_LISTED);
    return rows.map(({ executionId, attempt, lastError }) => ({
      executionId,
      attempt,
      ...(lastError === undefined ? {} : { lastError }),
    }));
  },
});

/**
 * Tries the failed callback of an execution again, with a fresh count of attempts. False when none has failed.
 * Errors: ID_INVALID, EXECUTION_NOT_FOUND.
 */
export const retryCallback = mutation({
  args: { executionId: v.string() },
  returns: v.boolean(),
  handler: async (ctx, { executionId }) => {
    const execution = await getExecution(ctx, executionId);
    const row = await ctx.db
      .query("outbox")
      .withIndex("by_execution", (q) => q.eq("executionId", execution._id))
      .first();
    if (row?.state !== "failed") return false;
    await ctx.db.patch("outbox", row._id, { state: "pending", attempt: 0 });
    await ctx.scheduler.runAfter(0, internal.outbox.attempt, { outboxId: row._id });
    return true;
  },
});
