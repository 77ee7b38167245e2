/**
 * Drafts, versions and publishing, as methods of `shardflow.definitions`.
 *
 * Owns: definitions as objects or JSON text on the way in, objects on the way out. A definition is code: publishing one
 * lets it call every bound function, so offer these methods to people you would let deploy.
 */
import type { ComponentApi } from "../component/_generated/component.js";
import type { DefinitionDiff } from "../shared/definitionDiff.js";
import { shardflowError } from "../shared/errors.js";
import { fromJsonText, toJsonText } from "../shared/json.js";
import { defined, type ReadCtx, type WriteCtx } from "./context.js";
import type { DefinitionSource } from "./definitionSource.js";
import { readDefinitionsFile, type DefinitionsFile } from "./definitionsFile.js";
import { exportDefinitions, type ExportOptions } from "./exportDefinitions.js";
import { importDefinitions, inScope, type ImportCtx, type ImportOptions } from "./importDefinitions.js";
import type { ImportReport } from "./importReport.js";
import type { Page } from "./values.js";

/** A definition and its scope. Default scope: `defaults.scope` of the client. */
export type DefinitionTarget = { name: string; scope?: string | undefined };

/** A definition as an object, or as JSON text. */
export type DefinitionInput = DefinitionSource | string;

export type DefinitionProblem = {
  code: string;
  /** Id of the node, or null when it concerns none. */
  node: string | null;
  /** Where, as in `nodes.route.cases[0].if`. */
  path: string;
  message: string;
  suggestion: string | null;
};

export type DefinitionSummary = {
  scope: string;
  name: string;
  /** The version that new executions use; null when none was published. */
  activeVersion: number | null;
  latestVersion: number;
  deleting: boolean;
  updatedAt: number;
};

export type DefinitionDetails = DefinitionSummary & {
  /** JSON text, since a draft may be anything; pass `revision` to `saveDraft` to notice other editors. */
  draft: { source: string; revision: number; savedAt: number } | null;
  /** The version asked for, else the active one. `source` is the text as it was published, in the format of then. */
  version: {
    version: number;
    definition: DefinitionSource;
    source: string;
    note?: string;
    publishedAt: number;
  } | null;
};

export class Definitions {
  readonly #component: ComponentApi;
  readonly #defaultScope: string | undefined;
  /** Names of the functions that {@link #sync} makes known. */
  readonly #actions: readonly string[];
  readonly #sync: (ctx: WriteCtx) => Promise<void>;

  constructor(
    component: ComponentApi,
    defaultScope: string | undefined,
    actions: readonly string[],
    sync: (ctx: WriteCtx) => Promise<void>,
  ) {
    this.#component = component;
    this.#defaultScope = defaultScope;
    this.#actions = actions;
    this.#sync = sync;
  }

