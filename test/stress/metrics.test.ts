import { EXECUTION_STATUSES } from "../../src/shared/status.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { measure, outcomeOf, percentile, ratio, summarize } from "../../stress-tests/lib/metrics.js";
import { phaseOf } from "../../stress-tests/lib/target.js";
import { EPOCH, nodeRun, observed } from "./support.js";

const STUCK_MS = 1_000;
const SEED = 20260103;

const ended = (status: "succeeded" | "failed" | "canceled", ms: number, shardIndex = 0) =>
  observed({ status, shardIndex, endedAt: EPOCH + ms, ...(status === "failed" ? { lastError: "BAD at work" } : {}) });
const running = (shardIndex = 0) => observed({ status: "running", shardIndex });
const refused = () => observed(null, { executionId: null, acknowledgedAt: null, startError: "no room" });

describe("a ratio", () => {
  it("over zero is null, not infinite", () => {
    expect(ratio(1, 2)).toBe(0.5);
    expect(ratio(0, 3)).toBe(0);
    expect(ratio(5, 0)).toBeNull();
    expect(ratio(0, 0)).toBeNull();
  });
});

describe("percentiles", () => {
  it("are values that were measured, with enough of all values at or below them, and no smaller one has", () => {
    const values = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(values, fc.constantFrom(50, 90, 99), (all, percent) => {
        const value = percentile(all, percent) ?? NaN;
        const share = (limit: number) => (100 * all.filter((each) => each <= limit).length) / all.length;
        expect(all).toContain(value);
        expect(share(value)).toBeGreaterThanOrEqual(percent);
        for (const smaller of all.filter((each) => each < value)) expect(share(smaller)).toBeLessThan(percent);
      }),
      { seed: SEED },
    );
  });

  it("of nothing do not exist", () => {
    expect(summarize([])).toEqual({ count: 0, mean: null, p50: null, p90: null, p99: null });
  });
});

describe("statuses", () => {
  it("of the product are all known", () => {
    expect(EXECUTION_STATUSES.map((status) => [status, phaseOf(status)])).toEqual([
      ["pending", "active"],
      ["running", "active"],
      ["waiting", "active"],
      ["succeeded", "succeeded"],
      ["failed", "failed"],
      ["canceled", "canceled"],
    ]);
  });

  it("that are unknown throw", () => {
    expect(() => outcomeOf(observed({ status: "paused" as "waiting" }), STUCK_MS)).toThrow('status "paused"');
  });
});

describe("outcomes", () => {
  it("are stuck when the end came too late or not at all", () => {
    expect(outcomeOf(ended("succeeded", STUCK_MS), STUCK_MS)).toBe("succeeded");
    expect(outcomeOf(ended("succeeded", STUCK_MS + 1), STUCK_MS)).toBe("stuck");
    expect(outcomeOf(ended("failed", STUCK_MS + 1), STUCK_MS)).toBe("stuck");
    expect(outcomeOf(running(), STUCK_MS)).toBe("stuck");
    expect(outcomeOf(observed(null), STUCK_MS)).toBe("stuck");
    expect(outcomeOf(refused(), STUCK_MS)).toBe("refused");
  });

  it("count every arrival once", () => {
    const one = fc.oneof(
      fc.constant(refused()),
      fc.constant(running()),
      fc
        .tuple(fc.constantFrom("succeeded" as const, "failed" as const, "canceled" as const), fc.nat(2_000))
        .map(([status, ms]) => ended(status, ms)),
    );
    fc.assert(
      fc.property(fc.array(one, { maxLength: 30 }), (all) => {
        const m = measure(all, STUCK_MS);
        expect(m.refused + m.succeeded + m.failed + m.canceled + m.stuck).toBe(all.length);
        expect(m.perShard.reduce((sum, { succeeded }) => sum + succeeded, 0)).toBe(m.succeeded);
      }),
      { seed: SEED },
    );
  });
});

describe("a run", () => {
  const good = [ended("succeeded", 100, 0), ended("succeeded", 300, 2), ended("succeeded", 200, 2)];

  it("is measured", () => {
    const observations = [
      ...good.map((one) => ({ ...one, acknowledgedAt: EPOCH + 7, nodeRuns: [nodeRun("a"), nodeRun("b")] })),
      ended("failed", 500, 1),
      ended("canceled", 10, 1),
      running(2),
      refused(),
    ];
    expect(measure(observations, STUCK_MS)).toEqual({
      arrivals: 7,
      started: 6,
      refused: 1,
      succeeded: 3,
      failed: 1,
      canceled: 1,
      stuck: 1,
      successRate: 3 / 7,
      acknowledgementMs: { count: 3, mean: 7, p50: 7, p90: 7, p99: 7 },
      completionMs: { count: 3, mean: 200, p50: 200, p90: 300, p99: 300 },
      nodeRuns: 6,
      nodeRunsPerExecution: 1,
      perShard: [
        { shardIndex: 0, started: 1, succeeded: 1 },
        { shardIndex: 1, started: 2, succeeded: 0 },
        { shardIndex: 2, started: 3, succeeded: 2 },
      ],
      maxConcurrent: 6,
      spanMs: 500,
      throughputPerSecond: 6,
      errors: [
        { message: "BAD at work", count: 1 },
        { message: "no room", count: 1 },
      ],
    });
  });

  it("has the latencies of what succeeded, whatever else there was", () => {
    const bad = [ended("failed", 1), ended("canceled", 2), ended("succeeded", STUCK_MS * 9), running(), refused()];
    expect(measure([...good, ...bad], STUCK_MS).completionMs).toEqual(measure(good, STUCK_MS).completionMs);
    expect(measure([...good, ...bad], STUCK_MS).acknowledgementMs).toEqual(measure(good, STUCK_MS).acknowledgementMs);
  });

  it("has executions at once while neither has ended", () => {
    const at = (from: number, to: number) =>
      observed({ status: "succeeded", startedAt: EPOCH + from, endedAt: EPOCH + to });
    expect(measure([at(0, 10), at(10, 20), at(20, 30)], STUCK_MS).maxConcurrent).toBe(1);
    expect(measure([at(0, 11), at(10, 21), at(20, 30)], STUCK_MS).maxConcurrent).toBe(2);
    expect(measure([at(0, 30), at(5, 6), at(7, 30), at(8, 30)], STUCK_MS).maxConcurrent).toBe(3);
  });

  it("of which nothing came has no ratios", () => {
    const none = measure([refused(), refused()], STUCK_MS);
    expect(none).toMatchObject({ successRate: 0, nodeRunsPerExecution: null, throughputPerSecond: null, spanMs: 0 });
    expect(none.completionMs.p99).toBeNull();
    expect(measure([], STUCK_MS).successRate).toBeNull();
  });
});
