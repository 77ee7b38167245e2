/** Exporting and importing definitions through the client: what arrives, what is left as it is, and what is said. */
import {
  formatImportReport,
  Shardflow,
  type DefinitionsFile,
  type DefinitionSource,
  type ImportOptions,
  type ImportReport,
} from "convex-shardflow";
import { beforeAll, describe, expect, test } from "vitest";
import { components } from "../../convex/_generated/api.js";
import { MAX_DEFINITION_BYTES } from "../../src/shared/limits.js";
import { preload, runToQuiet } from "../support/harness.js";
import { inside } from "../support/inside.js";
import { DOUBLE, ECHO, shardflow, startApp } from "./app.js";

beforeAll(preload);

/** An app that has bound nothing. */
const withoutActions = new Shardflow(components.shardflow);

const said = (name: string, description: string): DefinitionSource => ({ ...ECHO, name, description });
const calling = (name: string, action: string): DefinitionSource => ({
  name,
  nodes: {
    start: { type: "trigger", next: { success: "call" } },
    call: { type: "action", action },
  },
});

function startDeployment(client = shardflow) {
  const { t } = startApp();
  const { definitions } = client;
  const scope = "acme";
  return {
    t,
    ...inside(t),
    publish: async (source: DefinitionSource, note?: string) =>
      await t.run(async (ctx) => await definitions.publish(ctx, { source, scope, note })),
    saveDraft: async (name: string, source: string) =>
      await t.run(async (ctx) => await definitions.saveDraft(ctx, { name, scope, source })),
    rollback: async (name: string, version: number) =>
      await t.run(async (ctx) => await definitions.rollback(ctx, { name, scope, version })),
    remove: async (name: string) => await t.run(async (ctx) => await definitions.delete(ctx, { name, scope })),
    /** As JSON text, which is how a function can return it. */
    exported: async (names?: string[], of = scope) =>
      JSON.parse(
        await t.action(async (ctx) => JSON.stringify(await definitions.exportAll(ctx, { scope: of, names }))),
      ) as DefinitionsFile,
    importFile: async (file: DefinitionsFile | string, options?: ImportOptions) =>
      await t.action(async (ctx) => await definitions.importAll(ctx, file, options)),
    activeOf: async (name: string) =>
      (await t.query(async (ctx) => await definitions.get(ctx, { name, scope })))?.activeVersion,
  };
}

type Deployment = ReturnType<typeof startDeployment>;

/** What is there, without the time of the export. */
const contentOf = async (deployment: Deployment, scope?: string) =>
  (await deployment.exported(undefined, scope)).definitions;

/** Two definitions of several versions, one that is only a draft, and a draft on top of versions. */
async function startSource(): Promise<Deployment> {
  const source = startDeployment();
  await source.publish(said("echo", "one"), "the first");
  await source.publish(said("echo", "two"));
  await source.publish(said("echo", "three"));
  await source.rollback("echo", 2);
  await source.publish({ ...DOUBLE, input: { $ref: "#/$defs/größe", $defs: { größe: true } } });
  await source.saveDraft("double", JSON.stringify(said("double", "next")));
  await source.saveDraft("idea", "{ not JSON");
  return source;
}

const only = (file: DefinitionsFile, name: string, last = Infinity): DefinitionsFile => ({
  ...file,
  definitions: file.definitions
    .filter((entry) => entry.name === name)
    .map((entry) => ({
      ...entry,
      activeVersion: entry.activeVersion === null ? null : Math.min(entry.activeVersion, last),
      versions: entry.versions.filter(({ version }) => version <= last),
    })),
});

const outcomes = ({ created, updated, unchanged, conflicts, invalid, kept }: ImportReport) => ({
  created: created.map(({ name, versions, activeVersion }) => [name, versions, activeVersion]),
  updated: updated.map(({ name, versions, activeVersion }) => [name, versions, activeVersion]),
  unchanged: unchanged.map(({ name }) => name),
  conflicts: conflicts.map(({ name, version }) => [name, version]),
  invalid: invalid.map(({ name, version, problems }) => [name, version, problems.map(({ code }) => code)]),
  kept: kept.map(({ name }) => name),
});
const NOTHING = { created: [], updated: [], unchanged: [], conflicts: [], invalid: [], kept: [] };

