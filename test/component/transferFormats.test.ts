/**
 * Definitions of an older format, through everything that takes definitions. There is none yet: here the list of steps
 * in front of the current format is another one than the product's, with a format that was made up. What walks along
 * the list is the product's.
 */
import { beforeAll, describe, expect, test, vi } from "vitest";
import { Shardflow, type DefinitionsFile, type ImportOptions } from "convex-shardflow";
import { PLAN_FORMAT } from "../../src/engine/plan.js";
import type { JsonObject } from "../../src/shared/json.js";
import { api } from "../support/harness.js";
import { newEcho, oldEcho } from "../support/oldFormat.js";
import { aNumber, containing, preload, refusal, startWorld, type World } from "../support/hosts/api/world.js";

vi.mock(import("../../src/engine/definition/migrations.js"), async (original) => {
  const { STEPS_TO_NODES } = await import("../support/oldFormat.js");
  return { ...(await original()), MIGRATIONS: [STEPS_TO_NODES] };
});

beforeAll(preload);

const NEWER = { ...newEcho("echo"), format: 2 };
const { definitions } = new Shardflow(api);

const fileOf = (...versions: JsonObject[]) =>
  ({
    format: "shardflow.definitions",
    formatVersion: 1,
    definitions: [
      {
        scope: "",
        name: "echo",
        activeVersion: versions.length,
        versions: versions.map((definition, i) => ({ version: i + 1, publishedAt: 7, definition })),
      },
    ],
  }) as unknown as DefinitionsFile;
const importFile = async ({ t }: World, file: DefinitionsFile, options?: ImportOptions) =>
  await t.action(async (ctx) => await definitions.importAll(ctx, file, options));
const sourcesOf = async ({ t }: World) => {
  const page = await t.query(api.transfer.read, { name: "echo" });
  return page?.versions.map(({ source }) => JSON.parse(source) as JsonObject);
};

/** Runs a version to its end. */
async function run(world: World, input: number, version?: number): Promise<unknown> {
  const id = await world.start("echo", input, version === undefined ? {} : { version });
  await world.untilEnded(id);
  const { output, error } = await world.status(id);
  return output === undefined ? error : JSON.parse(output);
}

