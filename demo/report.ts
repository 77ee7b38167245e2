/** What the demo shows: progress while it runs, and the table at the end. */
import type { Outcome } from "./execute.js";

/** One line that is rewritten; nothing when the output is not a terminal. */
export function showProgress(ended: number, total: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${ended} of ${total} executions have ended `);
}

export function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
}

export function table(outcomes: Outcome[]): string {
  const rows = [
    ["execution", "flow", "shard", "status", "nodes", "tokens", "duration", "as expected"],
    ...outcomes.map((one) => [
      one.executionId,
      one.flow,
      String(one.shardIndex),
      one.status,
      String(one.nodes),
      String(one.tokens),
      `${(one.durationMs / 1000).toFixed(1)} s`,
      one.asExpected ? "yes" : "NO",
    ]),
  ];
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
