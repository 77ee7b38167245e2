/**
 * Public: what executions did: listing, inspecting and deleting their records.
 *
 * Every function can be run by hand with plain JSON, in the dashboard or with
 * `npx convex run --component shardflow history:getStatus '{"executionId": "..."}'`.
 */
import { paginator } from "convex-helpers/server/pagination";
import { v } from "convex/values";
import { shardflowError } from "../shared/errors.js";
import { vExecutionStatus } from "../shared/status.js";
import {
  vDescription,
  vExecutionStatusView,
  vExecutionSummary,
  vNodeRunView,
  vPage,
  vValueName,
} from "../shared/views.js";
import { mutation, query, type QueryCtx } from "./_generated/server.js";
import { hasEnded } from "./model/canceling.js";
import { cleanupExecution } from "./model/cleaning.js";
import {
  describeExecution,
  executionValue,
  nodeOutput,
  nodeRunView,
  statusView,
  summaryView,
} from "./model/describing.js";
import { getExecution } from "./model/ids.js";
import { pageOptions } from "./model/paging.js";
import schema from "./schema.js";

/**
 * Deletes everything of an execution that has ended. A large one goes in batches that continue by themselves; `done`
 * says whether this call finished it.
 * Errors: ID_INVALID, EXECUTION_NOT_FOUND, EXECUTION_ACTIVE.
 */
export const cleanupWorkflow = mutation({
  args: { executionId: v.string() },
  returns: v.object({ done: v.boolean() }),
  handler: async (ctx, { executionId }) => {
    const execution = await getExecution(ctx, executionId);
    if (!hasEnded(execution)) {
      throw shardflowError("EXECUTION_ACTIVE", {
        message: `Execution ${executionId} is ${execution.status}; cancel it before it is cleaned up.`,
        executionId,
        status: execution.status,
      });
    }
    return { done: await cleanupExecution(ctx, execution) };
  },
});

/** The execution's row without its values, or null when there is none: what deciding about a caller needs to know. */
export const getSummary = query({
  args: { executionId: v.string() },
  returns: v.union(v.null(), vExecutionSummary),
  handler: async (ctx, { executionId }) => {
    const id = ctx.db.normalizeId("executions", executionId);
    const execution = id === null ? null : await ctx.db.get("executions", id);
    return execution === null ? null : summaryView(execution);
  },
});

/** Status and result. Cheap and steady to subscribe to: it changes when the status does, not with every node. */
export const getStatus = query({
  args: { executionId: v.string() },
  returns: vExecutionStatusView,
  handler: async (ctx, { executionId }) => await statusView(ctx, await getExecution(ctx, executionId)),
});

/**
 * Everything known of an execution, in one snapshot. Values that together are too large for it are named in `omitted`;
 * getValue gives them.
 */
export const describe = query({
  args: { executionId: v.string() },
  returns: vDescription,
  handler: async (ctx, { executionId }) => await describeExecution(ctx, await getExecution(ctx, executionId)),
});

/** One value of the execution as JSON text; null when it has none of that name. Errors: ID_INVALID, EXECUTION_NOT_FOUND. */
export const getValue = query({
  args: { executionId: v.string(), name: vValueName },
  returns: v.union(v.null(), v.string()),
  handler: async (ctx, { executionId, name }) => await executionValue(ctx, await getExecution(ctx, executionId), name),
});

const range = {
  cursor: v.optional(v.union(v.null(), v.string())),
  /** Default 50, at most 200. */
  limit: v.optional(v.number()),
};

/**
 * Lists executions of a scope, newest first, by definition, status and time; or by one tag and time.
 * Errors: ARGUMENT_INVALID.
 */
