/**
 * From the component's views, in which user values are JSON text, to the same views with values.
 *
 * Owns: the types that the client returns. Invariant: a view keeps its fields; only JSON text becomes a value.
 */
import { v, type VString } from "convex/values";
import { fromJsonText, type Json } from "../shared/json.js";
import type {
  ExecutionDescription as DescriptionText,
  ExecutionError,
  ExecutionStatusView,
  NodeRunView,
  OnCompleteArgs,
} from "../shared/views.js";
import type { StoredNodeError } from "../shared/values.js";

/** Id of an execution. A string: keep it in a field of type {@link vExecutionId} and pass it as it is. */
export type ExecutionId = string & { __isExecutionId: true };
/** Validator of {@link ExecutionId}, for tables, arguments and results. */
export const vExecutionId = v.string() as VString<ExecutionId>;

/** One page of a list. Pass `cursor` to get the next one; null means that there is none. */
export type Page<T> = { page: T[]; cursor: string | null };

/** Why a node or an execution failed. `cause` is what the app's function or the provider said: {code?, message, data?}. */
export type Failure<E extends StoredNodeError = StoredNodeError> = Omit<E, "cause"> & { cause?: Json };

/** Status and result of an execution. `output` is there when it succeeded, `error` when it failed. */
export type ExecutionState = Omit<ExecutionStatusView, "output" | "error"> & {
  output?: Json;
  error?: Failure<ExecutionError>;
};

/** Everything known of an execution. */
export type ExecutionDescription = ExecutionState &
  Omit<DescriptionText, keyof ExecutionStatusView | "input" | "context" | "variables"> & {
    /** Of input, context, variables and output, those that are too large together are in `omitted` instead. */
    input?: Json;
    context?: Json;
    variables?: Json;
  };

/** One finished pass over one node. An output too large for its row is left out: `outputBytes` says so. */
export type NodeRun = Omit<NodeRunView, "output" | "error" | "failures"> & {
  output?: Json;
  error?: Failure;
  failures: Array<Omit<NodeRunView["failures"][number], "error"> & { error: Failure }>;
};

/** How an execution ended, as {@link parseOnComplete} gives it. */
export type ExecutionResult =
  | { status: "succeeded"; output: Json }
  | { status: "failed"; error: Failure<ExecutionError> }
  | { status: "canceled"; reason?: string; requester?: string };

/** What an onComplete function is told, with values. */
export type Completion = Omit<OnCompleteArgs, "executionId" | "result" | "context"> & {
  executionId: ExecutionId;
  result: ExecutionResult;
  /** What was given to `startWorkflow`, or null. */
  context: Json;
};

/**
 * Turns the arguments of an onComplete function into values.
 *
 * Guarantee: pure.
 *
 * @param args - The arguments, as `vOnCompleteArgs` describes them.
 * @returns The same with `result.output`, `result.error.cause` and `context` as values.
 * @throws {VALUE_NOT_JSON} when a field that holds JSON text does not; never for what the component sends.
 * @example
 * ```ts
 * export const onTriaged = internalMutation({
 *   args: vOnCompleteArgs.fields,
 *   returns: v.null(),
 *   handler: async (ctx, args) => {
 *     const { executionId, result } = parseOnComplete(args);
 *     if (result.status === "failed") console.error(executionId, result.error.code, result.error.message);
 *     return null;
 *   },
 * });
 * ```
 */
export function parseOnComplete(args: OnCompleteArgs): Completion {
  const { executionId, result, context, ...rest } = args;
  return {
    ...rest,
    executionId: executionId as ExecutionId,
    result: parseResult(result),
    context: context === null ? null : fromJsonText(context, "The context"),
  };
}

function parseResult(result: OnCompleteArgs["result"]): ExecutionResult {
  if (result.status === "succeeded") return { status: "succeeded", output: fromJsonText(result.output, "The output") };
  return result.status === "failed" ? { status: "failed", error: parseFailure(result.error) } : result;
}

/**
 * Turns what an exposed `getStatus` returns into values, where the client of the app reads it.
 *
 * Guarantee: pure.
 *
 * @param view - The view, with JSON text in `output`.
 * @returns The same with values.
 * @throws {VALUE_NOT_JSON} when a field that holds JSON text does not; never for what the component sends.
 * @example
 * ```ts
 * const state = parseStatus(await client.query(api.shardflow.getStatus, { executionId }));
 * if (state.status === "succeeded") console.log(state.output);
 * ```
 */
export function parseStatus(view: ExecutionStatusView): ExecutionState {
  const { output, error, ...rest } = view;
  return {
    ...rest,
    ...(output === undefined ? {} : { output: fromJsonText(output, "The output") }),
    ...(error === undefined ? {} : { error: parseFailure(error) }),
  };
}

/**
 * Turns what an exposed `describeExecution` returns into values, where the client of the app reads it.
 *
 * Guarantee: pure.
 *
 * @param view - The view, with JSON text in `input`, `output`, `context` and `variables`.
 * @returns The same with values.
 * @throws {VALUE_NOT_JSON} when a field that holds JSON text does not; never for what the component sends.
 * @example
 * ```ts
 * const about = parseDescription(await client.query(api.shardflow.describeExecution, { executionId }));
 * console.log(about.places.map((place) => place.node), about.variables);
 * ```
 */
export function parseDescription(view: DescriptionText): ExecutionDescription {
  const { output, error, input, context, variables, ...rest } = view;
  return {
    ...rest,
    ...(output === undefined ? {} : { output: fromJsonText(output, "The output") }),
    ...(error === undefined ? {} : { error: parseFailure(error) }),
    ...(input === undefined ? {} : { input: fromJsonText(input, "The input") }),
    ...(context === undefined ? {} : { context: fromJsonText(context, "The context") }),
    ...(variables === undefined ? {} : { variables: fromJsonText(variables, "The variables") }),
  };
}

/**
 * Turns one node run of an exposed `listNodeRuns` into values, where the client of the app reads it.
 *
 * Guarantee: pure.
 *
 * @param view - The view, with JSON text in `output`.
 * @returns The same with values.
 * @throws {VALUE_NOT_JSON} when a field that holds JSON text does not; never for what the component sends.
 * @example
 * ```ts
 * const { page } = await client.query(api.shardflow.listNodeRuns, { executionId });
 * for (const run of page.map(parseNodeRun)) console.log(run.key, run.status, run.output);
 * ```
 */
export function parseNodeRun(view: NodeRunView): NodeRun {
  const { output, error, failures, ...rest } = view;
  return {
    ...rest,
    ...(output === undefined ? {} : { output: fromJsonText(output, `The output of ${view.key}`) }),
    ...(error === undefined ? {} : { error: parseFailure(error) }),
    failures: failures.map((attempt) => ({ ...attempt, error: parseFailure(attempt.error) })),
  };
}

function parseFailure<E extends StoredNodeError>({ cause, ...error }: E): Failure<E> {
  return { ...error, ...(cause === undefined ? {} : { cause: fromJsonText(cause, "The cause of an error") }) };
}
