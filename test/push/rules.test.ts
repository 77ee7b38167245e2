/** Every rule of the push check against an app that breaks it, and against one that breaks none. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";
import { checkApps, type Answer } from "../../scripts/push/run.js";
import { BROKEN, HEALTHY, NOTED, project } from "./fixtures.js";

let folder: string;
let healthy: Answer;
let many: Answer;
const answers = new Map<string, Answer>();

/** One folder with all the apps: they share its node_modules. */
function put(name: string, files: Record<string, string>): string {
  const root = path.join(folder, name);
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  }
  return root;
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "shardflow-push-test-"));
  symlinkSync(path.join(REPO_ROOT, "node_modules"), path.join(folder, "node_modules"), "dir");
  const fixtures = [...BROKEN, ...NOTED];
  const roots = [
    put("healthy", HEALTHY),
    put("many", {
      ...HEALTHY,
      "convex/more-or-less.ts": "export const x = 1;",
      "convex/files.ts": `import fs from "node:fs"; import gone from "./gone.js"; export const x = [fs, gone];`,
      "store/more-or-less.ts": `export const key = process.env.KEY; export const id = crypto.randomUUID();`,
      "store/schema.ts": `import { defineSchema, defineTable } from "convex/server"; import { v } from "convex/values";
        export default defineSchema({ "a-b": defineTable({}).index("by_x", ["x"]) });`,
    }),
    ...fixtures.map((fixture, index) => put(`fixture${index}`, project(fixture))),
  ];
  const [first, second, ...rest] = await checkApps(roots.map((root) => ({ root })));
  if (first === undefined || second === undefined) throw new Error("no answers");
  healthy = first;
  many = second;
  fixtures.forEach(({ rule }, index) => {
    const answer = rest[index];
    if (answer !== undefined) answers.set(rule, answer);
  });
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

describe("the push check", () => {
  it("has no problem with an app and a component that break no rule", () => {
    expect(healthy).toEqual({
      problems: [],
      notes: [],
      sizes: null,
      directories: [
        { label: "store", modules: 2, functions: 2, tables: 1 },
        { label: "convex", modules: 4, functions: 4, tables: 1 },
      ],
    });
  });

  it.each(BROKEN)("refuses that $rule, and nothing else", ({ rule, code, where, says }) => {
    const { problems, notes } = answers.get(rule) ?? { problems: [], notes: [] };
    expect(problems.map((problem) => problem.code)).toEqual([code]);
    expect(problems[0]?.where).toContain(where);
    expect(problems[0]?.message).toContain(says);
    expect(problems[0]?.fix).not.toBe("");
    expect(notes).toEqual([]);
  });

  it.each(NOTED)("notes, and does not refuse, that $rule", ({ rule, code, where, says }) => {
    const { problems, notes } = answers.get(rule) ?? { problems: [], notes: [] };
    expect(problems).toEqual([]);
    expect(notes.map((note) => note.code)).toEqual([code]);
    expect(notes[0]?.where).toBe(where);
    expect(notes[0]?.message).toContain(says);
  });

  it("says all problems at once, also those of a component beside an app that does not bundle", () => {
    const found = many.problems.map(({ code, where }) => `${code} ${where}`);
    expect(found.sort()).toEqual([
      "IMPORT_EFFECT store/more-or-less.ts:1",
      "IMPORT_ENV store/more-or-less.ts:1",
      'INDEX_FIELDS store: table "a-b", index "by_x"',
      "MODULE_PATH store/more-or-less",
      "NODE_BUILTIN convex/files.ts:1",
      'TABLE_NAME store: table "a-b"',
      "UNRESOLVED_IMPORT convex/files.ts:1",
    ]);
  });
});
