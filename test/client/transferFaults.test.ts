/** Imports that stop in the middle, that meet somebody else, and exports and imports of more than a transaction holds. */
import type { DefinitionsFile, DefinitionSource, ImportCtx, ReadCtx } from "convex-shardflow";
import { beforeAll, describe, expect, test } from "vitest";
import { EXPORT_PAGE_BYTES, KB, MAX_DEFINITION_BYTES, MB } from "../../src/shared/limits.js";
import { api, preload } from "../support/harness.js";
import { inside } from "../support/inside.js";
import { ECHO, shardflow, startApp } from "./app.js";

beforeAll(preload);

const said = (name: string, description: string): DefinitionSource => ({ ...ECHO, name, description });

const entry = (name: string, contents: readonly string[], activeVersion: number | null, draft?: string) => ({
  scope: "",
  name,
  activeVersion,
  ...(draft === undefined ? {} : { draft: { source: draft } }),
  versions: contents.map((content, i) => ({ version: i + 1, publishedAt: 1_000 + i, definition: said(name, content) })),
});

const FILE: DefinitionsFile = {
  format: "shardflow.definitions",
  formatVersion: 1,
  definitions: [
    entry("alpha", ["one", "two", "three"], 2, "a draft"),
    entry("beta", [], null, "an idea"),
    entry("gamma", ["one"], 1),
  ],
};

function startDeployment() {
  const { t } = startApp();
  const { definitions } = shardflow;
  return {
    t,
    ...inside(t),
    publish: async (source: DefinitionSource) => await t.run(async (ctx) => await definitions.publish(ctx, { source })),
    /** `through` may look at every call, or throw instead of it. */
    importFile: async (file: DefinitionsFile, through = (ctx: ImportCtx) => ctx) =>
      await t.action(async (ctx) => await definitions.importAll(through(ctx), file)),
    exported: async (through = (ctx: ReadCtx) => ctx) =>
      JSON.parse(
        await t.action(async (ctx) => JSON.stringify(await definitions.exportAll(through(ctx)))),
      ) as DefinitionsFile,
  };
}

type Call = (...args: never[]) => Promise<unknown>;

/** The ctx of an action that runs `around` instead of each of its calls. */
function around<Ctx extends object>(
  ctx: Ctx,
  instead: (call: () => Promise<unknown>, args: unknown) => Promise<unknown>,
): Ctx {
  return new Proxy(ctx, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function" || !/^run/.test(String(name))) return member;
      return (...args: never[]) => instead(async () => await (member as Call).apply(target, args), args[1]);
    },
  });
}

/** Dies before its call number `last`. */
const dyingAt = (last: number) => {
  let calls = 0;
  return (ctx: ImportCtx) =>
    around(ctx, async (call) => {
      if (++calls >= last) throw new Error("The action died.");
      return await call();
    });
};

test("an import that dies anywhere starts nothing half, and ends as if it had not died when it is run again", async () => {
  const whole = startDeployment();
  let calls = 0;
  await whole.importFile(FILE, (ctx) => around(ctx, async (call) => (calls++, await call())));
  const expected = await whole.exported();
  expect(expected.definitions).toEqual(FILE.definitions);

  for (let last = 1; last <= calls; last++) {
    const target = startDeployment();
    await expect(target.importFile(FILE, dyingAt(last))).rejects.toThrow("The action died.");
    // The file's active version, with every version beside it, or none at all.
    for (const { name, activeVersion, versions } of (await target.exported()).definitions) {
      const inFile = FILE.definitions.find((one) => one.name === name)!;
      const isWhole = versions.length === inFile.versions.length;
      expect([last, name, activeVersion]).toEqual([last, name, isWhole ? inFile.activeVersion : null]);
      const start = target.t.mutation(api.executions.startWorkflow, { definition: name, input: "null" });
      if (activeVersion === null)
        await expect(start).rejects.toMatchObject({ data: { code: "DEFINITION_NOT_PUBLISHED" } });
    }
    expect(await target.importFile(FILE)).toMatchObject({ ok: true, conflicts: [] });
    expect((await target.exported()).definitions).toEqual(expected.definitions);
  }
});

