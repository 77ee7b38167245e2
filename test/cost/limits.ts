/** What an execution may cost. Both are checked by counting; docs/costs.md shows the numbers. */
import { expect } from "vitest";
import type { Tally } from "../support/counters.js";

/** Of one action node, or one pass of a loop with one. */
const PER_NODE = { transactions: 1.05, reads: 2.3, writes: 2.2 };
/** Of an execution, whatever its nodes: start, claim, stretch, end, and its share of what runs the shard. */
const FIXED = { transactions: 6, reads: 60, writes: 26 };

export function expectPerNodeWithin(tally: Tally): void {
  for (const [field, limit] of entries(PER_NODE)) expect(tally[field], `${field} per node`).toBeLessThanOrEqual(limit);
  expect(tally.jobs.toFixed(1), "jobs per node").toMatch(/^-?0\.0$/);
}

export function expectFixedWithin(tally: Tally): void {
  for (const [field, limit] of entries(FIXED)) {
    expect(tally[field], `${field} per execution`).toBeLessThanOrEqual(limit);
  }
}

const entries = (limits: typeof FIXED) => Object.entries(limits) as Array<[keyof typeof FIXED, number]>;
