/**
 * Starting executions: one transaction that conflicts with no other start.
 *
 * Invariant: execution, data, position and task are inserted together, with the shard; nothing of workflow, workpool or
 * batch-worker is touched. What is read (definition, version, settings, an idempotency range) changes rarely or belongs
 * to this start alone.
 */
import { validateJson } from "../../engine/jsonSchema.js";
import { placeShard } from "../../engine/placement.js";
import { checkValueSize } from "../../engine/values.js";
import { shardflowError } from "../../shared/errors.js";
import { fromJsonText } from "../../shared/json.js";
import {
  DEFAULT_IDEMPOTENCY_TTL_MS,
  MAX_IDEMPOTENCY_TTL_MS,
  MAX_KEY_LENGTH,
  MAX_TAG_LENGTH,
  MAX_TAGS,
  MAX_VALUE_BYTES,
} from "../../shared/limits.js";
import type { Doc, Id } from "../_generated/dataModel.js";
import type { MutationCtx, QueryCtx } from "../_generated/server.js";
import { cancelExecution, hasEnded } from "./canceling.js";
import type { Settings } from "./config.js";
import { checkHandle } from "./ids.js";
import { ensureRunning, NEW_LANE } from "./queue.js";
import { storeValue } from "./values.js";

export type StartRequest = {
  input: string;
  shardKey?: string | undefined;
  idempotencyKey?: string | undefined;
  idempotencyTtlMs?: number | undefined;
  onConflict?: "return" | "reject" | "replace" | undefined;
  onComplete?: string | undefined;
  context?: string | undefined;
  tags?: Record<string, string> | undefined;
};

/** The version that a start names, or the active one. */
export async function versionToStart(
  ctx: QueryCtx,
  scope: string,
  name: string,
  version: number | undefined,
): Promise<Doc<"versions">> {
  const definition = await findDefinition(ctx, scope, name);
  if (definition.deleting === true) {
    throw shardflowError("DEFINITION_DELETING", {
      message: `Definition "${name}" is being deleted; it takes no new executions.`,
    });
  }
  if (version === undefined) {
    const active =
      definition.activeVersionId === undefined ? null : await ctx.db.get("versions", definition.activeVersionId);
    if (active !== null) return active;
    throw shardflowError("DEFINITION_NOT_PUBLISHED", {
      message: `Definition "${name}" has no published version. Publish it first.`,
    });
  }
  return await findVersion(ctx, definition, version);
}

export async function findDefinition(ctx: QueryCtx, scope: string, name: string): Promise<Doc<"definitions">> {
  const definition = await ctx.db
    .query("definitions")
    .withIndex("by_scope_name", (q) => q.eq("scope", scope).eq("name", name))
    .unique();
  if (definition !== null) return definition;
  const where = scope === "" ? "without a scope" : `in scope "${scope}"`;
  throw shardflowError("DEFINITION_NOT_FOUND", {
    message: `There is no definition "${name}" ${where}. Publish it, or check the name and scope.`,
  });
}

export async function findVersion(
  ctx: QueryCtx,
  definition: Doc<"definitions">,
  version: number,
): Promise<Doc<"versions">> {
  const row = await ctx.db
    .query("versions")
    .withIndex("by_definition_version", (q) => q.eq("definitionId", definition._id).eq("version", version))
    .unique();
  if (row !== null) return row;
  throw shardflowError("VERSION_NOT_FOUND", {
    message: `Definition "${definition.name}" has no version ${version}; the latest is ${definition.latestVersion}.`,
  });
}

/** Starts one execution, or answers with an existing one of the same idempotency key. */
export async function startExecution(
  ctx: MutationCtx,
  version: Doc<"versions">,
  request: StartRequest,
  settings: Settings,
  now: number,
): Promise<{ executionId: Id<"executions">; shardIndex: number | null }> {
  checkOptions(request);
  const existing = await resolveConflict(ctx, version, request, now);
  if (existing !== null) return { executionId: existing, shardIndex: null };
  // Only now: a start that is repeated is answered, also when a stricter version was published in between.
  checkValues(version, request);

  const { scope, name: definition, definitionId, version: number, _id: versionId } = version;
  const { idempotencyKey } = request;
  const executionId = await ctx.db.insert("executions", {
    scope,
    definition,
    definitionId,
    version: number,
    versionId,
    status: "pending",
    shardIndex: 0,
    startedAt: now,
    createdTs: ctx.db.vars.commitTs,
    ...(idempotencyKey === undefined
      ? {}
      : { idempotencyKey, idempotencyExpiresAt: now + (request.idempotencyTtlMs ?? DEFAULT_IDEMPOTENCY_TTL_MS) }),
  });
  // The id is known only now; both writes are one row when the transaction commits.
  const shardIndex = placeShard(request.shardKey ?? executionId, settings.activeShards);
  if (shardIndex !== 0) await ctx.db.patch("executions", executionId, { shardIndex });
  await insertRows(ctx, executionId, version, request, shardIndex, now);
  return { executionId, shardIndex };
}

