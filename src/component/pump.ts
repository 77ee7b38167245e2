/**
 * The pump of a shard: claims queued tasks and starts a workflow for them on the shard's own instance. Internal.
 *
 * Invariants: (U1) one chain of pumps per shard, by generation; (U2) a claim raises the lease epoch, so whoever held the
 * execution before writes nothing any more; (U3) a bad task fails alone; (U4) the pump goes idle only after a real read
 * has shown both lanes empty, in the transaction that clears the flag.
 */
import { v, type Infer } from "convex/values";
import { createFunctionHandle } from "convex/server";
import { admit, type Admission } from "../engine/admit.js";
import { EXECUTION_MACHINE } from "../engine/machine/execution.js";
import { move } from "../engine/machine/machine.js";
import { TASK_MACHINE } from "../engine/machine/task.js";
import { readPosition } from "../engine/storedPosition.js";
import { vFence } from "../shared/checkpoint.js";
import { WATCH_INTERVAL_MS } from "../shared/limits.js";
import { nodeError, toNodeError } from "../shared/nodeError.js";
import { internal } from "./_generated/api.js";
import type { Doc, Id } from "./_generated/dataModel.js";
import { internalMutation, type MutationCtx } from "./_generated/server.js";
import { loadSettings } from "./model/config.js";
import { endExecution, positionOf } from "./model/ending.js";
import { executorRow, NEW_LANE, RESUMED_LANE } from "./model/queue.js";
import { shardComponent, shardHandler, shardOf } from "./model/shards.js";

/** Tasks of one pump transaction. They share one workflow, so a burst pays for it once, not per execution. */
export const CLAIM_BATCH = 10;
/** The pump looks again this often while it has seen work lately, so that a stream of starts needs no kicks. */
const POLL_MS = 200;
const LINGER_MS = 1_000;
/** The longest pause of a pump whose shard is full. */
const FULL_POLL_MS = 1_000;
/** After the shard's workflow instance refused to create a workflow. */
const RETRY_MS = 5_000;

export const pump = internalMutation({
  /** `idleSince`: since when nothing was claimed (ms), or null. */
  args: { shardIndex: v.number(), generation: v.number(), idleSince: v.union(v.number(), v.null()) },
  returns: v.null(),
  handler: async (ctx, { shardIndex, generation, idleSince }) => {
    const row = await executorRow(ctx, shardIndex);
    if (row === null || !row.running || row.generation !== generation) return null;
    const settings = await loadSettings(ctx);
    const head = await ctx.runQuery(
      internal.queue.head,
      { shardIndex, limit: CLAIM_BATCH, capacity: settings.maxParallelism },
      { useStaleSnapshot: true },
    );
    const now = Date.now();
    const claims: Claim[] = [];
    // One more than there is room for, so that the head of a full queue says why it waits.
    for (const taskId of head.taskIds.slice(0, Math.max(0, settings.maxParallelism - head.inFlight) + 1)) {
      const inFlight = head.inFlight + claims.length;
      const claim = await claimAlone(ctx, { taskId, inFlight, capacity: settings.maxParallelism });
      if (claim !== null) claims.push(claim);
    }
    if (claims.length > 0 && !(await startStretches(ctx, shardIndex, claims, settings.maxParallelism, now))) {
      await again(ctx, shardIndex, generation, RETRY_MS, null);
      return null;
    }
    const inFlight = head.inFlight + claims.length;
    if (inFlight > 0 && !row.watching) await startWatch(ctx, row);

    const full = inFlight >= settings.maxParallelism;
    if (head.taskIds.length > 0 && full && claims.length === 0) {
      // Nothing was freed since the last look: look less often, the longer the less.
      const since = idleSince ?? now;
      await again(ctx, shardIndex, generation, Math.min(Math.max(now - since, POLL_MS), FULL_POLL_MS), since);
    } else if (head.taskIds.length > 0) {
      const more = head.taskIds.length === CLAIM_BATCH && !full;
      await again(ctx, shardIndex, generation, more ? 0 : POLL_MS, null);
    } else if (idleSince === null || now - idleSince < LINGER_MS) {
      await again(ctx, shardIndex, generation, POLL_MS, idleSince ?? now);
    } else if (await hasQueued(ctx, shardIndex)) {
      await again(ctx, shardIndex, generation, 0, null);
    } else {
      await ctx.db.patch("executors", row._id, { running: false });
    }
    return null;
  },
});

/** Claims one task in a sub-transaction: whatever it throws undoes that task's writes only, and fails only it. */
async function claimAlone(
  ctx: MutationCtx,
  args: { taskId: Id<"tasks">; inFlight: number; capacity: number },
): Promise<Claim | null> {
  try {
    return await ctx.runMutation(internal.pump.claim, args);
  } catch (error) {
    const task = await ctx.db.get("tasks", args.taskId);
    if (task === null) return null;
    const execution = await ctx.db.get("executions", task.executionId);
    const reason = { code: "CORRUPT" as const, detail: `It could not be claimed: ${toNodeError(error).message}` };
    await refuse(ctx, task, execution, { admit: false, reason, action: "fail" }, Date.now());
    return null;
  }
}

async function again(
  ctx: MutationCtx,
  shardIndex: number,
  generation: number,
  delay: number,
  idleSince: number | null,
): Promise<void> {
  await ctx.scheduler.runAfter(delay, internal.pump.pump, { shardIndex, generation, idleSince });
}

