/**
 * Public: drafts, validation, publishing and versions of definitions.
 *
 * A definition is JSON text. Every function can be run by hand with plain JSON, in the dashboard or with
 * `npx convex run --component shardflow definitions:list '{}'`. Bundles the validator and the expression library.
 */
import { paginator } from "convex-helpers/server/pagination";
import { v } from "convex/values";
import { diffDefinitions } from "../engine/definition/diff.js";
import { migrateDefinition } from "../engine/definition/migrate.js";
import { DEFINITIONS_FILE, DEFINITIONS_FILE_VERSION } from "../shared/definitionsFile.js";
import { shardflowError } from "../shared/errors.js";
import { fromStoredText, isJsonObject, utf8Bytes, type JsonObject } from "../shared/json.js";
import { MAX_DEFINITION_BYTES } from "../shared/limits.js";
import { vDefinitionSummary, vDefinitionView, vPage, vProblem } from "../shared/views.js";
import { internal } from "./_generated/api.js";
import type { Doc } from "./_generated/dataModel.js";
import { mutation, query, type QueryCtx } from "./_generated/server.js";
import { pageOptions } from "./model/paging.js";
import {
  check,
  checkNote,
  checkTarget,
  draftOf,
  insertVersion,
  invalid,
  lookUp,
  refuseDeleting,
} from "./model/publishing.js";
import { findDefinition, findVersion } from "./model/starting.js";
import { loadVersionText } from "./model/versions.js";
import schema from "./schema.js";

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
    checkNote(note);
    const existing = await lookUp(ctx, scope, name);
    refuseDeleting(existing, name);
    const text = given ?? (existing === null ? null : await draftOf(ctx, existing._id))?.source;
    if (text === undefined) {
      throw shardflowError("DRAFT_NOT_FOUND", {
        message: `There is no draft of "${name}" to publish. Save one, or pass the source.`,
      });
    }
    const { problems, definition, source } = await check(ctx, name, text);
    if (definition === null) throw invalid(name, problems);
    const now = Date.now();
    const definitionId =
      existing?._id ?? (await ctx.db.insert("definitions", { scope, name, latestVersion: 0, updatedAt: now }));
    const version = (existing?.latestVersion ?? 0) + 1;
    const content = { definition, source, note, publishedAt: now };
    const versionId = await insertVersion(ctx, { definitionId, scope, name, version, ...content });
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

/**
 * What is different between two versions, as JSON text of a DefinitionDiff (shared/definitionDiff.ts).
 * Errors: DEFINITION_NOT_FOUND, VERSION_NOT_FOUND.
 */
export const diff = query({
  args: { ...target, from: v.number(), to: v.number() },
  returns: v.string(),
  handler: async (ctx, { scope = "", name, from, to }) => {
    const definition = await findDefinition(ctx, scope, name);
    const before = await readVersion(ctx, await findVersion(ctx, definition, from));
    const after = await readVersion(ctx, await findVersion(ctx, definition, to));
    return JSON.stringify(diffDefinitions(before, after));
  },
});

/** A version as JSON, in the current format. */
async function readVersion(ctx: QueryCtx, row: Doc<"versions">): Promise<JsonObject> {
  const what = `version ${row.version} of definition "${row.name}"`;
  const json = fromStoredText(await loadVersionText(ctx, row._id, "source"), what);
  if (!isJsonObject(json)) {
    throw shardflowError("CORRUPT_ROW", { message: `What is stored as ${what} is no definition.` });
  }
  return migrateDefinition(json).definition ?? json;
}

/**
 * One version as the JSON text of a file of definitions, which can be imported. Errors: as for rollback, and
 * DEFINITION_NOT_PUBLISHED.
 */
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
    const versionText = `${JSON.stringify(head).slice(0, -1)},"definition":${source}}`;
    const entryText = JSON.stringify({ scope, name, activeVersion: number }).slice(0, -1);
    const fileText = JSON.stringify({ format: DEFINITIONS_FILE, formatVersion: DEFINITIONS_FILE_VERSION }).slice(0, -1);
    return `${fileText},"definitions":[${entryText},"versions":[${versionText}]}]}`;
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

/** Null when none is published, or while the definition is being deleted. */
async function activeVersion(ctx: QueryCtx, { activeVersionId }: Doc<"definitions">): Promise<Doc<"versions"> | null> {
  return activeVersionId === undefined ? null : await ctx.db.get("versions", activeVersionId);
}

async function versionView(ctx: QueryCtx, row: Doc<"versions">) {
  const { version, note, publishedAt } = row;
  const source = await loadVersionText(ctx, row._id, "source");
  return { version, source, ...(note === undefined ? {} : { note }), publishedAt };
}

function summary({ scope, name, activeVersion, latestVersion, deleting, updatedAt }: Doc<"definitions">) {
  return { scope, name, activeVersion: activeVersion ?? null, latestVersion, deleting: deleting === true, updatedAt };
}
