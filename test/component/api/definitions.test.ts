/** Drafts, validation, versions, export: definitions without running them. */
import type { FunctionReturnType } from "convex/server";
import { beforeAll, describe, expect, test } from "vitest";
import { MAX_DEFINITION_BYTES, MAX_KEY_LENGTH, MAX_NAME_LENGTH, MAX_NODES } from "../../../src/shared/limits.js";
import { api } from "../../support/harness.js";
import {
  echo,
  preload,
  refusal,
  refusedWithoutATrace,
  START,
  startWorld,
  type World,
} from "../../support/hosts/api/world.js";

beforeAll(preload);

const text = (value: unknown) => JSON.stringify(value);
const get = async (world: World, name: string, more: { scope?: string; version?: number } = {}) =>
  await world.t.query(api.definitions.get, { name, ...more });
const saveDraft = async (world: World, name: string, source: string, expectedRevision?: number) =>
  await world.t.mutation(api.definitions.saveDraft, {
    name,
    source,
    ...(expectedRevision === undefined ? {} : { expectedRevision }),
  });

/** Three problems in three places. */
const BROKEN = {
  name: "broken",
  nodes: {
    start: { type: "trigger", next: { success: "gone" } },
    ask: { type: "action", action: "app.lokup", args: { id: "{{ inputs.id }}" } },
  },
};

describe("drafts", () => {
  test("are saved as they are, with all their problems told", async () => {
    const world = await startWorld();
    const first = await saveDraft(world, "broken", text(BROKEN));
    expect(first.revision).toBe(1);
    const codes = first.problems.map(({ code, node }) => `${code} ${node}`);
    expect(codes).toEqual(
      expect.arrayContaining(["TARGET_UNKNOWN start", "ACTION_UNKNOWN ask", "EXPRESSION_INVALID ask"]),
    );
    const unknown = first.problems.find(({ code }) => code === "ACTION_UNKNOWN");
    expect(unknown?.suggestion).toContain("app.lookup");
    expect(await saveDraft(world, "broken", "{ not even JSON")).toMatchObject({
      revision: 2,
      problems: [{ code: "NOT_JSON", node: null }],
    });
    expect(await get(world, "broken")).toEqual({
      scope: "",
      name: "broken",
      activeVersion: null,
      latestVersion: 0,
      deleting: false,
      updatedAt: START,
      draft: { source: "{ not even JSON", revision: 2, savedAt: START },
      version: null,
    });
  });

  test("are not overwritten by somebody who saw an older one", async () => {
    const world = await startWorld();
    const save = (expected: number) => saveDraft(world, "echo", text(echo()), expected);
    expect((await save(0)).revision, "0: there is none yet").toBe(1);
    expect((await save(1)).revision).toBe(2);
    for (const stale of [0, 1, 3]) {
      expect(await refusedWithoutATrace(world, () => save(stale), "DRAFT_CONFLICT")).toMatchObject({ revision: 2 });
    }
    expect((await saveDraft(world, "echo", text(echo()))).revision, "without a revision the last one wins").toBe(3);
  });

  test("are published as they are, and stay", async () => {
    const world = await startWorld();
    const source = `\n${JSON.stringify(echo(), null, 2)}\n`;
    await saveDraft(world, "echo", source);
    const publish = async (note?: string) =>
      await world.t.mutation(api.definitions.publish, { name: "echo", ...(note === undefined ? {} : { note }) });
    expect(await publish("from the draft")).toEqual({ version: 1 });
    expect(await get(world, "echo")).toMatchObject({
      activeVersion: 1,
      draft: { source, revision: 1 },
      version: { version: 1, source, note: "from the draft", publishedAt: START },
    });
    expect(await publish()).toEqual({ version: 2 });
    expect((await get(world, "echo"))?.version?.note).toBeUndefined();
  });
});

test("validate tells every problem and stores nothing", async () => {
  const world = await startWorld();
  const validate = async (source: string) => await world.t.query(api.definitions.validate, { source });
  const before = await world.snapshot();
  expect(await validate(text(echo()))).toEqual({ valid: true, problems: [] });
  const { valid, problems } = await validate(text(BROKEN));
  expect(valid).toBe(false);
  expect(problems.length).toBeGreaterThanOrEqual(3);
  for (const { path, message } of problems) expect([path, message]).not.toContain("");
  expect((await validate("")).problems).toMatchObject([{ code: "NOT_JSON" }]);
  expect(await world.snapshot()).toEqual(before);
});

