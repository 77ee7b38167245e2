/** Ids and function handles cross the boundary as strings; here they are recognised, or refused with a typed error. */
import { shardflowError } from "../../shared/errors.js";
import type { Doc } from "../_generated/dataModel.js";
import type { QueryCtx } from "../_generated/server.js";

/**
 * The execution of an id that came from outside.
 * @throws {ID_INVALID} when it is no id, or one of another table. {EXECUTION_NOT_FOUND} when the row is gone.
 */
export async function getExecution(ctx: Pick<QueryCtx, "db">, executionId: string): Promise<Doc<"executions">> {
  const id = ctx.db.normalizeId("executions", executionId);
  if (id === null) {
    throw shardflowError("ID_INVALID", {
      message: `"${executionId}" is not the id of an execution. Pass the id that startWorkflow returned.`,
    });
  }
  const execution = await ctx.db.get("executions", id);
  if (execution === null) {
    throw shardflowError("EXECUTION_NOT_FOUND", {
      message: `There is no execution ${executionId}; it may have been cleaned up.`,
      executionId,
    });
  }
  return execution;
}

/** @throws {ARGUMENT_INVALID} for a text that createFunctionHandle never returns: Convex would take it for a name. */
export function checkHandle(handle: string, what: string): void {
  if (handle.startsWith("function://")) return;
  throw shardflowError("ARGUMENT_INVALID", {
    message: `${what} must be a handle that createFunctionHandle returned; it is "${handle.slice(0, 100)}".`,
  });
}
