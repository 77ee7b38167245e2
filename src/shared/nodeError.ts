/**
 * A failed node as a value: what is stored on the node run, handed to the `failure` port and decides about retries.
 * Never thrown across a boundary. `details` never hold arguments, prompts or secrets.
 */
import { ERROR_CODES, shardflowErrorData, type ErrorClass, type ErrorCode } from "./errors.js";
import type { JsonObject } from "./json.js";
import { MAX_ERROR_MESSAGE_BYTES } from "./limits.js";

export type NodeError = {
  code: ErrorCode;
  class: ErrorClass;
  message: string;
  retryable: boolean;
  /** The other side asked to wait at least this long (Retry-After). */
  retryAfterMs?: number;
  /** What the app's function or the provider said, when the error stems from there. */
  cause?: { code?: string; message: string; data?: JsonObject };
};

export function nodeError(
  code: ErrorCode,
  message: string,
  extra: { retryable?: boolean; retryAfterMs?: number; cause?: NodeError["cause"] } = {},
): NodeError {
  const info = ERROR_CODES[code];
  const error: NodeError = {
    code,
    class: info.class,
    message: truncateText(message, MAX_ERROR_MESSAGE_BYTES),
    retryable: extra.retryable ?? info.retryable,
  };
  if (extra.retryAfterMs !== undefined) error.retryAfterMs = extra.retryAfterMs;
  if (extra.cause !== undefined) {
    error.cause = { ...extra.cause, message: truncateText(extra.cause.message, MAX_ERROR_MESSAGE_BYTES) };
  }
  return error;
}

/** Turns anything thrown into a node error; Shardflow errors keep their code, others become `fallback`. */
export function toNodeError(thrown: unknown, fallback: ErrorCode = "INTERNAL"): NodeError {
  const data = shardflowErrorData(thrown);
  if (data !== null) return nodeError(data.code, data.message, { retryable: data.retryable });
  return nodeError(fallback, thrown instanceof Error ? thrown.message : String(thrown));
}

/** Cuts a text and says how much was cut. */
export function truncateText(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  return `${text.slice(0, maxChars)}… (${text.length - maxChars} more characters)`;
}
