/**
 * When executions are started: a pure function of load and seed.
 *
 * The rate rises linearly for the ramp-up and then stays. Each arrival has a slice of the whole under that curve, and the
 * seed places it within: so two seeds differ, and none of them leaves a gap or a burst that the load did not ask for.
 */
import type { Load } from "./load.js";
import { seededRandom } from "./random.js";

export type Arrivals = {
  /** When each execution is due, in ms from the beginning, in order. */
  dueMs: readonly number[];
  /** Executions in flight at most: one that is due waits for a place. */
  concurrency: number;
};

export function planArrivals(load: Load, seed: number): Arrivals {
  const { total, concurrency } = load;
  const rampUpMs = load.rampUpSeconds * 1000;
  const steadyMs = load.durationMinutes * 60_000;
  const random = seededRandom(seed);
  const dueMs = Array.from({ length: total }, (_, index) =>
    Math.floor(timeOf((index + random()) / total, rampUpMs, steadyMs)),
  );
  return { dueMs, concurrency };
}

/** When the given share (0 to 1) of all arrivals has come: the inverse of the area under the rate. */
function timeOf(share: number, rampUpMs: number, steadyMs: number): number {
  const rampUpArea = rampUpMs / 2;
  const area = share * (rampUpArea + steadyMs);
  return area < rampUpArea ? Math.sqrt(2 * rampUpMs * area) : rampUpMs + (area - rampUpArea);
}

/** How many executions to start now. */
export function startable(arrivals: Arrivals, at: { elapsedMs: number; started: number; inFlight: number }): number {
  const places = arrivals.concurrency - at.inFlight;
  let count = 0;
  while (count < places && (arrivals.dueMs[at.started + count] ?? Infinity) <= at.elapsedMs) count++;
  return count;
}
