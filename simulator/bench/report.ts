/** The figures as a text. Ratios first: they are what holds on another machine, too. */
import type { Memory } from "./systems.js";
import type { Sample } from "./worker.js";

export type Comparison = {
  task: "small" | "smallTogether" | "range" | "workflows";
  /** In the table before the first operation. */
  documents: number;
  simulator: Sample | null;
  /** Null where it cannot follow. */
  convexTest: Sample | null;
};

export type Report = { comparisons: readonly Comparison[]; churn: readonly Memory[]; million: Memory | null };

const HEADS = {
  small: "Small transactions (one get by id, one insert), one after the other",
  smallTogether: "The same, from a hundred clients at once",
  range: "Indexed range reads (ten rows from a place in the index)",
  workflows: "Whole workflows of @convex-dev/workflow (three small steps), twenty at once",
};

export function textOf({ comparisons, churn, million }: Report): string {
  const lines: string[] = [
    "Processor time of one core, garbage collection included; wall time in brackets. simulator : convex-test.",
  ];
  for (const [task, head] of Object.entries(HEADS)) {
    const rows = comparisons.filter((comparison) => comparison.task === task);
    if (rows.length === 0) continue;
    lines.push("", head);
    for (const { documents, simulator, convexTest } of rows) {
      const at = task === "workflows" ? "" : `${number(documents)} documents`;
      lines.push(`  ${at.padStart(20)}  ${cell(simulator)}  ${cell(convexTest)}  ${ratio(simulator, convexTest)}`);
    }
    if (task === "range") lines.push(`  ${growth(rows)}`);
  }
  if (churn.length > 0) lines.push("", "Memory: a thousand rows that are written again and again");
  for (const held of churn) {
    lines.push(
      `  ${number(held.writes).padStart(11)} writes: heap ${mib(held.heapBytes)}, ` +
        `${number(held.versions)} versions, ${number(held.commits)} commits in the log`,
    );
  }
  if (million !== null) {
    const each = Math.round(million.heapBytes / million.writes);
    lines.push("", `Memory: ${number(million.writes)} documents take ${mib(million.heapBytes)}, ${each} bytes each`);
  }
  return lines.join("\n");
}

function cell(sample: Sample | null): string {
  if (sample === null) return "cannot follow".padStart(36);
  return `${rate(sample.cpuUs).padStart(10)}/s ${`${sample.cpuUs.toFixed(0)} us (${sample.wallUs.toFixed(0)})`.padStart(22)}`;
}

function ratio(simulator: Sample | null, convexTest: Sample | null): string {
  return simulator === null || convexTest === null ? "" : `${(convexTest.cpuUs / simulator.cpuUs).toFixed(1)} x`;
}

function growth(rows: readonly Comparison[]): string {
  const [first, last] = [rows[0], rows.at(-1)];
  if (first?.simulator == null || last?.simulator == null) return "";
  const factor = last.simulator.cpuUs / first.simulator.cpuUs;
  const log = Math.log(last.documents) / Math.log(first.documents);
  return `${number(last.documents / first.documents)} x the documents: ${factor.toFixed(2)} x the time; the logarithm grows ${log.toFixed(2)} x`;
}

const rate = (us: number): string => number(Math.round(1e6 / us));
const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const number = (value: number): string => value.toLocaleString("en-US").replaceAll(",", " ");
