/** Definitions, bindings and settings through the client, against the real component. */
import { Shardflow, shardflowErrorData, type DefinitionSource } from "convex-shardflow";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { components } from "../../convex/_generated/api.js";
import { preload, runToQuiet } from "../support/harness.js";
import { BROKEN, callback, double, DOUBLE, ECHO, onDone, shardflow, startApp } from "./app.js";

beforeAll(preload);

const named = (name: string): DefinitionSource => ({ ...ECHO, name });

describe("publishing", () => {
  test("binds the functions first, so that the names of actions are known", async () => {
    const { t } = startApp();
    const without = new Shardflow(components.shardflow);
    await t.run(async (ctx) => {
      await expect(without.definitions.publish(ctx, { source: DOUBLE })).rejects.toSatisfy((error) =>
        JSON.stringify(shardflowErrorData(error)?.problems).includes("ACTION_UNKNOWN"),
      );
      expect(await shardflow.listBindings(ctx)).toEqual([]);
      expect(await shardflow.definitions.publish(ctx, { source: DOUBLE })).toEqual({ version: 1 });
      expect(await shardflow.listBindings(ctx)).toEqual([{ name: "math.double", kind: "query" }]);
    });
  });

  test("takes an object, its JSON text, or the draft", async () => {
    const { t } = startApp();
    await t.run(async (ctx) => {
      expect(await shardflow.definitions.publish(ctx, { source: ECHO })).toEqual({ version: 1 });
      expect(await shardflow.definitions.publish(ctx, { source: JSON.stringify(ECHO), note: "text" })).toEqual({
        version: 2,
      });
      await shardflow.definitions.saveDraft(ctx, { name: "echo", source: { ...ECHO, description: "a draft" } });
      expect(await shardflow.definitions.publish(ctx, { name: "echo" })).toEqual({ version: 3 });
      const found = await shardflow.definitions.get(ctx, { name: "echo" });
      expect(found?.version?.definition).toEqual({ ...ECHO, description: "a draft" });
      expect((await shardflow.definitions.get(ctx, { name: "echo", version: 2 }))?.version).toMatchObject({
        version: 2,
        note: "text",
        definition: ECHO,
        source: JSON.stringify(ECHO),
      });
    });
  });

  test.each([
    ["no source and no name", {}, "ARGUMENT_INVALID"],
    ["a source without a name", { source: { nodes: {} } as unknown as DefinitionSource }, "ARGUMENT_INVALID"],
    ["text that is not JSON", { source: "{" }, "VALUE_NOT_JSON"],
    ["a source that JSON cannot carry", { name: "x", source: { name: "x", nodes: 1n } as never }, "VALUE_NOT_JSON"],
    ["a definition with problems", { source: named("") }, "ARGUMENT_INVALID"],
    ["a name without a draft", { name: "nothing" }, "DRAFT_NOT_FOUND"],
  ])("refuses %s", async (_, args, code) => {
    const { t } = startApp();
    await expect(t.run(async (ctx) => await shardflow.definitions.publish(ctx, args))).rejects.toMatchObject({
      data: { code },
    });
    expect((await t.query(async (ctx) => await shardflow.definitions.list(ctx))).page).toEqual([]);
  });
});

describe("definitions", () => {
  test("a draft may be anything, has revisions, and tells its problems", async () => {
    const { t } = startApp();
    await t.run(async (ctx) => {
      const { definitions } = shardflow;
      const first = await definitions.saveDraft(ctx, { name: "new", source: "not JSON" });
      expect(first).toMatchObject({ revision: 1, problems: [{ code: "NOT_JSON" }] });
      const second = await definitions.saveDraft(ctx, { name: "new", source: named("new"), expectedRevision: 1 });
      expect(second).toEqual({ revision: 2, problems: [] });
      await expect(
        definitions.saveDraft(ctx, { name: "new", source: "{}", expectedRevision: 1 }),
      ).rejects.toMatchObject({ data: { code: "DRAFT_CONFLICT", revision: 2 } });
      expect(await definitions.get(ctx, { name: "new" })).toMatchObject({
        activeVersion: null,
        draft: { revision: 2, source: JSON.stringify(named("new")) },
        version: null,
      });
      expect(await definitions.get(ctx, { name: "another" })).toBeNull();
    });
  });

  test("validate finds problems in objects and in text", async () => {
    const { t } = startApp();
    await t.query(async (ctx) => {
      expect(await shardflow.definitions.validate(ctx, ECHO)).toEqual({ valid: true, problems: [] });
      const { valid, problems } = await shardflow.definitions.validate(ctx, JSON.stringify(DOUBLE));
      expect(valid).toBe(false);
      expect(problems).toMatchObject([{ code: "ACTION_UNKNOWN", node: "double" }]);
    });
  });

  test("roll back, export to another scope, list and delete", async () => {
    const { t } = startApp();
    const { definitions } = shardflow;
    await t.run(async (ctx) => {
      await definitions.publish(ctx, { source: ECHO, note: "first" });
      await definitions.publish(ctx, { source: { ...ECHO, description: "second" } });
      await definitions.publish(ctx, { source: BROKEN });
      await definitions.rollback(ctx, { name: "echo", version: 1 });
      const exported = await definitions.export(ctx, { name: "echo" });
      const version = { version: 1, note: "first", publishedAt: Date.now(), definition: ECHO };
      expect(exported).toEqual({
        format: "shardflow.definitions",
        formatVersion: 1,
        definitions: [{ scope: "", name: "echo", activeVersion: 1, versions: [version] }],
      });
      expect(await definitions.importAll(ctx, exported, { scope: "other" })).toMatchObject({ ok: true });
    });
    const page = async (scope?: string) =>
      (await t.query(async (ctx) => await definitions.list(ctx, { scope }))).page.map(
        ({ name, activeVersion, latestVersion }) => [name, activeVersion, latestVersion],
      );
    expect(await page()).toEqual([
      ["broken", 1, 1],
      ["echo", 1, 2],
    ]);
    expect(await page("other")).toEqual([["echo", 1, 1]]);
    const first = await t.query(async (ctx) => await definitions.list(ctx, { limit: 1 }));
    const second = await t.query(async (ctx) => await definitions.list(ctx, { limit: 1, cursor: first.cursor }));
    expect([...first.page, ...second.page].map(({ name }) => name)).toEqual(["broken", "echo"]);

    await t.run(async (ctx) => await definitions.delete(ctx, { name: "echo", reason: "No longer used." }));
    await runToQuiet();
    expect(await page()).toEqual([["broken", 1, 1]]);
  });
});