describe("a file", () => {
  test("brings an empty deployment to what the other one has, and again changes nothing", async () => {
    const source = await startSource();
    const file = await source.exported();
    expect(file).toMatchObject({ format: "shardflow.definitions", formatVersion: 1, exportedAt: Date.now() });
    expect(file.definitions.map(({ name, activeVersion, versions }) => [name, activeVersion, versions.length])).toEqual(
      [
        ["double", 1, 1],
        ["echo", 2, 3],
        ["idea", null, 0],
      ],
    );
    expect(file.definitions[1]?.versions[0]).toEqual({
      version: 1,
      note: "the first",
      publishedAt: Date.now(),
      definition: said("echo", "one"),
    });

    const target = startDeployment();
    const report = await target.importFile(file);
    expect(outcomes(report)).toEqual({
      ...NOTHING,
      created: [
        ["double", [1], 1],
        ["echo", [1, 2, 3], 2],
        ["idea", [], null],
      ],
    });
    expect(report).toMatchObject({ ok: true, dryRun: false, counts: { definitions: 3, created: 3, versions: 4 } });
    expect(await contentOf(target)).toEqual(file.definitions);

    const before = await target.tables();
    const again = await target.importFile(JSON.stringify(JSON.stringify(file)));
    expect(outcomes(again)).toEqual({ ...NOTHING, unchanged: ["double", "echo", "idea"] });
    expect(await target.tables()).toEqual(before);
    expect((await target.publish(said("echo", "four"))).version).toBe(4);
  });

  test("runs where it was imported, and goes into any scope", async () => {
    const file = await (await startSource()).exported(["double"]);
    const target = startDeployment();
    await target.importFile(file, { scope: "globex" });
    expect(await contentOf(target)).toEqual([]);
    const [copy] = await contentOf(target, "globex");
    expect(copy).toEqual({ ...file.definitions[0], scope: "globex" });
    const executionId = await target.t.run(
      async (ctx) => await shardflow.startWorkflow(ctx, { definition: "double", scope: "globex", input: { n: 21 } }),
    );
    await runToQuiet();
    const state = await target.t.query(async (ctx) => await shardflow.getStatus(ctx, executionId));
    expect(state).toMatchObject({ status: "succeeded", output: 42 });
  });

  test("holds what is asked for, and nothing that is being deleted", async () => {
    const source = await startSource();
    expect((await source.exported(["idea", "echo", "idea"])).definitions.map(({ name }) => name)).toEqual([
      "idea",
      "echo",
    ]);
    await expect(source.exported(["echo", "absent"])).rejects.toMatchObject({ data: { code: "DEFINITION_NOT_FOUND" } });
    const echo = await source.exported(["echo"]);
    await source.remove("echo");
    expect((await source.exported()).definitions.map(({ name }) => name)).toEqual(["double", "idea"]);
    await expect(source.exported(["echo"])).rejects.toMatchObject({ data: { code: "DEFINITION_NOT_FOUND" } });
    const report = await source.importFile(echo);
    expect(outcomes(report)).toEqual({ ...NOTHING, conflicts: [["echo", null]] });
    await runToQuiet();
  });

  test("of one version is one that can be imported", async () => {
    const source = await startSource();
    const target = startDeployment();
    const one = await source.t.query(
      async (ctx) => await shardflow.definitions.export(ctx, { name: "echo", scope: "acme", version: 3 }),
    );
    expect(outcomes(await target.importFile(one))).toEqual({ ...NOTHING, created: [["echo", [3], 3]] });
    expect((await target.publish(said("echo", "next"))).version).toBe(4);
  });
});

