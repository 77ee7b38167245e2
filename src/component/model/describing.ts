/** Builds the public views of executions and node runs from their rows. */
import { runKey, type Position } from "../../engine/position.js";
import { readPosition } from "../../engine/storedPosition.js";
import { isShardflowError } from "../../shared/errors.js";
import { INLINE_VALUE_BYTES, MB } from "../../shared/limits.js";
import type { ValueRef } from "../../shared/values.js";
import { utf8Bytes } from "../../shared/json.js";
import type {
  ExecutionDescription,
  ExecutionStatusView,
  ExecutionSummary,
  NodeRunView,
  ValueName,
} from "../../shared/views.js";
import type { Doc, Id } from "../_generated/dataModel.js";
import type { QueryCtx } from "../_generated/server.js";
import { dataOf, positionOf } from "./ending.js";
import { shardOf } from "./shards.js";
import { loadValue } from "./values.js";

/** Events of one description; there are few by nature. */
const MAX_EVENTS = 100;
/** A transaction reads 16 MiB and a function returns as much; the position alone may have 4. */
const MAX_DESCRIBED_BYTES = 6 * MB;

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
  if (execution.endedAt === undefined) return summaryView(execution);
  const data = await dataOf(ctx, execution._id);
  const output = data?.output === undefined ? undefined : await loadValue(ctx, execution._id, data.output);
  return { ...(await endedView(ctx, execution, data)), ...(output === undefined ? {} : { output }) };
}

/** All of the status but the output. */
async function endedView(
  ctx: QueryCtx,
  execution: Doc<"executions">,
  data: Doc<"executionData"> | null,
): Promise<ExecutionStatusView> {
  const canceled = execution.endedAt === undefined ? null : await cancellationOf(ctx, execution);
  return {
    ...summaryView(execution),
    ...(data?.error === undefined ? {} : { error: data.error }),
    ...(canceled === null ? {} : { canceled }),
  };
}

type ValueRefs = Partial<Record<ValueName, ValueRef>>;

function valueRefs(data: Doc<"executionData"> | null, row: Doc<"positions"> | null): ValueRefs {
  return {
    ...(data?.output === undefined ? {} : { output: data.output }),
    input: data?.input ?? { kind: "inline", json: "null" },
    ...(data?.context === undefined ? {} : { context: data.context }),
    variables: row?.variables ?? { kind: "inline", json: "{}" },
  };
}

/** The values that fit into one description, and the names of those that do not. */
async function describedValues(ctx: QueryCtx, id: Id<"executions">, refs: ValueRefs) {
  const values: Partial<Record<ValueName, string>> = {};
  const omitted: Array<{ name: ValueName; bytes: number }> = [];
  let total = 0;
  for (const [name, ref] of Object.entries(refs) as Array<[ValueName, ValueRef]>) {
    const bytes = ref.kind === "stored" ? ref.bytes : 0;
    if (total + bytes > MAX_DESCRIBED_BYTES) {
      omitted.push({ name, bytes });
      continue;
    }
    total += bytes;
    values[name] = await loadValue(ctx, id, ref);
  }
  return { ...values, ...(omitted.length === 0 ? {} : { omitted }) };
}

/** One of the values as JSON text, or null when the execution has none of that name. */
export async function executionValue(
  ctx: QueryCtx,
  { _id }: Doc<"executions">,
  name: ValueName,
): Promise<string | null> {
  const ref = valueRefs(await dataOf(ctx, _id), await positionOf(ctx, _id))[name];
  return ref === undefined ? null : await loadValue(ctx, _id, ref);
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
    ...(await endedView(ctx, execution, data)),
    ...(await describedValues(ctx, id, valueRefs(data, row))),
    tags: data?.tags ?? {},
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
