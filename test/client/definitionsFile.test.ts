/** Files of definitions that are malformed: every fault is told at once, with its place, and nothing is changed. */
import { readDefinitionsFile, shardflowErrorData, type DefinitionsFile } from "convex-shardflow";
import { beforeAll, describe, expect, test } from "vitest";
import page from "../../docs/import-export.md?raw";
import { MAX_DEFINITION_BYTES, MAX_DEFINITIONS_FILE_BYTES, MAX_JSON_DEPTH } from "../../src/shared/limits.js";
import { preload } from "../support/harness.js";
import { inside } from "../support/inside.js";
import { ECHO, shardflow, startApp } from "./app.js";

beforeAll(preload);

const version = { version: 1, note: "first", publishedAt: 0, definition: ECHO };
const entry = { scope: "", name: "echo", activeVersion: 1, draft: { source: "{" }, versions: [version] };
const GOOD = { format: "shardflow.definitions", formatVersion: 1, exportedAt: 5, definitions: [entry] };

const withEntry = (fields: object) => ({ ...GOOD, definitions: [{ ...entry, ...fields }] });
const withVersion = (fields: object) => withEntry({ versions: [{ ...version, ...fields }] });

function faultsOf(file: unknown): string[] {
  try {
    readDefinitionsFile(file);
  } catch (error) {
    const data = shardflowErrorData(error);
    if (data?.code !== "IMPORT_INVALID") throw error;
    return (data.problems as Array<{ path: string; message: string }>).map(({ path }) => path);
  }
  return [];
}

test("a good one is read, as data, as text, and as `convex run` prints it", () => {
  for (const file of [GOOD, JSON.stringify(GOOD), JSON.stringify(JSON.stringify(GOOD, null, 2))]) {
    expect(readDefinitionsFile(file)).toEqual(GOOD);
  }
  const least = { ...GOOD, definitions: [{ scope: "s", name: "n", activeVersion: null, versions: [] }] };
  expect(readDefinitionsFile(least)).toEqual(least);
});

test("the one on the documentation's page is good", () => {
  const [, file = ""] = /```json\n([\s\S]*?)```/.exec(page) ?? [];
  expect(readDefinitionsFile(file).definitions).toMatchObject([{ name: "greeting", activeVersion: 2 }]);
});

const deep = (levels: number): unknown => (levels === 0 ? 0 : [deep(levels - 1)]);

test.each<[string, unknown, string[]]>([
  ["text that is not JSON", "{", [""]],
  ["text in text that is not JSON", '"{"', [""]],
  ["a list", [], ["format"]],
  ["null", "null", ["format"]],
  ["another kind of file", { ...GOOD, format: "something" }, ["format"]],
  ["a newer file", { ...GOOD, formatVersion: 2, defs: 1 }, ["formatVersion"]],
  ["no version of the file", { ...GOOD, formatVersion: undefined }, ["formatVersion"]],
  ["no definitions", { ...GOOD, definitions: {} }, ["definitions"]],
  ["unknown fields", { ...withEntry({ activeVerison: 1 }), extra: 1 }, ["extra", "definitions[0].activeVerison"]],
  ["a time that is none", { ...GOOD, exportedAt: "now" }, ["exportedAt"]],
  ["an entry that is none", { ...GOOD, definitions: [entry, 7] }, ["definitions[1]"]],
  ["a definition twice", { ...GOOD, definitions: [entry, entry] }, ["definitions[1]"]],
  ["no name and no scope", withEntry({ name: "", scope: undefined }), ["definitions[0].scope", "definitions[0].name"]],
  [
    "names that are too long",
    withEntry({ name: "n".repeat(201), scope: "s".repeat(257) }),
    ["definitions[0].scope", "definitions[0].name"],
  ],
  ["an active version that is not there", withEntry({ activeVersion: 2 }), ["definitions[0].activeVersion"]],
  ["no active version at all", withEntry({ activeVersion: undefined }), ["definitions[0].activeVersion"]],
  ["a draft that is no text", withEntry({ draft: { source: {} } }), ["definitions[0].draft"]],
  [
    "a draft that is too large",
    withEntry({ draft: { source: "x".repeat(MAX_DEFINITION_BYTES + 1) } }),
    ["definitions[0].draft.source"],
  ],
  ["versions that are no list", withEntry({ activeVersion: null, versions: {} }), ["definitions[0].versions"]],
  ["a number twice", withEntry({ versions: [version, version] }), ["definitions[0].versions[1].version"]],
  ["a version that is no object", withEntry({ versions: [version, null] }), ["definitions[0].versions[1]"]],
  ["a note that is no text", withVersion({ note: 1 }), ["definitions[0].versions[0].note"]],
  ["a publishing time that is none", withVersion({ publishedAt: "1" }), ["definitions[0].versions[0].publishedAt"]],
  ["a definition that is text", withVersion({ definition: "{}" }), ["definitions[0].versions[0].definition"]],
  [
    "a definition that is too deep",
    withVersion({ definition: { a: deep(MAX_JSON_DEPTH) } }),
    ["definitions[0].versions[0].definition"],
  ],
  ["what JSON cannot carry", withVersion({ definition: { a: 1n } }), ["definitions[0].versions[0].definition"]],
])("%s is refused", (_, file, paths) => {
  expect(faultsOf(file)).toEqual(paths);
});

test.each([0, -1, 1.5, "1", null, 1e9 + 1])("%j is no number of a version", (number) => {
  expect(faultsOf({ ...withEntry({ activeVersion: null, versions: [{ ...version, version: number }] }) })).toEqual([
    "definitions[0].versions[0].version",
  ]);
});

test("a newer file asks for an upgrade", () => {
  expect(() => readDefinitionsFile({ ...GOOD, formatVersion: 2 })).toThrow(/newer version of Shardflow: upgrade/);
});

test("a file of faults lists so many, and counts all", () => {
  const definitions = Array.from({ length: 5_000 }, () => 0);
  expect(faultsOf({ ...GOOD, definitions })).toHaveLength(200);
  expect(() => readDefinitionsFile({ ...GOOD, definitions })).toThrow(/5000 fault/);
});

describe("nothing is changed", () => {
  const start = () => {
    const { t } = startApp();
    const importFile = async (file: unknown, scope?: string) =>
      await t.action(async (ctx) => await shardflow.definitions.importAll(ctx, file as DefinitionsFile, { scope }));
    return { importFile, ...inside(t) };
  };
  const other = { ...entry, name: "other" };

  test.each<[string, unknown, string]>([
    ["a fault after a good definition", { ...GOOD, definitions: [other, { ...entry, name: "" }] }, "IMPORT_INVALID"],
    ["a file that is too large", " ".repeat(MAX_DEFINITIONS_FILE_BYTES + 1), "VALUE_TOO_LARGE"],
    [
      "one name of two scopes for one",
      { ...GOOD, definitions: [other, entry, { ...entry, scope: "b" }] },
      "IMPORT_INVALID",
    ],
  ])("by %s", async (_, file, code) => {
    const { importFile, snapshot } = start();
    const before = await snapshot();
    await expect(importFile(file, "a")).rejects.toMatchObject({ data: { code } });
    expect(await snapshot()).toEqual(before);
  });
});