describe("publishing is refused, and nothing changes,", () => {
  test("for a definition with problems; all of them are told", async () => {
    const world = await startWorld();
    await world.publish(echo("broken"));
    const call = () => world.publish(BROKEN);
    const { problems, message } = await refusedWithoutATrace(world, call, "DEFINITION_INVALID");
    const told = (await world.t.query(api.definitions.validate, { source: text(BROKEN) })).problems;
    expect(problems).toEqual(told);
    expect(message).toContain(told[0]!.code);
    expect((await get(world, "broken"))?.activeVersion).toBe(1);
  });

  test.each<[string, string]>([
    ["text that is not JSON", "nonsense"],
    ["JSON that is no definition", "[]"],
    ["no nodes", text({ name: "bad", nodes: {} })],
    ["another name", text(echo("good"))],
    [
      "501 nodes",
      text({
        name: "bad",
        nodes: {
          start: { type: "trigger", next: { success: "n1" } },
          ...Object.fromEntries(
            Array.from({ length: MAX_NODES }, (_, i) => [
              `n${i + 1}`,
              { type: "set", values: { x: i }, next: i + 1 < MAX_NODES ? { success: `n${i + 2}` } : {} },
            ]),
          ),
        },
      }),
    ],
    ["over 256 KB", text({ ...echo("bad"), description: "d".repeat(MAX_DEFINITION_BYTES) })],
    ["a model of nobody", text(asking("nobody:gpt"))],
    ["a model without a provider", text(asking("gpt"))],
    ["a schema that is none", text({ ...echo("bad"), input: { type: "text" } })],
    ["an endless loop", text(withNode({ type: "loop", items: "{{ input }}", body: "start" }))],
    [
      "an expression of too many levels",
      text(withNode({ type: "condition", if: `${"(".repeat(80)}1${")".repeat(80)} == 1` })),
    ],
    ["a backtracking pattern", text(withNode({ type: "condition", if: 'input.matches("(a+)+\\\\1$")' }))],
    ["a pattern of ten thousand states", text(withNode({ type: "condition", if: 'input.matches("((a{100}){100})")' }))],
    ["a very long expression", text(withNode({ type: "condition", if: `${"1 + ".repeat(2_000)}1 == 1` }))],
    ["a key that would change prototypes", '{"name":"bad","nodes":{"__proto__":{"type":"trigger"}}}'],
  ])("for %s", async (_, source) => {
    const world = await startWorld();
    const call = () => world.t.mutation(api.definitions.publish, { name: "bad", source });
    const { problems } = await refusedWithoutATrace(world, call, "DEFINITION_INVALID");
    expect((problems as unknown[]).length).toBeGreaterThan(0);
  });

  test("for names, scopes and sources that are out of range", async () => {
    const world = await startWorld();
    for (const name of ["", "n".repeat(MAX_NAME_LENGTH + 1)]) {
      await refusedWithoutATrace(world, () => saveDraft(world, name, text(echo())), "ARGUMENT_INVALID");
      const publish = () => world.t.mutation(api.definitions.publish, { name, source: text(echo(name)) });
      await refusedWithoutATrace(world, publish, "ARGUMENT_INVALID");
    }
    const scope = "s".repeat(MAX_KEY_LENGTH + 1);
    await refusedWithoutATrace(world, () => world.publish(echo(), scope), "ARGUMENT_INVALID");
    const draft = () => world.t.mutation(api.definitions.saveDraft, { name: "echo", scope, source: "{}" });
    await refusedWithoutATrace(world, draft, "ARGUMENT_INVALID");
    const large = () => saveDraft(world, "echo", "x".repeat(MAX_DEFINITION_BYTES + 1));
    await refusedWithoutATrace(world, large, "VALUE_TOO_LARGE");
    const none = () => world.t.mutation(api.definitions.publish, { name: "echo" });
    await refusedWithoutATrace(world, none, "DRAFT_NOT_FOUND");
    await saveDraft(world, "echo", text(echo()));
    const elsewhere = () => world.t.mutation(api.definitions.publish, { name: "echo", scope: "other" });
    await refusedWithoutATrace(world, elsewhere, "DRAFT_NOT_FOUND");
  });
});

/** A definition named "bad" with one node besides the trigger. */
function withNode(node: Record<string, unknown>): Record<string, unknown> {
  return { name: "bad", nodes: { start: { type: "trigger", next: { success: "one" } }, one: node } };
}

function asking(model: string): Record<string, unknown> {
  return withNode({ type: "llm", model, prompt: "Hello" });
}

