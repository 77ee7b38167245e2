import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RetryPolicy } from "../../src/engine/plan.js";
import { decideBackpressure, decideRetry, DEFAULT_RETRY, isBackpressure } from "../../src/engine/retry.js";
import { ERROR_CLASSES, ERROR_CODES, type ErrorCode } from "../../src/shared/errors.js";
import { MAX_ATTEMPTS, MAX_RETRY_DELAY_MS } from "../../src/shared/limits.js";
import { nodeError } from "../../src/shared/nodeError.js";

const POLICY: RetryPolicy = { maxAttempts: 5, initialMs: 1000, factor: 2, maxMs: 6000, on: ["rateLimit", "timeout"] };
const RATE_LIMITED = nodeError("MODEL_RATE_LIMITED", "slow down");

const anyPolicy = fc.record({
  maxAttempts: fc.integer({ min: 1, max: MAX_ATTEMPTS }),
  initialMs: fc.double({ min: 0, max: 1e12, noNaN: true }),
  factor: fc.double({ min: 0, max: 1e9, noNaN: true }),
  maxMs: fc.double({ min: 0, max: 1e12, noNaN: true }),
  on: fc.subarray([...ERROR_CLASSES]),
});
const anyError = fc
  .record({
    code: fc.constantFrom(...(Object.keys(ERROR_CODES) as ErrorCode[])),
    retryable: fc.boolean(),
    retryAfterMs: fc.option(fc.double({ min: -1e6, max: 3 * MAX_RETRY_DELAY_MS }), { nil: undefined }),
  })
  .map(({ code, retryable, retryAfterMs }) =>
    nodeError(code, "it failed", retryAfterMs === undefined ? { retryable } : { retryable, retryAfterMs }),
  );
const anyCase = fc.record({
  policy: anyPolicy,
  attempt: fc.integer({ min: 1, max: 2 * MAX_ATTEMPTS }),
  error: anyError,
  random: fc.double({ min: 0, max: 1, noNaN: true }),
});

describe("decideRetry", () => {
  it("grows the longest delay by the factor, up to the cap", () => {
    const delays = [1, 2, 3, 4].map((attempt) =>
      decideRetry({ policy: POLICY, attempt, error: RATE_LIMITED, random: 1 }),
    );
    expect(delays).toEqual([1000, 2000, 4000, 6000].map((delayMs) => ({ retry: true, delayMs })));
  });

  it("spreads the delay over the whole span from 0", () => {
    const delays = [0, 0.25, 0.5].map((random) =>
      decideRetry({ policy: POLICY, attempt: 3, error: RATE_LIMITED, random }),
    );
    expect(delays).toEqual([0, 1000, 2000].map((delayMs) => ({ retry: true, delayMs })));
  });

  it("makes as many attempts as the policy says", () => {
    const retries = (attempt: number): boolean =>
      decideRetry({ policy: POLICY, attempt, error: RATE_LIMITED, random: 0.5 }).retry;
    expect([1, 2, 3, 4, 5, 6].map(retries)).toEqual([true, true, true, true, false, false]);
  });

  it("retries only the classes of the policy, and only what is retryable", () => {
    const retries = (error: ReturnType<typeof nodeError>): boolean =>
      decideRetry({ policy: POLICY, attempt: 1, error, random: 0.5 }).retry;
    expect(retries(nodeError("NODE_TIMEOUT", "too slow"))).toBe(true);
    expect(retries(nodeError("MODEL_UNAVAILABLE", "503"))).toBe(false);
    expect(retries(nodeError("NODE_TIMEOUT", "too slow", { retryable: false }))).toBe(false);
  });

  it("adds the jitter to a Retry-After", () => {
    const error = nodeError("MODEL_RATE_LIMITED", "slow down", { retryAfterMs: 30_000.2 });
    const delay = (random: number) => decideRetry({ policy: POLICY, attempt: 1, error, random });
    expect(delay(0)).toEqual({ retry: true, delayMs: 30_001 });
    expect(delay(1)).toEqual({ retry: true, delayMs: 31_001 });
  });

  it.each([-5, 0, NaN, -Infinity])("ignores a Retry-After of %d", (retryAfterMs) => {
    const error = nodeError("MODEL_RATE_LIMITED", "slow down", { retryAfterMs });
    expect(decideRetry({ policy: POLICY, attempt: 1, error, random: 1 })).toEqual({ retry: true, delayMs: 1000 });
  });

  it("gives up when the Retry-After is longer than any delay may be", () => {
    const after = (retryAfterMs: number) =>
      decideRetry({
        policy: POLICY,
        attempt: 1,
        error: nodeError("MODEL_RATE_LIMITED", "", { retryAfterMs }),
        random: 1,
      });
    expect(after(MAX_RETRY_DELAY_MS)).toEqual({ retry: true, delayMs: MAX_RETRY_DELAY_MS });
    expect(after(MAX_RETRY_DELAY_MS + 1)).toEqual({ retry: false });
    expect(after(Infinity)).toEqual({ retry: false });
  });

  it("never overflows", () => {
    const steep = { ...POLICY, maxAttempts: MAX_ATTEMPTS, factor: 1e300, maxMs: Number.MAX_VALUE };
    const delay = (initialMs: number) =>
      decideRetry({ policy: { ...steep, initialMs }, attempt: 19, error: RATE_LIMITED, random: 1 });
    expect(delay(1)).toEqual({ retry: true, delayMs: MAX_RETRY_DELAY_MS });
    expect(delay(0)).toEqual({ retry: true, delayMs: 0 });
  });

  it("keeps its promises for every policy and error", () => {
    fc.assert(
      fc.property(anyCase, (input) => {
        const decision = decideRetry(input);
        const { policy, attempt, error } = input;
        const afterMs = error.retryAfterMs ?? 0;
        const mayRetry = error.retryable && policy.on.includes(error.class) && attempt < policy.maxAttempts;
        expect(decision.retry).toBe(mayRetry && !(afterMs > MAX_RETRY_DELAY_MS));
        if (!decision.retry) return;
        expect(Number.isInteger(decision.delayMs)).toBe(true);
        expect(decision.delayMs).toBeGreaterThanOrEqual(0);
        expect(decision.delayMs).toBeLessThanOrEqual(MAX_RETRY_DELAY_MS);
        if (afterMs > 0) expect(decision.delayMs).toBeGreaterThanOrEqual(afterMs);
        else expect(decision.delayMs).toBeLessThanOrEqual(policy.maxMs);
      }),
      { seed: 21, numRuns: 2000 },
    );
  });
});

