/**
 * Public: the steps of exporting and importing definitions with their versions. The client puts them together.
 *
 * Definitions cross as JSON text, since Convex values refuse keys that start with `$`. Every function handles what one
 * transaction can: a page of versions, or one version. Invariants: a version that exists is never changed; importing
 * the same version again changes nothing; a version becomes the active one only together with the last version of its
 * import, so that no half-imported definition can be started.
 */
import { v } from "convex/values";
import { isSameDefinition, migrateDefinition } from "../engine/definition/migrate.js";
import type { Problem } from "../engine/definition/problems.js";
import type { Definition } from "../engine/definition/schema.js";
import { readSource } from "../engine/definition/source.js";
import { shardflowError } from "../shared/errors.js";
import { isJsonObject } from "../shared/json.js";
import { EXPORT_PAGE_BYTES, MAX_PAGE_SIZE, MAX_VERSION_NUMBER } from "../shared/limits.js";
import { vProblem } from "../shared/views.js";
import type { Doc } from "./_generated/dataModel.js";
import { mutation, query, type QueryCtx } from "./_generated/server.js";
import {
  check,
  checkAgainst,
  checkNote,
  checkTarget,
  draftOf,
  insertVersion,
  invalid,
  lookUp,
  refuseDeleting,
  type Checked,
} from "./model/publishing.js";
import { findDefinition, findVersion } from "./model/starting.js";
import { loadVersionText } from "./model/versions.js";

const target = { scope: v.optional(v.string()), name: v.string() };
const content = { source: v.string(), note: v.optional(v.string()) };

/** What depends on how a deployment is set up, not on the definition alone. */
const UNBOUND: ReadonlySet<string> = new Set<Problem["code"]>(["ACTION_UNKNOWN", "MODEL_PROVIDER_UNKNOWN"]);

/**
 * A definition with its draft and its versions from number `from` on, as many as fit a page.
 * Null when there is none, or it is being deleted.
 */
export const read = query({
  args: { ...target, from: v.optional(v.number()) },
  returns: v.union(
    v.null(),
    v.object({
      /** Differs when the definition was deleted and made anew between two pages. */
      definitionId: v.string(),
      activeVersion: v.union(v.null(), v.number()),
      latestVersion: v.number(),
      /** Source of the draft; on the first page only. */
      draft: v.optional(v.string()),
      versions: v.array(
        v.object({ version: v.number(), note: v.optional(v.string()), publishedAt: v.number(), source: v.string() }),
      ),
      /** Number to go on from; null at the end. */
      next: v.union(v.null(), v.number()),
    }),
  ),
  handler: async (ctx, { scope = "", name, from }) => {
    const definition = await lookUp(ctx, scope, name);
    if (definition === null || definition.deleting === true) return null;
    const draft = from === undefined ? await draftOf(ctx, definition._id) : null;
    return {
      definitionId: definition._id,
      activeVersion: definition.activeVersion ?? null,
      latestVersion: definition.latestVersion,
      ...(draft === null ? {} : { draft: draft.source }),
      ...(await readVersions(ctx, definition, from ?? 0)),
    };
  },
});

async function readVersions(ctx: QueryCtx, { _id }: Doc<"definitions">, from: number) {
  const rows = ctx.db
    .query("versions")
    .withIndex("by_definition_version", (q) => q.eq("definitionId", _id).gte("version", from));
  const versions = [];
  let bytes = 0;
  for await (const { _id: versionId, version, note, publishedAt, sourceBytes } of rows) {
    // The first version is always taken, so that every page gets further.
    const isFull = bytes + sourceBytes > EXPORT_PAGE_BYTES || versions.length === MAX_PAGE_SIZE;
    if (versions.length > 0 && isFull) return { versions, next: version };
    const source = await loadVersionText(ctx, versionId, "source");
    versions.push({ version, ...(note === undefined ? {} : { note }), publishedAt, source });
    bytes += sourceBytes;
  }
  return { versions, next: null };
}

const vState = v.union(v.literal("new"), v.literal("same"), v.literal("different"));

/**
 * How a version of a file compares with this deployment: whether there is one of that number, and what speaks against
 * importing it. Writes nothing. Errors: none.
 */
export const checkVersion = query({
  args: {
    ...target,
    version: v.number(),
    source: v.string(),
    /** Names of actions that count as known besides the bound ones. */
    actions: v.optional(v.array(v.string())),
  },
  returns: v.object({
    state: vState,
    /** Why it cannot be imported. */
    problems: v.array(vProblem),
    /** Actions and model providers that this deployment does not know. */
    unbound: v.array(vProblem),
    /** The formats it is migrated from and to; null when it is of the current one. */
    migrated: v.union(v.null(), v.object({ from: v.number(), to: v.number() })),
  }),
  handler: async (ctx, { scope = "", name, version, source, actions }) => {
    const { problems, unbound, migrated } = await checkImport(ctx, name, source, actions);
    const existing = await lookUp(ctx, scope, name);
    const row = existing === null ? null : await versionRow(ctx, existing, version);
    const state = row === null ? ("new" as const) : await compare(ctx, row, source);
    return { state, problems, unbound, migrated: migrated && { from: migrated.from, to: migrated.to } };
  },
});

/**
 * Adds a version under its own number; makes the definition when it is the first. A number that is taken stays as it
 * is, and the answer says whether it holds the same.
 * Errors: DEFINITION_INVALID, DEFINITION_DELETING, VERSION_NOT_FOUND when there is none to activate, ARGUMENT_INVALID.
 */