describe("what is there already", () => {
  test("gets the versions that it lacks, and the active one with them", async () => {
    const file = only(await (await startSource()).exported(), "echo");
    const target = startDeployment();
    await target.importFile(only(file, "echo", 1));
    expect(await target.activeOf("echo")).toBe(1);
    expect(outcomes(await target.importFile(file))).toEqual({ ...NOTHING, updated: [["echo", [2, 3], 2]] });
    expect(await contentOf(target)).toEqual(file.definitions);
  });

  test("is not rolled back by an older file, nor rolled forward by one that brings nothing new", async () => {
    const file = only(await (await startSource()).exported(), "echo");
    const target = startDeployment();
    await target.importFile(file);
    await target.rollback("echo", 1);
    expect(outcomes(await target.importFile(file))).toEqual({ ...NOTHING, unchanged: ["echo"], kept: ["echo"] });
    expect(await target.activeOf("echo")).toBe(1);

    await target.publish(said("echo", "four"));
    const older = only(file, "echo");
    expect(outcomes(await target.importFile(older))).toEqual({ ...NOTHING, unchanged: ["echo"], kept: ["echo"] });
    expect(await target.activeOf("echo")).toBe(4);
  });

  test("gets versions that are missing in between as history", async () => {
    const file = only(await (await startSource()).exported(), "echo");
    const target = startDeployment();
    const [entry] = file.definitions;
    const gap = { ...file, definitions: [{ ...entry!, activeVersion: 3, versions: [entry!.versions[2]!] }] };
    await target.importFile(gap);
    await target.publish(said("echo", "four"));
    const report = await target.importFile(file);
    expect(outcomes(report)).toEqual({ ...NOTHING, updated: [["echo", [1, 2], 4]], kept: ["echo"] });
    expect(await target.activeOf("echo")).toBe(4);
  });

  test("keeps its draft; a definition without one gets that of the file", async () => {
    const file = await (await startSource()).exported();
    const target = startDeployment();
    await target.publish(DOUBLE);
    await target.saveDraft("idea", "mine");
    const report = await target.importFile(only(file, "idea"));
    expect(outcomes(report)).toEqual({ ...NOTHING, unchanged: ["idea"], kept: ["idea"] });
    const [idea] = (await target.exported(["idea"])).definitions;
    expect(idea?.draft).toEqual({ source: "mine" });

    const [double] = file.definitions;
    const versions = (await target.exported(["double"])).definitions[0]!.versions;
    const withDraft = { ...file, definitions: [{ ...double!, versions }] };
    expect(outcomes(await target.importFile(withDraft))).toEqual({ ...NOTHING, updated: [["double", [], 1]] });
    expect((await target.exported(["double"])).definitions[0]?.draft).toEqual(double?.draft);
  });

  test("with another content for a number is left as it is, as a whole", async () => {
    const file = await (await startSource()).exported();
    const target = startDeployment();
    await target.publish(said("echo", "one"));
    await target.publish(said("echo", "mine"));
    const before = await contentOf(target);
    const report = await target.importFile(only(file, "echo"));
    expect(outcomes(report)).toEqual({ ...NOTHING, conflicts: [["echo", 2]] });
    expect(report.ok).toBe(false);
    expect(await contentOf(target)).toEqual(before);
  });

  test("with `append` gets the active version of the file as its next one, once", async () => {
    const file = only(await (await startSource()).exported(), "echo");
    const target = startDeployment();
    await target.publish(said("echo", "mine"));
    const options = { onConflict: "append" } as const;
    const report = await target.importFile(file, options);
    expect(outcomes(report)).toEqual({ ...NOTHING, updated: [["echo", [2], 2]], kept: ["echo"] });
    const [echo] = await contentOf(target);
    expect(echo?.versions.map(({ definition }) => definition.description)).toEqual(["mine", "two"]);
    const before = await target.tables();
    const again = await target.importFile(file, options);
    expect(outcomes(again)).toEqual({ ...NOTHING, unchanged: ["echo"], kept: ["echo"] });
    expect(await target.tables()).toEqual(before);
  });
});

