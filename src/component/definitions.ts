/**
 * Public: drafts, validation, publishing and versions of definitions.
 *
 * A definition is JSON text. Every function can be run by hand with plain JSON, in the dashboard or with
 * `npx convex run --component shardflow definitions:list '{}'`. The one module of the component, besides the stretch,
 * that bundles the validator and the expression library.
 */
import { paginator } from "convex-helpers/server/pagination";
import { v } from "convex/values";
import { compileDefinition } from "../engine/definition/compile.js";
import { writePlan } from "../engine/definition/planCache.js";
import type { Problem } from "../engine/definition/problems.js";
import type { Definition } from "../engine/definition/schema.js";
import { validateDefinition } from "../engine/definition/validate.js";
import { readModelConfig } from "../models/config.js";
import { shardflowError } from "../shared/errors.js";
import { isJsonObject, utf8Bytes } from "../shared/json.js";
import { MAX_DEFINITION_BYTES, MAX_KEY_LENGTH, MAX_NAME_LENGTH } from "../shared/limits.js";
import { vDefinitionSummary, vDefinitionView, vPage, vProblem } from "../shared/views.js";
import { internal } from "./_generated/api.js";
import type { Doc, Id } from "./_generated/dataModel.js";
import { env, mutation, query, type MutationCtx, type QueryCtx } from "./_generated/server.js";
import { pageOptions } from "./model/paging.js";
import { findDefinition, findVersion } from "./model/starting.js";
import { loadVersionText, replaceVersionText } from "./model/versions.js";
import schema from "./schema.js";

const MAX_BINDINGS = 5_000;
const target = { scope: v.optional(v.string()), name: v.string() };

/**
 * Saves the draft of a definition. A draft may have problems; they are returned, all at once.
 * Errors: DRAFT_CONFLICT when `expectedRevision` is not the draft's, VALUE_TOO_LARGE, ARGUMENT_INVALID.
 */
export const saveDraft = mutation({
  args: { ...target, source: v.string(), expectedRevision: v.optional(v.number()) },
  returns: v.object({ revision: v.number(), problems: v.array(vProblem) }),
  handler: async (ctx, { scope = "", name, source, expectedRevision }) => {
    checkTarget(scope, name);
    if (utf8Bytes(source) > MAX_DEFINITION_BYTES) {
      throw shardflowError("VALUE_TOO_LARGE", {
        message: `The source of "${name}" has ${utf8Bytes(source)} bytes; a definition has at most ${MAX_DEFINITION_BYTES}.`,
      });
    }
    const existing = await lookUp(ctx, scope, name);
    refuseDeleting(existing, name);
    const draft = existing === null ? null : await draftOf(ctx, existing._id);
    const current = draft?.revision ?? 0;
    if (expectedRevision !== undefined && expectedRevision !== current) {
      throw shardflowError("DRAFT_CONFLICT", {
        message: `The draft of "${name}" is at revision ${current}, not ${expectedRevision}. Load it again and merge.`,
        revision: current,
      });
    }
    const now = Date.now();
    const definitionId =
      existing?._id ?? (await ctx.db.insert("definitions", { scope, name, latestVersion: 0, updatedAt: now }));
    const revision = current + 1;
    if (draft === null) await ctx.db.insert("drafts", { definitionId, source, revision, savedAt: now });
    else await ctx.db.patch("drafts", draft._id, { source, revision, savedAt: now });
    return { revision, problems: (await check(ctx, name, source)).problems };
  },
});

/** Every problem of a definition, without saving anything. */
export const validate = query({
  args: { source: v.string() },
  returns: v.object({ valid: v.boolean(), problems: v.array(vProblem) }),
  handler: async (ctx, { source }) => {
    const { problems } = await check(ctx, null, source);
    return { valid: problems.length === 0, problems };
  },
});

/**
 * Publishes `source`, or the draft, as the next version and makes it the active one. Running executions stay on theirs.
 * Errors: DEFINITION_INVALID with every problem, DRAFT_NOT_FOUND, DEFINITION_DELETING, ARGUMENT_INVALID.
 */
