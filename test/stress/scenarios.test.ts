/**
 * Every scenario passes on convex-test at its own size, and says no when it should: when executions fail or get stuck, and
 * when what it asks about is not so. For that the target is bent, never the scenario.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { convexTestTarget } from "../../stress-tests/lib/convexTestTarget.js";
import type { Load } from "../../stress-tests/lib/load.js";
import { runScenario, type RunOptions, type ScenarioResult } from "../../stress-tests/lib/scenario.js";
import type { OpenTarget, Setup, Target } from "../../stress-tests/lib/target.js";
import { concurrentStarts } from "../../stress-tests/scenarios/concurrentStarts.js";
import { SCENARIOS } from "../../stress-tests/scenarios/index.js";
import { loopContention } from "../../stress-tests/scenarios/loopContention.js";
import { payloadPressure } from "../../stress-tests/scenarios/payloadPressure.js";
import { schedulerOverlap } from "../../stress-tests/scenarios/schedulerOverlap.js";
import { shardComparison } from "../../stress-tests/scenarios/shardComparison.js";
import { sustainedLoad } from "../../stress-tests/scenarios/sustainedLoad.js";
import { bent } from "./support.js";

/** The log of the deployment. */
beforeAll(() => {
  for (const level of ["log", "info", "warn"] as const) vi.spyOn(console, level).mockImplementation(() => {});
});
afterAll(() => void vi.restoreAllMocks());

type Options = Partial<Omit<RunOptions, "load">> & { load?: Partial<Load> };

function run(scenario: (typeof SCENARIOS)[number], { load, ...options }: Options = {}): Promise<ScenarioResult> {
  return runScenario(scenario, { target: convexTestTarget, seed: 1, load: { ...scenario.load, ...load }, ...options });
}

const failed = ({ checks }: ScenarioResult) => checks.filter(({ passed }) => !passed).map(({ claim }) => claim);
const withSettings = (settings: Partial<Setup>): OpenTarget =>
  bent(convexTestTarget, ({ prepare }) => ({ prepare: (setup) => prepare({ ...setup, ...settings }) }));

describe.each(SCENARIOS)("$name", (scenario) => {
  it("passes", async () => {
    const result = await run(scenario);
    expect(failed(result)).toEqual([]);
    expect(result.passed).toBe(true);
    for (const { metrics } of result.phases) {
      expect(metrics).toMatchObject({ arrivals: scenario.load.total, succeeded: scenario.load.total, successRate: 1 });
    }
  });

  it("fails when an action fails", async () => {
    const result = await run(scenario, { load: { total: 6 }, failEvery: 3 });
    expect(result.passed).toBe(false);
    expect(failed(result)[0]).toMatch(/^every execution succeeds in time/);
    for (const { metrics } of result.phases) {
      expect(metrics).toMatchObject({ succeeded: 4, failed: 2, stuck: 0 });
      expect(metrics.errors).toEqual([
        { message: expect.stringContaining("Failed as it was told to.") as string, count: 2 },
      ]);
    }
  });

  it("fails when executions take longer than stuckMs", async () => {
    const result = await run(scenario, { load: { total: 3, stuckMs: 50 } });
    expect(result.passed).toBe(false);
    expect(failed(result)[0]).toMatch(/^every execution succeeds in time/);
    for (const { metrics } of result.phases) expect(metrics).toMatchObject({ succeeded: 0, failed: 0, stuck: 3 });
  });
});

describe("a verdict is no", () => {
  it("when a burst is not spread over the shards", async () => {
    const result = await run(concurrentStarts, { target: withSettings({ activeShards: 1 }) });
    expect(failed(result)).toEqual(["no shard gets more than 21 of 40"]);
  });

  it("when a steady stream piles up", async () => {
    const load = { total: 16, rampUpSeconds: 0, durationMinutes: 0.1 };
    const result = await run(sustainedLoad, { load, target: withSettings({ activeShards: 1, maxParallelism: 1 }) });
    expect(failed(result)).toEqual(["late executions take at most 1.5 times as long as early ones"]);
  });

  it("when a large value comes back changed", async () => {
    const target = bent(convexTestTarget, ({ statusOf }) => ({
      statusOf: async (id) => {
        const state = await statusOf(id);
        const output = state.output as { text: string; measured: { characters: number; checksum: number } } | undefined;
        return output === undefined ? state : { ...state, output: { ...output, text: `${output.text.slice(1)} ` } };
      },
    }));
    const result = await run(payloadPressure, { load: { total: 1 }, target });
    expect(failed(result)).toEqual(["every result is right"]);
  });

  it.each<[string, (keys: Awaited<ReturnType<Target["listNodeRuns"]>>) => typeof keys]>([
    ["twice", (runs) => [...runs, ...runs.slice(-1)]],
    ["not at all", (runs) => runs.slice(1)],
  ])("when a pass of a loop is recorded %s", async (_, change) => {
    const target = bent(convexTestTarget, ({ listNodeRuns }) => ({
      listNodeRuns: async (id) => change(await listNodeRuns(id)),
    }));
    const result = await run(loopContention, { load: { total: 2 }, target });
    expect(failed(result)).toEqual(["every node run is recorded, and recorded once"]);
  });

  it("when loops wait for each other", async () => {
    const result = await run(loopContention, { target: withSettings({ activeShards: 1, maxParallelism: 1 }) });
    expect(failed(result)).toEqual(["99 of 100 executions take at most 3000 ms"]);
  });

  it("when a tick that is delivered twice starts two executions", async () => {
    const target = bent(convexTestTarget, ({ start }) => ({
      start: ({ definition, input }) => start({ definition, input }),
    }));
    const result = await run(schedulerOverlap, { load: { total: 3 }, target });
    expect(result.phases[0]?.metrics).toMatchObject({ refused: 3, succeeded: 0 });
    expect(result.passed).toBe(false);
  });

  it("when ticks do not overlap, or wait for one another", async () => {
    const thin = await run(schedulerOverlap, { load: { total: 3, concurrency: 1 } });
    expect(failed(thin)).toEqual(["at least 2 executions run at the same time"]);
    const narrow = { load: { total: 4 }, target: withSettings({ activeShards: 1, maxParallelism: 1 }) };
    expect(failed(await run(schedulerOverlap, narrow))).toContain("99 of 100 executions take at most 9000 ms");
  });

  it("when more shards do not help", async () => {
    const result = await run(shardComparison, { load: { total: 12 }, target: withSettings({ activeShards: 1 }) });
    expect(failed(result)).toEqual([
      "the executions are on 1 shard, then on 4",
      "four shards have at least 1.5 times the throughput of one",
    ]);
  });
});

it("gives the same numbers for the same seed, and others for another", async () => {
  const load = { total: 6, durationMinutes: 0.05 };
  const metricsOf = async (seed: number) => (await run(sustainedLoad, { load, seed })).phases.map((one) => one.metrics);
  const first = await metricsOf(1);
  expect(await metricsOf(1)).toEqual(first);
  expect(await metricsOf(2)).not.toEqual(first);
});