describe("somebody who publishes the same definition while it is imported", () => {
  /** Publishes as soon as version `after` of alpha is there. */
  const meeting = (target: ReturnType<typeof startDeployment>, after: number, source: DefinitionSource) => {
    let done = false;
    return (ctx: ImportCtx) =>
      around(ctx, async (call, args) => {
        const result = await call();
        const { name, version, publishedAt } = args as { name?: string; version?: number; publishedAt?: number };
        if (!done && name === "alpha" && version === after && publishedAt !== undefined) {
          done = true;
          await target.publish(source);
        }
        return result;
      });
  };

  test("is not overwritten: it is a conflict, and the other definitions are imported", async () => {
    const target = startDeployment();
    const report = await target.importFile(FILE, meeting(target, 1, said("alpha", "mine")));
    expect(report.conflicts).toMatchObject([{ name: "alpha", version: 2 }]);
    expect(report.created.map(({ name }) => name)).toEqual(["beta", "gamma"]);
    const [alpha] = (await target.exported()).definitions;
    expect(alpha).toMatchObject({ activeVersion: 2 });
    expect(alpha?.versions.map(({ definition }) => definition.description)).toEqual(["one", "mine"]);
  });

  test("keeps what they made active, also when the number is not in the file", async () => {
    const target = startDeployment();
    const [alpha] = FILE.definitions;
    const gap = {
      ...FILE,
      definitions: [{ ...alpha!, activeVersion: 1, versions: [alpha!.versions[0]!, alpha!.versions[2]!] }],
    };
    await target.publish(said("alpha", "one"));
    await target.publish(said("alpha", "two"));
    // Version 3 of the file comes after 4 of somebody else: the file is not the latest any more.
    const ahead = (ctx: ImportCtx) =>
      around(ctx, async (call, args) => {
        if ((args as { publishedAt?: number }).publishedAt !== undefined) {
          const source = JSON.stringify(said("alpha", "mine"));
          await target.t.mutation(api.transfer.importVersion, {
            name: "alpha",
            version: 4,
            source,
            publishedAt: 0,
            activate: { version: 4, newest: 4 },
          });
        }
        return await call();
      });
    const report = await target.importFile(gap, ahead);
    expect(report.conflicts).toMatchObject([{ name: "alpha", version: 3 }]);
    expect((await target.exported()).definitions[0]).toMatchObject({ activeVersion: 4 });
  });
});

test("a definition that is deleted and made anew while it is exported is in the file as one of the two", async () => {
  const source = startDeployment();
  await source.importFile({ ...FILE, definitions: [entry("alpha", large(30), 30)] });
  let pages = 0;
  const file = await source.exported((ctx) =>
    around(ctx, async (call) => {
      const result = await call();
      // After the list of names and the first page.
      if (++pages === 2) {
        for (const table of ["definitions", "versions", "versionTexts"]) {
          for (const { _id } of await source.rows(table)) await source.remove(table, _id);
        }
        await source.publish(said("alpha", "anew"));
      }
      return result;
    }),
  );
  expect(file.definitions[0]?.versions.map(({ definition }) => definition.description)).toEqual(["anew"]);
});

const large = (count: number) => Array.from({ length: count }, (_, i) => `${i} ${"x".repeat(200 * KB)}`);

test("100 versions of 200 KB go out and in by pieces that each fit a transaction", async () => {
  const file: DefinitionsFile = { ...FILE, definitions: [entry("alpha", large(100), 100)] };
  let largest = 0;
  let calls = 0;
  const measured = <Ctx extends object>(ctx: Ctx) =>
    around(ctx, async (call, args) => {
      const result = await call();
      calls++;
      largest = Math.max(largest, JSON.stringify(args).length, JSON.stringify(result).length);
      return result;
    });
  const source = startDeployment();
  const report = await source.importFile(file, measured);
  expect(report.created).toMatchObject([{ name: "alpha", activeVersion: 100 }]);
  expect(largest).toBeLessThan(1.1 * MAX_DEFINITION_BYTES);

  [largest, calls] = [0, 0];
  const exported = await source.exported(measured);
  expect(exported.definitions).toEqual(file.definitions);
  expect(largest).toBeGreaterThan(EXPORT_PAGE_BYTES / 2);
  expect(largest).toBeLessThan(EXPORT_PAGE_BYTES + MAX_DEFINITION_BYTES);
  // The names, and 20 versions a page.
  expect(calls).toBe(1 + 5);
  expect(JSON.stringify(exported).length).toBeGreaterThan(19 * MB);
});
