import { expect, it } from "vitest";
import { formatRatio, jsonReport, textReport } from "../../stress-tests/lib/report.js";
import { runScenario } from "../../stress-tests/lib/scenario.js";
import { concurrentStarts } from "../../stress-tests/scenarios/concurrentStarts.js";
import { plainTarget } from "./support.js";

/** A run of which nothing came: every start is refused. */
async function nothing() {
  const target = plainTarget({ ms: () => 1, acknowledge: () => ({ afterMs: 1, error: new Error("not signed in") }) });
  return await runScenario(concurrentStarts, { target, load: concurrentStarts.load, seed: 1 });
}

it("a ratio is printed with two places, and as n/a when there is none", () => {
  expect(formatRatio(2 / 3)).toBe("0.67");
  expect(formatRatio(0)).toBe("0.00");
  expect(formatRatio(null)).toBe("n/a");
});

it("numbers that do not exist are n/a for people", async () => {
  const text = textReport(await nothing()).replaceAll(/ {2,}/g, "  ");
  for (const line of [
    "started  0 of 40, 40 refused",
    "succeeded  0, a share of 0.00",
    "completed  mean n/a, p50 n/a, p90 n/a, p99 n/a, of 0 that succeeded",
    "node runs  0, n/a per execution",
    "throughput  n/a per second, over 0 ms",
    "shards  n/a",
    "error, 40 times  not signed in",
    "FAIL  every execution succeeds in time: 0 of 40 succeeded, 0 failed, 0 stuck, 0 canceled, 40 refused",
  ]) {
    expect(text).toContain(line);
  }
});

it("numbers that do not exist are null for programs", async () => {
  const report = JSON.parse(jsonReport(await nothing())) as { passed: boolean; phases: Array<{ metrics: unknown }> };
  expect(report.passed).toBe(false);
  expect(report.phases[0]?.metrics).toMatchObject({
    successRate: 0,
    nodeRunsPerExecution: null,
    throughputPerSecond: null,
    acknowledgementMs: { count: 0, mean: null, p50: null, p90: null, p99: null },
  });
});
