/**
 * One stretch: the only action of the component. It lends the walker a clock, randomness, the app's functions, models
 * and the database. Internal; run by the workflow of the shard. The only entry that bundles the model SDKs and the
 * expression library.
 */
import { v } from "convex/values";
import type { FunctionHandle } from "convex/server";
import { isCurrentPlan, readPlan, writePlan } from "../engine/definition/planCache.js";
import type { Plan } from "../engine/plan.js";
import { lazySecrets } from "../engine/secrets.js";
import { readPosition } from "../engine/storedPosition.js";
import { toConvexArgs } from "../engine/values.js";
import { callModel, hostOfModel, readModelConfig } from "../models/callModel.js";
import { vFence, type Fence } from "../shared/checkpoint.js";
import { shardflowError } from "../shared/errors.js";
import { fromStoredText, isJsonObject, type Json, type JsonObject } from "../shared/json.js";
import { toNodeError } from "../shared/nodeError.js";
import type { Binding } from "../walker/nodes/context.js";
import type { PriorPass, PriorRun, StretchPorts } from "../walker/ports.js";
import type { Stretch } from "../walker/state.js";
import { walk } from "../walker/walk.js";
import { internal } from "./_generated/api.js";
import type { Id } from "./_generated/dataModel.js";
import { env, internalAction, type ActionCtx } from "./_generated/server.js";

export const runStretch = internalAction({
  args: { fence: vFence },
  returns: v.string(),
  handler: async (ctx, { fence }) => {
    try {
      return await runOne(ctx, fence);
    } catch (thrown) {
      const { cause: _, ...error } = toNodeError(thrown);
      // Everything else is a crash, which settle answers with another stretch.
      if (error.code !== "CORRUPT_ROW") throw thrown;
      await ctx.runMutation(internal.checkpoint.giveUp, { fence, error });
      return "failed";
    }
  },
});

async function runOne(ctx: ActionCtx, fence: Fence): Promise<string> {
  const startedAt = Date.now();
  const loaded = await ctx.runQuery(internal.load.stretch, { fence });
  if (loaded === null) return "stale";
  const { plan, bindings } = await readyPlan(ctx, loaded);
  const { scope, definition, version, shardIndex } = loaded;
  const secretNonce = crypto.randomUUID();
  const stretch: Stretch = {
    execution: { id: fence.executionId, scope, definition, version, shardIndex, startedAt: loaded.startedAt },
    plan,
    position: readPosition(loaded.position, plan),
    variables: readVariables(loaded.variables),
    lastSeq: loaded.lastSeq,
    nodeRuns: loaded.nodeRuns,
    bindings,
    secrets: lazySecrets(env.SHARDFLOW_SECRETS),
    secretNonce,
    startedAt,
    budgetMs: loaded.budgetMs,
  };
  return await walk(stretch, ports(ctx, fence, secretNonce));
}

function readVariables(text: string): JsonObject {
  const variables = fromStoredText(text, "the variables");
  if (isJsonObject(variables)) return variables;
  throw shardflowError("CORRUPT_ROW", { message: "The stored variables are not an object." });
}

type Loaded = { plan: string; versionId: string; bindings: Array<{ name: string; kind: string; handle: string }> };

/** The compiled plan, compiled again and kept when an upgrade changed its format. */
async function readyPlan(ctx: ActionCtx, loaded: Loaded): Promise<{ plan: Plan; bindings: Map<string, Binding> }> {
  const versionId = loaded.versionId as Id<"versions">;
  const current = isCurrentPlan(loaded.plan);
  // Normally the stored plan is current, and the source need not be read.
  const source = current ? "" : await ctx.runQuery(internal.load.source, { versionId });
  const { plan, recompiled } = readPlan(loaded.plan, source);
  let rows = loaded.bindings;
  if (recompiled) {
    const text = writePlan(plan);
    await ctx.runMutation(internal.plans.store, { versionId, plan: text });
    rows = await ctx.runQuery(internal.load.bindings, { plan: text });
  }
  const bindings = new Map(rows.map(({ name, kind, handle }) => [name, { kind: kind as Binding["kind"], handle }]));
  return { plan, bindings };
}

function ports(ctx: ActionCtx, fence: Fence, secretNonce: string): StretchPorts {
  const { executionId } = fence;
  return {
    now: () => Date.now(),
    random: () => Math.random(),
    newFlushId: () => crypto.randomUUID(),
    setTimer: (callback, ms) => {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    },
    checkpoint: (progress) => ctx.runMutation(internal.checkpoint.checkpoint, { fence, progress }),
    commitUserMutation: (progress, run, handle, args) =>
      ctx.runMutation(internal.checkpoint.commitUserMutation, {
        fence,
        progress,
        run,
        handle,
        args: JSON.stringify(args),
        secretNonce,
      }),
    hasLanded: (seq, flushId) => ctx.runQuery(internal.checkpoint.hasLanded, { fence, seq, flushId }),
    isOwner: () => ctx.runQuery(internal.checkpoint.isOwner, { fence }),
    renew: () => ctx.runMutation(internal.checkpoint.renew, { fence }),
    callFunction: (kind, handle, args) => callFunction(ctx, kind, handle, args),
    callModel: (request, signal) => callModel(request, { config: readModelConfig(env), signal, now: () => Date.now() }),
    modelHost: (model) => hostOfModel(model, readModelConfig(env)),
    loadRuns: (keys) => loadRuns(ctx, executionId, keys),
    loadPasses: (loopKey) => loadPasses(ctx, executionId, loopKey),
    loadPayload: (name) => ctx.runQuery(internal.load.payload, { executionId, name }),
    loadInput: () => ctx.runQuery(internal.load.input, { executionId }),
    loadContext: () => ctx.runQuery(internal.load.context, { executionId }),
    log: (level, message) => console[level](`[shardflow] execution ${executionId}: ${message}`),
  };
}

async function callFunction(ctx: ActionCtx, kind: "query" | "action", handle: string, args: Json): Promise<unknown> {
  if (!isJsonObject(args)) throw shardflowError("VALUE_NOT_CONVEX", { message: "The arguments are not an object." });
  const converted = toConvexArgs(args);
  if (kind === "query") return await ctx.runQuery(handle as FunctionHandle<"query">, converted);
  return await ctx.runAction(handle as FunctionHandle<"action">, converted);
}

async function loadRuns(ctx: ActionCtx, executionId: Id<"executions">, keys: string[]): Promise<PriorRun[]> {
  const all: PriorRun[] = [];
  for (let done = 0; done < keys.length;) {
    const page: { runs: PriorRun[]; done: number } = await ctx.runQuery(internal.load.runs, {
      executionId,
      keys: keys.slice(done),
    });
    all.push(...page.runs);
    done += page.done;
  }
  return all;
}

async function loadPasses(ctx: ActionCtx, executionId: Id<"executions">, loopKey: string): Promise<PriorPass[]> {
  const all: PriorPass[] = [];
  for (let from: number | null = 0; from !== null;) {
    const page: { passes: PriorPass[]; next: number | null } = await ctx.runQuery(internal.load.passes, {
      executionId,
      loopKey,
      from,
    });
    all.push(...page.passes);
    from = page.next;
  }
  return all;
}