export const importVersion = mutation({
  args: {
    ...target,
    ...content,
    version: v.number(),
    publishedAt: v.number(),
    /** Takes also what names actions or model providers that this deployment does not know. */
    allowUnbound: v.optional(v.boolean()),
    /** Makes `version` the active one, unless there is one above `newest`: somebody has published since. */
    activate: v.optional(v.object({ version: v.number(), newest: v.number() })),
  },
  returns: v.object({ state: vState, activated: v.boolean() }),
  handler: async (ctx, { scope = "", name, version, source, note, publishedAt, allowUnbound, activate }) => {
    checkTarget(scope, name);
    checkNote(note);
    checkNumber(version);
    const existing = await lookUp(ctx, scope, name);
    refuseDeleting(existing, name);
    const row = existing === null ? null : await versionRow(ctx, existing, version);
    const state = row === null ? ("new" as const) : await compare(ctx, row, source);
    if (state === "different") return { state, activated: false };

    const now = Date.now();
    const definitionId =
      existing?._id ?? (await ctx.db.insert("definitions", { scope, name, latestVersion: 0, updatedAt: now }));
    const latestVersion = Math.max(existing?.latestVersion ?? 0, version);
    if (state === "new") {
      const importable = await requireImportable(ctx, name, source, allowUnbound);
      await insertVersion(ctx, { definitionId, scope, name, version, note, publishedAt, ...importable });
      await ctx.db.patch("definitions", definitionId, { latestVersion, updatedAt: now });
    }
    const activated = activate !== undefined && latestVersion <= activate.newest;
    if (activated) {
      const { _id } = await findVersion(ctx, await findDefinition(ctx, scope, name), activate.version);
      await ctx.db.patch("definitions", definitionId, {
        activeVersionId: _id,
        activeVersion: activate.version,
        updatedAt: now,
      });
    }
    return { state, activated };
  },
});

/**
 * Publishes a version of a file as the next one here and makes it the active one, unless the active one says the same.
 * Errors: DEFINITION_NOT_FOUND, DEFINITION_INVALID, DEFINITION_DELETING.
 */
export const appendVersion = mutation({
  args: { ...target, ...content, allowUnbound: v.optional(v.boolean()) },
  returns: v.object({ version: v.number(), appended: v.boolean() }),
  handler: async (ctx, { scope = "", name, source, note, allowUnbound }) => {
    const definition = await findDefinition(ctx, scope, name);
    checkNote(note);
    refuseDeleting(definition, name);
    const { _id: definitionId, activeVersion, activeVersionId, latestVersion } = definition;
    const active = activeVersionId === undefined ? null : await ctx.db.get("versions", activeVersionId);
    if (activeVersion !== undefined && active !== null && (await compare(ctx, active, source)) === "same") {
      return { version: activeVersion, appended: false };
    }
    const importable = await requireImportable(ctx, name, source, allowUnbound);
    const now = Date.now();
    const version = latestVersion + 1;
    const key = { definitionId, scope, name, version };
    const versionId = await insertVersion(ctx, { ...key, note, publishedAt: now, ...importable });
    await ctx.db.patch("definitions", definitionId, {
      activeVersionId: versionId,
      activeVersion: version,
      latestVersion: version,
      updatedAt: now,
    });
    return { version, appended: true };
  },
});

type ImportCheck = Checked & { unbound: Problem[] };

/** All problems of a source, those that only this deployment has with it apart. */
async function checkImport(
  ctx: QueryCtx,
  name: string,
  source: string,
  moreActions: readonly string[] = [],
): Promise<ImportCheck> {
  const checked = await check(ctx, name, source, moreActions);
  const unbound = checked.problems.filter(({ code }) => UNBOUND.has(code));
  if (unbound.length === 0) return { ...checked, unbound };
  // Known or not, names are checked last and alone: without them the same problems are found, and the definition.
  return { ...checkAgainst(name, source, {}), unbound };
}

async function requireImportable(
  ctx: QueryCtx,
  name: string,
  given: string,
  allowUnbound = false,
): Promise<{ definition: Definition; source: string }> {
  const { definition, source, problems, unbound } = await checkImport(ctx, name, given);
  const all = allowUnbound ? problems : [...problems, ...unbound];
  if (definition === null || all.length > 0) throw invalid(name, all);
  return { definition, source };
}

async function versionRow(
  ctx: QueryCtx,
  { _id }: Doc<"definitions">,
  version: number,
): Promise<Doc<"versions"> | null> {
  return await ctx.db
    .query("versions")
    .withIndex("by_definition_version", (q) => q.eq("definitionId", _id).eq("version", version))
    .unique();
}

/** Compares what both become in the current format; whether that is valid by today's rules does not matter. */
async function compare(ctx: QueryCtx, { _id }: Doc<"versions">, source: string): Promise<"same" | "different"> {
  const [stored, given] = [inCurrentFormat(await loadVersionText(ctx, _id, "source")), inCurrentFormat(source)];
  return stored !== null && given !== null && isSameDefinition(stored, given) ? "same" : "different";
}

function inCurrentFormat(source: string) {
  const { json } = readSource(source);
  return isJsonObject(json) ? migrateDefinition(json).definition : null;
}

function checkNumber(version: number): void {
  if (Number.isInteger(version) && version >= 1 && version <= MAX_VERSION_NUMBER) return;
  throw shardflowError("ARGUMENT_INVALID", {
    message: `A version has a whole number from 1 to ${MAX_VERSION_NUMBER}; it is ${version}.`,
  });
}
