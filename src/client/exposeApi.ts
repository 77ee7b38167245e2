/**
 * Public functions on executions that an app re-exports to its own clients.
 *
 * Owns: what a client may say. A client names a definition, an input and an idempotency key, and gives ids. It never
 * gives function handles or callbacks, `context` (which flows may trust), tags, a version, or a shard key: placement is
 * for the app to balance, and a client could pile its load on one shard. Definitions and settings are not offered at
 * all: wrap those methods in functions of the app. Values stay JSON text, as clients speak Convex values, which cannot
 * hold every JSON; parseStatus and its like read them.
 */
import {
  mutationGeneric,
  queryGeneric,
  type GenericDataModel,
  type MutationBuilder,
  type QueryBuilder,
} from "convex/server";
import { v } from "convex/values";
import { shardflowError } from "../shared/errors.js";
import { vExecutionStatus } from "../shared/status.js";
import { vDescription, vExecutionStatusView, vExecutionSummary, vNodeRunView, vPage } from "../shared/views.js";
import { Gate, type Authorize } from "./authorization.js";
import { defined } from "./context.js";
import type { Shardflow } from "./shardflow.js";

const vPageArgs = {
  cursor: v.optional(v.union(v.null(), v.string())),
  /** 1 to 200, default 50. */
  limit: v.optional(v.number()),
};

/** Every function that can be exposed. */
export type ExposedApi = ReturnType<typeof buildApi>;
export type ExposedName = keyof ExposedApi;

export type ExposeOptions<Name extends ExposedName, DataModel extends GenericDataModel> = {
  /** Which functions to make. */
  functions: readonly Name[];
  /** Decides about every call. Denies unless it returns `true` or `{ scope }`. */
  authorize: Authorize<ExposedName, DataModel>;
};

/**
 * Makes public functions that an app exports from a module of its own.
 *
 * Guarantee: denies by default. Every call asks `authorize` first; without it, or with any answer but `true` or
 * `{ scope }`, the call throws UNAUTHORIZED and changes nothing. A caller cannot tell an execution that is not for them
 * from one that does not exist.
 *
 * - `startWorkflow({ definition, input?, scope?, idempotencyKey? })` starts the active version. `input` is JSON text. A
 *   taken key gives the existing execution's id; keys are those of the scope, not of the caller.
 * - `cancelWorkflow({ executionId, reason? })`: the requester is the caller's token identifier.
 * - `cleanupWorkflow`, `getStatus`, `listNodeRuns`, `getNodeOutput` as the methods of {@link Shardflow}.
 * - `describeExecution`: as `describe`, without `context`, which is the app's own.
 * - `listExecutions`: as `list`.
 *
 * @param shardflow - The client.
 * @param options - Names of the functions, and `authorize`.
 * @returns The functions by name, to be exported under these names.
 * @throws {ARGUMENT_INVALID} when a name is unknown. The functions throw {UNAUTHORIZED}, {EXECUTION_NOT_FOUND} and what
 *   the methods throw.
 * @example
 * ```ts
 * export const { startWorkflow, getStatus, listExecutions } = exposeApi(shardflow, {
 *   functions: ["startWorkflow", "getStatus", "listExecutions"],
 *   authorize: async (ctx) => {
 *     const user = await ctx.auth.getUserIdentity();
 *     return user === null ? false : { scope: user.subject };
 *   },
 * });
 * ```
 */
export function exposeApi<const Name extends ExposedName, DataModel extends GenericDataModel = GenericDataModel>(
  shardflow: Shardflow,
  options: ExposeOptions<Name, DataModel>,
): Pick<ExposedApi, Name> {
  const api = buildApi(shardflow, new Gate(shardflow, options.authorize));
  for (const name of options.functions) {
    if (Object.hasOwn(api, name)) continue;
    throw shardflowError("ARGUMENT_INVALID", {
      message: `exposeApi has no function "${String(name)}"; it has ${Object.keys(api).join(", ")}.`,
    });
  }
  return Object.fromEntries(options.functions.map((name) => [name, api[name]])) as Pick<ExposedApi, Name>;
}