describe("sync", () => {
  test("adds, changes and, when told, removes", async () => {
    const { t } = startApp();
    const before = new Shardflow(components.shardflow, {
      actions: { a: { kind: "query", fn: double }, b: { kind: "query", fn: double } },
    });
    const after = new Shardflow(components.shardflow, {
      actions: { a: { kind: "mutation", fn: onDone }, c: { kind: "query", fn: double } },
    });
    await t.run(async (ctx) => {
      expect(await before.sync(ctx)).toEqual({ added: 2, changed: 0, removed: 0 });
      expect(await before.sync(ctx)).toEqual({ added: 0, changed: 0, removed: 0 });
      expect(await after.sync(ctx)).toEqual({ added: 1, changed: 1, removed: 0 });
      expect(await after.sync(ctx, { prune: true })).toEqual({ added: 0, changed: 0, removed: 1 });
      expect(await after.listBindings(ctx)).toEqual([
        { name: "a", kind: "mutation" },
        { name: "c", kind: "query" },
      ]);
    });
  });

  test("works from an action, as a deploy script calls it", async () => {
    const { t } = startApp();
    expect(await t.action(async (ctx) => await shardflow.sync(ctx))).toEqual({ added: 1, changed: 0, removed: 0 });
  });
});

describe("admin", () => {
  test("changes settings and shows them, and refuses what is out of range", async () => {
    const { t } = startApp();
    await t.run(async (ctx) => {
      const { admin } = shardflow;
      const before = await admin.getConfig(ctx);
      const after = await admin.configure(ctx, { activeShards: 2, retentionMs: 0 });
      expect(after).toEqual({ ...before, activeShards: 2, retentionMs: 0 });
      await expect(admin.configure(ctx, { activeShards: 9 })).rejects.toMatchObject({
        data: { code: "CONFIG_INVALID" },
      });
      expect(await admin.getConfig(ctx)).toEqual(after);
      const { shards } = await admin.countsPerShard(ctx);
      expect(shards.filter(({ active }) => active).map(({ shardIndex }) => shardIndex)).toEqual([0, 1]);
    });
  });

  test("lists callbacks that failed for good and runs them again, once", async () => {
    const { t, completions } = startApp();
    callback.throws = true;
    // The deployment's log, which is about these errors.
    const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const executionId = await t.run(async (ctx) => {
      await shardflow.definitions.publish(ctx, { source: ECHO });
      return await shardflow.startWorkflow(ctx, { definition: "echo", onComplete: onDone });
    });
    await runToQuiet(24 * 60 * 60_000);
    const failed = await t.query(async (ctx) => await shardflow.admin.listFailedCallbacks(ctx));
    expect(failed).toMatchObject([{ executionId }]);

    callback.throws = false;
    log.mockRestore();
    await t.run(async (ctx) => {
      expect(await shardflow.admin.retryCallback(ctx, executionId)).toBe(true);
      expect(await shardflow.admin.retryCallback(ctx, executionId)).toBe(false);
    });
    await runToQuiet();
    expect(await completions()).toMatchObject([{ executionId, result: { status: "succeeded" } }]);
    expect(await t.query(async (ctx) => await shardflow.admin.listFailedCallbacks(ctx))).toEqual([]);
  });
});
