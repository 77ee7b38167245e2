import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { renderDocs, staleDocs } from "../../scripts/docs.js";
import { readComments } from "../../scripts/docsComments.js";
import { EXECUTION_MACHINE } from "../../src/engine/machine/execution.js";
import { NODE_RUN_MACHINE } from "../../src/engine/machine/nodeRun.js";
import { TASK_MACHINE } from "../../src/engine/machine/task.js";
import { ERROR_CODES } from "../../src/shared/errors.js";
import * as limits from "../../src/shared/limits.js";
import { EXECUTION_STATUSES, NODE_RUN_STATUSES, TASK_STATES } from "../../src/shared/status.js";

const DOCS = fileURLToPath(new URL("../../docs", import.meta.url));
const pages = await renderDocs();
const linesOf = (file: string): string[] => (pages.get(file) ?? "").split("\n");
/** Cells of the table rows of a page, without padding. */
const rowsOf = (file: string): string[][] =>
  linesOf(file)
    .filter((line) => line.startsWith("| "))
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    );

describe("the generated pages", () => {
  it("are committed as they would be generated now", async () => {
    expect([...pages.keys()]).toEqual(["docs/state-machines.md", "docs/errors.md", "docs/limits.md"]);
    expect(await staleDocs()).toEqual([]);
  });

  it("are found stale when they were edited or are missing", async () => {
    const root = await mkdtemp(path.join(os.tmpdir(), "docs-"));
    onTestFinished(() => rm(root, { recursive: true }));
    await cp(DOCS, path.join(root, "docs"), { recursive: true });
    await writeFile(path.join(root, "docs/errors.md"), `${pages.get("docs/errors.md")}\nan edit\n`);
    await rm(path.join(root, "docs/limits.md"));
    expect(await staleDocs(root)).toEqual(["docs/errors.md", "docs/limits.md"]);
  });

  it("draw every move of every machine", () => {
    const drawn = linesOf("docs/state-machines.md").filter((line) => / --> \w+: /.test(line));
    const moves = [EXECUTION_MACHINE, NODE_RUN_MACHINE, TASK_MACHINE].flatMap((machine) =>
      Object.entries(machine.table).flatMap(([from, row]) =>
        Object.entries(row).map(([event, to]) => `  ${from} --> ${to}: ${event}`),
      ),
    );
    expect(drawn).toEqual(moves);
  });

  it("say of every status how it is entered and left", () => {
    const described = rowsOf("docs/state-machines.md").filter(([, text]) =>
      /^Entered .* (Left|Never left)\b/.test(text ?? ""),
    );
    expect(described.map(([state]) => state)).toEqual(
      [...EXECUTION_STATUSES, ...NODE_RUN_STATUSES, ...TASK_STATES].map((state) => `\`${state}\``),
    );
  });

  it("list every error code with its class, whether it is retryable, and its text", () => {
    const listed = rowsOf("docs/errors.md").filter(([first]) => first?.startsWith("`"));
    expect(listed).toEqual(
      Object.entries(ERROR_CODES).map(([code, info]) => [
        `\`${code}\``,
        info.class,
        info.retryable ? "yes" : "no",
        expect.stringMatching(/^[A-Z\x60].{15,}\.$/) as string,
      ]),
    );
  });

  it("list every limit, with its value, its unit and its reason", () => {
    const rows = new Map(rowsOf("docs/limits.md").map(([name, value, why]) => [name, [value, why]]));
    const units = new Set(["KB", "MB", "SECOND", "MINUTE", "HOUR", "DAY"]);
    for (const name of Object.keys(limits)) expect(rows.has(`\`${name}\``), name).toBe(!units.has(name));
    expect(rows.get("`MAX_VALUE_BYTES`")?.[0]).toBe("4 MB");
    expect(rows.get("`MAX_NODES`")?.[0]).toBe("500 nodes");
    expect(rows.get("`ACTION_LIMIT_MS`")?.[0]).toBe("9.5 min");
    expect(rows.get("`MAX_RETRY_DELAY_MS`")?.[0]).toBe("1 d");
    expect(rows.get("`MAX_EXPRESSION_LENGTH`")?.[0]).toBe("4,096 characters");
    expect(rows.get("`PLACEMENT_VERSION`")?.[0]).toBe("1");
    expect(rows.get("`MIN_SECRET_LENGTH`")).toEqual([
      "8 characters",
      "Shorter secrets cannot be told from ordinary text when results are scrubbed.",
    ]);
  });
});

describe("readComments", () => {
  it("finds what belongs to what", () => {
    const comments = readComments(`/** The file. */
import { x } from "y";

export const UNIT = 1;

// ── First ─────
/** One, see {@link UNIT}. */
export const ONE = 1 * UNIT;
export const PLAIN = 2;
// Second
/**
 * Two
 * lines.
 */
export const LIST = [
  /** The a. */
  "a",
  "b",
  /** The c. */ "c",
] as const;
export const CODES = {
  // Group
  A: call(1),
  B: call(
    2,
  ),
  // Other
  C: call(3),
} as const satisfies Record<string, unknown>;
`);
    expect(Object.fromEntries(comments.declarations)).toEqual({ ONE: "One, see `UNIT`.", LIST: "Two\nlines." });
    expect(Object.fromEntries(comments.members)).toEqual({ "LIST.a": "The a.", "LIST.c": "The c." });
    expect(Object.fromEntries(comments.sections)).toEqual({
      ONE: "First",
      PLAIN: "First",
      LIST: "Second",
      CODES: "Second",
      "CODES.A": "Group",
      "CODES.B": "Group",
      "CODES.C": "Other",
    });
  });
});
