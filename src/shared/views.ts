/**
 * What the public functions return. One shape, one validator; types are inferred. Ids are strings outside, user values
 * are JSON text, times are milliseconds since the epoch.
 */
import { v, type Infer } from "convex/values";
import { runFields } from "./nodeRun.js";
import { vExecutionStatus } from "./status.js";
import { vAttempt, vCancelInfo, vNodeError } from "./values.js";

export const vProblem = v.object({
  code: v.string(),
  node: v.union(v.null(), v.string()),
  path: v.string(),
  message: v.string(),
  suggestion: v.union(v.null(), v.string()),
});

export const vExecutionSummary = v.object({
  executionId: v.string(),
  scope: v.string(),
  definition: v.string(),
  version: v.number(),
  status: vExecutionStatus,
  shardIndex: v.number(),
  startedAt: v.number(),
  endedAt: v.optional(v.number()),
  /** "CODE at node: message". */
  lastError: v.optional(v.string()),
  idempotencyKey: v.optional(v.string()),
});
export type ExecutionSummary = Infer<typeof vExecutionSummary>;

export const vExecutionError = v.object({ ...vNodeError.fields, node: v.optional(v.string()) });
export type ExecutionError = Infer<typeof vExecutionError>;

export const vExecutionStatusView = v.object({
  ...vExecutionSummary.fields,
  /** JSON text; present when succeeded. */
  output: v.optional(v.string()),
  error: v.optional(vExecutionError),
  canceled: v.optional(vCancelInfo),
});
export type ExecutionStatusView = Infer<typeof vExecutionStatusView>;

/** Where an execution stands: a node that runs, is to be run, or waits for its next attempt. */
export const vPlace = v.object({
  key: v.string(),
  node: v.string(),
  attempt: v.number(),
  /** Its next attempt starts no earlier. */
  notBefore: v.optional(v.number()),
  lastError: v.optional(v.string()),
});

/** The values of an execution as a whole. Those of its nodes are in its node runs. */
export const vValueName = v.union(
  v.literal("input"),
  v.literal("context"),
  v.literal("variables"),
  v.literal("output"),
);
export type ValueName = Infer<typeof vValueName>;

export const vDescription = v.object({
  ...vExecutionStatusView.fields,
  /** Values that are too large for a description together; getValue gives each. */
  omitted: v.optional(v.array(v.object({ name: vValueName, bytes: v.number() }))),
  input: v.optional(v.string()),
  context: v.optional(v.string()),
  tags: v.record(v.string(), v.string()),
  variables: v.optional(v.string()),
  places: v.array(vPlace),
  loops: v.array(
    v.object({ key: v.string(), started: v.number(), total: v.union(v.null(), v.number()), failed: v.number() }),
  ),
  nodeRuns: v.number(),
  leaseEpoch: v.number(),
  /** Queue state of the next or running stretch. */
  task: v.optional(
    v.object({
      state: v.string(),
      claimedAt: v.optional(v.number()),
      refusal: v.optional(v.object({ code: v.string(), detail: v.string(), at: v.number() })),
    }),
  ),
  wait: v.optional(
    v.object({ kind: v.string(), node: v.optional(v.string()), wakeAt: v.number(), reason: v.string() }),
  ),
  callback: v.optional(v.object({ state: v.string(), attempt: v.number(), lastError: v.optional(v.string()) })),
  events: v.array(v.object({ at: v.number(), type: v.string(), detail: v.string() })),
});
export type ExecutionDescription = Infer<typeof vDescription>;

export const vNodeRunView = v.object({
  ...runFields,
  failures: v.array(vAttempt),
  /** JSON text. A large one is cut off; `outputBytes` says how large it is. */
  output: v.optional(v.string()),
  outputBytes: v.number(),
  seq: v.number(),
});
export type NodeRunView = Infer<typeof vNodeRunView>;

/** A page of a list: pass `cursor` to get the next one; null means there is none. */
export const vPage = <T extends Parameters<typeof v.array>[0]>(item: T) =>
  v.object({ page: v.array(item), cursor: v.union(v.null(), v.string()) });

export const vDefinitionSummary = v.object({
  scope: v.string(),
  name: v.string(),
  activeVersion: v.union(v.null(), v.number()),
  latestVersion: v.number(),
  deleting: v.boolean(),
  updatedAt: v.number(),
});

export const vDefinitionView = v.object({
  ...vDefinitionSummary.fields,
  draft: v.union(v.null(), v.object({ source: v.string(), revision: v.number(), savedAt: v.number() })),
  /** The version asked for, else the active one. */
  version: v.union(
    v.null(),
    v.object({ version: v.number(), source: v.string(), note: v.optional(v.string()), publishedAt: v.number() }),
  ),
});
export type DefinitionView = Infer<typeof vDefinitionView>;

export const vBindingKind = v.union(v.literal("query"), v.literal("mutation"), v.literal("action"));
export const vBinding = v.object({ name: v.string(), kind: vBindingKind, handle: v.string() });

/** What an onComplete function is called with. */
export const vOnCompleteArgs = v.object({
  executionId: v.string(),
  scope: v.string(),
  definition: v.string(),
  version: v.number(),
  result: v.union(
    /** `output` is JSON text. */
    v.object({ status: v.literal("succeeded"), output: v.string() }),
    v.object({ status: v.literal("failed"), error: vExecutionError }),
    v.object({ status: v.literal("canceled"), reason: v.optional(v.string()), requester: v.optional(v.string()) }),
  ),
  /** JSON text of the context given to startWorkflow, or null. */
  context: v.union(v.null(), v.string()),
});
export type OnCompleteArgs = Infer<typeof vOnCompleteArgs>;

export const vHealthProblem = v.object({
  /** QUEUE_STUCK, CLAIM_FORGOTTEN, WAKE_OVERDUE, CALLBACK_FAILED, or the code of what is wrong with the environment. */
  code: v.string(),
  /** Null when it concerns all. */
  shardIndex: v.union(v.null(), v.number()),
  /** What it is, and what to do. */
  message: v.string(),
});
export type HealthProblem = Infer<typeof vHealthProblem>;

export const vHealth = v.object({
  /** No problems. */
  ok: v.boolean(),
  activeShards: v.number(),
  problems: v.array(vHealthProblem),
});
export type Health = Infer<typeof vHealth>;

export const vShardCounts = v.object({
  shardIndex: v.number(),
  active: v.boolean(),
  /** Counted up to `countedTo`; a number equal to it means "at least". */
  queued: v.number(),
  claimed: v.number(),
  pending: v.number(),
  running: v.number(),
  waiting: v.number(),
});

export const vConfigView = v.object({
  activeShards: v.number(),
  maxShards: v.number(),
  placementVersion: v.number(),
  maxParallelism: v.number(),
  stretchBudgetMs: v.number(),
  retentionMs: v.number(),
  limits: v.record(v.string(), v.number()),
});
export type ConfigView = Infer<typeof vConfigView>;
