/**
 * What a long loop costs: 100 to 10 000 items with one action each, one after another, several at a time, and over
 * several stretches. Vanilla cannot loop that far: it reads its whole journal again with every step, and the journal
 * ends at 8 MiB. So the peer loops over 100 and 200 items.
 */
import { beforeAll, expect, test } from "vitest";
import { preload } from "../support/harness.js";
import { expectPerNodeWithin } from "./limits.js";
import { divided, publish } from "./report.js";
import { items, lineThrough, loop, runShardflow, runVanilla, totalOf, workOf, type Run } from "./runs.js";

const MAX_MS = 20;
const COMPARED = ["transactions", "reads", "writes", "bytesRead", "bytesWritten"] as const;

const sequential = new Map<number, Run>();
const inStretches = new Map<number, Run>();
const vanilla = new Map<number, Run>();
let several: Run;

beforeAll(async () => {
  await preload();
  const run = (count: number, more: { concurrency?: number; stretchBudgetMs?: number } = {}) =>
    runShardflow({
      definition: loop(count, MAX_MS, more.concurrency),
      nodes: count,
      input: { items: items(count) },
      ...(more.stretchBudgetMs === undefined ? {} : { config: { stretchBudgetMs: more.stretchBudgetMs } }),
    });
  for (const count of [100, 1_000, 10_000]) sequential.set(count, await run(count));
  for (const count of [1_000, 2_000]) inStretches.set(count, await run(count, { stretchBudgetMs: 1_000 }));
  several = await run(1_000, { concurrency: 16 });
  for (const count of [100, 200]) vanilla.set(count, await runVanilla({ nodes: count, maxMs: MAX_MS }));
}, 600_000);

const line = (runs: Map<number, Run>, of: typeof workOf, few: number, many: number) =>
  lineThrough({ nodes: few, tally: of(runs.get(few)!) }, { nodes: many, tally: of(runs.get(many)!) }).perNode;

test("a pass stays within the limits of a node, everything counted", () => {
  expectPerNodeWithin(line(sequential, totalOf, 1_000, 10_000));
});

test("the last of ten thousand passes costs no more than the first", () => {
  const early = line(sequential, workOf, 100, 1_000);
  const late = line(sequential, workOf, 1_000, 10_000);
  // Indexes get a digit longer.
  for (const field of COMPARED) expect(late[field] / early[field], field).toBeCloseTo(1, 1);
});

test("a loop over several stretches reads no result again, and grows as evenly", () => {
  const [few, many] = [1_000, 2_000].map((count) => inStretches.get(count)!) as [Run, Run];
  for (const field of COMPARED) {
    const growth = workOf(many)[field] / workOf(few)[field];
    expect(growth, field).toBeGreaterThan(1.8);
    expect(growth, field).toBeLessThan(2.2);
  }
  const stretches = few.roots.filter(({ name }) => name === "stretch:runStretch").length;
  expect(stretches).toBeGreaterThan(5);
  const loads = few.roots.filter(({ kind, name }) => kind === "query" && name.startsWith("load:"));
  const loaded = loads.flatMap(({ runs }) => [...runs.values()]).reduce((sum, { tally }) => sum + tally.reads, 0);
  // A stretch reads its plan, position, bindings, input and items, and at last what earlier ones have saved.
  expect(loaded).toBeLessThan(15 * stretches);
});

test("passes that run at the same time share transactions", () => {
  const { transactions, reads } = totalOf(several);
  const alone = totalOf(sequential.get(1_000)!);
  expect(transactions).toBeLessThan(0.8 * alone.transactions);
  expect(reads).toBeLessThan(0.8 * alone.reads);
});

test("vanilla reads more with every step", (context) => {
  const [few, many] = [vanilla.get(100)!, vanilla.get(200)!].map((run) => totalOf(run).reads / run.nodes);
  expect(many! / few!).toBeGreaterThan(1.3);
  const row = (label: string, run: Run) => ({ label, tally: divided(totalOf(run), run.nodes) });
  publish(context, {
    id: "4",
    title: "Loops with one action: per item",
    notes: [
      `One execution; an action takes up to ${MAX_MS} ms. The fixed costs of the execution are spread over the items. Over ` +
        "several stretches a loop reads the results of the earlier ones once more, when it is left. Vanilla: one step per " +
        "item, as far as it is sensible; its journal ends at 8 MiB.",
    ],
    rows: [
      ...[...sequential].map(([count, run]) => row(`${count} items`, run)),
      row("1000 items, 16 at a time", several),
      ...[...inStretches].map(([count, run]) => row(`${count} items, a stretch per second`, run)),
      ...[...vanilla].map(([count, run]) => row(`${count} steps, vanilla`, run)),
    ],
  });
});