describe("a definition of an older format", () => {
  test("can be validated, saved as a draft and published; what is published is of the current format", async () => {
    const world = await startWorld();
    const source = JSON.stringify(oldEcho("echo"), null, 2);
    expect(await world.t.query(api.definitions.validate, { source })).toEqual({ valid: true, problems: [] });
    const saved = await world.t.mutation(api.definitions.saveDraft, { name: "echo", source });
    expect(saved).toEqual({ revision: 1, problems: [] });
    await world.t.mutation(api.definitions.publish, { name: "echo" });
    // The draft is what somebody wrote.
    const { draft, version } = (await world.t.query(api.definitions.get, { name: "echo" }))!;
    expect(draft?.source).toBe(source);
    expect(JSON.parse(version!.source)).toEqual(newEcho("echo"));
    expect(await run(world, 1)).toEqual({ got: 1, note: "first" });
  });

  test("has the problems of what becomes of it, or of the way there", async () => {
    const world = await startWorld();
    const validate = async (definition: JsonObject) =>
      (await world.t.query(api.definitions.validate, { source: JSON.stringify(definition) })).problems;
    const { title: _, ...unnamed } = oldEcho("echo");
    expect(await validate(unnamed)).toMatchObject([{ code: "SCHEMA_INVALID", path: "name" }]);
    expect(await validate({ format: 0, steps: 1 })).toMatchObject([
      { code: "FORMAT_UNSUPPORTED", message: containing("`steps` is not a list.") },
    ]);
    expect(await validate({ ...oldEcho("echo"), format: -1 })).toMatchObject([{ code: "FORMAT_UNSUPPORTED" }]);
    const publish = world.t.mutation(api.definitions.publish, {
      name: "other",
      source: JSON.stringify(oldEcho("echo")),
    });
    expect(await refusal(publish, "DEFINITION_INVALID")).toMatchObject({ problems: [{ path: "name" }] });
  });

  test("is migrated when a file with it is imported, which the report says; again it is unchanged", async () => {
    const world = await startWorld();
    const { format: _, ...second } = newEcho("echo", "second");
    const file = fileOf(oldEcho("echo"), second, oldEcho("echo", "third"));
    const migrated = [1, 3].map((version) => ({ scope: "", name: "echo", version, from: 0, to: 1 }));
    expect(await importFile(world, file, { dryRun: true })).toMatchObject({ migrated });
    const report = await importFile(world, file);
    expect(report).toMatchObject({ ok: true, migrated, created: [{ versions: [1, 2, 3], activeVersion: 3 }] });
    expect(await sourcesOf(world)).toEqual([newEcho("echo"), second, newEcho("echo", "third")]);
    expect(await run(world, 5, 1)).toEqual({ got: 5, note: "first" });
    expect(await run(world, 6)).toEqual({ got: 6, note: "third" });

    const before = await world.tables();
    expect(await importFile(world, file)).toMatchObject({ unchanged: [{ name: "echo" }], migrated: [] });
    const exported = await world.t.action(async (ctx) => JSON.stringify(await definitions.exportAll(ctx)));
    expect(await importFile(world, JSON.parse(exported) as DefinitionsFile)).toMatchObject({
      counts: { unchanged: 1 },
    });
    const other = await importFile(world, fileOf(oldEcho("echo", "another")));
    expect(other.conflicts).toMatchObject([{ name: "echo", version: 1 }]);
    expect(await world.tables()).toEqual(before);
  });

  test("that is stored as a version, from before an upgrade, is compiled again when its plan is of an older format", async () => {
    const world = await startWorld();
    await world.t.mutation(api.definitions.publish, { name: "echo", source: JSON.stringify(newEcho("echo")) });
    const texts = (await world.rows("versionTexts")) as unknown as Array<{ _id: string; kind: string; text: string }>;
    const textOf = (kind: string) => texts.find((row) => row.kind === kind)!;
    const source = JSON.stringify(oldEcho("echo", "stored long ago"));
    await world.patch("versionTexts", textOf("source")._id, { text: source });
    await world.patch("versionTexts", textOf("plan")._id, {
      text: textOf("plan").text.replace(`"format":${PLAN_FORMAT}`, '"format":0'),
    });

    expect(await run(world, 3)).toEqual({ got: 3, note: "stored long ago" });
    const { activeVersion, versions } = (await world.t.query(api.transfer.read, { name: "echo" }))!;
    expect({ activeVersion, versions }).toEqual({
      activeVersion: 1,
      versions: [{ version: 1, publishedAt: aNumber, source }],
    });
    // A file with the same definition, of either format, is nothing new.
    for (const definition of [oldEcho("echo", "stored long ago"), newEcho("echo", "stored long ago")]) {
      expect(await importFile(world, fileOf(definition))).toMatchObject({ counts: { unchanged: 1 } });
    }
  });
});

describe("a definition of a newer format", () => {
  test("is refused everywhere, with the advice to upgrade", async () => {
    const world = await startWorld();
    const source = JSON.stringify(NEWER);
    const problems = [{ code: "FORMAT_UNSUPPORTED", path: "format", message: containing("newer version: upgrade") }];
    expect(await world.t.query(api.definitions.validate, { source })).toMatchObject({ valid: false, problems });
    const publish = world.t.mutation(api.definitions.publish, { name: "echo", source });
    expect(await refusal(publish, "DEFINITION_INVALID")).toMatchObject({ problems });
    const report = await importFile(world, fileOf(newEcho("echo"), NEWER));
    expect(report).toMatchObject({ ok: false, created: [], invalid: [{ version: 2, problems }] });
    expect(await world.rows("versions")).toEqual([]);
  });

  test("that is stored, from before a downgrade, fails an execution that needs it compiled, and says why", async () => {
    const world = await startWorld();
    await world.t.mutation(api.definitions.publish, { name: "echo", source: JSON.stringify(newEcho("echo")) });
    for (const { _id, kind } of await world.rows("versionTexts")) {
      await world.patch("versionTexts", _id, { text: kind === "source" ? JSON.stringify(NEWER) : "" });
    }
    expect(await run(world, 1)).toMatchObject({ code: "CORRUPT_ROW", message: containing("newer version: upgrade") });
  });
});