function buildApi<DataModel extends GenericDataModel>(shardflow: Shardflow, gate: Gate<ExposedOp, DataModel>) {
  const { executions, history } = shardflow.component;
  // The app's data model, so that `authorize` is given its own ctx.
  const query = queryGeneric as QueryBuilder<DataModel, "public">;
  const mutation = mutationGeneric as MutationBuilder<DataModel, "public">;
  return {
    startWorkflow: mutation({
      args: {
        definition: v.string(),
        /** JSON text. Default "null". */
        input: v.optional(v.string()),
        scope: v.optional(v.string()),
        idempotencyKey: v.optional(v.string()),
      },
      returns: v.string(),
      handler: async (ctx, { definition, input = "null", scope: asked, idempotencyKey }): Promise<string> => {
        const scope = await gate.admitScope(ctx, "startWorkflow", asked, definition);
        const { idempotencyTtlMs } = shardflow.defaults;
        return await ctx.runMutation(executions.startWorkflow, {
          definition,
          input,
          scope,
          ...defined({ idempotencyKey, idempotencyTtlMs }),
        });
      },
    }),

    cancelWorkflow: mutation({
      args: { executionId: v.string(), reason: v.optional(v.string()) },
      returns: v.null(),
      handler: async (ctx, { executionId, reason }) => {
        await gate.admitExecution(ctx, "cancelWorkflow", executionId);
        const requester = (await ctx.auth.getUserIdentity())?.tokenIdentifier;
        await shardflow.cancelWorkflow(ctx, executionId, { reason, requester });
        return null;
      },
    }),

    cleanupWorkflow: mutation({
      args: { executionId: v.string() },
      returns: v.object({ done: v.boolean() }),
      handler: async (ctx, { executionId }) => {
        await gate.admitExecution(ctx, "cleanupWorkflow", executionId);
        return await shardflow.cleanupWorkflow(ctx, executionId);
      },
    }),

    getStatus: query({
      args: { executionId: v.string() },
      returns: vExecutionStatusView,
      handler: async (ctx, { executionId }) => {
        await gate.admitExecution(ctx, "getStatus", executionId);
        return await ctx.runQuery(history.getStatus, { executionId });
      },
    }),

    describeExecution: query({
      args: { executionId: v.string() },
      returns: vDescription,
      handler: async (ctx, { executionId }) => {
        await gate.admitExecution(ctx, "describeExecution", executionId);
        const { context: _, ...description } = await ctx.runQuery(history.describe, { executionId });
        return description;
      },
    }),

    listExecutions: query({
      args: {
        scope: v.optional(v.string()),
        definition: v.optional(v.string()),
        status: v.optional(vExecutionStatus),
        tag: v.optional(v.object({ name: v.string(), value: v.string() })),
        from: v.optional(v.number()),
        to: v.optional(v.number()),
        order: v.optional(v.union(v.literal("asc"), v.literal("desc"))),
        ...vPageArgs,
      },
      returns: vPage(vExecutionSummary),
      handler: async (ctx, args) => {
        const scope = await gate.admitScope(ctx, "listExecutions", args.scope, args.definition);
        return await shardflow.list(ctx, { ...args, scope });
      },
    }),

    listNodeRuns: query({
      args: { executionId: v.string(), ...vPageArgs },
      returns: vPage(vNodeRunView),
      handler: async (ctx, { executionId, ...page }) => {
        await gate.admitExecution(ctx, "listNodeRuns", executionId);
        return await ctx.runQuery(history.listNodeRuns, { executionId, ...page });
      },
    }),

    getNodeOutput: query({
      args: { executionId: v.string(), key: v.string() },
      returns: v.union(v.null(), v.string()),
      handler: async (ctx, { executionId, key }): Promise<string | null> => {
        await gate.admitExecution(ctx, "getNodeOutput", executionId);
        return await ctx.runQuery(history.getNodeOutput, { executionId, key });
      },
    }),
  };
}

/** The names, once more as a list: the type of the functions depends on the gate, which is asked about them. */
type ExposedOp =
  | "startWorkflow"
  | "cancelWorkflow"
  | "cleanupWorkflow"
  | "getStatus"
  | "describeExecution"
  | "listExecutions"
  | "listNodeRuns"
  | "getNodeOutput";
