/** Builds the public views of executions and node runs from their rows. */
import { runKey, type Position } from "../../engine/position.js";
import { readPosition } from "../../engine/storedPosition.js";
import { isShardflowError } from "../../shared/errors.js";
import { INLINE_VALUE_BYTES } from "../../shared/limits.js";
import type { ValueRef } from "../../shared/values.js";
import { utf8Bytes } from "../../shared/json.js";
import type { ExecutionDescription, ExecutionStatusView, ExecutionSummary, NodeRunView } from "../../shared/views.js";
import type { Doc } from "../_generated/dataModel.js";
import type { QueryCtx } from "../_generated/server.js";
import { dataOf, positionOf } from "./ending.js";
import { shardOf } from "./shards.js";
import { loadValue } from "./values.js";

/** Events of one description; there are few by nature. */
const MAX_EVENTS = 100;

export function summaryView(execution: Doc<"executions">): ExecutionSummary {
  const { _id, scope, definition, version, status, startedAt, endedAt, lastError, idempotencyKey } = execution;
  return {
    executionId: _id,
    scope,
    definition,
    version,
    status,
    shardIndex: shardOf(execution),
    startedAt,
    ...(endedAt === undefined ? {} : { endedAt }),
    ...(lastError === undefined ? {} : { lastError }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  };
}

export async function statusView(ctx: QueryCtx, execution: Doc<"executions">): Promise<ExecutionStatusView> {
  const view: ExecutionStatusView = summaryView(execution);
  if (execution.endedAt === undefined) return view;
  const data = await dataOf(ctx, execution._id);
  if (data?.output !== undefined) view.output = await loadValue(ctx, execution._id, data.output);
  if (data?.error !== undefined) view.error = data.error;
  const canceled = await cancellationOf(ctx, execution);
  if (canceled !== null) view.canceled = canceled;
  return view;
}

export async function cancellationOf(
  ctx: Pick<QueryCtx, "db">,
  execution: Doc<"executions">,
): Promise<NonNullable<ExecutionStatusView["canceled"]> | null> {
  const row = await ctx.db
    .query("cancellations")
    .withIndex("by_execution", (q) => q.eq("executionId", execution._id))
    .first();
  if (row === null) return null;
  const { at, reason, requester } = row;
  return { at, ...(reason === undefined ? {} : { reason }), ...(requester === undefined ? {} : { requester }) };
}

export async function describeExecution(ctx: QueryCtx, execution: Doc<"executions">): Promise<ExecutionDescription> {
  const id = execution._id;
  const data = await dataOf(ctx, id);
  const row = await positionOf(ctx, id);
  const task = await ctx.db
    .query("tasks")
    .withIndex("by_execution", (q) => q.eq("executionId", id))
    .first();
  const wait = await ctx.db
    .query("waits")
    .withIndex("by_execution", (q) => q.eq("executionId", id))
    .first();
  const callback = await ctx.db
    .query("outbox")
    .withIndex("by_execution", (q) => q.eq("executionId", id))
    .first();
  const events = await ctx.db
    .query("events")
    .withIndex("by_execution", (q) => q.eq("executionId", id))
    .take(MAX_EVENTS);
  const position = row === null ? null : await readablePosition(ctx, row);
  return {
    ...(await statusView(ctx, execution)),
    input: data === null ? "null" : await loadValue(ctx, id, data.input),
    ...(data?.context === undefined ? {} : { context: await loadValue(ctx, id, data.context) }),
    tags: data?.tags ?? {},
    variables: row === null ? "{}" : await loadValue(ctx, id, row.variables),
    places: placesOf(position),
    loops: (position?.loops ?? []).map(({ key, next, total, failed }) => ({ key, started: next, total, failed })),
    nodeRuns: row?.nodeRuns ?? 0,
    leaseEpoch: row?.leaseEpoch ?? 0,
    ...(task === null ? {} : { task: taskView(task) }),
    ...(wait === null ? {} : { wait: waitView(wait) }),
    ...(callback === null ? {} : { callback: callbackView(callback) }),
    events: events.map(({ at, type, detail }) => ({ at, type, detail })),
  };
}

/** Null when it cannot be read: all else of the execution can still be looked at, and its error says what happened. */
async function readablePosition(ctx: QueryCtx, row: Doc<"positions">): Promise<Position | null> {
  try {
    return readPosition(await loadValue(ctx, row.executionId, row.position), null);
  } catch (error) {
    if (isShardflowError(error, "CORRUPT_ROW")) return null;
    throw error;
  }
}

function placesOf(position: Position | null): ExecutionDescription["places"] {
  return (position?.tokens ?? []).map((token) => {
    const lastError = token.failures?.at(-1)?.error;
    return {
      key: runKey(token.pass, token.node),
      node: token.node,
      attempt: token.attempt ?? 1,
      ...(token.notBefore === undefined ? {} : { notBefore: token.notBefore }),
      ...(lastError === undefined ? {} : { lastError: `${lastError.code}: ${lastError.message}` }),
    };
  });
}

function taskView({ state, claimedAt, refusal }: Doc<"tasks">): NonNullable<ExecutionDescription["task"]> {
  return { state, ...(claimedAt === undefined ? {} : { claimedAt }), ...(refusal === undefined ? {} : { refusal }) };
}

function waitView({ kind, node, wakeAt, reason }: Doc<"waits">): NonNullable<ExecutionDescription["wait"]> {
  return { kind, wakeAt, reason, ...(node === undefined ? {} : { node }) };
}

function callbackView({ state, attempt, lastError }: Doc<"outbox">): NonNullable<ExecutionDescription["callback"]> {
  return { state, attempt, ...(lastError === undefined ? {} : { lastError }) };
}

export function nodeRunView(run: Doc<"nodeRuns">): NodeRunView {
  const { key, node, type, status, port, attempt, failures, output, error, usage, startedAt, endedAt, seq } = run;
  return {
    key,
    node,
    type,
    status,
    ...(port === undefined ? {} : { port }),
    attempt,
    failures: failures ?? [],
    ...(output?.kind === "inline" ? { output: output.json } : {}),
    outputBytes: bytesOf(output),
    ...(error === undefined ? {} : { error }),
    ...(usage === undefined ? {} : { usage }),
    startedAt,
    endedAt,
    seq,
  };
}

/** Values up to INLINE_VALUE_BYTES are in the row, and so in every view of it. */
function bytesOf(ref: ValueRef | undefined): number {
  if (ref === undefined) return 0;
  return ref.kind === "stored" ? ref.bytes : Math.min(utf8Bytes(ref.json), INLINE_VALUE_BYTES);
}

export async function nodeOutput(ctx: QueryCtx, execution: Doc<"executions">, key: string): Promise<string | null> {
  const run = await ctx.db
    .query("nodeRuns")
    .withIndex("by_execution_key", (q) => q.eq("executionId", execution._id).eq("key", key))
    .first();
  return run?.output === undefined ? null : await loadValue(ctx, execution._id, run.output);
}
