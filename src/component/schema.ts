/**
 * Tables of the component. Each says: purpose; written by; read by; churn; growth bound; retention.
 *
 * Two rules shape them. Hot and cold fields never share a document: `positions` is rewritten by every checkpoint,
 * `executions` (what lists and dashboards read) only when the status changes, `executionData` twice. And what one
 * transaction must not contend on, it does not read: see docs/architecture.md, "Who conflicts with whom".
 */
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
import { passEndFields, runFields } from "../shared/nodeRun.js";
import { vExecutionStatus, vTaskState } from "../shared/status.js";
import { vAttempt, vCancelInfo, vNodeError, vValueRef } from "../shared/values.js";

export default defineSchema({
  /**
   * A named definition of a scope and which version new executions use.
   * Written by: saveDraft (first time), publish, import, rollback, delete. Read by: start, lists. Churn: per publish.
   * Bound: one per (scope, name). Retention: until deleted.
   */
  definitions: defineTable({
    scope: v.string(),
    name: v.string(),
    activeVersionId: v.optional(v.id("versions")),
    activeVersion: v.optional(v.number()),
    latestVersion: v.number(),
    deleting: v.optional(v.boolean()),
    updatedAt: v.number(),
  }).index("by_scope_name", ["scope", "name"]),

  /**
   * The editable text of a definition.
   * Written by: saveDraft. Read by: get, publish. Churn: per save. Bound: one per definition. Retention: until deleted.
   */
  drafts: defineTable({
    definitionId: v.id("definitions"),
    source: v.string(),
    revision: v.number(),
    savedAt: v.number(),
  }).index("by_definition", ["definitionId"]),

  /**
   * One immutable published revision: its head. The texts are in `versionTexts`.
   * Written by: publish, import. Read by: start (input schema), get. Churn: none. Bound: one per publish.
   * Retention: until its definition is deleted.
   */
  versions: defineTable({
    definitionId: v.id("definitions"),
    scope: v.string(),
    name: v.string(),
    version: v.number(),
    inputSchema: v.optional(v.string()),
    /** Id of the trigger node, where executions begin. */
    entry: v.string(),
    nodes: v.number(),
    sourceBytes: v.number(),
    note: v.optional(v.string()),
    publishedAt: v.number(),
  }).index("by_definition_version", ["definitionId", "version"]),

  /**
   * Source and compiled plan of a version, as chunks of JSON text.
   * Written by: publish, import; the plan again by the first stretch after an upgrade changed PLAN_FORMAT. Read by:
   * stretches, get, export. Churn: none otherwise. Bound: a few chunks per version. Retention: with the version.
   */
  versionTexts: defineTable({
    versionId: v.id("versions"),
    kind: v.union(v.literal("source"), v.literal("plan")),
    chunk: v.number(),
    text: v.string(),
  }).index("by_version_kind_chunk", ["versionId", "kind", "chunk"]),

  /**
   * Which function an action name calls.
   * Written by: sync after a deploy. Read by: publish, stretches. Churn: per deploy. Bound: one per action name.
   * Retention: until a sync with `prune` leaves it out.
   */
  bindings: defineTable({
    name: v.string(),
    kind: v.union(v.literal("query"), v.literal("mutation"), v.literal("action")),
    handle: v.string(),
    updatedAt: v.number(),
  }).index("by_name", ["name"]),

  /**
   * The directory of executions: what lists, dashboards and status queries read.
   * Written by: start, claim (status), park, finish, cancel. Read by: everything public. Churn: on change of status only.
   * Bound: one per execution. Retention: config.retentionMs after the end, or cleanupWorkflow.
   */
  executions: defineTable({
    scope: v.string(),
    definition: v.string(),
    definitionId: v.id("definitions"),
    version: v.number(),
    versionId: v.id("versions"),
    status: vExecutionStatus,
    shardIndex: v.number(),
    startedAt: v.number(),
    endedAt: v.optional(v.number()),
    /** "CODE at node: message", for people. */
    lastError: v.optional(v.string()),
    /** Creation in commit order; tasks of this execution are ordered by it. */
    createdTs: v.commitTs(),
    idempotencyKey: v.optional(v.string()),
    idempotencyExpiresAt: v.optional(v.number()),
  })
    .index("by_scope_startedAt", ["scope", "startedAt"])
    .index("by_scope_status_startedAt", ["scope", "status", "startedAt"])
    .index("by_scope_definition_startedAt", ["scope", "definition", "startedAt"])
    .index("by_scope_definition_status_startedAt", ["scope", "definition", "status", "startedAt"])
    .index("by_scope_definition_idempotencyKey", ["scope", "definition", "idempotencyKey"])
    .index("by_definitionId", ["definitionId"])
    .index("by_shardIndex_status", ["shardIndex", "status"])
    .index("by_endedAt", ["endedAt"]),

  /**
   * Cold values of an execution.
   * Written by: start, finish. Read by: stretches, get, callbacks. Churn: twice. Bound: one per execution.
   * Retention: with the execution.
   */
  executionData: defineTable({
    executionId: v.id("executions"),
    input: vValueRef,
    context: v.optional(vValueRef),
    tags: v.optional(v.record(v.string(), v.string())),
    onComplete: v.optional(v.string()),
    output: v.optional(vValueRef),
    error: v.optional(v.object({ ...vNodeError.fields, node: v.optional(v.string()) })),
  }).index("by_execution", ["executionId"]),

  /**
   * Where an execution is, and the fence of its owner: the hot row.
   * Written by: start, claim, checkpoints, renewals; by nobody else, so that cancel and wake never wait for it.
   * Read by: the same, and describe. Churn: every checkpoint. Bound: one per execution. Retention: with the execution.
   */
  positions: defineTable({
    executionId: v.id("executions"),
    shardIndex: v.number(),
    ended: v.boolean(),
    leaseEpoch: v.number(),
    lastSeq: v.number(),
    lastFlushId: v.string(),
    /** JSON text of a Position (src/engine/position.ts); inline unless hundreds of passes are in flight. */
    position: vValueRef,
    variables: vValueRef,
    nodeRuns: v.number(),
    /** Stretches that ended without a conclusion since the last checkpoint. */
    crashes: v.number(),
    /** Last sign of life of the owner (ms). */
    renewedAt: v.number(),
    /** The workflow of the newest stretch, on the execution's shard; it removes itself when it ends. */
    workflowId: v.optional(v.string()),
  }).index("by_execution", ["executionId"]),

  /**
   * A finished node run, which is its own event.
   * Written by: checkpoints, once each, and once more when a pass ends with a run that is written. Read by:
   * listNodeRuns, resumed stretches. Churn: none otherwise. Bound: one per node and
   * loop pass. Retention: with the execution.
   */
  nodeRuns: defineTable({
    executionId: v.id("executions"),
    shardIndex: v.number(),
    seq: v.number(),
    ordinal: v.number(),
    ...runFields,
    failures: v.optional(v.array(vAttempt)),
    output: v.optional(vValueRef),
    ...passEndFields,
    /** What the pass came to when not to the output. */
    passResult: v.optional(vValueRef),
  })
    .index("by_execution_seq", ["executionId", "seq", "ordinal"])
    .index("by_execution_key", ["executionId", "key"])
    .index("by_execution_endsLoop_passIndex", ["executionId", "endsLoop", "passIndex"]),

  /**
   * Chunks of large values.
   * Written by: start and checkpoints. Read by: whoever needs the value. Churn: none. Bound: MAX_VALUE_BYTES per value.
   * Retention: with the execution.
   */
  payloads: defineTable({
    executionId: v.id("executions"),
    name: v.string(),
    chunk: v.number(),
    text: v.string(),
  }).index("by_execution_name_chunk", ["executionId", "name", "chunk"]),

  /**
   * A stretch that is to be run, or is running. The queue of each shard.
   * Written by: start, wake (insert), pump (claim), checkpoints (yield, finish), cancel, watch. Read by: pump, watch.
   * Churn: a few writes per stretch. Bound: one per live execution. Retention: deleted when the stretch concludes.
   */
  tasks: defineTable({
    shardIndex: v.number(),
    state: vTaskState,
    /** 0: resumed, 1: new. Resumed ones go first: finish what was begun. */
    lane: v.number(),
    priority: v.number(),
    /** Creation of the execution in commit order. */
    order: v.commitTs(),
    orderKey: v.optional(v.string()),
    scope: v.string(),
    executionId: v.id("executions"),
    leaseEpoch: v.optional(v.number()),
    claimedAt: v.optional(v.number()),
    /** The workflow on the task's shard that runs the stretch. Ids repeat across shards. */
    workflowId: v.optional(v.string()),
    /** Why the last claim was refused, for people. */
    refusal: v.optional(v.object({ code: v.string(), detail: v.string(), at: v.number() })),
  })
    .index("by_shard_state_lane_order", ["shardIndex", "state", "lane", "order"])
    .index("by_shard_state_claimedAt", ["shardIndex", "state", "claimedAt"])
    .index("by_execution", ["executionId"]),

  /**
   * What an execution waits for; today: the time of a retry.
   * Written by: park (insert), wake and cancel (delete). Read by: wake, describe. Churn: two writes per wait.
   * Bound: one per parked execution. Retention: deleted by the wake.
   */
  waits: defineTable({
    executionId: v.id("executions"),
    shardIndex: v.number(),
    kind: v.union(v.literal("retry"), v.literal("crash")),
    node: v.optional(v.string()),
    wakeAt: v.number(),
    reason: v.string(),
  })
    .index("by_execution", ["executionId"])
    .index("by_shard_wakeAt", ["shardIndex", "wakeAt"]),

  /**
   * That an execution was canceled, by whom and why. Also the fence of cancel: checkpoints read this range, and cancel
   * inserts into it without touching the hot row, so a busy execution cannot starve its own cancel.
   * Written by: cancel. Read by: checkpoints, describe. Churn: none. Bound: one per canceled execution.
   * Retention: with the execution.
   */
  cancellations: defineTable({
    executionId: v.id("executions"),
    ...vCancelInfo.fields,
  }).index("by_execution", ["executionId"]),

  /**
   * Calls of user code that are owed. The transaction that runs one deletes it, so each runs exactly once.
   * Written by: finish, cancel (insert), deliver (delete), checkDelivery. Read by: the same, describe, listCallbacks.
   * Churn: two writes per callback. Bound: one per ended execution with a callback; failed ones stay.
   * Retention: with the execution.
   */
  outbox: defineTable({
    executionId: v.id("executions"),
    shardIndex: v.number(),
    handle: v.string(),
    state: v.union(v.literal("pending"), v.literal("failed")),
    attempt: v.number(),
    lastError: v.optional(v.string()),
  })
    .index("by_execution", ["executionId"])
    .index("by_state", ["state"]),

  /**
   * Facts that have no row of their own (a stretch was reclaimed, a row was mapped to shard 0, a callback failed).
   * Written by: watch, settle, checkDelivery, pump. Read by: describe. Churn: none. Bound: rare by nature.
   * Retention: with the execution.
   */
  events: defineTable({
    executionId: v.id("executions"),
    at: v.number(),
    type: v.string(),
    detail: v.string(),
  }).index("by_execution", ["executionId"]),

  /**
   * Tags as rows of their own, to find executions by them.
   * Written by: start. Read by: list. Churn: none. Bound: MAX_TAGS per execution. Retention: with the execution.
   */
  tags: defineTable({
    scope: v.string(),
    tag: v.string(),
    value: v.string(),
    executionId: v.id("executions"),
    startedAt: v.number(),
  })
    .index("by_scope_tag_value_startedAt", ["scope", "tag", "value", "startedAt"])
    .index("by_execution", ["executionId"]),

  /**
   * Whether a shard's pump and watchdog are alive.
   * Written by: kick, pump, watch, on change only. Read by: start (when running), pump, watch. Churn: busy <-> idle.
   * Bound: MAX_SHARDS rows. Retention: for ever.
   */
  executors: defineTable({
    shardIndex: v.number(),
    running: v.boolean(),
    /** Of the pump chain; an older chain ends itself. */
    generation: v.number(),
    watching: v.boolean(),
    watchGeneration: v.number(),
  }).index("by_shard", ["shardIndex"]),

  /**
   * Settings of the installation: one row. Absent fields have the defaults of limits.ts.
   * Written by: admin.configure. Read by: start, pump, checkpoints do not. Churn: by hand. Bound: one row.
   * Retention: for ever.
   */
  config: defineTable({
    activeShards: v.optional(v.number()),
    maxParallelism: v.optional(v.number()),
    stretchBudgetMs: v.optional(v.number()),
    retentionMs: v.optional(v.number()),
  }),
});