  /**
   * Saves the draft of a definition. A draft may have problems; published versions are not touched.
   *
   * Guarantee: with `expectedRevision` two editors never overwrite each other.
   *
   * @param args - `source`, and `expectedRevision` to save only over the draft that was loaded (0: there is none).
   * @returns The new revision, and every problem of the draft.
   * @throws {DRAFT_CONFLICT} when the draft is at another revision. {VALUE_TOO_LARGE} {VALUE_NOT_JSON}
   *   {ARGUMENT_INVALID} when it cannot be stored. {DEFINITION_DELETING} when the definition is being deleted.
   * @example
   * ```ts
   * const { revision, problems } = await shardflow.definitions.saveDraft(ctx, {
   *   name: "ticket-triage",
   *   source: textOfTheEditor,
   *   expectedRevision: 3,
   * });
   * ```
   */
  async saveDraft(
    ctx: WriteCtx,
    args: DefinitionTarget & { source: DefinitionInput; expectedRevision?: number | undefined },
  ): Promise<{ revision: number; problems: DefinitionProblem[] }> {
    const { source, expectedRevision } = args;
    return await ctx.runMutation(this.#component.definitions.saveDraft, {
      ...this.#target(args),
      ...defined({ expectedRevision }),
      source: textOf(source),
    });
  }

  /**
   * Finds every problem of a definition at once, without saving anything. Action names count as known once they were
   * synced.
   *
   * Guarantee: what has no problems here can be published, as long as the bound names stay.
   *
   * @param source - An object or JSON text.
   * @returns `valid`, and the problems with code, node, path and suggestion.
   * @throws {VALUE_NOT_JSON} when an object holds what JSON cannot carry. Text that is not JSON is a problem, no error.
   * @example
   * ```ts
   * const { valid, problems } = await shardflow.definitions.validate(ctx, textOfTheEditor);
   * if (!valid) console.log(problems.map((problem) => `${problem.path}: ${problem.message}`));
   * ```
   */
  async validate(ctx: ReadCtx, source: DefinitionInput): Promise<{ valid: boolean; problems: DefinitionProblem[] }> {
    return await ctx.runQuery(this.#component.definitions.validate, { source: textOf(source) });
  }

  /**
   * Publishes a definition as its next version and makes that the active one. Syncs the bound functions first, so that
   * the names of actions are known.
   *
   * Guarantee: in a mutation one transaction with the sync. Running executions stay on their version.
   *
   * @param args - `source`; without it the draft of `name` is published. `name` may be left out when the source has it.
   * @returns The number of the version.
   * @throws {DEFINITION_INVALID} with all `problems`. {DRAFT_NOT_FOUND} when there is neither source nor draft.
   *   {DEFINITION_DELETING} when the definition is being deleted. {VALUE_NOT_JSON} {ARGUMENT_INVALID} when the source is
   *   no JSON or there is no name.
   * @example
   * ```ts
   * const greeting = {
   *   name: "greeting",
   *   nodes: {
   *     start: { type: "trigger", next: { success: "greet" } },
   *     greet: { type: "llm", model: "openai:gpt-5-mini", prompt: "Greet {{ input.name }}.", next: { success: "end" } },
   *     end: { type: "output", value: "{{ nodes.greet.output }}" },
   *   },
   * } satisfies DefinitionSource;
   *
   * const { version } = await shardflow.definitions.publish(ctx, { source: greeting, note: "First words." });
   * ```
   */
  async publish(
    ctx: WriteCtx,
    args: {
      name?: string | undefined;
      scope?: string | undefined;
      source?: DefinitionInput;
      note?: string | undefined;
    },
  ): Promise<{ version: number }> {
    const { scope, source, note } = args;
    const name = args.name ?? nameOf(source);
    await this.#sync(ctx);
    return await ctx.runMutation(this.#component.definitions.publish, {
      ...this.#target({ name, scope }),
      ...defined({ note, source: source === undefined ? undefined : textOf(source) }),
    });
  }

  /**
   * Makes an earlier version the active one. Running executions stay on theirs.
   *
   * Guarantee: executions that start after the commit use that version.
   *
   * @param args - The definition and the version.
   * @throws {DEFINITION_NOT_FOUND} {VERSION_NOT_FOUND} {DEFINITION_DELETING} when there is nothing to go back to.
   * @example
   * ```ts
   * await shardflow.definitions.rollback(ctx, { name: "ticket-triage", version: 3 });
   * ```
   */
  async rollback(ctx: WriteCtx, args: DefinitionTarget & { version: number }): Promise<void> {
    await ctx.runMutation(this.#component.definitions.rollback, { ...this.#target(args), version: args.version });
  }

  /**
   * A definition with its draft and one version.
   *
   * Guarantee: a version never changes; draft and active version are one snapshot.
   *
   * @param args - The definition; `version` for another one than the active.
   * @returns The definition, or null when there is none of that name in that scope.
   * @throws {VERSION_NOT_FOUND} when it has no such version.
   * @example
   * ```ts
   * const triage = await shardflow.definitions.get(ctx, { name: "ticket-triage" });
   * console.log(triage?.version?.definition.nodes);
   * ```
   */
  async get(
    ctx: ReadCtx,
    args: DefinitionTarget & { version?: number | undefined },
  ): Promise<DefinitionDetails | null> {
    const found = await ctx.runQuery(this.#component.definitions.get, {
      ...this.#target(args),
      ...defined({ version: args.version }),
    });
    if (found === null || found.version === null) return found === null ? null : { ...found, version: null };
    const { source } = found.version;
    return { ...found, version: { ...found.version, definition: definitionOf(source) } };
  }

  /**
   * Lists the definitions of a scope, by name.
   *
   * Guarantee: every definition is on exactly one page.
   *
   * @param args - Scope and page; `limit` 1 to 200, default 50.
   * @returns One page.
   * @throws {ARGUMENT_INVALID} when `limit` is out of bounds.
   * @example
   * ```ts
   * const { page, cursor } = await shardflow.definitions.list(ctx, { limit: 100 });
   * ```
   */
  async list(
    ctx: ReadCtx,
    args: { scope?: string | undefined; cursor?: string | null | undefined; limit?: number | undefined } = {},
  ): Promise<Page<DefinitionSummary>> {
    const { scope = this.#defaultScope, cursor, limit } = args;
    return await ctx.runQuery(this.#component.definitions.list, defined({ scope, cursor, limit }));
  }

  /**
   * What is different between two versions, by meaning: nodes, their fields and connections, and the definition's own
   * fields. The order of fields and nodes does not count; nodes are matched by id.
   *
   * Guarantee: the changes, applied to `from`, give what `to` means. Older formats are compared as what they are now.
   *
   * @param args - The definition and its two versions.
   * @returns The differences; `equal` when there are none. They hold keys that Convex values refuse: return
   *   `JSON.stringify(diff)` from a function.
   * @throws {DEFINITION_NOT_FOUND} {VERSION_NOT_FOUND} when there is nothing to compare.
   * @example
   * ```ts
   * const { nodes } = await shardflow.definitions.diff(ctx, { name: "ticket-triage", from: 2, to: 3 });
   * console.log(nodes.map(({ kind, node }) => `${kind}: ${node}`));
   * ```
   */
  async diff(ctx: ReadCtx, args: DefinitionTarget & { from: number; to: number }): Promise<DefinitionDiff> {
    const { from, to } = args;
    const text = await ctx.runQuery(this.#component.definitions.diff, { ...this.#target(args), from, to });
    return fromJsonText(text, "The difference") as unknown as DefinitionDiff;
  }

  /**
   * One version as a file of definitions, to keep in a repository or to bring elsewhere with {@link importAll}.
   *
   * Guarantee: the definition is as it was published; the same version always gives the same file.
   *
   * @param args - The definition; `version` for another one than the active.
   * @returns The file. `definitions[0].versions[0].definition` can also be published.
   * @throws {DEFINITION_NOT_FOUND} {DEFINITION_NOT_PUBLISHED} {VERSION_NOT_FOUND} when there is nothing to export.
   * @example
   * ```ts
   * const file = await shardflow.definitions.export(ctx, { name: "ticket-triage", version: 3 });
   * const text = JSON.stringify(file, null, 2);
   * ```
   */
  async export(ctx: ReadCtx, args: DefinitionTarget & { version?: number | undefined }): Promise<DefinitionsFile> {
    const text = await ctx.runQuery(this.#component.definitions.export, {
      ...this.#target(args),
      ...defined({ version: args.version }),
    });
    return fromJsonText(text, "The export") as unknown as DefinitionsFile;
  }

  /**
   * The definitions of a scope with all their versions and drafts, as one file. Executions, bound functions, settings and
   * secrets are not in it.
   *
   * Guarantee: each definition is in the file as it was at one moment, the whole file as of one moment in a query or
   * mutation. Those have the 16 MiB that one transaction may read; an action reads 4 MB at a time and has no such bound.
   * A definition that is being deleted is left out.
   *
   * @param options - `scope` and `names`; without `names` all definitions of the scope.
   * @returns The file. It holds keys that Convex values refuse: return `JSON.stringify(file)` from a function.
   * @throws {DEFINITION_NOT_FOUND} when one of `names` is not there.
   * @example
   * ```ts
   * const file = await shardflow.definitions.exportAll(ctx, { scope: team });
   * const text = JSON.stringify(file, null, 2);
   * ```
   */
  async exportAll(ctx: ReadCtx, options: ExportOptions = {}): Promise<DefinitionsFile> {
    const { scope = this.#defaultScope, names } = options;
    return await exportDefinitions(ctx, this.#component, { scope, names });
  }

  /**
   * Imports a file of definitions, from this deployment or another one. Syncs the bound functions first.
   *
   * What is not here is created with its versions, their numbers and notes, its active version and its draft. To what is
   * here the versions are added that are missing, and the file's active version becomes the active one when the file
   * adds any, unless there are later ones here. A version that is here is never changed: when the file has another
   * content for its number, the whole definition is left as it is (see `onConflict`), as it is when a version has
   * problems. Older definition formats are migrated.
   *
   * Guarantee: a definition can be started only once all of it is there. Importing a file again changes nothing, and
   * after an import that stopped in the middle it does the rest. In a mutation all is one transaction; in an action each
   * version is one, so that a large file fits.
   *
   * @param file - From {@link exportAll} or {@link export}, as data or JSON text.
   * @param options - `scope`, `onConflict`, `allowUnbound`, and `dryRun` to see the report only.
   * @returns What was created, updated and left, and why; `formatImportReport` makes it text.
   * @throws {IMPORT_INVALID} with all `problems` when the file is malformed; nothing is changed then. {VALUE_TOO_LARGE}
   *   when the text is over 32 MB. {DRAFT_CONFLICT} {DEFINITION_DELETING} {DEFINITION_INVALID} when somebody changes the
   *   same definition while the import runs: run it again.
   * @example
   * ```ts
   * const report = await shardflow.definitions.importAll(ctx, textOfTheFile, { scope: team, dryRun: true });
   * if (report.ok) await shardflow.definitions.importAll(ctx, textOfTheFile, { scope: team });
   * else console.log(formatImportReport(report));
   * ```
   */
  async importAll(ctx: ImportCtx, file: DefinitionsFile | string, options: ImportOptions = {}): Promise<ImportReport> {
    const entries = inScope(readDefinitionsFile(file), options.scope);
    if (options.dryRun !== true) await this.#sync(ctx);
    return await importDefinitions(ctx, this.#component, entries, { ...options, actions: this.#actions });
  }

  /**
   * Deletes a definition with its versions and executions; active executions are canceled first.
   *
   * Guarantee: from the commit on nothing of it can be started; the rest goes in batches that continue by themselves.
   *
   * @param args - The definition; `reason` and `requester` are kept with the executions that are canceled.
   * @throws {DEFINITION_NOT_FOUND} when there is none.
   * @example
   * ```ts
   * await shardflow.definitions.delete(ctx, { name: "ticket-triage", reason: "Replaced by triage-2." });
   * ```
   */
  async delete(
    ctx: WriteCtx,
    args: DefinitionTarget & { reason?: string | undefined; requester?: string | undefined },
  ): Promise<void> {
    const { reason, requester } = args;
    await ctx.runMutation(this.#component.definitions.delete, {
      ...this.#target(args),
      ...defined({ reason, requester }),
    });
  }

  #target({ name, scope = this.#defaultScope }: DefinitionTarget) {
    return { name, ...defined({ scope }) };
  }
}

function textOf(source: DefinitionInput): string {
  return typeof source === "string" ? source : toJsonText(source, "The definition");
}

/** A version was validated when it was published, so it has the format. */
function definitionOf(source: string): DefinitionSource {
  return fromJsonText(source, "The definition") as unknown as DefinitionSource;
}

function nameOf(source: DefinitionInput | undefined): string {
  const definition = typeof source === "string" ? definitionOf(source) : source;
  const name: unknown = definition?.name;
  if (typeof name === "string") return name;
  throw shardflowError("ARGUMENT_INVALID", {
    message: "There is no name to publish under. Pass `name`, or a source that has one.",
  });
}
