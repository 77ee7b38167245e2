/** The steps of exporting and importing: each keeps its word alone, whoever calls it and however often. */
import type { FunctionArgs, FunctionReturnType } from "convex/server";
import { beforeAll, describe, expect, test } from "vitest";
import { EXPORT_PAGE_BYTES, KB } from "../../src/shared/limits.js";
import { api } from "../support/harness.js";
import {
  containing,
  echo,
  preload,
  refusal,
  refusedWithoutATrace,
  START,
  startWorld,
  type World,
} from "../support/hosts/api/world.js";

beforeAll(preload);

const text = (description: string, name = "flow") => JSON.stringify(echo(name, { description }));
const calling = (action: string) =>
  JSON.stringify({
    name: "flow",
    nodes: { start: { type: "trigger", next: { success: "call" } }, call: { type: "action", action } },
  });

type ImportArgs = FunctionArgs<typeof api.transfer.importVersion>;
const add = async ({ t }: World, version: number, source: string, more: Partial<ImportArgs> = {}) =>
  await t.mutation(api.transfer.importVersion, { name: "flow", version, source, publishedAt: 5, ...more });
const headOf = async ({ t }: World) => await t.query(api.definitions.get, { name: "flow" });

describe("importing a version", () => {
  test("makes the definition, keeps number, note and time, and activates nothing by itself", async () => {
    const world = await startWorld();
    expect(await add(world, 7, text("seven"), { note: "a note" })).toEqual({ state: "new", activated: false });
    expect(await headOf(world)).toMatchObject({ activeVersion: null, latestVersion: 7, version: null });
    await refusal(world.start("flow"), "DEFINITION_NOT_PUBLISHED");
    const { versions } = (await world.t.query(api.transfer.read, { name: "flow" }))!;
    expect(versions).toEqual([{ version: 7, note: "a note", publishedAt: 5, source: text("seven") }]);

    await add(world, 3, text("three"), { activate: { version: 3, newest: 7 } });
    expect(await headOf(world)).toMatchObject({ activeVersion: 3, latestVersion: 7, updatedAt: START });
    const id = await world.start("flow", 1);
    await world.untilEnded(id);
    expect(await world.status(id)).toMatchObject({ status: "succeeded", version: 3 });
    expect(await world.publish(echo("flow"))).toBe(8);
  });

  test("again changes nothing, whatever the order of its fields; with another content it is refused", async () => {
    const world = await startWorld();
    await add(world, 1, text("one"), { activate: { version: 1, newest: 1 } });
    const before = await world.snapshot();
    const { nodes, ...rest } = echo("flow", { description: "one" });
    for (const source of [text("one"), JSON.stringify({ nodes, ...rest }, null, 2)]) {
      expect(await add(world, 1, source)).toEqual({ state: "same", activated: false });
    }
    for (const source of [text("two"), "{", calling("app.unknown")]) {
      const again = await add(world, 1, source, { activate: { version: 1, newest: 9 } });
      expect(again).toEqual({ state: "different", activated: false });
    }
    expect(await world.snapshot()).toEqual(before);
  });

  test("activates only while there is no version above the newest of the file", async () => {
    const world = await startWorld();
    await world.publish(echo("flow"));
    await world.publish(echo("flow"));
    const [one, two] = [
      await add(world, 4, text("four")),
      await add(world, 3, text("x"), { activate: { version: 3, newest: 3 } }),
    ];
    expect([one, two]).toEqual([
      { state: "new", activated: false },
      { state: "new", activated: false },
    ]);
    expect(await headOf(world)).toMatchObject({ activeVersion: 2, latestVersion: 4 });
    expect(await add(world, 3, text("x"), { activate: { version: 4, newest: 4 } })).toEqual({
      state: "same",
      activated: true,
    });
    expect(await headOf(world)).toMatchObject({ activeVersion: 4 });
  });

  test("refuses what cannot be published, and leaves no trace", async () => {
    const world = await startWorld();
    await add(world, 1, text("one"));
    const refused: Array<[string, () => Promise<unknown>]> = [
      ["DEFINITION_INVALID", () => add(world, 2, "{")],
      ["DEFINITION_INVALID", () => add(world, 2, text("x", "another"))],
      ["DEFINITION_INVALID", () => add(world, 2, calling("app.unknown"))],
      [
        "DEFINITION_INVALID",
        () => add(world, 2, JSON.stringify({ ...JSON.parse(calling("app.unknown")), x: 1 }), { allowUnbound: true }),
      ],
      ["VERSION_NOT_FOUND", () => add(world, 2, text("two"), { activate: { version: 3, newest: 9 } })],
      ...[0, -1, 1.5, NaN, 2e9].map((n): [string, () => Promise<unknown>] => [
        "ARGUMENT_INVALID",
        () => add(world, n, text("x")),
      ]),
      ["ARGUMENT_INVALID", () => add(world, 1, text("x"), { name: "" })],
      ["ARGUMENT_INVALID", () => add(world, 1, text("x"), { scope: "s".repeat(257) })],
    ];
    for (const [code, call] of refused) await refusedWithoutATrace(world, call, code as "INTERNAL");
    expect(await refusal(add(world, 2, calling("app.unknown")), "DEFINITION_INVALID")).toMatchObject({
      problems: [{ code: "ACTION_UNKNOWN", node: "call" }],
    });
    expect(await add(world, 2, calling("app.unknown"), { allowUnbound: true })).toMatchObject({ state: "new" });
    expect(await add(world, 3, calling("app.lookup"))).toMatchObject({ state: "new" });
  });

  test("and reading, of a definition that is being deleted, is refused", async () => {
    const world = await startWorld();
    await world.publish(echo("flow"));
    await world.t.mutation(api.definitions.delete, { name: "flow" });
    await refusedWithoutATrace(world, () => add(world, 2, text("x")), "DEFINITION_DELETING");
    const append = () => world.t.mutation(api.transfer.appendVersion, { name: "flow", source: text("x") });
    await refusedWithoutATrace(world, append, "DEFINITION_DELETING");
    expect(await world.t.query(api.transfer.read, { name: "flow" })).toBeNull();
    await world.untilQuiet();
    await refusedWithoutATrace(world, append, "DEFINITION_NOT_FOUND");
  });
});

