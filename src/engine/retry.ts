/**
 * Whether a failed attempt is followed by another, and when.
 *
 * Owns: the retry decision, the default policies and the delay after a refusal for lack of room. Randomness comes in
 * as a number. Invariants: (R1) an error that says it is not retryable is never tried again; (R2) no attempt is made
 * before the Retry-After of the other side; (R3) a delay is a whole number of milliseconds from 0 to
 * MAX_RETRY_DELAY_MS, whatever the policy holds.
 */
import type { ErrorClass } from "../shared/errors.js";
import {
  BACKPRESSURE_INITIAL_MS,
  BACKPRESSURE_MAX_MS,
  DEFAULT_LLM_ATTEMPTS,
  DEFAULT_RETRY_FACTOR,
  DEFAULT_RETRY_INITIAL_MS,
  DEFAULT_RETRY_MAX_MS,
  MAX_RETRY_DELAY_MS,
} from "../shared/limits.js";
import type { NodeError } from "../shared/nodeError.js";
import type { NodeType, RetryPolicy } from "./plan.js";

export type RetryDecision = { retry: false } | { retry: true; delayMs: number };

const policy = (maxAttempts: number, on: ErrorClass[]): RetryPolicy => ({
  maxAttempts,
  initialMs: DEFAULT_RETRY_INITIAL_MS,
  factor: DEFAULT_RETRY_FACTOR,
  maxMs: DEFAULT_RETRY_MAX_MS,
  on,
});

/**
 * The policy of a node whose definition names none. Only llm nodes try again by themselves: the engine cannot know
 * whether an app's function may run twice. `on` also holds when a definition raises nothing but `maxAttempts`.
 */
export const DEFAULT_RETRY: { readonly [T in NodeType]: RetryPolicy } = {
  trigger: policy(1, []),
  llm: policy(DEFAULT_LLM_ATTEMPTS, ["rateLimit", "unavailable", "timeout"]),
  condition: policy(1, []),
  switch: policy(1, []),
  action: policy(1, ["app", "rateLimit", "unavailable", "timeout"]),
  loop: policy(1, []),
  set: policy(1, []),
  output: policy(1, []),
};

/**
 * Decides after a failed attempt.
 *
 * The delay is full jitter, `random * min(maxMs, initialMs * factor^(attempt-1))`, which spreads the retries of many
 * executions that failed together. It is added to a Retry-After, so that they do not all return at that same moment.
 * A Retry-After over MAX_RETRY_DELAY_MS is not shortened, since earlier attempts would be refused: it ends the retries.
 *
 * Ask {@link isBackpressure} first: a refused attempt was none.
 *
 * @param attempt - number of the attempt that failed; the first is 1.
 * @param random - from 0 to 1.
 */
export function decideRetry(input: {
  policy: RetryPolicy;
  attempt: number;
  error: NodeError;
  random: number;
}): RetryDecision {
  const { policy, attempt, error, random } = input;
  if (!error.retryable || !policy.on.includes(error.class) || attempt >= policy.maxAttempts) return { retry: false };
  const earliestMs = error.retryAfterMs !== undefined && error.retryAfterMs > 0 ? Math.ceil(error.retryAfterMs) : 0;
  if (earliestMs > MAX_RETRY_DELAY_MS) return { retry: false };
  const jitterMs = Math.floor(random * backoffMs(policy.initialMs, policy.factor, attempt, policy.maxMs));
  return { retry: true, delayMs: Math.min(earliestMs + jitterMs, MAX_RETRY_DELAY_MS) };
}

/** Whether an attempt was refused for lack of room: it did not run, does not count, and is made again. */
export function isBackpressure(error: NodeError): boolean {
  return error.code === "ACTION_REFUSED";
}

/**
 * Delay in milliseconds before an attempt that was refused for lack of room is made again. Never less than half of
 * the full delay: full jitter could return at once and be part of the crowd that causes the refusals.
 *
 * @param count - refusals in a row, this one included.
 * @param random - from 0 to 1.
 */
export function decideBackpressure(count: number, random: number): number {
  const fullMs = backoffMs(BACKPRESSURE_INITIAL_MS, 2, count, BACKPRESSURE_MAX_MS);
  return Math.floor(fullMs * (0.5 + random / 2));
}

/** Exponential growth under a cap. A power that overflows is Infinity, which the cap takes; 0 * Infinity is not. */
function backoffMs(initialMs: number, factor: number, attempt: number, maxMs: number): number {
  const grown = initialMs === 0 ? 0 : initialMs * factor ** (attempt - 1);
  return Math.min(grown, maxMs, MAX_RETRY_DELAY_MS);
}
