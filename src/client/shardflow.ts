/**
 * The client class: what an app calls to run executions.
 *
 * Owns: the crossing between values and JSON text, and function handles. Everything else is the component's, so
 * arguments are checked there and errors come from there: every one has a code of docs/errors.md, and an operation that
 * throws has changed nothing. In a mutation a method is part of the transaction; in an action it is one of its own.
 */
import { createFunctionHandle, type FunctionReference, type FunctionVisibility } from "convex/server";
import type { ComponentApi } from "../component/_generated/component.js";
import { fromJsonText, toJsonText, type Json } from "../shared/json.js";
import type { ExecutionStatus } from "../shared/status.js";
import type { ExecutionSummary, OnCompleteArgs, ValueName } from "../shared/views.js";
import { Admin } from "./admin.js";
import { syncBindings, type ActionBinding, type ActionBindings, type SyncResult } from "./bindings.js";
import { defined, type ReadCtx, type WriteCtx } from "./context.js";
import { Definitions } from "./definitions.js";
import {
  parseDescription,
  parseNodeRun,
  parseStatus,
  type ExecutionDescription,
  type ExecutionId,
  type ExecutionState,
  type NodeRun,
  type Page,
} from "./values.js";

export type ShardflowOptions = {
  /** The functions that action nodes may call, by name. */
  actions?: ActionBindings | undefined;
  /** For calls that do not say otherwise. */
  defaults?: Defaults | undefined;
};

export type Defaults = {
  /** Tenant of definitions and executions. Default "". */
  scope?: string | undefined;
  /** How long an idempotency key is remembered. Default 24 h, at most 30 days. */
  idempotencyTtlMs?: number | undefined;
  onConflict?: OnConflict | undefined;
};

/**
 * What a start does when its idempotency key is taken: `return` gives the existing execution, `reject` throws
 * IDEMPOTENCY_CONFLICT, `replace` cancels the existing one and starts anew. Default `return`.
 */
export type OnConflict = "return" | "reject" | "replace";

/** A mutation that takes `vOnCompleteArgs`. It runs exactly once, after the execution has ended. */
export type OnCompleteFunction = FunctionReference<"mutation", FunctionVisibility, OnCompleteArgs, unknown>;

/** What one execution is started with. */
export type StartItem = {
  /** Any JSON value, checked against the version's input schema. Default null. */
  input?: unknown;
  /** Executions of one key run on the same shard. Default: the execution itself, which spreads a busy definition. */
  shardKey?: string | undefined;
  /** Starts of one definition with the same key are one execution; see {@link OnConflict}. */
  idempotencyKey?: string | undefined;
  /** How long the key is remembered. Default 24 h, at most 30 days. */
  idempotencyTtlMs?: number | undefined;
  onConflict?: OnConflict | undefined;
  /** Called once when the execution has ended, however it ended. */
  onComplete?: OnCompleteFunction | undefined;
  /** Any JSON value: `context` in expressions, and handed to `onComplete`. Not from the user, so it can be trusted. */
  context?: unknown;
  /** To find executions by; at most 10. */
  tags?: Record<string, string> | undefined;
};

type StartTarget = {
  /** Name of the definition. */
  definition: string;
  /** Default: the active version. */
  version?: number | undefined;
  /** Tenant. Default: `defaults.scope`. */
  scope?: string | undefined;
};

export type StartArgs = StartTarget & StartItem;
/** `onComplete` stands for the items that have none of their own. */
export type StartBatchArgs = StartTarget & { items: StartItem[]; onComplete?: OnCompleteFunction | undefined };

export type CancelOptions = {
  /** Kept with the execution and handed to `onComplete`. */
  reason?: string | undefined;
  /** Who asked; kept with the execution. */
  requester?: string | undefined;
};

