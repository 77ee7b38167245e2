/**
 * How a user value rests in a row: inline JSON text, or the name of its chunks in `payloads`.
 * Invariant: a reference names chunks of the same execution only.
 */
import { v, type Infer } from "convex/values";

export const vValueRef = v.union(
  v.object({ kind: v.literal("inline"), json: v.string() }),
  v.object({ kind: v.literal("stored"), name: v.string(), bytes: v.number(), chunks: v.number() }),
);
export type ValueRef = Infer<typeof vValueRef>;

export const vNodeError = v.object({
  code: v.string(),
  class: v.string(),
  message: v.string(),
  retryable: v.boolean(),
  retryAfterMs: v.optional(v.number()),
  /** JSON text of {code?, message, data?}: what the app's function or the provider said. */
  cause: v.optional(v.string()),
});
export type StoredNodeError = Infer<typeof vNodeError>;

/** Token counts and time of the model calls of one node run. */
export const vUsage = v.object({
  inputTokens: v.number(),
  outputTokens: v.number(),
  totalTokens: v.number(),
  calls: v.number(),
  latencyMs: v.number(),
});
export type Usage = Infer<typeof vUsage>;

export const vAttempt = v.object({
  attempt: v.number(),
  kind: v.union(v.literal("initial"), v.literal("retry")),
  startedAt: v.number(),
  endedAt: v.number(),
  error: vNodeError,
});

/** What a caller asked when canceling; kept with the execution. */
export const vCancelInfo = v.object({
  reason: v.optional(v.string()),
  requester: v.optional(v.string()),
  at: v.number(),
});
