/** What an execution may cost at most. The tests of this folder check it by counting; docs/costs.md shows the numbers. */
import { expect } from "vitest";
import type { Tally } from "../support/counters.js";

type Limits = { transactions: number; reads: number; writes: number };

/** Of one action node, or of one pass of a loop with one. It adds no jobs. */
const PER_NODE: Limits = { transactions: 1.05, reads: 2.3, writes: 2.2 };
/** Of an execution besides its nodes: start, claim, stretch, end, and its share of what runs the shard. */
const FIXED: Limits = { transactions: 6, reads: 60, writes: 26 };

export function expectPerNodeWithin(tally: Tally): void {
  expectWithin(tally, PER_NODE, "per node");
  expect(tally.jobs.toFixed(1), "jobs per node").toMatch(/^-?0\.0$/);
}

export function expectFixedWithin(tally: Tally): void {
  expectWithin(tally, FIXED, "per execution");
}

function expectWithin(tally: Tally, limits: Limits, per: string): void {
  for (const field of ["transactions", "reads", "writes"] as const) {
    expect(tally[field], `${field} ${per}`).toBeLessThanOrEqual(limits[field]);
  }
}

const listed = ({ transactions, reads, writes }: Limits) =>
  `${transactions} transactions, ${reads} reads, ${writes} writes`;

export const LIMITS_NOTE = `Limits: ${listed(PER_NODE)} and no job per node; ${listed(FIXED)} per execution.`;