test("versions are numbered without reuse, and any of them can be made the active one", async () => {
  const world = await startWorld();
  for (const version of [1, 2, 3])
    expect(await world.publish(echo("flow", { description: `${version}` }))).toBe(version);
  const rollback = async (version: number) =>
    await world.t.mutation(api.definitions.rollback, { name: "flow", version });
  await rollback(1);
  expect(await get(world, "flow")).toMatchObject({ activeVersion: 1, latestVersion: 3, version: { version: 1 } });
  await rollback(3);
  expect(await get(world, "flow")).toMatchObject({ activeVersion: 3, latestVersion: 3 });
  await rollback(2);
  expect(await world.publish(echo("flow"))).toBe(4);
  for (const version of [1, 2, 3]) {
    const view = await get(world, "flow", { version });
    expect(view).toMatchObject({ activeVersion: 4, version: { version } });
    expect(JSON.parse(view?.version?.source ?? "")).toMatchObject({ description: `${version}` });
  }
  for (const version of [0, 5, -1, 1.5]) {
    await refusedWithoutATrace(world, () => rollback(version), "VERSION_NOT_FOUND");
    await refusal(get(world, "flow", { version }), "VERSION_NOT_FOUND");
  }
  const absent = () => world.t.mutation(api.definitions.rollback, { name: "absent", version: 1 });
  await refusedWithoutATrace(world, absent, "DEFINITION_NOT_FOUND");
  expect(await get(world, "absent")).toBeNull();
  expect(await get(world, "flow", { scope: "other" })).toBeNull();
});

test("are listed by name, of one scope, a page at a time", async () => {
  const world = await startWorld();
  type Page = FunctionReturnType<typeof api.definitions.list>;
  const names = Array.from({ length: 25 }, (_, i) => `flow ${String(i * 7).padStart(3, "0")}`);
  for (const name of [...names].reverse()) await saveDraft(world, name, "{}");
  await world.publish(echo("flow 000"), "other");
  const found: string[] = [];
  for (let cursor: string | null = null; ;) {
    const result: Page = await world.t.query(api.definitions.list, { limit: 4, cursor });
    expect(result.page.length).toBeLessThanOrEqual(4);
    found.push(...result.page.map(({ name }) => name));
    if (result.cursor === null) break;
    cursor = result.cursor;
  }
  expect(found).toEqual(names);
  expect((await world.t.query(api.definitions.list, { scope: "other" })).page).toEqual([
    { scope: "other", name: "flow 000", activeVersion: 1, latestVersion: 1, deleting: false, updatedAt: START },
  ]);
  for (const limit of [0, 201, 0.5]) await refusal(world.t.query(api.definitions.list, { limit }), "ARGUMENT_INVALID");
  await refusal(world.t.query(api.definitions.list, { cursor: "x" }), "ARGUMENT_INVALID");
});

test("an export holds the version as it was published and can be published elsewhere", async () => {
  const world = await startWorld();
  const scope = 'tenant "a"';
  const source = `{ "name": "flow",\n  "nodes": ${JSON.stringify(echo().nodes)} }`;
  await world.t.mutation(api.definitions.publish, { name: "flow", scope, source, note: 'the "first"' });
  await world.publish(echo("flow", { description: "second" }), scope);
  const exported = async (more: { version?: number } = {}) =>
    await world.t.query(api.definitions.export, { name: "flow", scope, ...more });

  const first = await exported({ version: 1 });
  expect(first).toContain(source);
  expect(JSON.parse(first)).toEqual({
    format: "shardflow.definitions",
    formatVersion: 1,
    definitions: [
      {
        scope,
        name: "flow",
        activeVersion: 1,
        versions: [{ version: 1, note: 'the "first"', publishedAt: START, definition: JSON.parse(source) as unknown }],
      },
    ],
  });
  type File = { definitions: [{ versions: [{ version: number; definition: { name: string } }] }] };
  const [active] = (JSON.parse(await exported()) as File).definitions[0].versions;
  expect(active).toMatchObject({ version: 2, definition: { description: "second" } });
  expect(await world.publish(active.definition, "tenant b")).toBe(1);

  await saveDraft(world, "draft", text(echo("draft")));
  await refusal(world.t.query(api.definitions.export, { name: "draft" }), "DEFINITION_NOT_PUBLISHED");
  await refusal(world.t.query(api.definitions.export, { name: "absent" }), "DEFINITION_NOT_FOUND");
  await refusal(exported({ version: 9 }), "VERSION_NOT_FOUND");
});