export const list = query({
  args: {
    scope: v.optional(v.string()),
    definition: v.optional(v.string()),
    status: v.optional(vExecutionStatus),
    tag: v.optional(v.object({ name: v.string(), value: v.string() })),
    /** Started at or after. */
    from: v.optional(v.number()),
    /** Started before. */
    to: v.optional(v.number()),
    order: v.optional(v.union(v.literal("asc"), v.literal("desc"))),
    ...range,
  },
  returns: vPage(vExecutionSummary),
  handler: async (ctx, args) => {
    const { definition, status, tag, from = 0, to = Number.MAX_SAFE_INTEGER } = args;
    const scope = args.scope ?? "";
    const order = args.order ?? "desc";
    if (tag !== undefined) {
      if (definition !== undefined || status !== undefined) {
        throw shardflowError("ARGUMENT_INVALID", { message: "List by tag, or by definition and status; not by both." });
      }
      return await listByTag(ctx, {
        scope,
        ...tag,
        from,
        to,
        order,
        options: pageOptions(args, [scope, tag.name, tag.value], 1),
      });
    }
    const options = pageOptions(
      args,
      [scope, definition, status].filter((value) => value !== undefined),
      1,
    );
    const rows = paginator(ctx.db, schema).query("executions");
    const ranged =
      definition !== undefined && status !== undefined
        ? rows.withIndex("by_scope_definition_status_startedAt", (q) =>
            q
              .eq("scope", scope)
              .eq("definition", definition)
              .eq("status", status)
              .gte("startedAt", from)
              .lt("startedAt", to),
          )
        : definition !== undefined
          ? rows.withIndex("by_scope_definition_startedAt", (q) =>
              q.eq("scope", scope).eq("definition", definition).gte("startedAt", from).lt("startedAt", to),
            )
          : status !== undefined
            ? rows.withIndex("by_scope_status_startedAt", (q) =>
                q.eq("scope", scope).eq("status", status).gte("startedAt", from).lt("startedAt", to),
              )
            : rows.withIndex("by_scope_startedAt", (q) =>
                q.eq("scope", scope).gte("startedAt", from).lt("startedAt", to),
              );
    const result = await ranged.order(order).paginate(options);
    return { page: result.page.map(summaryView), cursor: result.isDone ? null : result.continueCursor };
  },
});

type TagQuery = {
  scope: string;
  name: string;
  value: string;
  from: number;
  to: number;
  order: "asc" | "desc";
  options: { cursor: string | null; numItems: number };
};

async function listByTag(ctx: QueryCtx, { scope, name, value, from, to, order, options }: TagQuery) {
  const result = await paginator(ctx.db, schema)
    .query("tags")
    .withIndex("by_scope_tag_value_startedAt", (q) =>
      q.eq("scope", scope).eq("tag", name).eq("value", value).gte("startedAt", from).lt("startedAt", to),
    )
    .order(order)
    .paginate(options);
  const rows = await Promise.all(result.page.map((row) => ctx.db.get("executions", row.executionId)));
  return {
    page: rows.filter((row) => row !== null).map(summaryView),
    cursor: result.isDone ? null : result.continueCursor,
  };
}

/** The finished node runs of an execution, in the order they were recorded. Errors: ID_INVALID, EXECUTION_NOT_FOUND. */
export const listNodeRuns = query({
  args: { executionId: v.string(), ...range },
  returns: vPage(vNodeRunView),
  handler: async (ctx, args) => {
    const execution = await getExecution(ctx, args.executionId);
    const result = await paginator(ctx.db, schema)
      .query("nodeRuns")
      .withIndex("by_execution_seq", (q) => q.eq("executionId", execution._id))
      .paginate(pageOptions(args, [execution._id], 2));
    return { page: result.page.map(nodeRunView), cursor: result.isDone ? null : result.continueCursor };
  },
});

/** The whole output of one node run as JSON text, or null when it has none. Errors: ID_INVALID, EXECUTION_NOT_FOUND. */
export const getNodeOutput = query({
  args: { executionId: v.string(), key: v.string() },
  returns: v.union(v.null(), v.string()),
  handler: async (ctx, { executionId, key }) => await nodeOutput(ctx, await getExecution(ctx, executionId), key),
});
