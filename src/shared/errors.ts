/**
 * The one table of error codes.
 *
 * Owns: every code that can cross a boundary or be stored, its class, and whether trying again can help. Its comment is
 * its text in docs/errors.md: a text at run time would be evaluated with every call of every function.
 * Invariant: errors are built only by {@link shardflowError}; a code is stable for ever.
 */
import { ConvexError } from "convex/values";

/**
 * What kind of trouble an error is. A node's `retry.on` names these.
 * - `input`: the caller or the definition is wrong; trying again cannot help.
 * - `expression`: an expression of the definition failed on this data.
 * - `app`: the app's own function threw.
 * - `timeout`, `rateLimit`, `unavailable`: the other side was slow, refused for now, or failed.
 * - `model`: the model answered, but not usefully.
 * - `conflict`: somebody else was first. `limit`: a bound of this product. `internal`: a broken invariant.
 */
export const ERROR_CLASSES = [
  "input",
  "expression",
  "app",
  "timeout",
  "rateLimit",
  "unavailable",
  "model",
  "conflict",
  "limit",
  "internal",
] as const;
export type ErrorClass = (typeof ERROR_CLASSES)[number];

type CodeInfo = { readonly class: ErrorClass; readonly retryable: boolean };
const code = (errorClass: ErrorClass, retryable: boolean): CodeInfo => ({ class: errorClass, retryable });

export const ERROR_CODES = {
  // Values and arguments
  /** A value holds something JSON cannot carry (bigint, NaN, bytes, a class instance, a circular reference). */
  VALUE_NOT_JSON: code("input", false),
  /**
   * Rendered arguments hold a key that Convex refuses (empty, starts with `$`, not printable ASCII, over 1,024
   * characters, `__proto__`), broken Unicode, a list over 8,192, an object over 1,024 fields, or nesting over 63.
   */
  VALUE_NOT_CONVEX: code("input", false),
  /** A value is over its size limit. */
  VALUE_TOO_LARGE: code("limit", false),
  /** An argument is out of range or malformed. */
  ARGUMENT_INVALID: code("input", false),
  /** The id is not an id of this component, or of another table. */
  ID_INVALID: code("input", false),
  // Definitions
  /** The definition has problems; `problems` lists all of them. */
  DEFINITION_INVALID: code("input", false),
  /** No definition of that name in that scope. */
  DEFINITION_NOT_FOUND: code("input", false),
  /** The definition has a draft but no published version. */
  DEFINITION_NOT_PUBLISHED: code("input", false),
  /** The definition is being deleted; it takes no new executions. */
  DEFINITION_DELETING: code("conflict", false),
  /** There is no draft to publish. */
  DRAFT_NOT_FOUND: code("input", false),
  /** The draft changed since the revision that was given. */
  DRAFT_CONFLICT: code("conflict", false),
  /** The definition has no such version. */
  VERSION_NOT_FOUND: code("input", false),
  /** A file of definitions is malformed; `problems` lists every place. Nothing was imported. */
  IMPORT_INVALID: code("input", false),
  /** The input does not match the version's JSON Schema. */
  INPUT_INVALID: code("input", false),
  // Executions
  /** No execution with that id. */
  EXECUTION_NOT_FOUND: code("input", false),
  /** The execution has ended; its status cannot change any more. */
  EXECUTION_ENDED: code("conflict", false),
  /** The execution has not ended; cancel it first. */
  EXECUTION_ACTIVE: code("conflict", false),
  /** The execution was canceled. */
  EXECUTION_CANCELED: code("conflict", false),
  /** An execution with that idempotency key exists and `onConflict` is "reject". */
  IDEMPOTENCY_CONFLICT: code("conflict", false),
  /** The execution made more node runs than allowed. */
  NODE_RUN_LIMIT: code("limit", false),
  // Nodes
  /** An expression or template does not parse, names something unknown, or is over a bound. */
  EXPRESSION_INVALID: code("input", false),
  /** An expression failed on this data (missing key, wrong type, division by zero). */
  EXPRESSION_FAILED: code("expression", false),
  /** A condition gave a value that is not true or false. */
  EXPRESSION_NOT_BOOLEAN: code("expression", false),
  /** An expression took more steps or built more text than allowed. */
  EXPRESSION_LIMIT: code("limit", false),
  /** No function is bound to the action name, or it was removed by a deploy; run `sync`. */
  ACTION_UNBOUND: code("unavailable", true),
  /** The bound function is not of the kind it was bound as. */
  ACTION_KIND_MISMATCH: code("input", false),
  /** The app's function threw. */
  ACTION_FAILED: code("app", true),
  /** Convex had no room to run the function (TooManyConcurrentRequests); not counted as an attempt. */
  ACTION_REFUSED: code("unavailable", true),
  /** The node did not end within its `timeoutMs`. */
  NODE_TIMEOUT: code("timeout", true),
  /** The node was abandoned because the execution or its loop ended. */
  NODE_CANCELED: code("conflict", false),
  /** No case of the switch matched and it has no default port. */
  SWITCH_NO_MATCH: code("expression", false),
  /** The items of a loop are not a list. */
  LOOP_ITEMS_NOT_LIST: code("expression", false),
  /** The list is longer than the loop's `maxIterations`. */
  LOOP_TOO_MANY_ITEMS: code("limit", false),
  /** A pass of a loop failed and `onItemError` is "fail". */
  LOOP_ITEM_FAILED: code("app", false),
  /** Two parallel branches set the same variable. */
  VARIABLE_CONFLICT: code("conflict", false),
  /** No secret of that name is configured. */
  SECRET_UNKNOWN: code("input", false),
  /** The secret may not be sent to that host. */
  SECRET_NOT_ALLOWED: code("input", false),
  /** SHARDFLOW_SECRETS is not valid JSON of the documented shape. */
  SECRETS_CONFIG_INVALID: code("input", false),
  // Models
  /** The model is not of the form `provider:name`, or the provider is not known. */
  MODEL_UNKNOWN: code("input", false),
  /** The configuration of a model provider is malformed. */
  MODEL_CONFIG_INVALID: code("input", false),
  /** No API key is configured for the model's provider. */
  MODEL_KEY_MISSING: code("input", false),
  /** The provider refused the API key. */
  MODEL_KEY_INVALID: code("input", false),
  /** The provider has no model of that name. */
  MODEL_NOT_FOUND: code("input", false),
  /** The provider refused the request as malformed. */
  MODEL_REQUEST_INVALID: code("input", false),
  /** The provider answered 429; its Retry-After is obeyed. */
  MODEL_RATE_LIMITED: code("rateLimit", true),
  /** The provider answered 5xx, or could not be reached. */
  MODEL_UNAVAILABLE: code("unavailable", true),
  /** The model refused, or a content filter stopped it. */
  MODEL_REFUSED: code("model", false),
  /** The answer was cut at the token limit. */
  MODEL_LENGTH: code("model", false),
  /** The answer does not match the schema, also after the repair attempts. */
  MODEL_OUTPUT_INVALID: code("model", true),
  /** The model answered with nothing. */
  MODEL_EMPTY: code("model", true),
  // Host and storage
  /** Another owner has taken the execution over; nothing was written. */
  STALE_LEASE: code("conflict", false),
  /** A checkpoint came out of order; nothing was written. */
  SEQUENCE_CONFLICT: code("conflict", false),
  /** A checkpoint could not be written. */
  CHECKPOINT_REJECTED: code("internal", false),
  /** A stored row cannot be read. */
  CORRUPT_ROW: code("internal", false),
  /** A configuration value is out of range. */
  CONFIG_INVALID: code("input", false),
  /** The onComplete function threw. */
  CALLBACK_FAILED: code("app", true),
  /** The app's `authorize` did not allow the operation. */
  UNAUTHORIZED: code("input", false),
  /** A broken invariant; please report it. */
  INTERNAL: code("internal", false),
} as const satisfies Record<string, CodeInfo>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What a thrown Shardflow error carries in `error.data`. */
export type ShardflowErrorData = {
  code: ErrorCode;
  message: string;
  retryable: boolean;
  /** Details that depend on the code: `problems`, `path`, `executionId`, `limit`, ... */
  [detail: string]:
    string | number | boolean | null | undefined | Array<Record<string, string | number | boolean | null>>;
};