export const publish = mutation({
  args: { ...target, source: v.optional(v.string()), note: v.optional(v.string()) },
  returns: v.object({ version: v.number() }),
  handler: async (ctx, { scope = "", name, source: given, note }) => {
    checkTarget(scope, name);
    const existing = await lookUp(ctx, scope, name);
    refuseDeleting(existing, name);
    const source = given ?? (existing === null ? null : await draftOf(ctx, existing._id))?.source;
    if (source === undefined) {
      throw shardflowError("DRAFT_NOT_FOUND", {
        message: `There is no draft of "${name}" to publish. Save one, or pass the source.`,
      });
    }
    const { problems, definition } = await check(ctx, name, source);
    if (definition === null || problems.length > 0) {
      const first = problems[0];
      throw shardflowError("DEFINITION_INVALID", {
        message: `Definition "${name}" has ${problems.length} problem(s); the first: ${first?.code}: ${first?.message}`,
        problems: problems.map((problem) => ({ ...problem })),
      });
    }
    const now = Date.now();
    const definitionId =
      existing?._id ?? (await ctx.db.insert("definitions", { scope, name, latestVersion: 0, updatedAt: now }));
    const version = (existing?.latestVersion ?? 0) + 1;
    const versionId = await insertVersion(ctx, { definitionId, scope, name, version, definition, source, note, now });
    await ctx.db.patch("definitions", definitionId, {
      activeVersionId: versionId,
      activeVersion: version,
      latestVersion: version,
      updatedAt: now,
    });
    return { version };
  },
});

/** Makes an earlier version the active one. Errors: DEFINITION_NOT_FOUND, DEFINITION_DELETING, VERSION_NOT_FOUND. */
export const rollback = mutation({
  args: { ...target, version: v.number() },
  returns: v.null(),
  handler: async (ctx, { scope = "", name, version }) => {
    const definition = await findDefinition(ctx, scope, name);
    refuseDeleting(definition, name);
    const row = await findVersion(ctx, definition, version);
    await ctx.db.patch("definitions", definition._id, {
      activeVersionId: row._id,
      activeVersion: version,
      updatedAt: Date.now(),
    });
    return null;
  },
});

/** A definition with its draft and one version: the one asked for, else the active one. Null when there is none. */
export const get = query({
  args: { ...target, version: v.optional(v.number()) },
  returns: v.union(v.null(), vDefinitionView),
  handler: async (ctx, { scope = "", name, version }) => {
    const definition = await lookUp(ctx, scope, name);
    if (definition === null) return null;
    const draft = await draftOf(ctx, definition._id);
    const row =
      version === undefined ? await activeVersion(ctx, definition) : await findVersion(ctx, definition, version);
    return {
      ...summary(definition),
      draft: draft === null ? null : { source: draft.source, revision: draft.revision, savedAt: draft.savedAt },
      version: row === null ? null : await versionView(ctx, row),
    };
  },
});

/** The definitions of a scope, by name. Errors: ARGUMENT_INVALID. */
export const list = query({
  args: {
    scope: v.optional(v.string()),
    cursor: v.optional(v.union(v.null(), v.string())),
    limit: v.optional(v.number()),
  },
  returns: vPage(vDefinitionSummary),
  handler: async (ctx, { scope = "", ...range }) => {
    const result = await paginator(ctx.db, schema)
      .query("definitions")
      .withIndex("by_scope_name", (q) => q.eq("scope", scope))
      .paginate(pageOptions(range, [scope], 1));
    return { page: result.page.map(summary), cursor: result.isDone ? null : result.continueCursor };
  },
});

/** One version as a JSON text of {format, scope, name, version, note?, definition}. Errors: as for rollback. */
const exportDefinition = query({
  args: { ...target, version: v.optional(v.number()) },
  returns: v.string(),
  handler: async (ctx, { scope = "", name, version }) => {
    const definition = await findDefinition(ctx, scope, name);
    const number = version ?? definition.activeVersion;
    if (number === undefined) {
      throw shardflowError("DEFINITION_NOT_PUBLISHED", {
        message: `Definition "${name}" has no published version to export.`,
      });
    }
    const { source, ...head } = await versionView(ctx, await findVersion(ctx, definition, number));
    // The source is spliced in as it was published: parsing it here would only reorder and reformat it.
    const { publishedAt: _, ...fields } = head;
    return `{"format":1,"scope":${JSON.stringify(scope)},"name":${JSON.stringify(name)},${JSON.stringify(fields).slice(1, -1)},"definition":${source}}`;
  },
});

/**
 * Deletes a definition with its versions and executions. Active executions are canceled first. Goes on in batches by
 * itself; from now on nothing can be started. Errors: DEFINITION_NOT_FOUND.
 */
