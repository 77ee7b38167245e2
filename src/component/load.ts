/** What a stretch reads: at its start, and later only what an expression asks for. Internal queries. */
import { v } from "convex/values";
import { vFence } from "../shared/checkpoint.js";
import { vPassError, type PassError } from "../shared/nodeRun.js";
import { shardflowError } from "../shared/errors.js";
import { vNodeError } from "../shared/values.js";
import type { Doc, Id } from "./_generated/dataModel.js";
import { internalQuery, type QueryCtx } from "./_generated/server.js";
import { loadSettings } from "./model/config.js";
import { dataOf } from "./model/ending.js";
import { shardOf } from "./model/shards.js";
import { loadVersionText } from "./model/versions.js";
import { loadValue } from "./model/values.js";

/** Runs of one page; a page of large outputs is cut by PAGE_BYTES. */
const PAGE_ROWS = 500;
const PAGE_BYTES = 4 * 1024 * 1024;

/** Everything a stretch needs to begin, or null when it does not own the execution any more. */
export const stretch = internalQuery({
  args: { fence: vFence },
  returns: v.union(
    v.null(),
    v.object({
      scope: v.string(),
      definition: v.string(),
      version: v.number(),
      versionId: v.string(),
      shardIndex: v.number(),
      startedAt: v.number(),
      lastSeq: v.number(),
      nodeRuns: v.number(),
      position: v.string(),
      variables: v.string(),
      plan: v.string(),
      bindings: v.array(v.object({ name: v.string(), kind: v.string(), handle: v.string() })),
      budgetMs: v.number(),
    }),
  ),
  handler: async (ctx, { fence }) => {
    const position = await ctx.db.get("positions", fence.positionId);
    if (position === null || position.ended || position.leaseEpoch !== fence.leaseEpoch) return null;
    const canceled = await ctx.db
      .query("cancellations")
      .withIndex("by_execution", (q) => q.eq("executionId", fence.executionId))
      .first();
    const execution = await ctx.db.get("executions", fence.executionId);
    if (canceled !== null || execution === null) return null;
    const { scope, definition, version, versionId, startedAt } = execution;
    const plan = await loadVersionText(ctx, versionId, "plan");
    return {
      scope,
      definition,
      version,
      versionId,
      shardIndex: shardOf(execution),
      startedAt,
      lastSeq: position.lastSeq,
      nodeRuns: position.nodeRuns,
      position: await loadValue(ctx, fence.executionId, position.position),
      variables: await loadValue(ctx, fence.executionId, position.variables),
      plan,
      bindings: await loadBindings(ctx, plan),
      budgetMs: (await loadSettings(ctx)).stretchBudgetMs,
    };
  },
});

/** The functions bound to the actions of a plan; names without one are left out. */
async function loadBindings(
  ctx: QueryCtx,
  plan: string,
): Promise<Array<{ name: string; kind: string; handle: string }>> {
  const found = [];
  for (const name of actionNames(plan)) {
    const row = await ctx.db
      .query("bindings")
      .withIndex("by_name", (q) => q.eq("name", name))
      .unique();
    if (row !== null) found.push({ name, kind: row.kind, handle: row.handle });
  }
  return found;
}

function actionNames(plan: string): string[] {
  try {
    const { actions } = JSON.parse(plan) as { actions?: unknown };
    return Array.isArray(actions) ? actions.filter((name) => typeof name === "string") : [];
  } catch {
    // A plan that cannot be read is compiled again from the source by the stretch.
    return [];
  }
}

/** The source of a version: read only when its stored plan is of another format. */
export const source = internalQuery({
  args: { versionId: v.id("versions") },
  returns: v.string(),
  handler: async (ctx, { versionId }) => await loadVersionText(ctx, versionId, "source"),
});

export const bindings = internalQuery({
  args: { plan: v.string() },
  returns: v.array(v.object({ name: v.string(), kind: v.string(), handle: v.string() })),
  handler: async (ctx, { plan }) => await loadBindings(ctx, plan),
});