/** Which executions to list: by definition, status and time, or by one tag and time. */
export type ListArgs = {
  scope?: string | undefined;
  definition?: string | undefined;
  status?: ExecutionStatus | undefined;
  tag?: { name: string; value: string } | undefined;
  /** Started at or after (ms since the epoch). */
  from?: number | undefined;
  /** Started before (ms since the epoch). */
  to?: number | undefined;
  /** By start time. Default `desc`: newest first. */
  order?: "asc" | "desc" | undefined;
} & PageArgs;

export type PageArgs = {
  /** Where the previous page ended. */
  cursor?: string | null | undefined;
  /** Rows of the page, 1 to 200. Default 50. */
  limit?: number | undefined;
};

/**
 * Runs definitions durably.
 *
 * Inputs, outputs and contexts are JSON values of any kind, also with keys that Convex refuses (`$ref`, `größe`). To hand
 * one on as the result of a Convex function, return `JSON.stringify(value)`, as the functions of `exposeApi` do.
 *
 * @example
 * ```ts
 * export const flows = new Shardflow(components.shardflow, {
 *   actions: { "crm.lookUp": { kind: "query", fn: internal.ticketTriage.lookUpCustomer } },
 * });
 * ```
 */
export class Shardflow {
  readonly component: ComponentApi;
  readonly defaults: Defaults;
  /** Drafts, versions and publishing. */
  readonly definitions: Definitions;
  /** Settings, load per shard and failed callbacks. For operators: never for clients. */
  readonly admin: Admin;
  readonly #actions: ActionBindings;