const deleteDefinition = mutation({
  args: { ...target, reason: v.optional(v.string()), requester: v.optional(v.string()) },
  returns: v.null(),
  handler: async (ctx, { scope = "", name, reason, requester }) => {
    const definition = await findDefinition(ctx, scope, name);
    if (definition.deleting !== true)
      await ctx.db.patch("definitions", definition._id, { deleting: true, updatedAt: Date.now() });
    await ctx.scheduler.runAfter(0, internal.cleanup.deleteDefinition, {
      definitionId: definition._id,
      reason: reason ?? `Definition "${name}" was deleted.`,
      ...(requester === undefined ? {} : { requester }),
    });
    return null;
  },
});

// `export` and `delete` are the words of the field, and reserved in JavaScript: they can name an export, not a constant.
export { exportDefinition as export, deleteDefinition as delete };

async function lookUp(ctx: QueryCtx, scope: string, name: string): Promise<Doc<"definitions"> | null> {
  return await ctx.db
    .query("definitions")
    .withIndex("by_scope_name", (q) => q.eq("scope", scope).eq("name", name))
    .unique();
}

/** Null when none is published, or while the definition is being deleted. */
async function activeVersion(ctx: QueryCtx, { activeVersionId }: Doc<"definitions">): Promise<Doc<"versions"> | null> {
  return activeVersionId === undefined ? null : await ctx.db.get("versions", activeVersionId);
}

async function draftOf(ctx: QueryCtx, definitionId: Id<"definitions">): Promise<Doc<"drafts"> | null> {
  return await ctx.db
    .query("drafts")
    .withIndex("by_definition", (q) => q.eq("definitionId", definitionId))
    .unique();
}

function checkTarget(scope: string, name: string): void {
  if (name.length === 0 || name.length > MAX_NAME_LENGTH) {
    throw shardflowError("ARGUMENT_INVALID", {
      message: `A definition's name has 1 to ${MAX_NAME_LENGTH} characters; this one has ${name.length}.`,
    });
  }
  if (scope.length > MAX_KEY_LENGTH) {
    throw shardflowError("ARGUMENT_INVALID", {
      message: `A scope has at most ${MAX_KEY_LENGTH} characters; this one has ${scope.length}.`,
    });
  }
}

function refuseDeleting(definition: Doc<"definitions"> | null, name: string): void {
  if (definition?.deleting !== true) return;
  throw shardflowError("DEFINITION_DELETING", {
    message: `Definition "${name}" is being deleted. Wait until it is gone.`,
  });
}

/** All problems of a source, with the actions and model providers known to this deployment. */
async function check(
  ctx: QueryCtx,
  name: string | null,
  source: string,
): Promise<{ problems: Problem[]; definition: Definition | null }> {
  const bindings = await ctx.db.query("bindings").withIndex("by_name").take(MAX_BINDINGS);
  const checked = validateDefinition(source, {
    knownActions: new Set(bindings.map((row) => row.name)),
    knownProviders: new Set(readModelConfig(env).providers.keys()),
  });
  const own = checked.definition?.name;
  if (name === null || own === undefined || own === name) return checked;
  const mismatch: Problem = {
    code: "SCHEMA_INVALID",
    node: null,
    path: "name",
    message: `The source is named "${own}", but is saved as "${name}".`,
    suggestion: name,
  };
  return { definition: null, problems: [mismatch, ...checked.problems] };
}

type NewVersion = {
  definitionId: Id<"definitions">;
  scope: string;
  name: string;
  version: number;
  definition: Definition;
  source: string;
  note: string | undefined;
  now: number;
};

async function insertVersion(
  ctx: MutationCtx,
  { definition, source, note, now, ...key }: NewVersion,
): Promise<Id<"versions">> {
  const plan = compileDefinition(definition);
  const { input } = definition;
  const versionId = await ctx.db.insert("versions", {
    ...key,
    ...(isJsonObject(input) || typeof input === "boolean" ? { inputSchema: JSON.stringify(input) } : {}),
    entry: plan.entry,
    nodes: Object.keys(plan.nodes).length,
    sourceBytes: utf8Bytes(source),
    ...(note === undefined ? {} : { note }),
    publishedAt: now,
  });
  await replaceVersionText(ctx, versionId, "source", source);
  await replaceVersionText(ctx, versionId, "plan", writePlan(plan));
  return versionId;
}

async function versionView(ctx: QueryCtx, row: Doc<"versions">) {
  const { version, note, publishedAt } = row;
  const source = await loadVersionText(ctx, row._id, "source");
  return { version, source, ...(note === undefined ? {} : { note }), publishedAt };
}

function summary({ scope, name, activeVersion, latestVersion, deleting, updatedAt }: Doc<"definitions">) {
  return { scope, name, activeVersion: activeVersion ?? null, latestVersion, deleting: deleting === true, updatedAt };
}