export const input = internalQuery({
  args: { executionId: v.id("executions") },
  returns: v.string(),
  handler: async (ctx, { executionId }) => {
    const data = await valuesOf(ctx, executionId);
    return await loadValue(ctx, executionId, data.input);
  },
});

export const context = internalQuery({
  args: { executionId: v.id("executions") },
  returns: v.union(v.null(), v.string()),
  handler: async (ctx, { executionId }) => {
    const { context } = await valuesOf(ctx, executionId);
    return context === undefined ? null : await loadValue(ctx, executionId, context);
  },
});

async function valuesOf(ctx: QueryCtx, executionId: Id<"executions">): Promise<Doc<"executionData">> {
  const data = await dataOf(ctx, executionId);
  if (data !== null) return data;
  throw shardflowError("CORRUPT_ROW", {
    message: "The input is missing: there is no row with the values.",
    executionId,
  });
}

/** Results of finished runs by key, a page at a time; keys that have none are left out. */
export const runs = internalQuery({
  args: { executionId: v.id("executions"), keys: v.array(v.string()) },
  returns: v.object({
    runs: v.array(
      v.object({ key: v.string(), output: v.union(v.null(), v.string()), error: v.union(v.null(), vNodeError) }),
    ),
    /** How many of the keys were looked up: the rest is for the next call. */
    done: v.number(),
  }),
  handler: async (ctx, { executionId, keys }) => {
    const found = [];
    let bytes = 0;
    for (const [done, key] of keys.entries()) {
      if (bytes >= PAGE_BYTES) return { runs: found, done };
      const run = await ctx.db
        .query("nodeRuns")
        .withIndex("by_execution_key", (q) => q.eq("executionId", executionId).eq("key", key))
        .first();
      if (run === null) continue;
      const output = run.output === undefined ? null : await loadValue(ctx, executionId, run.output);
      bytes += (output ?? "").length;
      found.push({ key, output, error: run.error ?? null });
    }
    return { runs: found, done: keys.length };
  },
});

/** What the passes of a loop contributed, a page at a time. */
export const passes = internalQuery({
  args: { executionId: v.id("executions"), loopKey: v.string(), from: v.number() },
  returns: v.object({
    passes: v.array(
      v.object({
        index: v.number(),
        output: v.union(v.null(), v.string()),
        result: v.union(v.null(), v.string()),
        error: v.union(v.null(), vPassError),
      }),
    ),
    /** Index to go on from; null at the end. */
    next: v.union(v.null(), v.number()),
  }),
  handler: async (ctx, { executionId, loopKey, from }) => {
    const rows = ctx.db
      .query("nodeRuns")
      .withIndex("by_execution_endsLoop_passIndex", (q) =>
        q.eq("executionId", executionId).eq("endsLoop", loopKey).gte("passIndex", from),
      );
    const found = [];
    let bytes = 0;
    for await (const run of rows) {
      const index = run.passIndex ?? 0;
      if (found.length >= PAGE_ROWS || bytes >= PAGE_BYTES) return { passes: found, next: index };
      const result = run.passResult === undefined ? null : await loadValue(ctx, executionId, run.passResult);
      const output = result !== null || run.output === undefined ? null : await loadValue(ctx, executionId, run.output);
      bytes += (result ?? output ?? "").length;
      found.push({ index, output, result, error: passErrorOf(run) });
    }
    return { passes: found, next: null };
  },
});

function passErrorOf({ passError, error }: Doc<"nodeRuns">): PassError | null {
  return passError ?? (error === undefined ? null : { code: error.code, message: error.message });
}

/** A value that is no output, by name (items of a loop). */
export const payload = internalQuery({
  args: { executionId: v.id("executions"), name: v.string() },
  returns: v.union(v.null(), v.string()),
  handler: async (ctx, { executionId, name }) => {
    const rows = ctx.db
      .query("payloads")
      .withIndex("by_execution_name_chunk", (q) => q.eq("executionId", executionId).eq("name", name));
    const parts: string[] = [];
    // A stretch that died may have written the same value before; the first copy of each chunk is as good.
    for await (const row of rows) parts[row.chunk] ??= row.text;
    return parts.length === 0 ? null : parts.join("");
  },
});