describe("DEFAULT_RETRY", () => {
  const attempts = (type: keyof typeof DEFAULT_RETRY, code: ErrorCode): number => {
    let attempt = 1;
    const error = nodeError(code, "it failed");
    while (decideRetry({ policy: DEFAULT_RETRY[type], attempt, error, random: 0.5 }).retry) attempt++;
    return attempt;
  };

  it("tries a model four times when the provider is at fault, and once when the answer is", () => {
    expect(attempts("llm", "MODEL_RATE_LIMITED")).toBe(4);
    expect(attempts("llm", "MODEL_UNAVAILABLE")).toBe(4);
    expect(attempts("llm", "NODE_TIMEOUT")).toBe(4);
    expect(attempts("llm", "MODEL_OUTPUT_INVALID")).toBe(1);
    expect(attempts("llm", "MODEL_KEY_INVALID")).toBe(1);
  });

  it("waits up to a second first, then twice as long, and never over a minute", () => {
    const longest = (attempt: number) =>
      decideRetry({ policy: { ...DEFAULT_RETRY.llm, maxAttempts: 20 }, attempt, error: RATE_LIMITED, random: 1 });
    expect([1, 2, 6, 7, 19].map(longest)).toEqual(
      [1000, 2000, 32_000, 60_000, 60_000].map((delayMs) => ({ retry: true, delayMs })),
    );
  });

  it("tries every other node once, whatever goes wrong", () => {
    for (const type of Object.keys(DEFAULT_RETRY) as Array<keyof typeof DEFAULT_RETRY>) {
      if (type === "llm") continue;
      for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) expect(attempts(type, code)).toBe(1);
    }
  });
});

describe("decideBackpressure", () => {
  it("doubles from one second to half a minute", () => {
    expect([1, 2, 3, 5, 6, 7, 5000].map((count) => decideBackpressure(count, 1))).toEqual([
      1000, 2000, 4000, 16_000, 30_000, 30_000, 30_000,
    ]);
  });

  it("never comes back before half of the delay", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (count, random) => {
        const full = decideBackpressure(count, 1);
        const delayMs = decideBackpressure(count, random);
        expect(Number.isInteger(delayMs)).toBe(true);
        expect(delayMs).toBeGreaterThanOrEqual(full / 2);
        expect(delayMs).toBeLessThanOrEqual(full);
      }),
      { seed: 22 },
    );
  });

  it("is for refused actions only", () => {
    const codes = (Object.keys(ERROR_CODES) as ErrorCode[]).filter((code) => isBackpressure(nodeError(code, "")));
    expect(codes).toEqual(["ACTION_REFUSED"]);
  });
});
