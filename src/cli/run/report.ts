/** What `shardflow run` shows to people: the problems of the flow, or its node runs as a table and what came of them. */
import { styleText } from "node:util";
import type { Problem } from "../../engine/definition/problems.js";
import type { Json } from "../../shared/json.js";
import { count, nameOfFile, oneLine, printable, problemLine } from "../text.js";
import type { Durations, NodeRunReport, RunReport } from "./execution.js";

type Style = Parameters<typeof styleText>[0];

/** Colours of a status; others are shown as they are. */
const STYLES: Partial<Record<string, Style>> = { succeeded: "green", failed: "red", canceled: "yellow" };
const GAP = "  ";

export function formatReport(report: RunReport, durations: Durations, colors: boolean): string {
  const paint = (style: Style | undefined, text: string) =>
    colors && style !== undefined ? styleText(style, text, { validateStream: false }) : text;
  const { status, shardIndex, output, error, nodeRuns, usage, note, variables } = report;
  const sections = [table(nodeRuns, durations.nodeRunsMs, paint)];

  const facts = [`in ${seconds(durations.totalMs)}`, `on shard ${shardIndex}`, `execution ${report.executionId}`];
  if (usage.calls > 0) facts.push(`${count(usage.calls, "model call")}, ${count(usage.totalTokens, "token")}`);
  sections.push(`${paint(STYLES[status], status)} ${facts.join(", ")}${note === undefined ? "" : `\n${note}`}`);

  if (error !== null) sections.push(errorText(error, nodeRuns));
  if (Object.keys(variables ?? {}).length > 0) sections.push(`variables: ${jsonText(variables)}`);
  if (status === "succeeded") sections.push(jsonText(output));
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

/** With what the app's function or the provider said, if the error stems from there. */
function errorText(
  { code, node, message }: NonNullable<RunReport["error"]>,
  nodeRuns: readonly NodeRunReport[],
): string {
  const cause = nodeRuns.findLast((run) => run.path === node && run.error?.code === code)?.error?.cause;
  const said = (cause as { message?: string } | undefined)?.message;
  const lines = [`${code}${node === null ? "" : ` at ${node}`}: ${message}`];
  if (said !== undefined && !message.includes(said)) lines.push(`  cause: ${said}`);
  return lines.map(oneLine).join("\n");
}

/** Texts of the user steer no terminal; as JSON it stays the same. */
function jsonText(value: Json): string {
  return JSON.stringify(value, null, 2).split("\n").map(printable).join("\n");
}

function table(
  runs: readonly NodeRunReport[],
  durationsMs: readonly number[],
  paint: (style: Style | undefined, text: string) => string,
): string {
  if (runs.length === 0) return "No node run was recorded.";
  const inLoop = runs.some(({ node, path }) => node !== path);
  const header = ["node", ...(inLoop ? ["path"] : []), "attempt", "status", "port", "duration"];
  const rows = runs.map(({ node, path, attempt, status, port }, i) => [
    node,
    ...(inLoop ? [path === node ? "" : path] : []),
    String(attempt),
    status,
    port ?? "",
    seconds(durationsMs[i] ?? 0),
  ]);
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[], style: (cell: string, column: number) => Style | undefined) =>
    cells
      .map((cell, i) => paint(style(cell, i), cell) + " ".repeat((widths[i] ?? 0) - cell.length))
      .join(GAP)
      .trimEnd();
  const statusColumn = header.indexOf("status");
  return [
    line(header, () => "bold"),
    ...rows.map((row) => line(row, (cell, i) => (i === statusColumn ? STYLES[cell] : undefined))),
  ].join("\n");
}

function seconds(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** As `shardflow validate` prints them. */
export function formatProblems(problems: readonly Problem[], flow: string): string {
  const lines = problems.map(problemLine);
  return `${[...lines, `${nameOfFile(flow)}: ${count(problems.length, "problem")}`].join("\n")}\n`;
}
