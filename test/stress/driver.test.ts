import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planArrivals } from "../../stress-tests/lib/arrivals.js";
import { drive, type Observation } from "../../stress-tests/lib/driver.js";
import type { Load } from "../../stress-tests/lib/load.js";
import { measure } from "../../stress-tests/lib/metrics.js";
import type { OpenTarget } from "../../stress-tests/lib/target.js";
import { bent, EPOCH, plainTarget } from "./support.js";

const BURST: Load = { total: 10, concurrency: 10, rampUpSeconds: 0, durationMinutes: 0, stuckMs: 10_000 };

function run(open: OpenTarget, load: Partial<Load> = {}, seed = 1): Promise<Observation[]> {
  const all = { ...BURST, ...load };
  return open.run(seed, (target) =>
    drive(target, {
      arrivals: planArrivals(all, seed),
      stuckMs: all.stuckMs,
      start: (index) => target.start({ definition: "d", input: { index } }),
    }),
  );
}

const calls = (observations: Observation[]) => observations.map(({ calledAt }) => calledAt - EPOCH);

describe("starts", () => {
  it("happen when they are due, while there is a place", async () => {
    const observations = await run(plainTarget({ ms: () => 50 }), { durationMinutes: 1 });
    expect(observations).toHaveLength(10);
    expect(observations.map(({ calledAt }) => calledAt)).toEqual(observations.map(({ dueAt }) => dueAt));
    expect(calls(observations)).toEqual(planArrivals({ ...BURST, durationMinutes: 1 }, 1).dueMs);
  });

  it("wait for a place otherwise", async () => {
    const observations = await run(plainTarget({ ms: () => 1_000 }), { concurrency: 4 });
    expect(calls(observations)).toEqual([0, 0, 0, 0, 1_000, 1_000, 1_000, 1_000, 2_000, 2_000]);
  });

  it("never exceed the concurrency, and all happen", async () => {
    const load = fc.record({
      total: fc.integer({ min: 1, max: 60 }),
      concurrency: fc.integer({ min: 1, max: 12 }),
      rampUpSeconds: fc.integer({ min: 0, max: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(load, fc.integer({ min: 1, max: 3_000 }), async (some, ms) => {
        const observations = await run(plainTarget({ ms: (index) => 1 + ((index * 7919) % ms) }), some);
        const { succeeded, maxConcurrent } = measure(observations, BURST.stuckMs);
        expect(succeeded).toBe(some.total);
        expect(maxConcurrent).toBeLessThanOrEqual(some.concurrency);
      }),
      { seed: 20260102, numRuns: 30 },
    );
  });

  it("that are refused are observed, hold no place, and do not end the run", async () => {
    const acknowledge = (index: number) => ({ afterMs: 5, ...(index < 3 ? { error: new Error("no room") } : {}) });
    const observations = await run(plainTarget({ ms: () => 1_000, acknowledge }), { concurrency: 3, total: 6 });
    const { refused, succeeded, started, errors } = measure(observations, BURST.stuckMs);
    expect({ refused, succeeded, started }).toEqual({ refused: 3, succeeded: 3, started: 3 });
    expect(errors).toEqual([{ message: "no room", count: 3 }]);
    expect(calls(observations)).toEqual([0, 0, 0, 100, 100, 100]);
  });

  it("that are never answered are stuck", async () => {
    const acknowledge = (index: number) => ({ afterMs: index === 1 ? 1e9 : 5 });
    const observations = await run(plainTarget({ ms: () => 10, acknowledge }), { total: 3, stuckMs: 500 });
    const { started, succeeded, stuck, acknowledgementMs } = measure(observations, 500);
    expect({ started, succeeded, stuck }).toEqual({ started: 2, succeeded: 2, stuck: 1 });
    expect(acknowledgementMs).toEqual({ count: 2, mean: 5, p50: 5, p90: 5, p99: 5 });
  });
});

describe("ends", () => {
  it("are timed by the product, however rarely it is looked at", async () => {
    const observations = await run(plainTarget({ ms: (index) => 37 + index }));
    const { completionMs } = measure(observations, BURST.stuckMs);
    expect(completionMs).toEqual({ count: 10, mean: 41.5, p50: 41, p90: 45, p99: 46 });
  });

  it("are looked for in all executions in flight, and sooner when others wait for their places", async () => {
    let looks = 0;
    const open = bent(plainTarget({ ms: () => 1_500 }), ({ statusOf }) => ({
      statusOf: (id) => (looks++, statusOf(id)),
    }));
    await run(open, { total: 200, concurrency: 200 });
    expect(looks).toBe(2 * 200);
    looks = 0;
    await run(open, { total: 201, concurrency: 200 });
    expect(looks).toBe(15 * 200 + 2);
  });

  it("free the place of a stuck execution: a smaller stuckMs starts the next one earlier", async () => {
    const open = plainTarget({ ms: (index) => (index === 0 ? Infinity : 10) });
    const startsOfNext = async (stuckMs: number) => calls(await run(open, { total: 2, concurrency: 1, stuckMs }))[1];
    expect(await startsOfNext(1_000)).toBe(1_100);
    expect(await startsOfNext(3_000)).toBe(3_100);
  });

  it("come with the node runs", async () => {
    const observations = await run(plainTarget({ ms: () => 10 }), { total: 2 });
    expect(observations.map(({ nodeRuns }) => nodeRuns.map(({ key }) => key))).toEqual([["node of 0"], ["node of 1"]]);
  });
});

it("stops at a status that the product does not have", async () => {
  const open = bent(plainTarget({ ms: () => 10 }), ({ statusOf }) => ({
    statusOf: async (id) => ({ ...(await statusOf(id)), status: "completed" as "succeeded" }),
  }));
  await expect(run(open)).rejects.toThrow('has the status "completed", which the stress tests do not know');
});