test("checking a version compares and tells all that speaks against it", async () => {
  const world = await startWorld();
  await world.publish(echo("flow", { description: "one" }));
  const before = await world.snapshot();
  const checked = async (version: number, source: string, actions?: string[]) =>
    await world.t.query(api.transfer.checkVersion, { name: "flow", version, source, ...(actions && { actions }) });
  const fine = { problems: [], unbound: [], migrated: null };
  expect(await checked(1, text("one"))).toEqual({ state: "same", ...fine });
  expect(await checked(1, text("two"))).toEqual({ state: "different", ...fine });
  expect(await checked(2, text("two"))).toEqual({ state: "new", ...fine });
  expect(await checked(2, calling("later"), ["later"])).toEqual({ state: "new", ...fine });
  expect(await checked(2, JSON.stringify({ ...JSON.parse(calling("gone")), x: 1 }))).toMatchObject({
    problems: [{ code: "FIELD_UNKNOWN", path: "x" }],
    unbound: [{ code: "ACTION_UNKNOWN", message: containing("gone") }],
  });
  expect(await checked(1, "{")).toMatchObject({ state: "different", problems: [{ code: "NOT_JSON" }] });
  expect(await world.snapshot()).toEqual(before);
});

test("appending publishes the next version, once", async () => {
  const world = await startWorld();
  await world.publish(echo("flow", { description: "one" }));
  await world.publish(echo("flow", { description: "two" }));
  await world.t.mutation(api.definitions.rollback, { name: "flow", version: 1 });
  const append = async (source: string, allowUnbound = false) =>
    await world.t.mutation(api.transfer.appendVersion, { name: "flow", source, note: "n", allowUnbound });
  expect(await append(text("one"))).toEqual({ version: 1, appended: false });
  expect(await append(text("two"))).toEqual({ version: 3, appended: true });
  expect(await append(text("two"))).toEqual({ version: 3, appended: false });
  expect(await headOf(world)).toMatchObject({ activeVersion: 3, latestVersion: 3, version: { note: "n" } });
  await refusedWithoutATrace(world, () => append(calling("gone")), "DEFINITION_INVALID");
  expect(await append(calling("gone"), true)).toEqual({ version: 4, appended: true });
});

test("reading goes by pages of bytes, every version on exactly one, the draft on the first", async () => {
  const world = await startWorld();
  const padding = "x".repeat(250 * KB);
  for (let n = 1; n <= 35; n++) await add(world, n * 2, text(`${n} ${padding}`));
  await world.t.mutation(api.definitions.saveDraft, { name: "flow", source: "a draft" });
  type Page = NonNullable<FunctionReturnType<typeof api.transfer.read>>;
  const found: number[] = [];
  const drafts: unknown[] = [];
  let pages = 0;
  for (let from: number | null = 0; from !== null; pages++) {
    const page: Page = (await world.t.query(api.transfer.read, { name: "flow", ...(pages > 0 && { from }) }))!;
    const bytes = page.versions.reduce((sum, { source }) => sum + source.length, 0);
    expect(bytes).toBeLessThanOrEqual(EXPORT_PAGE_BYTES);
    found.push(...page.versions.map(({ version }) => version));
    drafts.push(page.draft);
    from = page.next;
  }
  expect(found).toEqual(Array.from({ length: 35 }, (_, i) => 2 * (i + 1)));
  expect(pages).toBe(3);
  expect(drafts).toEqual(["a draft", undefined, undefined]);
  expect(await world.t.query(api.transfer.read, { name: "flow", from: 71 })).toMatchObject({
    versions: [],
    next: null,
  });
});
