/** What a run prints: a report for people, or one JSON object for programs. Numbers that do not exist are n/a and null. */
import type { Metrics, Summary } from "./metrics.js";
import type { PhaseResult, ScenarioResult } from "./scenario.js";

export function formatRatio(value: number | null): string {
  return value === null ? "n/a" : value.toFixed(2);
}

export function jsonReport(result: ScenarioResult): string {
  const { scenario, target, load, seed, passed, checks, phases } = result;
  const { name, question, failureMeans } = scenario;
  return JSON.stringify({
    scenario: name,
    target,
    seed,
    load,
    question,
    passed,
    checks,
    failureMeans,
    phases: phases.map(({ name: phase, settings, metrics, observations }) => ({
      name: phase,
      settings,
      metrics,
      arrivals: observations.map(({ index, dueAt, calledAt, executionId }) => ({
        index,
        dueAt,
        calledAt,
        executionId,
      })),
    })),
  });
}

export function textReport(result: ScenarioResult): string {
  const { scenario, target, load, seed, passed, checks, phases } = result;
  const lines = [
    `${scenario.name} on ${target}, seed ${seed}`,
    scenario.question,
    "",
    `load: ${load.total} executions, at most ${load.concurrency} in flight, ramp-up ${load.rampUpSeconds} s, ` +
      `then ${load.durationMinutes} min, stuck after ${load.stuckMs} ms`,
    ...phases.flatMap((phase) => ["", ...describePhase(phase)]),
    "",
    ...checks.map((check) => `${check.passed ? "pass" : "FAIL"}  ${check.claim}: ${check.observed}`),
    "",
    passed ? "verdict: pass" : `verdict: FAIL. ${scenario.failureMeans}`,
  ];
  return lines.join("\n");
}

function describePhase({ name, settings, metrics }: PhaseResult): string[] {
  const rows: Array<[string, string]> = [
    ["started", `${metrics.started} of ${metrics.arrivals}, ${metrics.refused} refused`],
    ["succeeded", `${metrics.succeeded}, a share of ${formatRatio(metrics.successRate)}`],
    ["not succeeded", `${metrics.failed} failed, ${metrics.canceled} canceled, ${metrics.stuck} stuck`],
    ["acknowledged", describeSummary(metrics.acknowledgementMs)],
    ["completed", describeSummary(metrics.completionMs)],
    ["node runs", `${metrics.nodeRuns}, ${formatRatio(metrics.nodeRunsPerExecution)} per execution`],
    ["at once", `${metrics.maxConcurrent} at most`],
    ["throughput", `${formatRatio(metrics.throughputPerSecond)} per second, over ${metrics.spanMs} ms`],
    ["shards", describeShards(metrics)],
    ...metrics.errors.map(({ message, count }): [string, string] => [`error, ${count} times`, message]),
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  return [
    `${name}: ${settings.activeShards} active shards, ${settings.maxParallelism} executions at once on each`,
    ...rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`),
  ];
}

function describeSummary({ count, mean, p50, p90, p99 }: Summary): string {
  const ms = (value: number | null) => (value === null ? "n/a" : `${Math.round(value)} ms`);
  return `mean ${ms(mean)}, p50 ${ms(p50)}, p90 ${ms(p90)}, p99 ${ms(p99)}, of ${count} that succeeded`;
}

function describeShards({ perShard }: Metrics): string {
  return perShard.map(({ shardIndex, started }) => `${started} on shard ${shardIndex}`).join(", ") || "n/a";
}
