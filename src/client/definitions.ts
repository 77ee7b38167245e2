/**
 * Drafts, versions and publishing, as methods of `shardflow.definitions`.
 *
 * Owns: definitions as objects or JSON text on the way in, objects on the way out. A definition is code: publishing one
 * lets it call every bound function, so offer these methods to people you would let deploy.
 */
import type { ComponentApi } from "../component/_generated/component.js";
import { shardflowError } from "../shared/errors.js";
import { fromJsonText, toJsonText } from "../shared/json.js";
import { defined, type ReadCtx, type WriteCtx } from "./context.js";
import type { DefinitionSource } from "./definitionSource.js";
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
  /** The version asked for, else the active one. `source` is the text as it was published. */
  version: {
    version: number;
    definition: DefinitionSource;
    source: string;
    note?: string;
    publishedAt: number;
  } | null;
};

/** A version to keep in a repository or to publish elsewhere. */
export type ExportedDefinition = {
  format: 1;
  scope: string;
  name: string;
  version: number;
  note?: string;
  definition: DefinitionSource;
};

export class Definitions {
  readonly #component: ComponentApi;
  readonly #defaultScope: string | undefined;
  readonly #sync: (ctx: WriteCtx) => Promise<void>;

  constructor(component: ComponentApi, defaultScope: string | undefined, sync: (ctx: WriteCtx) => Promise<void>) {
    this.#component = component;
    this.#defaultScope = defaultScope;
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
   * One version as data to keep elsewhere. `publish({ source: exported.definition })` brings it back.
   *
   * Guarantee: the definition is as it was published.
   *
   * @param args - The definition; `version` for another one than the active.
   * @returns The version with its origin.
   * @throws {DEFINITION_NOT_FOUND} {DEFINITION_NOT_PUBLISHED} {VERSION_NOT_FOUND} when there is nothing to export.
   * @example
   * ```ts
   * const exported = await shardflow.definitions.export(ctx, { name: "ticket-triage" });
   * await shardflow.definitions.publish(ctx, { source: exported.definition, scope: "another team" });
   * ```
   */
  async export(ctx: ReadCtx, args: DefinitionTarget & { version?: number | undefined }): Promise<ExportedDefinition> {
    const text = await ctx.runQuery(this.#component.definitions.export, {
      ...this.#target(args),
      ...defined({ version: args.version }),
    });
    return fromJsonText(text, "The export") as unknown as ExportedDefinition;
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
