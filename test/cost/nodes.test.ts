/**
 * What an execution of action nodes costs: 50 at once, of 5 to 40 nodes, on the four shards of a fresh installation and
 * on one, beside one instance of @convex-dev/workflow with one step per node.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { combine, type Tally } from "../support/counters.js";
import { preload } from "../support/harness.js";
import { expectFixedWithin, expectPerNodeWithin } from "./limits.js";
import { divided, publish } from "./report.js";
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
    runShardflow({
      definition: chain(nodes, maxMs),
      nodes,
      executions: EXECUTIONS,
      ...(config === undefined ? {} : { config }),
    });
  four = await each([5, 10, 20, 40], burst(MAX_MS));
  // All 50 are in flight at once here, too.
  one = await each([5, 20], burst(MAX_MS, { activeShards: 1, maxParallelism: EXECUTIONS }));
  instant = await each([5, 20], burst(0));
  vanilla = await each([5, 20], (nodes) => runVanilla({ nodes, executions: EXECUTIONS, maxMs: MAX_MS }));
}, 600_000);

async function each(counts: number[], run: (nodes: number) => Promise<Run>): Promise<Runs> {
  const runs: Runs = new Map();
  for (const nodes of counts) runs.set(nodes, await run(nodes));
  return runs;
}

function point(runs: Runs, nodes: number, of: (run: Run) => Tally): { nodes: number; tally: Tally } {
  const run = runs.get(nodes);
  if (run === undefined) throw new Error(`there is no run of ${nodes} nodes`);
  return { nodes, tally: perExecution(run, of(run)) };
}

const line = (runs: Runs, of: (run: Run) => Tally, few = 5, many = 20) =>
  lineThrough(point(runs, few, of), point(runs, many, of));

describe("four shards, as installed, idle polls apart", () => {
  test("a node stays within its limits", () => expectPerNodeWithin(line(four, workOf).perNode));
  test("an execution stays within its limits", () => expectFixedWithin(line(four, workOf).fixed));
  test("nodes cost the same however many there are", () => {
    for (const [few, many] of [
      [5, 10],
      [10, 20],
      [20, 40],
    ] as const) {
      const { perNode } = line(four, workOf, few, many);
      expectPerNodeWithin(perNode);
      const { perNode: overall } = line(four, workOf, 5, 40);
      for (const field of ["transactions", "reads", "writes"] as const) {
        expect(perNode[field] / overall[field], `${field} per node from ${few} to ${many}`).toBeCloseTo(1, 1);
      }
    }
  });
});

describe("one shard, everything counted", () => {
  test("a node stays within its limits", () => expectPerNodeWithin(line(one, totalOf).perNode));
  test("an execution stays within its limits", () => expectFixedWithin(line(one, totalOf).fixed));
});

describe("four shards and nodes that take no time, everything counted", () => {
  test("a node stays within its limits, and adds no job and no poll at all", () => {
    const { perNode } = line(instant, totalOf);
    expectPerNodeWithin(perNode);
    expect(perNode).toMatchObject({ jobs: 0, queries: 0, nestedMutations: 0, snapshotReads: 0 });
  });
  test("an execution stays within its limits", () => expectFixedWithin(line(instant, totalOf).fixed));
});

test("one step per node costs several times as much, and reads more with every step", () => {
  const ours = line(one, totalOf).perNode;
  const theirs = line(vanilla, totalOf);
  for (const field of ["transactions", "reads", "writes"] as const) {
    expect(theirs.perNode[field], `${field} per step`).toBeGreaterThan(2 * ours[field]);
  }
  // A line through points that bend upwards meets the axis below zero.
  expect(theirs.fixed.reads).toBeLessThan(0);
});

test("per execution", (context) => {
  const rows = [...four.keys()].flatMap((nodes) => [
    { label: `${nodes} nodes, 4 shards`, tally: point(four, nodes, totalOf).tally },
    { label: `- of which idle polls`, tally: point(four, nodes, idlePollsOf).tally },
  ]);
  const single = [...one.keys()].map((nodes) => ({
    label: `${nodes} nodes, 1 shard`,
    tally: point(one, nodes, totalOf).tally,
  }));
  const peer = [...vanilla.keys()].map((nodes) => ({
    label: `${nodes} steps, vanilla`,
    tally: point(vanilla, nodes, totalOf).tally,
  }));
  publish(context, {
    id: "1",
    title: `Executions of action nodes, ${EXECUTIONS} at once: per execution`,
    notes: [],
    rows: [...rows, ...single, ...peer],
  });
  expect(rows.length + single.length + peer.length).toBe(12);
});

test("per node and fixed", (context) => {
  const ours: Array<[string, { perNode: Tally; fixed: Tally }]> = [
    ["4 shards, idle polls apart", line(four, workOf)],
    ["4 shards", line(four, totalOf)],
    ["1 shard", line(one, totalOf)],
    ["4 shards, nodes of 0 ms", line(instant, totalOf)],
    ["vanilla", line(vanilla, totalOf)],
  ];
  publish(context, {
    id: "2",
    title: "What a node adds, and what remains of an execution",
    notes: ["The line through the executions of 5 and of 20 nodes."],
    rows: [
      ...ours.map(([label, { perNode }]) => ({ label: `per node: ${label}`, tally: perNode })),
      ...ours.map(([label, { fixed }]) => ({ label: `fixed: ${label}`, tally: fixed })),
    ],
  });
  const sum = combine([line(four, workOf).fixed, line(four, idlePollsOf).fixed], (a = 0, b = 0) => a + b);
  expect(sum.reads).toBeCloseTo(line(four, totalOf).fixed.reads, 6);
});

test("by component", (context) => {
  const rows = [four, vanilla].flatMap((runs) =>
    [...byComponent(runs.get(5)!)].map(([label, tally]) => ({ label, tally: divided(tally, EXECUTIONS) })),
  );
  publish(context, {
    id: "3",
    title: "Executions of 5 nodes on four shards, and of 5 steps: where it goes, per execution",
    notes: [],
    rows,
  });
  const reads = rows.reduce((total, { tally }) => total + tally.reads, 0);
  expect(reads).toBeCloseTo(point(four, 5, totalOf).tally.reads + point(vanilla, 5, totalOf).tally.reads, 6);
});
