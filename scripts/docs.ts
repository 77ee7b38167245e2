/**
 * Generates the reference pages of docs/ from the source: state-machines.md, errors.md and limits.md, and the generated
 * parts of docs/nodes.
 *
 * Owns: the whole text of the former. Invariant: a page says nothing that the code does not; `--check` fails while a
 * committed page differs from what would be written. Values come from the imported modules, reasons from their comments.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import prettier from "prettier";
import { EXECUTION_MACHINE } from "../src/engine/machine/execution.js";
import { type Machine, statesOf, toMermaid, toTable } from "../src/engine/machine/machine.js";
import { NODE_RUN_MACHINE } from "../src/engine/machine/nodeRun.js";
import { TASK_MACHINE } from "../src/engine/machine/task.js";
import { ERROR_CODES, type ErrorCode } from "../src/shared/errors.js";
import * as limits from "../src/shared/limits.js";
import { readComments, type SourceComments } from "./docsComments.js";
import { fillGenerated } from "./docsNodes.js";
import { table } from "./docsTables.js";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");

/** The pages that are generated as a whole: path from the root of the repository -> text. */
export async function renderDocs(): Promise<Map<string, string>> {
  const pages = new Map([
    ["docs/state-machines.md", stateMachines(await commentsOf("src/shared/status.ts"))],
    ["docs/errors.md", errors(await commentsOf("src/shared/errors.ts"))],
    ["docs/limits.md", limitsPage(await commentsOf("src/shared/limits.ts"))],
  ]);
  for (const [file, text] of pages) pages.set(file, await formatted(file, text));
  return pages;
}

/** The pages of docs/nodes under `root`, with their generated parts as they would be now. */
async function renderNodePages(root: string): Promise<Map<string, string>> {
  const pages = new Map<string, string>();
  for (const name of await readdir(path.join(root, "docs/nodes")).catch(() => [])) {
    const file = `docs/nodes/${name}`;
    pages.set(file, await formatted(file, fillGenerated(await readFile(path.join(root, file), "utf8"))));
  }
  return pages;
}

async function formatted(file: string, text: string): Promise<string> {
  const config = await prettier.resolveConfig(path.join(ROOT, file));
  return await prettier.format(text, { ...config, parser: "markdown" });
}

/** The pages under `root` whose text is not what would be generated. */
export async function staleDocs(root: string = ROOT): Promise<string[]> {
  const stale: string[] = [];
  for (const [file, text] of [...(await renderDocs()), ...(await renderNodePages(root))]) {
    const committed = await readFile(path.join(root, file), "utf8").catch(() => null);
    if (committed !== text) stale.push(file);
  }
  return stale;
}

async function commentsOf(file: string): Promise<SourceComments> {
  return readComments(await readFile(path.join(ROOT, file), "utf8"));
}

const page = (title: string, source: string, ...parts: string[]): string =>
  [`# ${title}`, `<!-- Generated from ${source} by scripts/docs.ts. Do not edit. -->`, ...parts].join("\n\n");

function stateMachines(comments: SourceComments): string {
  const section = (title: string, machine: Machine, list: string): string =>
    [
      `## ${title}`,
      table(
        ["state", "entered and left"],
        statesOf(machine).map((state) => [
          `\`${state}\``,
          comments.members.get(`${list}.${state}`)?.replaceAll("\n", " ") ?? "",
        ]),
      ),
      "The legal moves; an empty cell is an illegal one, and there are no others.",
      toTable(machine),
      `\`\`\`mermaid\n${toMermaid(machine)}\n\`\`\``,
    ].join("\n\n");
  return page(
    "State machines",
    "src/engine/machine and src/shared/status.ts",
    section("Execution", EXECUTION_MACHINE, "EXECUTION_STATUSES"),
    section("Node run", NODE_RUN_MACHINE, "NODE_RUN_STATUSES"),
    section("Task", TASK_MACHINE, "TASK_STATES"),
  );
}

