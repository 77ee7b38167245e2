/**
 * The one table of error codes.
 *
 * Owns: every code that can cross a boundary or be stored, its class, whether trying again can help, and its text for
 * docs/errors.md. Invariant: errors are built only by {@link shardflowError}; a code is stable for ever.
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

type CodeInfo = { readonly class: ErrorClass; readonly retryable: boolean; readonly doc: string };
const code = (errorClass: ErrorClass, retryable: boolean, doc: string): CodeInfo => ({
  class: errorClass,
  retryable,
  doc,
});

export const ERROR_CODES = {
  // Values and arguments
  VALUE_NOT_JSON: code(
    "input",
    false,
    "A value holds something JSON cannot carry (bigint, NaN, bytes, a class instance, a circular reference).",
  ),
  VALUE_NOT_CONVEX: code(
    "input",
    false,
    "Rendered arguments hold a key that Convex refuses (starts with `$`, not printable ASCII, over 1,024 characters, `__proto__`), broken Unicode, a list over 8,192, an object over 1,024 fields, or nesting over 63.",
  ),
  VALUE_TOO_LARGE: code("limit", false, "A value is over its size limit."),
  ARGUMENT_INVALID: code("input", false, "An argument is out of range or malformed."),
  ID_INVALID: code("input", false, "The id is not an id of this component, or of another table."),
  // Definitions
  DEFINITION_INVALID: code("input", false, "The definition has problems; `problems` lists all of them."),
  DEFINITION_NOT_FOUND: code("input", false, "No definition of that name in that scope."),
  DEFINITION_NOT_PUBLISHED: code("input", false, "The definition has a draft but no published version."),
  DEFINITION_DELETING: code("conflict", false, "The definition is being deleted; it takes no new executions."),
  DRAFT_NOT_FOUND: code("input", false, "There is no draft to publish."),
  DRAFT_CONFLICT: code("conflict", false, "The draft changed since the revision that was given."),
  VERSION_NOT_FOUND: code("input", false, "The definition has no such version."),
  INPUT_INVALID: code("input", false, "The input does not match the version's JSON Schema."),
  // Executions
  EXECUTION_NOT_FOUND: code("input", false, "No execution with that id."),
  EXECUTION_ENDED: code("conflict", false, "The execution has ended; its status cannot change any more."),
  EXECUTION_ACTIVE: code("conflict", false, "The execution has not ended; cancel it first."),
  EXECUTION_CANCELED: code("conflict", false, "The execution was canceled."),
  IDEMPOTENCY_CONFLICT: code(
    "conflict",
    false,
    'An execution with that idempotency key exists and `onConflict` is "reject".',
  ),
  NODE_RUN_LIMIT: code("limit", false, "The execution made more node runs than allowed."),
  // Nodes
  EXPRESSION_INVALID: code(
    "input",
    false,
    "An expression or template does not parse, names something unknown, or is over a bound.",
  ),
  EXPRESSION_FAILED: code(
    "expression",
    false,
    "An expression failed on this data (missing key, wrong type, division by zero).",
  ),
  EXPRESSION_NOT_BOOLEAN: code("expression", false, "A condition gave a value that is not true or false."),
  EXPRESSION_LIMIT: code("limit", false, "An expression took more steps or built more text than allowed."),
  ACTION_UNBOUND: code(
    "unavailable",
    true,
    "No function is bound to the action name, or it was removed by a deploy; run `sync`.",
  ),
  ACTION_KIND_MISMATCH: code("input", false, "The bound function is not of the kind it was bound as."),
  ACTION_FAILED: code("app", true, "The app's function threw."),
  ACTION_REFUSED: code(
    "unavailable",
    true,
    "Convex had no room to run the function (TooManyConcurrentRequests); not counted as an attempt.",
  ),
  NODE_TIMEOUT: code("timeout", true, "The node did not end within its `timeoutMs`."),
  NODE_CANCELED: code("conflict", false, "The node was abandoned because the execution or its loop ended."),
  SWITCH_NO_MATCH: code("expression", false, "No case of the switch matched and it has no default port."),
  LOOP_ITEMS_NOT_LIST: code("expression", false, "The items of a loop are not a list."),
  LOOP_TOO_MANY_ITEMS: code("limit", false, "The list is longer than the loop's `maxIterations`."),
  LOOP_ITEM_FAILED: code("app", false, 'A pass of a loop failed and `onItemError` is "fail".'),
  VARIABLE_CONFLICT: code("conflict", false, "Two parallel branches set the same variable."),
  SECRET_UNKNOWN: code("input", false, "No secret of that name is configured."),
  SECRET_NOT_ALLOWED: code("input", false, "The secret may not be sent to that host."),
  SECRETS_CONFIG_INVALID: code("input", false, "SHARDFLOW_SECRETS is not valid JSON of the documented shape."),
  // Models
  MODEL_UNKNOWN: code("input", false, "The model is not of the form `provider:name`, or the provider is not known."),
  MODEL_CONFIG_INVALID: code("input", false, "The configuration of a model provider is malformed."),
  MODEL_KEY_MISSING: code("input", false, "No API key is configured for the model's provider."),
  MODEL_KEY_INVALID: code("input", false, "The provider refused the API key."),
  MODEL_NOT_FOUND: code("input", false, "The provider has no model of that name."),
  MODEL_REQUEST_INVALID: code("input", false, "The provider refused the request as malformed."),
  MODEL_RATE_LIMITED: code("rateLimit", true, "The provider answered 429; its Retry-After is obeyed."),
  MODEL_UNAVAILABLE: code("unavailable", true, "The provider answered 5xx, or could not be reached."),
  MODEL_REFUSED: code("model", false, "The model refused, or a content filter stopped it."),
  MODEL_LENGTH: code("model", false, "The answer was cut at the token limit."),
  MODEL_OUTPUT_INVALID: code("model", true, "The answer does not match the schema, also after the repair attempts."),
  MODEL_EMPTY: code("model", true, "The model answered with nothing."),
  // Host and storage
  STALE_LEASE: code("conflict", false, "Another owner has taken the execution over; nothing was written."),
  SEQUENCE_CONFLICT: code("conflict", false, "A checkpoint came out of order; nothing was written."),
  CHECKPOINT_REJECTED: code("internal", false, "A checkpoint could not be written."),
  CORRUPT_ROW: code("internal", false, "A stored row cannot be read."),
  CONFIG_INVALID: code("input", false, "A configuration value is out of range."),
  CALLBACK_FAILED: code("app", true, "The onComplete function threw."),
  UNAUTHORIZED: code("input", false, "The app's `authorize` did not allow the operation."),
  INTERNAL: code("internal", false, "A broken invariant; please report it."),
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
