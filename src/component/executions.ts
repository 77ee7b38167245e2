/**
 * Public: starting executions, and nothing else: a module is evaluated afresh for every call, and this one is on the hot
 * path. Canceling is in cancellations.ts, reading in history.ts.
 */
import { v } from "convex/values";
import { shardflowError } from "../shared/errors.js";
import { MAX_BATCH_STARTS } from "../shared/limits.js";
import { mutation } from "./_generated/server.js";
import { loadSettings } from "./model/config.js";
import { startExecution, versionToStart, wakeShards } from "./model/starting.js";

const startFields = {
  /** JSON text, checked against the version's input schema. */
  input: v.string(),
  /** Executions of one key share a shard. Default: the execution's own id, which spreads a hot definition. */
  shardKey: v.optional(v.string()),
  idempotencyKey: v.optional(v.string()),
  /** How long the key is remembered. Default 24 h, at most 30 days. */
  idempotencyTtlMs: v.optional(v.number()),
  /** What to do when the key is known. Default "return": the existing execution's id. */
  onConflict: v.optional(v.union(v.literal("return"), v.literal("reject"), v.literal("replace"))),
  /** Handle of a mutation that takes vOnCompleteArgs. */
  onComplete: v.optional(v.string()),
  /** JSON text, handed to expressions as `context` and to onComplete. */
  context: v.optional(v.string()),
  tags: v.optional(v.record(v.string(), v.string())),
};

const target = {
  scope: v.optional(v.string()),
  definition: v.string(),
  /** Default: the active version. */
  version: v.optional(v.number()),
};

/**
 * Starts an execution: writes it with its shard and its first task in this transaction, and returns its id.
 * Guarantee: exactly once with the calling transaction; starts never conflict with each other.
 * Errors: DEFINITION_NOT_FOUND, DEFINITION_NOT_PUBLISHED, DEFINITION_DELETING, VERSION_NOT_FOUND, INPUT_INVALID,
 * VALUE_NOT_JSON, VALUE_TOO_LARGE, ARGUMENT_INVALID, IDEMPOTENCY_CONFLICT.
 */
export const startWorkflow = mutation({
  args: { ...target, ...startFields },
  returns: v.string(),
  handler: async (ctx, args) => {
    const version = await versionToStart(ctx, args.scope ?? "", args.definition, args.version);
    const started = await startExecution(ctx, version, args, await loadSettings(ctx), Date.now());
    await wakeShards(ctx, [started.shardIndex]);
    return started.executionId;
  },
});

/** Starts up to MAX_BATCH_STARTS executions of one definition in one transaction: all or none. Returns ids in order. */
export const startWorkflowBatch = mutation({
  args: { ...target, items: v.array(v.object(startFields)) },
  returns: v.array(v.string()),
  handler: async (ctx, args) => {
    if (args.items.length > MAX_BATCH_STARTS) {
      throw shardflowError("ARGUMENT_INVALID", {
        message: `A batch has at most ${MAX_BATCH_STARTS} items; ${args.items.length} were given. Split it.`,
      });
    }
    const version = await versionToStart(ctx, args.scope ?? "", args.definition, args.version);
    const settings = await loadSettings(ctx);
    const started = [];
    for (const item of args.items) started.push(await startExecution(ctx, version, item, settings, Date.now()));
    await wakeShards(
      ctx,
      started.map(({ shardIndex }) => shardIndex),
    );
    return started.map(({ executionId }) => executionId);
  },
});
