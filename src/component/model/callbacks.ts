/** What an onComplete function is told. */
import type { OnCompleteArgs } from "../../shared/views.js";
import type { Id } from "../_generated/dataModel.js";
import type { QueryCtx } from "../_generated/server.js";
import { cancellationOf } from "./describing.js";
import { dataOf } from "./ending.js";
import { loadValue } from "./values.js";

/** Null when the execution is gone: there is nothing left to tell. */
export async function callbackArgs(ctx: QueryCtx, executionId: Id<"executions">): Promise<OnCompleteArgs | null> {
  const execution = await ctx.db.get("executions", executionId);
  const data = await dataOf(ctx, executionId);
  if (execution === null || data === null) return null;
  const { scope, definition, version } = execution;
  const canceled = await cancellationOf(ctx, execution);
  const { reason, requester } = canceled ?? {};
  const result: OnCompleteArgs["result"] =
    data.output !== undefined
      ? { status: "succeeded", output: await loadValue(ctx, executionId, data.output) }
      : data.error !== undefined
        ? { status: "failed", error: data.error }
        : {
            status: "canceled",
            ...(reason === undefined ? {} : { reason }),
            ...(requester === undefined ? {} : { requester }),
          };
  const context = data.context === undefined ? null : await loadValue(ctx, executionId, data.context);
  return { executionId, scope, definition, version, result, context };
}
