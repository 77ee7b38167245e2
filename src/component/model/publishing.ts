/**
 * What every way to a published version has in common: publishing, and importing.
 *
 * Owns: how a source is checked for this deployment, and how a version is written. Invariant: what is stored as a
 * version had no problems, is of the current format, and stands beside the plan that was compiled from it. Bundles the
 * validator and the expression library, so only `definitions` and `transfer` import it.
 */
import { compileDefinition } from "../../engine/definition/compile.js";
import type { MigratedFrom } from "../../engine/definition/migrate.js";
import { writePlan } from "../../engine/definition/planCache.js";
import type { Problem } from "../../engine/definition/problems.js";
import type { Definition } from "../../engine/definition/schema.js";
import { validateDefinition } from "../../engine/definition/validate.js";
import { readModelConfig } from "../../models/config.js";
import { shardflowError } from "../../shared/errors.js";
import { isJsonObject, utf8Bytes } from "../../shared/json.js";
import { MAX_KEY_LENGTH, MAX_NAME_LENGTH, MAX_NOTE_LENGTH } from "../../shared/limits.js";
import type { Doc, Id } from "../_generated/dataModel.js";
import { env, type MutationCtx, type QueryCtx } from "../_generated/server.js";
import { replaceVersionText } from "./versions.js";

const MAX_BINDINGS = 5_000;

export async function lookUp(ctx: QueryCtx, scope: string, name: string): Promise<Doc<"definitions"> | null> {
  return await ctx.db
    .query("definitions")
    .withIndex("by_scope_name", (q) => q.eq("scope", scope).eq("name", name))
    .unique();
}

export async function draftOf(ctx: QueryCtx, definitionId: Id<"definitions">): Promise<Doc<"drafts"> | null> {
  return await ctx.db
    .query("drafts")
    .withIndex("by_definition", (q) => q.eq("definitionId", definitionId))
    .unique();
}

export function checkTarget(scope: string, name: string): void {
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

export function checkNote(note: string | undefined): void {
  if (note === undefined || note.length <= MAX_NOTE_LENGTH) return;
  throw shardflowError("ARGUMENT_INVALID", {
    message: `A note has at most ${MAX_NOTE_LENGTH} characters; this one has ${note.length}.`,
  });
}

export function refuseDeleting(definition: Doc<"definitions"> | null, name: string): void {
  if (definition?.deleting !== true) return;
  throw shardflowError("DEFINITION_DELETING", {
    message: `Definition "${name}" is being deleted. Wait until it is gone.`,
  });
}

export type Checked = {
  problems: Problem[];
  /** Null when there are problems. */
  definition: Definition | null;
  /** The text to store: what was given, or what became of it when it was of an older format. */
  source: string;
  migrated: MigratedFrom | null;
};

/** All problems of a source, with the actions and model providers known to this deployment. */
export async function check(
  ctx: QueryCtx,
  name: string | null,
  source: string,
  moreActions: readonly string[] = [],
): Promise<Checked> {
  const bindings = await ctx.db.query("bindings").withIndex("by_name").take(MAX_BINDINGS);
  return checkAgainst(name, source, {
    knownActions: new Set([...bindings.map((row) => row.name), ...moreActions]),
    knownProviders: new Set(readModelConfig(env).providers.keys()),
  });
}

/** The same, with the names that are given; none are given when any will do. */
export function checkAgainst(
  name: string | null,
  source: string,
  known: Parameters<typeof validateDefinition>[1],
): Checked {
  const { problems, definition, migrated = null } = validateDefinition(source, known);
  const own = definition?.name;
  const text = migrated === null || definition === null ? source : JSON.stringify(definition);
  if (name === null || own === undefined || own === name) return { problems, definition, source: text, migrated };
  const mismatch: Problem = {
    code: "SCHEMA_INVALID",
    node: null,
    path: "name",
    message: `The source is named "${own}", but is saved as "${name}".`,
    suggestion: name,
  };
  return { problems: [mismatch, ...problems], definition: null, source: text, migrated };
}

export function invalid(name: string, problems: readonly Problem[]): Error {
  const [first] = problems;
  return shardflowError("DEFINITION_INVALID", {
    message: `Definition "${name}" has ${problems.length} problem(s); the first: ${first?.code}: ${first?.message}`,
    problems: problems.map((problem) => ({ ...problem })),
  });
}

type NewVersion = {
  definitionId: Id<"definitions">;
  scope: string;
  name: string;
  version: number;
  definition: Definition;
  source: string;
  note: string | undefined;
  publishedAt: number;
};

export async function insertVersion(
  ctx: MutationCtx,
  { definition, source, note, publishedAt, ...key }: NewVersion,
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
    publishedAt,
  });
  await replaceVersionText(ctx, versionId, "source", source);
  await replaceVersionText(ctx, versionId, "plan", writePlan(plan));
  return versionId;
}