function errors(comments: SourceComments): string {
  const codes = Object.keys(ERROR_CODES) as ErrorCode[];
  const sections = [...new Set(codes.map((code) => sectionOf(comments, code)))];
  return page(
    "Errors",
    "src/shared/errors.ts",
    "Every error that crosses a boundary is a `ConvexError` whose `data` has `code`, `message` and `retryable`. " +
      "A code is stable for ever.",
    "## Classes",
    comments.declarations.get("ERROR_CLASSES") ?? "",
    ...sections.flatMap((section) => [
      `## ${section}`,
      table(
        ["code", "class", "retryable", "when"],
        codes
          .filter((code) => sectionOf(comments, code) === section)
          .map((code) => {
            const info = ERROR_CODES[code];
            return [`\`${code}\``, info.class, info.retryable ? "yes" : "no", textOf(comments, code)];
          }),
      ),
    ]),
  );
}

function textOf(comments: SourceComments, code: ErrorCode): string {
  const text = comments.members.get(`ERROR_CODES.${code}`);
  if (text === undefined) throw new Error(`${code} has no comment in src/shared/errors.ts`);
  return text.replaceAll("\n", " ");
}

function sectionOf(comments: SourceComments, code: ErrorCode): string {
  const section = comments.sections.get(`ERROR_CODES.${code}`);
  if (section === undefined) throw new Error(`${code} stands under no section comment in src/shared/errors.ts`);
  return section;
}

function limitsPage(comments: SourceComments): string {
  const bySection = new Map<string, string[][]>();
  const values: Record<string, number> = limits;
  // In the order of the source. What stands before its first section are the units.
  for (const [name, section] of comments.sections) {
    const value = values[name];
    if (value === undefined) continue;
    const reason = comments.declarations.get(name)?.replaceAll("\n", " ") ?? "";
    bySection.set(section, [...(bySection.get(section) ?? []), [`\`${name}\``, withUnit(name, value), reason]]);
  }
  return page(
    "Limits",
    "src/shared/limits.ts",
    "1 KB is 1,024 bytes. What a caller or a definition can run into is reported with the limit and the actual value.",
    ...[...bySection].flatMap(([section, rows]) => [`## ${section}`, table(["limit", "value", "why"], rows)]),
  );
}

const UNITS: Record<string, string> = { LENGTH: "characters", CHARS: "characters", DEPTH: "levels", SIZE: "rows" };

/** A value with the unit that the last word of its name stands for. */
function withUnit(name: string, value: number): string {
  const word = name.slice(name.lastIndexOf("_") + 1);
  if (word === "BYTES")
    return inLargestUnit(value, [
      ["MB", limits.MB],
      ["KB", limits.KB],
      ["bytes", 1],
    ]);
  if (word === "MS") {
    return inLargestUnit(value, [
      ["d", limits.DAY],
      ["h", limits.HOUR],
      ["min", limits.MINUTE],
      ["s", limits.SECOND],
      ["ms", 1],
    ]);
  }
  const count = value.toLocaleString("en-US");
  const unit = UNITS[word] ?? (word.endsWith("S") ? word.toLowerCase() : "");
  return `${count} ${unit}`.trim();
}

/** The largest unit that gives a number of at most one decimal. */
function inLargestUnit(value: number, units: Array<[string, number]>): string {
  const [unit, size] = units.find(([, size]) => value >= size && Number.isInteger((value * 10) / size)) ?? ["", 1];
  return `${(value / size).toLocaleString("en-US")} ${unit}`;
}

async function main(): Promise<void> {
  if (process.argv.includes("--check")) {
    const stale = await staleDocs();
    if (stale.length === 0) return;
    console.error(`Out of date: ${stale.join(", ")}. Run \`npm run docs:gen\` and commit the result.`);
    process.exitCode = 1;
    return;
  }
  const pages = [...(await renderDocs()), ...(await renderNodePages(ROOT))];
  for (const [file, text] of pages) await writeFile(path.join(ROOT, file), text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
