/**
 * What a stretch sends to make its progress durable, and what it is answered.
 * Shared by the walker (which builds it) and applyCheckpoint (which writes it).
 */
import { v, type Infer } from "convex/values";
import { passEndFields, runFields, vPassError } from "./nodeRun.js";
import { vAttempt, vNodeError } from "./values.js";

/** Who writes: the fence of every write of a stretch. */
export const vFence = v.object({
  executionId: v.id("executions"),
  positionId: v.id("positions"),
  taskId: v.id("tasks"),
  leaseEpoch: v.number(),
});
export type Fence = Infer<typeof vFence>;

/** A finished node run. Values are JSON text. */
export const vFinishedRun = v.object({
  ...runFields,
  failures: v.optional(v.array(vAttempt)),
  output: v.optional(v.string()),
  ...passEndFields,
  passResult: v.optional(v.string()),
});
export type FinishedRun = Infer<typeof vFinishedRun>;

/** How the stretch concludes with this checkpoint; absent while it goes on. */
export const vConclusion = v.union(
  v.object({ kind: v.literal("succeeded"), output: v.string() }),
  v.object({ kind: v.literal("failed"), error: vNodeError, node: v.optional(v.string()) }),
  /** The stretch used up its budget; the task goes back to the queue. */
  v.object({ kind: v.literal("yield") }),
  /** Nothing can run before `wakeAt`; the task goes, a wait row comes. */
  v.object({ kind: v.literal("park"), wakeAt: v.number(), node: v.string(), reason: v.string() }),
);
export type Conclusion = Infer<typeof vConclusion>;

export const vProgress = v.object({
  /** lastSeq + 1. A repeat of the same flush is answered as before and writes nothing. */
  seq: v.number(),
  /** Identifies the flush among all that could carry this seq. */
  flushId: v.string(),
  runs: v.array(vFinishedRun),
  /** Position after these runs, as JSON text. */
  position: v.string(),
  /** JSON texts of {writer, values}, merged in order into the execution's variables. */
  variables: v.array(v.string()),
  /** Values that are no output: items of loops. JSON text by name. */
  payloads: v.array(v.object({ name: v.string(), text: v.string() })),
  /** What passes came to whose last run was written before, by its key. Given again, it is the same. */
  passEnds: v.array(v.object({ key: v.string(), result: v.optional(v.string()), error: v.optional(vPassError) })),
  conclusion: v.optional(vConclusion),
});
export type Progress = Infer<typeof vProgress>;

export const vReply = v.union(
  v.object({ kind: v.literal("applied") }),
  v.object({ kind: v.literal("repeated") }),
  v.object({ kind: v.literal("canceled") }),
  v.object({ kind: v.literal("stale") }),
  v.object({ kind: v.literal("conflict") }),
);
export type Reply = Infer<typeof vReply>;

export const vCommitReply = v.union(
  v.object({ kind: v.literal("committed"), output: v.string() }),
  v.object({ kind: v.literal("canceled") }),
  v.object({ kind: v.literal("stale") }),
  v.object({ kind: v.literal("conflict") }),
);
export type CommitReply = Infer<typeof vCommitReply>;