  /**
   * @param component - `components.shardflow`, from `_generated/api`.
   * @param options - Bound functions and defaults. Nothing is called or written here.
   */
  constructor(component: ComponentApi, options: ShardflowOptions = {}) {
    this.component = component;
    this.defaults = options.defaults ?? {};
    this.#actions = options.actions ?? {};
    const actions = Object.keys(this.#actions);
    this.definitions = new Definitions(component, this.defaults.scope, actions, (ctx) => this.#syncAny(ctx));
    this.admin = new Admin(component);
  }

  /**
   * Starts an execution.
   *
   * Guarantee: exactly once with the calling mutation, visible when it commits; it then runs to its end through crashes
   * and deploys. Starts never conflict with each other.
   * Idempotency: with `idempotencyKey`, per scope and definition, for `idempotencyTtlMs`.
   *
   * @param args - What to run and with which input.
   * @returns The id of the execution, or of the existing one with the same idempotency key.
   * @throws {DEFINITION_NOT_FOUND} {DEFINITION_NOT_PUBLISHED} {DEFINITION_DELETING} {VERSION_NOT_FOUND} when there is
   *   nothing to run. {INPUT_INVALID} when the input does not match the schema. {VALUE_NOT_JSON} {VALUE_TOO_LARGE} when
   *   the input or context cannot be stored. {ARGUMENT_INVALID} when a key, tag or time is out of bounds.
   *   {IDEMPOTENCY_CONFLICT} when the key is taken and `onConflict` is `reject`.
   * @example
   * ```ts
   * const executionId = await shardflow.startWorkflow(ctx, {
   *   definition: "ticket-triage",
   *   input: { subject: "Cannot log in", body: "Since yesterday.", email: "ada@example.com" },
   *   idempotencyKey: `ticket ${ticketId}`,
   *   onComplete: internal.ticketTriage.onTriaged,
   * });
   * ```
   */
  async startWorkflow(ctx: WriteCtx, args: StartArgs): Promise<ExecutionId> {
    const fields = await this.#startFields(args, undefined);
    const executionId = await ctx.runMutation(this.component.executions.startWorkflow, {
      ...this.#startTarget(args),
      ...fields,
    });
    return executionId as ExecutionId;
  }

  /**
   * Starts up to 100 executions of one definition.
   *
   * Guarantee: all or none, in one transaction; otherwise as {@link startWorkflow}.
   *
   * @param args - The definition, and the items to start.
   * @returns The ids, in the order of the items.
   * @throws {ARGUMENT_INVALID} when there are more than 100 items, and what {@link startWorkflow} throws.
   * @example
   * ```ts
   * const executionIds = await shardflow.startWorkflowBatch(ctx, {
   *   definition: "enrich-list",
   *   items: lists.map((domains) => ({ input: { domains } })),
   * });
   * ```
   */
  async startWorkflowBatch(ctx: WriteCtx, args: StartBatchArgs): Promise<ExecutionId[]> {
    const shared = args.onComplete === undefined ? undefined : await createFunctionHandle(args.onComplete);
    const items = await Promise.all(args.items.map((item) => this.#startFields(item, shared)));
    const executionIds = await ctx.runMutation(this.component.executions.startWorkflowBatch, {
      ...this.#startTarget(args),
      items,
    });
    return executionIds as ExecutionId[];
  }

  /**
   * Cancels an execution.
   *
   * Guarantee: when this commits, no node of it starts any more; a call in flight is aborted within seconds, and what
   * it gives is not recorded. A busy execution cannot delay its cancel.
   *
   * @param executionId - From {@link startWorkflow}.
   * @param options - Reason and requester, kept with the execution.
   * @throws {ID_INVALID} {EXECUTION_NOT_FOUND} when there is none. {EXECUTION_ENDED} when it has ended.
   * @example
   * ```ts
   * await shardflow.cancelWorkflow(ctx, executionId, { reason: "The ticket was closed.", requester: "support" });
   * ```
   */
  async cancelWorkflow(ctx: WriteCtx, executionId: string, options: CancelOptions = {}): Promise<void> {
    const { reason, requester } = options;
    await ctx.runMutation(this.component.cancellations.cancelWorkflow, defined({ executionId, reason, requester }));
  }

  /**
   * Deletes an execution that has ended, with its values, node runs and tags.
   *
   * Guarantee: a large one goes in batches that continue by themselves. Without it executions are deleted after
   * `retentionMs` (see `admin.configure`).
   *
   * @param executionId - From {@link startWorkflow}.
   * @returns `done`: whether this call deleted all of it.
   * @throws {ID_INVALID} {EXECUTION_NOT_FOUND} when there is none. {EXECUTION_ACTIVE} when it has not ended.
   * @example
   * ```ts
   * const { done } = await shardflow.cleanupWorkflow(ctx, executionId);
   * ```
   */
  async cleanupWorkflow(ctx: WriteCtx, executionId: string): Promise<{ done: boolean }> {
    return await ctx.runMutation(this.component.history.cleanupWorkflow, { executionId });
  }

  /**
   * Status and result of an execution.
   *
   * Guarantee: one snapshot, that of the calling query or mutation.
   * Cost: cheap to subscribe to; a query that calls it runs again when the status changes, not with every node.
   *
   * @param executionId - From {@link startWorkflow}.
   * @returns The state; `output` when it succeeded, `error` when it failed, `canceled` when it was canceled.
   * @throws {ID_INVALID} {EXECUTION_NOT_FOUND} when there is none.
   * @example
   * ```ts
   * const state = await shardflow.getStatus(ctx, executionId);
   * if (state.status === "failed") console.warn(state.error?.node, state.error?.message);
   * ```
   */
  async getStatus(ctx: ReadCtx, executionId: string): Promise<ExecutionState> {
    return parseStatus(await ctx.runQuery(this.component.history.getStatus, { executionId }));
  }

  /**
   * The row of an execution, without input and result.
   *
   * Guarantee: one snapshot, that of the calling query or mutation.
   * Cost: one small document.
   *
   * @param executionId - Any string.
   * @returns The summary, or null when it is the id of no execution.
   * @throws Nothing.
   * @example
   * ```ts
   * const summary = await shardflow.getSummary(ctx, executionId);
   * if (summary?.scope !== team) return null;
   * ```
   */
  async getSummary(ctx: ReadCtx, executionId: string): Promise<ExecutionSummary | null> {
    return await ctx.runQuery(this.component.history.getSummary, { executionId });
  }

  /**
   * Everything known of an execution in one snapshot: where it stands, what it waits for, variables, last errors.
   *
   * Guarantee: one snapshot, that of the calling query or mutation.
   * Cost: reads input, variables and position; a query that calls it runs again with every checkpoint.
   *
   * @param executionId - From {@link startWorkflow}.
   * @returns The description. Values that together are over 6 MB are left out and named in `omitted`; {@link getValue}
   *   gives each.
   * @throws {ID_INVALID} {EXECUTION_NOT_FOUND} when there is none.
   * @example
   * ```ts
   * const { places, wait } = await shardflow.describe(ctx, executionId);
   * console.log(places.map((place) => `${place.node}, attempt ${place.attempt}`), wait?.reason);
   * ```
   */
  async describe(ctx: ReadCtx, executionId: string): Promise<ExecutionDescription> {
    return parseDescription(await ctx.runQuery(this.component.history.describe, { executionId }));
  }

  /**
   * One value of an execution: its input, context, variables or output, whatever its size.
   *
   * Guarantee: input and context never change; variables are those of the last checkpoint; the output is final.
   *
   * @param executionId - From {@link startWorkflow}.
   * @param name - Which value.
   * @returns The value, or undefined when the execution has none of that name (yet).
   * @throws {ID_INVALID} {EXECUTION_NOT_FOUND} when there is no such execution.
   * @example
   * ```ts
   * const input = await shardflow.getValue(ctx, executionId, "input");
   * ```
   */
  async getValue(ctx: ReadCtx, executionId: string, name: ValueName): Promise<Json | undefined> {
    const text = await ctx.runQuery(this.component.history.getValue, { executionId, name });
    return text === null ? undefined : fromJsonText(text, `The ${name}`);
  }

  /**
   * Lists executions of a scope.
   *
   * Guarantee: every execution of the filter is on exactly one page, as long as its status does not change meanwhile.
   * Cost: reads the rows of the page, nothing else.
   *
   * @param args - Filter and page. Without a filter: the whole scope.
   * @returns One page, newest first unless `order` says otherwise.
   * @throws {ARGUMENT_INVALID} when `limit` is out of bounds, or a tag is combined with definition or status.
   * @example
   * ```ts
   * const failed = await shardflow.list(ctx, { definition: "ticket-triage", status: "failed", limit: 20 });
   * ```
   */
  async list(ctx: ReadCtx, args: ListArgs = {}): Promise<Page<ExecutionSummary>> {
    return await ctx.runQuery(this.component.history.list, defined({ ...args, scope: this.#scope(args.scope) }));
  }

  /**
   * Lists the finished node runs of an execution, in the order they were recorded.
   *
   * Guarantee: every recorded run is on exactly one page; runs are added at the end and never change.
   *
   * @param executionId - From {@link startWorkflow}.
   * @param args - Page.
   * @returns One page. An output over 8 KB is left out; {@link getNodeOutput} gives it.
   * @throws {ID_INVALID} {EXECUTION_NOT_FOUND} when there is none. {ARGUMENT_INVALID} when `limit` is out of bounds.
   * @example
   * ```ts
   * const { page } = await shardflow.listNodeRuns(ctx, executionId);
   * const tokens = page.reduce((sum, run) => sum + (run.usage?.totalTokens ?? 0), 0);
   * ```
   */
  async listNodeRuns(ctx: ReadCtx, executionId: string, args: PageArgs = {}): Promise<Page<NodeRun>> {
    const { cursor, limit } = args;
    const result = await ctx.runQuery(this.component.history.listNodeRuns, defined({ executionId, cursor, limit }));
    return { page: result.page.map(parseNodeRun), cursor: result.cursor };
  }

  /**
   * The whole output of one node run.
   *
   * Guarantee: an output never changes once it is recorded.
   *
   * @param executionId - From {@link startWorkflow}.
   * @param key - `key` of a node run: the node's id, with the loop passes around it (`rewrite[2]/draft`).
   * @returns The value, or undefined when the run does not exist or has no output.
   * @throws {ID_INVALID} {EXECUTION_NOT_FOUND} when there is no such execution.
   * @example
   * ```ts
   * const classification = await shardflow.getNodeOutput(ctx, executionId, "classify");
   * ```
   */
  async getNodeOutput(ctx: ReadCtx, executionId: string, key: string): Promise<Json | undefined> {
    const text = await ctx.runQuery(this.component.history.getNodeOutput, { executionId, key });
    return text === null ? undefined : fromJsonText(text, `The output of ${key}`);
  }

  /**
   * Whether an execution was canceled: for long actions that want to stop early. Pass them `{{ execution.id }}`.
   *
   * Guarantee: true from the commit of the cancel on.
   *
   * @param executionId - Any string.
   * @returns True when canceled; false otherwise, also for an execution that is gone.
   * @throws Nothing.
   * @example
   * ```ts
   * for (const page of pages) {
   *   if (await shardflow.isCanceled(ctx, executionId)) break;
   *   console.log("working on", page);
   * }
   * ```
   */
  async isCanceled(ctx: ReadCtx, executionId: string): Promise<boolean> {
    return await ctx.runQuery(this.component.cancellations.isCanceled, { executionId });
  }

  /**
   * Binds the action names to the functions given to the constructor. Run it after a deploy that adds, moves or renames
   * one: `definitions.publish` does so as well, but executions of older versions use the bindings too.
   *
   * Guarantee: idempotent; running executions use the new functions from their next stretch on.
   *
   * @param options - `prune`: unbind names that are not given. Nodes that use them wait until they are bound again.
   * @returns How many names were added, changed and removed.
   * @throws {ARGUMENT_INVALID} when a name is empty or too long, or there are more than 500.
   * @example
   * ```ts
   * export const afterDeploy = internalMutation({
   *   args: {},
   *   returns: v.null(),
   *   handler: async (ctx) => {
   *     await shardflow.sync(ctx, { prune: true });
   *     return null;
   *   },
   * });
   * ```
   */
  async sync(ctx: WriteCtx, options: { prune?: boolean | undefined } = {}): Promise<SyncResult> {
    return await syncBindings(ctx, this.component, this.#actions, options.prune ?? false);
  }

  /**
   * The action names that are bound, and how their functions are called.
   *
   * Guarantee: one snapshot, that of the calling query or mutation.
   *
   * @returns The names, sorted. Those of an earlier deploy stay until a {@link sync} with `prune`.
   * @throws Nothing.
   * @example
   * ```ts
   * const names = (await shardflow.listBindings(ctx)).map(({ name }) => name);
   * ```
   */
  async listBindings(ctx: ReadCtx): Promise<Array<{ name: string; kind: ActionBinding["kind"] }>> {
    const bindings = await ctx.runQuery(this.component.bindings.list, {});
    return bindings.map(({ name, kind }) => ({ name, kind }));
  }

  /** An app without actions has nothing to make known. */
  async #syncAny(ctx: WriteCtx): Promise<void> {
    if (Object.keys(this.#actions).length > 0) await this.sync(ctx);
  }

  #scope(scope: string | undefined): string | undefined {
    return scope ?? this.defaults.scope;
  }

  #startTarget({ definition, version, scope }: StartTarget) {
    return defined({ definition, version, scope: this.#scope(scope) });
  }

  async #startFields(item: StartItem, sharedHandle: string | undefined) {
    const { shardKey, idempotencyKey, tags } = item;
    return {
      input: toJsonText(item.input ?? null, "The input"),
      ...defined({
        shardKey,
        idempotencyKey,
        idempotencyTtlMs: item.idempotencyTtlMs ?? this.defaults.idempotencyTtlMs,
        onConflict: item.onConflict ?? this.defaults.onConflict,
        onComplete: item.onComplete === undefined ? sharedHandle : await createFunctionHandle(item.onComplete),
        context: item.context === undefined ? undefined : toJsonText(item.context, "The context"),
        tags,
      }),
    };
  }
}
