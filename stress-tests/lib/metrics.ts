/**
 * From observations to numbers. Pure.
 *
 * Invariants: (M1) every arrival is counted once: refused, succeeded, failed, canceled or stuck; (M2) latencies are those
 * of executions that succeeded, so a failure never makes them look better or worse; (M3) a ratio over zero is null.
 */
import type { Observation } from "./driver.js";
import { phaseOf } from "./target.js";

export type Outcome = "refused" | "succeeded" | "failed" | "canceled" | "stuck";

export type Summary = {
  count: number;
  mean: number | null;
  p50: number | null;
  p90: number | null;
  p99: number | null;
};

export type Metrics = {
  arrivals: number;
  /** Starts that were acknowledged. Those that were answered with an error are `refused`. */
  started: number;
  refused: number;
  succeeded: number;
  failed: number;
  canceled: number;
  /** Not ended `stuckMs` after the start, whatever became of it later. */
  stuck: number;
  /** Of all arrivals, the share that succeeded. */
  successRate: number | null;
  /** From calling for a start to its answer. */
  acknowledgementMs: Summary;
  /** From start to end, by the product's own clock. */
  completionMs: Summary;
  /** Finished node runs, of all executions. */
  nodeRuns: number;
  nodeRunsPerExecution: number | null;
  perShard: Array<{ shardIndex: number; started: number; succeeded: number }>;
  /** Executions between their start and their end at the same moment. */
  maxConcurrent: number;
  /** From the first start to the last end. */
  spanMs: number;
  /** Executions that succeeded in a second of that span. */
  throughputPerSecond: number | null;
  /** Why executions failed or were refused, the most frequent first. */
  errors: Array<{ message: string; count: number }>;
};

export function ratio(a: number, b: number): number | null {
  return b === 0 ? null : a / b;
}

/** The nearest-rank percentile: the smallest value that at least `percent` of all values do not exceed. */
export function percentile(values: readonly number[], percent: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? null;
}

export function summarize(values: readonly number[]): Summary {
  return {
    count: values.length,
    mean: ratio(
      values.reduce((sum, value) => sum + value, 0),
      values.length,
    ),
    p50: percentile(values, 50),
    p90: percentile(values, 90),
    p99: percentile(values, 99),
  };
}

/** How long an execution took; null while it runs, and when there is none. */
export function completionMsOf({ state }: Observation): number | null {
  return state?.endedAt === undefined ? null : state.endedAt - state.startedAt;
}

export function outcomeOf(one: Observation, stuckMs: number): Outcome {
  if (one.startError !== null) return "refused";
  const phase = one.state === null ? "active" : phaseOf(one.state.status);
  if (phase === "active" || (completionMsOf(one) ?? Infinity) > stuckMs) return "stuck";
  return phase;
}

export function measure(observations: readonly Observation[], stuckMs: number): Metrics {
  const outcomes = observations.map((one) => outcomeOf(one, stuckMs));
  const count = (outcome: Outcome) => outcomes.filter((each) => each === outcome).length;
  const succeeded = observations.filter((_, i) => outcomes[i] === "succeeded");
  const nodeRuns = observations.reduce((sum, one) => sum + one.nodeRuns.length, 0);
  const started = observations.filter(({ executionId }) => executionId !== null).length;
  const spanMs = spanOf(observations);
  return {
    arrivals: observations.length,
    started,
    refused: count("refused"),
    succeeded: succeeded.length,
    failed: count("failed"),
    canceled: count("canceled"),
    stuck: count("stuck"),
    successRate: ratio(succeeded.length, observations.length),
    acknowledgementMs: summarize(succeeded.map((one) => (one.acknowledgedAt ?? one.calledAt) - one.calledAt)),
    completionMs: summarize(succeeded.map((one) => completionMsOf(one) ?? 0)),
    nodeRuns,
    nodeRunsPerExecution: ratio(nodeRuns, started),
    perShard: perShard(observations, outcomes),
    maxConcurrent: maxConcurrent(observations),
    spanMs,
    throughputPerSecond: ratio(succeeded.length, spanMs / 1000),
    errors: errors(observations, outcomes),
  };
}

function spanOf(observations: readonly Observation[]): number {
  let first = Infinity;
  let last = -Infinity;
  for (const { state } of observations) {
    first = Math.min(first, state?.startedAt ?? Infinity);
    last = Math.max(last, state?.endedAt ?? -Infinity);
  }
  return last === -Infinity ? 0 : last - first;
}

function perShard(observations: readonly Observation[], outcomes: readonly Outcome[]): Metrics["perShard"] {
  const shards = new Map<number, { shardIndex: number; started: number; succeeded: number }>();
  for (const [i, { state }] of observations.entries()) {
    if (state === null) continue;
    const { shardIndex } = state;
    const shard = shards.get(shardIndex) ?? { shardIndex, started: 0, succeeded: 0 };
    shards.set(shardIndex, shard);
    shard.started++;
    if (outcomes[i] === "succeeded") shard.succeeded++;
  }
  return [...shards.values()].sort((a, b) => a.shardIndex - b.shardIndex);
}

function maxConcurrent(observations: readonly Observation[]): number {
  const changes = observations.flatMap(({ state }) => {
    if (state === null) return [];
    const { startedAt, endedAt = Infinity } = state;
    return endedAt > startedAt ? [[startedAt, 1] as const, [endedAt, -1] as const] : [];
  });
  // One that ends as another starts makes room for it.
  changes.sort(([timeA, stepA], [timeB, stepB]) => (timeA === timeB ? stepA - stepB : timeA < timeB ? -1 : 1));
  let now = 0;
  let max = 0;
  for (const [, step] of changes) max = Math.max(max, (now += step));
  return max;
}

function errors(observations: readonly Observation[], outcomes: readonly Outcome[]): Metrics["errors"] {
  const counts = new Map<string, number>();
  for (const [i, { startError, state }] of observations.entries()) {
    if (outcomes[i] !== "refused" && outcomes[i] !== "failed") continue;
    const message = startError ?? state?.lastError ?? "no error was recorded";
    counts.set(message, (counts.get(message) ?? 0) + 1);
  }
  return [...counts].map(([message, count]) => ({ message, count })).sort((a, b) => b.count - a.count);
}
