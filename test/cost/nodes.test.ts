/**
 * What an execution of action nodes costs: 50 at once, of 5 to 40 nodes, on the four shards of a fresh installation and
 * on one, beside one instance of @convex-dev/workflow with one step per node.
 */
import { beforeAll, describe, expect, test } from "vitest";
import type { Tally } from "../support/counters.js";
import { preload } from "../support/harness.js";
import { expectFixedWithin, expectPerNodeWithin, LIMITS_NOTE } from "./limits.js";
import { publish } from "./report.js";
import {
  byComponent,
  chain,
  idlePollsOf,
  lineThrough,
  perExecution,
  runShardflow,
  runVanilla,
  totalOf,
  workOf,
  type Run,
} from "./runs.js";

const EXECUTIONS = 50;
const MAX_MS = 400;

type Runs = Map<number, Run>;
let four: Runs;
let one: Runs;
let instant: Runs;
let vanilla: Runs;

beforeAll(async () => {
  await preload();
  const burst = (maxMs: number, config?: { activeShards: number; maxParallelism: number }) => (nodes: number) =>
    runShardflow({ definition: chain(nodes, maxMs), nodes, executions: EXECUTIONS, ...(config ? { config } : {}) });
  four = await runEach([5, 10, 20, 40], burst(MAX_MS));
  // With room for all of them, as four shards have.
  one = await runEach([5, 20], burst(MAX_MS, { activeShards: 1, maxParallelism: EXECUTIONS }));
  instant = await runEach([5, 20], burst(0));
  vanilla = await runEach([5, 20], (nodes) => runVanilla({ nodes, executions: EXECUTIONS, maxMs: MAX_MS }));
}, 600_000);

async function runEach(counts: number[], run: (nodes: number) => Promise<Run>): Promise<Runs> {
  const runs: Runs = new Map();
  for (const nodes of counts) runs.set(nodes, await run(nodes));
  return runs;
}

const point = (runs: Runs, nodes: number, of: (run: Run) => Tally) => {
  const run = runs.get(nodes)!;
  return { nodes, tally: perExecution(run, of(run)) };
};
const line = (runs: Runs, of: (run: Run) => Tally, few = 5, many = 20) =>
  lineThrough(point(runs, few, of), point(runs, many, of));

describe("four shards, as installed, idle polls apart", () => {
  test("a node stays within its limits", () => expectPerNodeWithin(line(four, workOf).perNode));
  test("an execution stays within its limits", () => expectFixedWithin(line(four, workOf).fixed));
});

describe("one shard, everything counted", () => {
  test("a node stays within its limits", () => expectPerNodeWithin(line(one, totalOf).perNode));
  test("an execution stays within its limits", () => expectFixedWithin(line(one, totalOf).fixed));
});

describe("four shards and nodes that take no time, everything counted", () => {
  test("a node stays within its limits, and adds no job, poll or query at all", () => {
    const { perNode } = line(instant, totalOf);
    expectPerNodeWithin(perNode);
    expect(perNode).toMatchObject({ jobs: 0, queries: 0, nestedMutations: 0, snapshotReads: 0 });
  });
  test("an execution stays within its limits", () => expectFixedWithin(line(instant, totalOf).fixed));
});

test("the cost of a node is the same however many there are", (context) => {
  const { perNode: overall } = line(four, workOf, 5, 40);
  for (const [few, many] of [
    [5, 10],
    [10, 20],
    [20, 40],
  ] as const) {
    const { perNode } = line(four, workOf, few, many);
    expectPerNodeWithin(perNode);
    for (const field of ["transactions", "reads", "writes", "bytesWritten"] as const) {
      expect(perNode[field] / overall[field], `${field} per node, from ${few} to ${many}`).toBeCloseTo(1, 1);
    }
  }
  publish(context, {
    id: "1",
    title: "Executions of action nodes: per execution",
    notes: [`${EXECUTIONS} at once; a node takes up to ${MAX_MS} ms.`],
    rows: [
      ...[...four.keys()].flatMap((nodes) => [
        { label: `${nodes} nodes, 4 shards`, tally: point(four, nodes, totalOf).tally },
        { label: "- of which idle polls", tally: point(four, nodes, idlePollsOf).tally },
      ]),
      ...[...one.keys()].map((nodes) => ({
        label: `${nodes} nodes, 1 shard`,
        tally: point(one, nodes, totalOf).tally,
      })),
      ...[...vanilla.keys()].map((nodes) => ({
        label: `${nodes} steps, vanilla`,
        tally: point(vanilla, nodes, totalOf).tally,
      })),
    ],
  });
});

test("a step per node costs a multiple of it, and reads more with every step", (context) => {
  const ours = line(one, totalOf).perNode;
  const theirs = line(vanilla, totalOf);
  for (const field of ["transactions", "reads", "writes"] as const) {
    expect(theirs.perNode[field], `${field} per step`).toBeGreaterThan(2 * ours[field]);
  }
  // The line through two points of a curve that bends upwards meets the axis below zero.
  expect(theirs.fixed.reads).toBeLessThan(0);
  const lines = [
    { label: "4 shards, idle polls apart", ...line(four, workOf) },
    { label: "4 shards", ...line(four, totalOf) },
    { label: "1 shard", ...line(one, totalOf) },
    { label: "4 shards, nodes of 0 ms", ...line(instant, totalOf) },
    { label: "vanilla", ...theirs },
  ];
  publish(context, {
    id: "2",
    title: "What a node adds, and what remains of an execution",
    notes: [`The line through the executions of 5 and of 20 nodes. ${LIMITS_NOTE}`],
    rows: [
      ...lines.map(({ label, perNode }) => ({ label: `per node: ${label}`, tally: perNode })),
      ...lines.map(({ label, fixed }) => ({ label: `fixed: ${label}`, tally: fixed })),
    ],
  });
});

test("every document belongs to a component that is shown", (context) => {
  const rows = [four, vanilla].flatMap((runs) => {
    const run = runs.get(5)!;
    return [...byComponent(run)].map(([component, tally]) => ({
      label: component === "" ? (runs === four ? "app of Shardflow" : "app of vanilla") : component,
      tally: perExecution(run, tally),
    }));
  });
  const total = [four, vanilla].map((runs) => point(runs, 5, totalOf).tally.reads).reduce((a, b) => a + b);
  expect(rows.reduce((reads, { tally }) => reads + tally.reads, 0)).toBeCloseTo(total, 6);
  expect(rows.filter(({ label }) => label.startsWith("workflow/")).length).toBe(2);
  publish(context, {
    id: "3",
    title: "Where it goes: 5 nodes on four shards, and 5 vanilla steps, per execution",
    notes: [],
    rows,
  });
});
