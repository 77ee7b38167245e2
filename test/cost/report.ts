/**
 * What the cost tests hand over: tables of tallies, shown in their output and collected by `npm run costs`.
 *
 * Owns: the columns with their meaning, and the text of a table. Knows nothing of how the numbers came about.
 */
import type { TestContext } from "vitest";
import { combine, type Tally } from "../support/counters.js";

export type CostTable = {
  /** Ids sort the tables of all files. */
  id: string;
  title: string;
  notes: string[];
  rows: Array<{ label: string; tally: Tally }>;
};

declare module "vitest" {
  interface TaskMeta {
    costs?: CostTable;
  }
}

type Column = { head: string; meaning: string; value: (tally: Tally) => number };

export const COLUMNS: readonly Column[] = [
  {
    head: "transactions",
    meaning: "mutations that are a transaction of their own: called by a client or an action, or run by the scheduler",
    value: ({ transactions }) => transactions,
  },
  { head: "jobs", meaning: "scheduled functions that ran; canceled ones did not", value: ({ jobs }) => jobs },
  {
    head: "reads",
    meaning:
      "documents: each `get` that found one, each row that a query yielded, and the one that each patch, replace and delete reads",
    value: ({ reads }) => reads,
  },
  {
    head: "snapshot",
    meaning:
      "those of the reads that were made with `useStaleSnapshot`: billed like others, but in conflict with nothing",
    value: ({ snapshotReads }) => snapshotReads,
  },
  { head: "writes", meaning: "calls of insert, patch, replace and delete", value: ({ writes }) => writes },
  {
    head: "nested",
    meaning: "mutations called by mutations, as part of the caller's transaction",
    value: ({ nestedMutations }) => nestedMutations,
  },
  { head: "queries", meaning: "queries, called by actions or inside transactions", value: ({ queries }) => queries },
  {
    head: "actions",
    meaning: "function runs of kind action: the app's, the stretches, and the wrappers around both",
    value: ({ actions }) => actions,
  },
  { head: "KB read", meaning: "sizes of the documents read, in kilobytes", value: ({ bytesRead }) => bytesRead / 1024 },
  {
    head: "KB written",
    meaning: "sizes of the documents written; a delete writes nothing, index entries are not counted",
    value: ({ bytesWritten }) => bytesWritten / 1024,
  },
];

/** Puts a table into the test's output, and where `npm run costs` finds it. */
export function publish({ task }: TestContext, table: CostTable): void {
  task.meta.costs = table;
  console.log(renderTable(table));
}

/** Markdown that is also readable as it is. */
export function renderTable({ title, notes, rows }: CostTable): string {
  const cells = [
    ["", ...COLUMNS.map(({ head }) => head)],
    ...rows.map(({ label, tally }) => [label, ...COLUMNS.map(({ value }) => format(value(tally)))]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length), 3));
  const line = (row: string[]) =>
    `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(" | ")} |`;
  const rule = `| ${widths.map((width, i) => (i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  const [head, ...body] = cells.map(line);
  return [`## ${title}`, "", ...notes.flatMap((note) => [note, ""]), head, rule, ...body].join("\n");
}

/** A difference that is nothing but rounding of the division is zero, not minus zero. */
const format = (value: number): string => (Math.abs(value) < 0.005 ? 0 : value).toFixed(2);

export const divided = (tally: Tally, by: number): Tally => combine([tally], (value) => value / by);
