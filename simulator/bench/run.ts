/**
 * `npm run simulator:bench [-- --json] [-- --only small,range,workflows,memory]`: how fast the simulator is, with
 * convex-test beside it as far as that can follow.
 *
 * Owns: what is measured and how often. Invariant: figures are of processor time; each ratio is of two samples that took
 * turns within this run.
 */
import { parseArgs } from "node:util";
import { inTurns, Measured } from "./measure.js";
import { textOf, type Comparison, type Report } from "./report.js";
import type { SystemName } from "./systems.js";
import type { Task } from "./worker.js";

const ROUNDS = 5;
const SMALL_SIZES = [0, 1_000, 10_000];
const RANGE_SIZES = [1_000, 10_000, 100_000, 1_000_000];
/** convex-test looks at every row of the table for each read: beyond this a read takes seconds. */
const CONVEX_TEST_ROWS = 100_000;
const SECTIONS = ["small", "range", "workflows", "memory"] as const;
type Section = (typeof SECTIONS)[number];

/** One thing on both systems, after the table has been filled. Operations: how many make a sample on each of them. */
async function compare(
  task: "small" | "smallTogether" | "range" | "workflows",
  documents: number,
  operations: Readonly<Partial<Record<SystemName, number>>>,
  rounds = ROUNDS,
): Promise<Comparison> {
  const systems = Object.entries(operations).map(([name, count]) => ({
    name: name as SystemName,
    measured: new Measured(name as SystemName),
    count,
  }));
  try {
    if (task !== "workflows") {
      for (const { measured } of systems) await measured.sample({ do: "fill", documents });
    }
    const contenders = Object.fromEntries(
      systems.map(({ name, measured, count }) => {
        const what: Task = { do: task, operations: count };
        return [name, async () => await measured.sample(what)];
      }),
    );
    const samples = await inTurns(contenders, rounds);
    return { task, documents, simulator: samples.simulator ?? null, convexTest: samples["convex-test"] ?? null };
  } finally {
    for (const { measured } of systems) measured.stop();
  }
}

async function measureAll(sections: ReadonlySet<Section>, progress: (text: string) => void): Promise<Report> {
  const comparisons: Comparison[] = [];
  const add = (comparison: Comparison) => {
    comparisons.push(comparison);
    progress(`${comparison.task} ${comparison.documents}`);
  };
  if (sections.has("small")) {
    for (const documents of SMALL_SIZES) {
      add(await compare("small", documents, { simulator: 2_000, "convex-test": 2_000 }));
    }
    add(await compare("smallTogether", 10_000, { simulator: 2_000, "convex-test": 2_000 }));
  }
  if (sections.has("range")) {
    for (const documents of RANGE_SIZES) {
      const convexTest = documents > CONVEX_TEST_ROWS ? {} : { "convex-test": Math.max(2, 50_000 / documents) };
      add(await compare("range", documents, { simulator: 1_000, ...convexTest }));
    }
  }
  if (sections.has("workflows")) add(await compare("workflows", 0, { simulator: 20, "convex-test": 20 }));
  if (!sections.has("memory")) return { comparisons, churn: [], million: null };
  const measured = new Measured("simulator");
  const churn = await measured.memory({ do: "churn", writes: 1_000_000, steps: 4 });
  measured.stop();
  progress("churn");
  const large = new Measured("simulator");
  const [million] = await large.memory({ do: "sizeOf", documents: 1_000_000 });
  large.stop();
  return { comparisons, churn, million: million ?? null };
}

const { values } = parseArgs({ options: { json: { type: "boolean" }, only: { type: "string" } } });
const asked = values.only?.split(",") ?? SECTIONS;
const sections = new Set(SECTIONS.filter((section) => asked.includes(section)));
const report = await measureAll(sections, (text) => void process.stderr.write(`measured: ${text}\n`));
process.stdout.write(`${values.json === true ? JSON.stringify(report, null, 2) : textOf(report)}\n`);