async function hasQueued(ctx: MutationCtx, shardIndex: number): Promise<boolean> {
  for (const lane of [RESUMED_LANE, NEW_LANE]) {
    const task = await ctx.db
      .query("tasks")
      .withIndex("by_shard_state_lane_order", (q) =>
        q.eq("shardIndex", shardIndex).eq("state", "queued").eq("lane", lane),
      )
      .first();
    if (task !== null) return true;
  }
  return false;
}

async function startWatch(ctx: MutationCtx, row: Doc<"executors">): Promise<void> {
  const watchGeneration = row.watchGeneration + 1;
  await ctx.db.patch("executors", row._id, { watching: true, watchGeneration });
  await ctx.scheduler.runAfter(WATCH_INTERVAL_MS, internal.watch.watch, {
    shardIndex: row.shardIndex,
    watchGeneration,
  });
}

/** What a task that may run is run with. `begins`: the execution is not running yet, or was waiting. */
const vClaim = v.object({ fence: vFence, begins: v.boolean() });
type Claim = Infer<typeof vClaim>;

/** Decides about one task; null when it is not to run now, and why has been recorded. Called by the pump only. */
export const claim = internalMutation({
  args: { taskId: v.id("tasks"), inFlight: v.number(), capacity: v.number() },
  returns: v.union(v.null(), vClaim),
  handler: async (ctx, { taskId, inFlight, capacity }) => await claimTask(ctx, taskId, inFlight, capacity, Date.now()),
});

async function claimTask(
  ctx: MutationCtx,
  taskId: Id<"tasks">,
  inFlight: number,
  capacity: number,
  now: number,
): Promise<Claim | null> {
  const task = await ctx.db.get("tasks", taskId);
  // The snapshot may be behind: a cancel deleted it, or an earlier pump claimed it.
  if (task === null || task.state !== "queued") return null;
  const execution = await ctx.db.get("executions", task.executionId);
  const position = await positionOf(ctx, task.executionId);
  const version = execution === null ? null : await ctx.db.get("versions", execution.versionId);
  const corrupt = position === null ? "its position is missing" : positionProblem(position);
  const admission = admit(
    { executionId: task.executionId, notBefore: null },
    {
      now,
      inFlight,
      capacity,
      paused: false,
      execution: execution === null ? null : { status: execution.status, ...(corrupt === null ? {} : { corrupt }) },
      versionExists: version !== null,
    },
  );
  if (!admission.admit) {
    await refuse(ctx, task, execution, admission, now);
    return null;
  }
  if (execution === null || position === null) return null;
  const { _id: positionId, executionId } = position;
  return {
    fence: { executionId, positionId, taskId, leaseEpoch: position.leaseEpoch + 1 },
    begins: execution.status !== "running",
  };
}

function positionProblem(position: Doc<"positions">): string | null {
  if (position.position.kind === "stored") return null;
  try {
    const { tokens } = readPosition(position.position.json, null);
    return tokens.length > 0 ? null : "its position holds no token";
  } catch (error) {
    return toNodeError(error).message;
  }
}

async function refuse(
  ctx: MutationCtx,
  task: Doc<"tasks">,
  execution: Doc<"executions"> | null,
  admission: Exclude<Admission, { admit: true }>,
  now: number,
): Promise<void> {
  const { code, detail } = admission.reason;
  if (admission.action === "keep") {
    if (task.refusal?.code !== code) await ctx.db.patch("tasks", task._id, { refusal: { code, detail, at: now } });
    return;
  }
  await ctx.db.delete("tasks", task._id);
  console.warn(`[shardflow] task ${task._id} of execution ${task.executionId}: ${code}: ${detail}`);
  if (admission.action === "fail" && execution !== null) {
    const { cause: _, ...error } = nodeError(code === "VERSION_MISSING" ? "VERSION_NOT_FOUND" : "CORRUPT_ROW", detail);
    await endExecution(ctx, execution, { event: "fail", error }, now);
  }
}

/**
 * Creates the workflow whose only step runs the claimed stretches, runs it up to that step, and takes the leases.
 * @returns false when the instance threw; nothing was written then, and the tasks stay queued.
 */
async function startStretches(
  ctx: MutationCtx,
  shardIndex: number,
  claims: Claim[],
  maxParallelism: number,
  now: number,
): Promise<boolean> {
  const fences = claims.map(({ fence }) => fence);
  const shard = shardOf({ _id: "argument", shardIndex });
  const workflow = {
    workflowName: `stretches of shard ${shard}`,
    workflowHandle: await createFunctionHandle(shardHandler(shard)),
    workflowArgs: { fences },
    maxParallelism,
    onComplete: {
      fnHandle: await createFunctionHandle(internal.settle.settle),
      context: { fences, shardIndex: shard },
    },
  };
  let workflowId: string;
  try {
    workflowId = await ctx.runMutation(shardComponent(shard).workflow.create, workflow);
  } catch (error) {
    console.error(
      `[shardflow] shard ${shard} could not start ${claims.length} stretches: ${toNodeError(error).message}`,
    );
    return false;
  }
  for (const { fence, begins } of claims) {
    const { executionId, positionId, taskId, leaseEpoch } = fence;
    await ctx.db.patch("positions", positionId, { leaseEpoch, workflowId });
    if (begins) await ctx.db.patch("executions", executionId, { status: move(EXECUTION_MACHINE, "pending", "claim") });
    await ctx.db.patch("tasks", taskId, {
      state: move(TASK_MACHINE, "queued", "claim"),
      claimedAt: now,
      leaseEpoch,
      workflowId,
    });
  }
  return true;
}