async function insertRows(
  ctx: MutationCtx,
  executionId: Id<"executions">,
  version: Doc<"versions">,
  request: StartRequest,
  shardIndex: number,
  now: number,
): Promise<void> {
  const { scope, entry } = version;
  const { context, onComplete, tags } = request;
  await ctx.db.insert("executionData", {
    executionId,
    input: await storeValue(ctx, executionId, "input", request.input),
    ...(context === undefined ? {} : { context: await storeValue(ctx, executionId, "context", context) }),
    ...(onComplete === undefined ? {} : { onComplete }),
    ...(tags === undefined ? {} : { tags }),
  });
  await ctx.db.insert("positions", {
    executionId,
    shardIndex,
    ended: false,
    leaseEpoch: 0,
    lastSeq: 0,
    lastFlushId: "",
    position: { kind: "inline", json: JSON.stringify({ tokens: [{ pass: "", node: entry }], loops: [] }) },
    variables: { kind: "inline", json: "{}" },
    nodeRuns: 0,
    crashes: 0,
    renewedAt: 0,
  });
  await ctx.db.insert("tasks", {
    shardIndex,
    state: "queued",
    lane: NEW_LANE,
    priority: 0,
    order: ctx.db.vars.commitTs,
    scope,
    executionId,
  });
  for (const [tag, value] of Object.entries(tags ?? {})) {
    await ctx.db.insert("tags", { scope, tag, value, executionId, startedAt: now });
  }
}

/** Wakes each shard that was given something, once. */
export async function wakeShards(ctx: MutationCtx, shards: Iterable<number | null>): Promise<void> {
  for (const shardIndex of new Set(shards)) if (shardIndex !== null) await ensureRunning(ctx, shardIndex);
}

function checkValues(version: Doc<"versions">, request: StartRequest): void {
  checkValueSize(request.input, "The input", MAX_VALUE_BYTES);
  const input = fromJsonText(request.input, "The input");
  if (request.context !== undefined) {
    checkValueSize(request.context, "The context", MAX_VALUE_BYTES);
    fromJsonText(request.context, "The context");
  }
  if (version.inputSchema !== undefined) {
    const problems = validateJson(fromJsonText(version.inputSchema, "The input schema"), input);
    if (problems.length > 0) {
      const list = problems.map(({ path, message }) => `${path}: ${message}`).join("; ");
      throw shardflowError("INPUT_INVALID", {
        message: `The input does not match the schema of "${version.name}" version ${version.version}: ${list}`,
        problems,
      });
    }
  }
}

function checkOptions(request: StartRequest): void {
  for (const [name, key] of [
    ["idempotencyKey", request.idempotencyKey],
    ["shardKey", request.shardKey],
  ] as const) {
    if (key !== undefined && (key.length === 0 || key.length > MAX_KEY_LENGTH)) {
      throw invalid(`${name} must have 1 to ${MAX_KEY_LENGTH} characters; it has ${key.length}.`);
    }
  }
  const ttl = request.idempotencyTtlMs;
  if (ttl !== undefined && !(ttl > 0 && ttl <= MAX_IDEMPOTENCY_TTL_MS)) {
    throw invalid(`idempotencyTtlMs must be over 0 and at most ${MAX_IDEMPOTENCY_TTL_MS}; it is ${ttl}.`);
  }
  if (request.onComplete !== undefined) checkHandle(request.onComplete, "onComplete");
  const tags = Object.entries(request.tags ?? {});
  if (tags.length > MAX_TAGS) throw invalid(`An execution has at most ${MAX_TAGS} tags; ${tags.length} were given.`);
  for (const [tag, value] of tags) {
    if (tag.length === 0 || tag.length > MAX_TAG_LENGTH || value.length > MAX_TAG_LENGTH) {
      throw invalid(
        `Tag "${tag.slice(0, MAX_TAG_LENGTH)}": names have 1 to ${MAX_TAG_LENGTH} characters, values at most as many.`,
      );
    }
  }
}

const invalid = (message: string) => shardflowError("ARGUMENT_INVALID", { message });

/** The execution that holds the idempotency key, if its lifetime is not over and the caller accepts it. */
async function resolveConflict(
  ctx: MutationCtx,
  version: Doc<"versions">,
  request: StartRequest,
  now: number,
): Promise<Id<"executions"> | null> {
  const { idempotencyKey } = request;
  if (idempotencyKey === undefined) return null;
  const existing = await ctx.db
    .query("executions")
    .withIndex("by_scope_definition_idempotencyKey", (q) =>
      q.eq("scope", version.scope).eq("definition", version.name).eq("idempotencyKey", idempotencyKey),
    )
    .order("desc")
    .first();
  if (existing === null || (existing.idempotencyExpiresAt ?? 0) <= now) return null;
  switch (request.onConflict ?? "return") {
    case "return":
      return existing._id;
    case "reject":
      throw shardflowError("IDEMPOTENCY_CONFLICT", {
        message: `Execution ${existing._id} of "${version.name}" has the idempotency key "${idempotencyKey}" already.`,
        executionId: existing._id,
      });
    case "replace":
      if (!hasEnded(existing)) {
        await cancelExecution(ctx, existing, { reason: "Replaced by a start with the same idempotency key." }, now);
      }
      // The older one gives the key up, so that the newer one is found from now on.
      await ctx.db.patch("executions", existing._id, { idempotencyKey: undefined, idempotencyExpiresAt: undefined });
      return null;
  }
}