describe("a version", () => {
  const fileOf = (...versions: object[]): DefinitionsFile => ({
    format: "shardflow.definitions",
    formatVersion: 1,
    definitions: [
      {
        scope: "acme",
        name: "flow",
        activeVersion: versions.length,
        versions: versions.map((definition, i) => ({
          version: i + 1,
          definition: { name: "flow", ...definition } as DefinitionSource,
        })),
      },
    ],
  });

  test("with problems leaves its definition out, and tells all of them", async () => {
    const target = startDeployment();
    const file = fileOf(said("flow", "good"), { nodes: {}, nodez: 1 }, said("another", "name"), said("flow", "last"));
    const more = only(await (await startSource()).exported(), "echo");
    const huge = { ...fileOf(said("huge", "x".repeat(2 * MAX_DEFINITION_BYTES))).definitions[0]!, name: "huge" };
    const report = await target.importFile({ ...file, definitions: [...file.definitions, huge, ...more.definitions] });
    expect(outcomes(report)).toEqual({
      ...NOTHING,
      created: [["echo", [1, 2, 3], 2]],
      invalid: [
        ["flow", 2, ["FIELD_UNKNOWN", "TRIGGER_MISSING"]],
        ["flow", 3, ["SCHEMA_INVALID"]],
        ["huge", 1, ["TOO_LARGE"]],
      ],
    });
    expect(report).toMatchObject({ ok: false, counts: { definitions: 3, created: 1, invalid: 2 } });
    expect((await contentOf(target)).map(({ name }) => name)).toEqual(["echo"]);
  });

  test("that names an unknown action is history when it is old, and refused when it is active unless allowed", async () => {
    const gone = calling("flow", "crm.gone");
    const target = startDeployment();
    const old = await target.importFile(fileOf(gone, said("flow", "new")));
    expect(outcomes(old)).toEqual({ ...NOTHING, created: [["flow", [1, 2], 2]] });
    expect(old.unbound).toMatchObject([{ name: "flow", version: 1, problems: [{ code: "ACTION_UNKNOWN" }] }]);

    const other = startDeployment();
    const file = fileOf(said("flow", "old"), gone);
    const refused = await other.importFile(file);
    expect(outcomes(refused)).toEqual({ ...NOTHING, invalid: [["flow", 2, ["ACTION_UNKNOWN"]]] });
    expect(await contentOf(other)).toEqual([]);
    const allowed = await other.importFile(file, { allowUnbound: true });
    expect(outcomes(allowed)).toEqual({ ...NOTHING, created: [["flow", [1, 2], 2]] });
    expect(allowed.unbound).toMatchObject([{ version: 2 }]);
    expect(await other.activeOf("flow")).toBe(2);
  });

  test("may name what the app has bound in code: it is synced first, and counts as known in a dry run", async () => {
    const file = fileOf(calling("flow", "math.double"));
    const target = startDeployment();
    expect(outcomes(await target.importFile(file, { dryRun: true }))).toMatchObject({ created: [["flow", [1], 1]] });
    expect(await target.rows("bindings")).toEqual([]);
    expect(outcomes(await target.importFile(file))).toMatchObject({ created: [["flow", [1], 1]] });
    const without = startDeployment(withoutActions);
    expect(outcomes(await without.importFile(file))).toMatchObject({ invalid: [["flow", 1, ["ACTION_UNKNOWN"]]] });
  });
});

describe("a dry run", () => {
  test("writes nothing, and says what the import then does", async () => {
    const file = await (await startSource()).exported();
    const target = startDeployment();
    await target.importFile(only(file, "echo", 1));
    await target.publish(said("double", "mine"));
    for (const onConflict of ["skip", "append"] as const) {
      const before = await target.snapshot();
      const dry = await target.importFile(file, { onConflict, dryRun: true });
      expect(await target.snapshot()).toEqual(before);
      const real = await target.importFile(file, { onConflict });
      expect({ ...dry, dryRun: false }).toEqual(real);
      expect(dry.dryRun).toBe(true);
    }
  });
});

test("the report as text has a line for everything in it", async () => {
  const file = await (await startSource()).exported();
  const target = startDeployment();
  await target.publish(said("double", "mine"));
  await target.importFile(only(file, "echo", 1));
  const report = await target.importFile(file, { dryRun: true });
  report.invalid.push({
    scope: "",
    name: "broken",
    version: 7,
    problems: [{ code: "TRIGGER_MISSING", path: "nodes", message: "No node is a trigger." }],
  });
  report.migrated.push({ scope: "acme", name: "old", version: 1, from: 0, to: 1 });
  report.unbound.push({
    scope: "acme",
    name: "old",
    version: 1,
    problems: [{ code: "ACTION_UNKNOWN", path: "nodes.a.action", message: "Nobody bound it." }],
  });
  report.kept.push({ scope: "acme", name: "old", reason: "The draft stays." });
  report.unchanged.push({ scope: "acme", name: "calm" });
  expect(formatImportReport(report).split("\n")).toEqual([
    "Dry run, nothing was written. It would be: 3 definition(s): 1 created, 1 updated, 0 unchanged, 1 in conflict, 0 invalid; 2 version(s) added.",
    "created   acme/idea: no versions, active: none",
    "updated   acme/echo: version(s) 2-3, active: 2",
    "unchanged acme/calm",
    "conflict  acme/double version 1: There is such a version here, and it is another.",
    "invalid   broken version 7: TRIGGER_MISSING at nodes: No node is a trigger.",
    "unbound   acme/old version 1: ACTION_UNKNOWN at nodes.a.action: Nobody bound it.",
    "migrated  acme/old version 1: from definition format 0 to 1",
    "kept      acme/old: The draft stays.",
  ]);
});
