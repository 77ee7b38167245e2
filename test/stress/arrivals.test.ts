import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planArrivals, startable, type Arrivals } from "../../stress-tests/lib/arrivals.js";
import type { Load } from "../../stress-tests/lib/load.js";

const SEED = 20260101;
const load = fc.record({
  total: fc.integer({ min: 2, max: 300 }),
  concurrency: fc.integer({ min: 1, max: 50 }),
  rampUpSeconds: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 300 })),
  durationMinutes: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 60 })),
  stuckMs: fc.integer({ min: 1, max: 60_000 }),
});
const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 });

const check = (property: fc.IProperty<[Load, number]>) => fc.assert(property, { seed: SEED, numRuns: 200 });
const lastDue = ({ dueMs }: Arrivals) => dueMs.at(-1) ?? -1;

describe("the plan", () => {
  it("is the same for the same load and seed", () => {
    check(
      fc.property(load, seed, (one, by) => {
        expect(planArrivals({ ...one }, by)).toEqual(planArrivals(one, by));
      }),
    );
  });

  it("has one arrival for each execution, in order, none before the beginning or after the end", () => {
    check(
      fc.property(load, seed, (one, by) => {
        const { dueMs } = planArrivals(one, by);
        const endMs = one.rampUpSeconds * 1000 + one.durationMinutes * 60_000;
        expect(dueMs).toHaveLength(one.total);
        expect(dueMs).toEqual([...dueMs].sort((a, b) => a - b));
        expect(dueMs.every((ms) => Number.isInteger(ms) && ms >= 0 && ms <= endMs)).toBe(true);
      }),
    );
  });

  it("has at any moment as many arrivals behind it as the rate has brought, give or take one", () => {
    check(
      fc.property(load, seed, (one, by) => {
        const { dueMs } = planArrivals(one, by);
        const ramp = one.rampUpSeconds * 1000;
        const steady = one.durationMinutes * 60_000;
        fc.pre(ramp + steady > 0);
        // The area under the rate: a triangle, then a rectangle of the same height.
        const broughtBy = (ms: number) =>
          (one.total * (ms < ramp ? (ms * ms) / (2 * ramp) : Math.min(ms, ramp + steady) - ramp / 2)) /
          (ramp / 2 + steady);
        for (let part = 0; part <= 10; part++) {
          const ms = Math.floor(((ramp + steady) * part) / 10);
          const behind = dueMs.filter((due) => due <= ms).length;
          expect(behind).toBeGreaterThanOrEqual(Math.floor(broughtBy(ms)) - 1);
          expect(behind).toBeLessThanOrEqual(Math.ceil(broughtBy(ms + 1)) + 1);
        }
      }),
    );
  });

  it("is a burst without ramp-up and duration", () => {
    const burst = { total: 5, concurrency: 2, rampUpSeconds: 0, durationMinutes: 0, stuckMs: 1 };
    expect(planArrivals(burst, 1).dueMs).toEqual([0, 0, 0, 0, 0]);
  });

  it("comes later with a longer ramp-up or duration", () => {
    check(
      fc.property(load, seed, (one, by) => {
        const last = lastDue(planArrivals(one, by));
        const slower = { ...one, rampUpSeconds: one.rampUpSeconds + 10 };
        const longer = { ...one, durationMinutes: one.durationMinutes + 1 };
        expect(lastDue(planArrivals(slower, by))).toBeGreaterThan(last);
        expect(lastDue(planArrivals(longer, by))).toBeGreaterThan(last);
      }),
    );
  });

  it("rises: the first half of a ramp-up brings a quarter", () => {
    const ramp = { total: 1000, concurrency: 1, rampUpSeconds: 100, durationMinutes: 0, stuckMs: 1 };
    const early = planArrivals(ramp, 7).dueMs.filter((ms) => ms < 50_000).length;
    expect(early).toBeGreaterThanOrEqual(249);
    expect(early).toBeLessThanOrEqual(251);
  });

  it("is another one for another seed", () => {
    const stream = { total: 20, concurrency: 1, rampUpSeconds: 0, durationMinutes: 1, stuckMs: 1 };
    expect(planArrivals(stream, 1).dueMs).not.toEqual(planArrivals(stream, 2).dueMs);
  });
});

describe("starting", () => {
  const arrivals = { dueMs: [0, 0, 10, 20], concurrency: 3 };

  it("starts what is due, if there is a place", () => {
    expect(startable(arrivals, { elapsedMs: 0, started: 0, inFlight: 0 })).toBe(2);
    expect(startable(arrivals, { elapsedMs: 9, started: 2, inFlight: 2 })).toBe(0);
    expect(startable(arrivals, { elapsedMs: 20, started: 2, inFlight: 2 })).toBe(1);
    expect(startable(arrivals, { elapsedMs: 20, started: 2, inFlight: 0 })).toBe(2);
    expect(startable(arrivals, { elapsedMs: 99, started: 3, inFlight: 3 })).toBe(0);
    expect(startable(arrivals, { elapsedMs: 99, started: 4, inFlight: 0 })).toBe(0);
  });

  it("takes neither more places than there are nor more arrivals than are due", () => {
    check(
      fc.property(load, seed, (one, by) => {
        const plan = planArrivals(one, by);
        const elapsedMs = by % 100_000;
        const started = by % one.total;
        const inFlight = by % (one.concurrency + 1);
        const count = startable(plan, { elapsedMs, started, inFlight });
        const due = plan.dueMs.filter((ms) => ms <= elapsedMs).length;
        expect(count).toBe(Math.max(0, Math.min(one.concurrency - inFlight, due - started)));
      }),
    );
  });
});
