/**
 * Who may use an exposed function: asks the app, and denies unless the answer is a clear yes.
 *
 * Invariants: (A1) only `true`, or an object with nothing but a text `scope`, allows; (A2) what a caller learns about
 * an execution that is not for them is what they learn about one that does not exist, whatever `authorize` does;
 * (A3) nothing is written before the answer.
 */
import type { GenericDataModel, GenericQueryCtx } from "convex/server";
import { shardflowError } from "../shared/errors.js";
import type { ExecutionSummary } from "../shared/views.js";
import type { Shardflow } from "./shardflow.js";

/** What a client asks for. */
export type AuthorizeRequest<Op extends string = string> = {
  op: Op;
  /** Where to start or list: what the client asked for, else the default scope. Null for operations on an execution. */
  scope: string | null;
  /** What to start or list by; null when the client does not say, and for operations on an execution. */
  definition: string | null;
  /** The execution the operation is on. Null for starting and listing, and when there is no such execution. */
  resource: { executionId: string; scope: string; definition: string } | null;
};

/**
 * Decides about a request. `true` allows it as it is. `{ scope }` allows it within that scope only: a start or list
 * happens there, an execution of another scope does not exist. Anything else denies, `{ scope: undefined }` as well.
 */
export type Authorize<Op extends string = string, DataModel extends GenericDataModel = GenericDataModel> = (
  ctx: GenericQueryCtx<DataModel>,
  request: AuthorizeRequest<Op>,
) => Answer | Promise<Answer>;

type Answer = boolean | { scope?: string } | null | undefined;

export class Gate<Op extends string, DataModel extends GenericDataModel> {
  readonly #shardflow: Shardflow;
  readonly #authorize: Authorize<Op, DataModel> | undefined;

  constructor(shardflow: Shardflow, authorize: Authorize<Op, DataModel> | undefined) {
    this.#shardflow = shardflow;
    this.#authorize = authorize;
  }

  /** The scope in which to start or list. */
  async admitScope(
    ctx: GenericQueryCtx<DataModel>,
    op: Op,
    asked: string | undefined,
    definition: string | undefined,
  ): Promise<string> {
    const scope = asked ?? this.#shardflow.defaults.scope ?? "";
    const allowed = await this.#ask(ctx, { op, scope, definition: definition ?? null, resource: null });
    if (allowed === null) throw unauthorized(op);
    if (allowed.scope === undefined) return scope;
    // Doing it elsewhere than asked would surprise; saying more would tell which scopes there are.
    if (asked !== undefined && asked !== allowed.scope) throw unauthorized(op);
    return allowed.scope;
  }

  /** Passes if the caller may do this to the execution. */
  async admitExecution(ctx: GenericQueryCtx<DataModel>, op: Op, executionId: string): Promise<void> {
    const summary = await this.#shardflow.getSummary(ctx, executionId);
    const request = { op, scope: null, definition: null };
    if (summary !== null) {
      const { scope, definition } = summary;
      const allowed = await this.#ask(ctx, { ...request, resource: { executionId, scope, definition } });
      if (allowed !== null && isWithin(summary, allowed)) return;
    }
    // From here on the answer is the one for an execution that does not exist: see A2.
    if ((await this.#ask(ctx, { ...request, resource: null })) === null) throw unauthorized(op);
    throw shardflowError("EXECUTION_NOT_FOUND", {
      message: `There is no execution ${executionId}; it may have been cleaned up.`,
      executionId,
    });
  }

  async #ask(ctx: GenericQueryCtx<DataModel>, request: AuthorizeRequest<Op>): Promise<{ scope?: string } | null> {
    if (this.#authorize === undefined) return null;
    return readAnswer(await this.#authorize(ctx, request));
  }
}

function isWithin(summary: ExecutionSummary, allowed: { scope?: string }): boolean {
  return allowed.scope === undefined || allowed.scope === summary.scope;
}

/** What the app's function returned is not trusted to have its type: a truthy user document must not open the gate. */
function readAnswer(answer: unknown): { scope?: string } | null {
  if (answer === true) return {};
  if (typeof answer !== "object" || answer === null || Array.isArray(answer)) return null;
  if (!Object.keys(answer).every((key) => key === "scope")) return null;
  if (!("scope" in answer)) return {};
  return typeof answer.scope === "string" ? { scope: answer.scope } : null;
}

function unauthorized(op: string): Error {
  return shardflowError("UNAUTHORIZED", { message: `You are not allowed to use "${op}" here.` });
}