/** Builds the error that is thrown across every boundary. The message says what, which value, and what to do. */
export function shardflowError(
  errorCode: ErrorCode,
  details: { message: string } & Omit<Partial<ShardflowErrorData>, "code" | "retryable">,
): ConvexError<ShardflowErrorData> {
  const data: ShardflowErrorData = {
    code: errorCode,
    retryable: ERROR_CODES[errorCode].retryable,
    message: details.message,
  };
  for (const [key, value] of Object.entries(details)) if (value !== undefined) data[key] = value;
  return new ConvexError(data);
}

/**
 * The data of a Shardflow error, or null for any other value. Looks at the shape, not the class, so that it works
 * across realms, versions and Convex's own re-wrapping of errors.
 */
export function shardflowErrorData(error: unknown): ShardflowErrorData | null {
  if (typeof error !== "object" || error === null || !("data" in error)) return null;
  let data: unknown = error.data;
  if (typeof data === "string") {
    try {
      data = JSON.parse(data);
    } catch {
      return null;
    }
  }
  if (typeof data !== "object" || data === null) return null;
  const candidate = data as { code?: unknown; message?: unknown };
  if (typeof candidate.code !== "string" || typeof candidate.message !== "string") return null;
  return Object.hasOwn(ERROR_CODES, candidate.code) ? (data as ShardflowErrorData) : null;
}

/** True for a Shardflow error, of the given code if one is given. */
export function isShardflowError(error: unknown, errorCode?: ErrorCode): boolean {
  const data = shardflowErrorData(error);
  return data !== null && (errorCode === undefined || data.code === errorCode);
}
