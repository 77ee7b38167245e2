/**
 * From what went wrong at a provider to a node error.
 *
 * Owns: which status and which provider code means which error, and how long the provider asked to wait. Invariant:
 * what the provider said stands in `cause` only, without keys; the message is ours.
 */
import { isJsonObject, type Json } from "../shared/json.js";
import { MAX_MODEL_RESPONSE_BYTES, MAX_RETRY_DELAY_MS, MB, SECOND } from "../shared/limits.js";
import { nodeError, type NodeError } from "../shared/nodeError.js";
import { HttpFailure } from "./modelFetch.js";
import type { ModelTarget } from "./provider.js";
import type { Scrubber } from "./scrub.js";

type FailureContext = { target: ModelTarget; scrub: Scrubber; now: () => number };

/** An exhausted quota answers 429 as a short limit does, but waiting does not help. */
const USED_UP = new Set(["insufficient_quota", "billing_hard_limit_reached"]);

/** The error for anything that a model call threw. `answered` tells whether the provider gave a complete 2xx answer. */
export function toModelError(thrown: unknown, answered: boolean, context: FailureContext): NodeError {
  if (thrown instanceof HttpFailure) return httpError(thrown, context);
  const cause = { message: context.scrub.foreign(thrown instanceof Error ? thrown.message : String(thrown)) };
  const { label } = context.target;
  return answered
    ? nodeError("MODEL_UNAVAILABLE", `The answer for the model "${label}" is not in the provider's format.`, { cause })
    : nodeError("MODEL_REQUEST_INVALID", `The request for the model "${label}" cannot be written.`, { cause });
}

export function canceled(label: string): NodeError {
  return nodeError("NODE_CANCELED", `The call of the model "${label}" was stopped.`);
}

function httpError(failure: HttpFailure, context: FailureContext): NodeError {
  const { label, providerName } = context.target;
  switch (failure.reason) {
    case "aborted":
      return canceled(label);
    case "network":
      return nodeError(
        "MODEL_UNAVAILABLE",
        `${providerName} could not be reached, or broke off, for the model "${label}".`,
        {
          cause: { message: context.scrub.foreign(failure.message) },
        },
      );
    case "tooLarge":
      return nodeError(
        "VALUE_TOO_LARGE",
        `The answer of the model "${label}" is over ${MAX_MODEL_RESPONSE_BYTES / MB} MiB. Lower maxOutputTokens.`,
      );
    case "redirect":
      return nodeError(
        "MODEL_CONFIG_INVALID",
        `${providerName} answered with a redirect (HTTP ${failure.status}), which is not followed because the request carries a key. Set its base URL to the final address.`,
      );
    case "status":
      return statusError(failure, context);
  }
}

function statusError(failure: HttpFailure, { target, scrub, now }: FailureContext): NodeError {
  const said = readErrorBody(failure.body);
  const code = PROVIDER_CODES.get(said.code) ?? statusCode(failure.status);
  const retryAfterMs = readRetryAfter(failure.headers, now());
  const cause: NonNullable<NodeError["cause"]> = { message: scrub.foreign(said.message) };
  if (said.code !== "") cause.code = scrub.foreign(said.code);
  const isUsedUp = code === "MODEL_RATE_LIMITED" && USED_UP.has(said.code);
  return nodeError(code, `${target.providerName} ${MEANING[code]} (HTTP ${failure.status}, model "${target.label}").`, {
    cause,
    ...(isUsedUp ? { retryable: false } : {}),
    ...(retryAfterMs === null || (code !== "MODEL_RATE_LIMITED" && code !== "MODEL_UNAVAILABLE")
      ? {}
      : { retryAfterMs }),
  });
}

type StatusCode = keyof typeof MEANING;

/** Codes in a provider's error body that say more than the status. */
const PROVIDER_CODES: ReadonlyMap<string, StatusCode> = new Map([
  ["model_not_found", "MODEL_NOT_FOUND"],
  ["content_filter", "MODEL_REFUSED"],
  ["content_policy_violation", "MODEL_REFUSED"],
]);
const MEANING = {
  MODEL_KEY_INVALID: "did not accept the API key, or it may not be used for this; check the key and its rights",
  MODEL_NOT_FOUND: "has no such model; check the name, the rights of the key and the base URL",
  MODEL_REQUEST_INVALID: "refused the request; check the messages, the schema, maxOutputTokens and temperature",
  MODEL_RATE_LIMITED: "refused the request for now, as its limit is reached",
  MODEL_REFUSED: "stopped the request by a content filter",
  MODEL_UNAVAILABLE: "failed",
} as const;

function statusCode(status: number): StatusCode {
  if (status === 401 || status === 402 || status === 403) return "MODEL_KEY_INVALID";
  if (status === 404) return "MODEL_NOT_FOUND";
  if (status === 429) return "MODEL_RATE_LIMITED";
  // Request timeout, conflict and too early are the provider's passing troubles, not the request's.
  if (status >= 500 || status === 408 || status === 409 || status === 425) return "MODEL_UNAVAILABLE";
  return "MODEL_REQUEST_INVALID";
}

/** OpenAI and Anthropic put {message, code or type} into `error`; others use `error`, `message` or `detail` as text. */
function readErrorBody(body: string): { message: string; code: string } {
  let value: Json = null;
  try {
    value = JSON.parse(body) as Json;
  } catch {
    return { message: body.trim(), code: "" };
  }
  if (!isJsonObject(value)) return { message: body, code: "" };
  const error = isJsonObject(value.error ?? null) ? (value.error as Record<string, Json>) : value;
  const message = [error.message, value.error, value.detail].find((text) => typeof text === "string");
  const code = [error.code, error.type].find((text) => typeof text === "string");
  return { message: typeof message === "string" ? message : body, code: typeof code === "string" ? code : "" };
}

/** `retry-after-ms`, or `retry-after` as seconds or as a date; null when neither can be read. */
export function readRetryAfter(headers: Headers, nowMs: number): number | null {
  const ms = readNumber(headers.get("retry-after-ms"));
  const seconds = readNumber(headers.get("retry-after"));
  const wait = ms ?? (seconds === null ? Date.parse(headers.get("retry-after") ?? "") - nowMs : seconds * SECOND);
  return Number.isNaN(wait) ? null : Math.min(Math.max(0, Math.ceil(wait)), MAX_RETRY_DELAY_MS);
}

function readNumber(text: string | null): number | null {
  return text !== null && /^\s*\d+(\.\d+)?\s*$/.test(text) ? Number(text) : null;
}
