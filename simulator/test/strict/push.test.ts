/** What a push refuses, and tables that no push has made (traps 42, 43, 45 and 47). */
import { expect, test } from "vitest";
import { defineSchema, defineTable, mutationGeneric } from "convex/server";
import { v } from "convex/values";
import { DEFAULT_LATENCIES, Deployment, convexTest, type DeploymentOptions } from "../../src/index.js";
import type { Schema } from "../../src/runtime/component.js";
import { m, modulesOf, mutation, outcome, q, rows, schema, start, type ModulesOf } from "./support.js";

const one = mutation({ args: {}, handler: () => 1 });

const NAMES: Array<[ModulesOf, string | null]> = [
  [{ "with-hyphen": { one } }, '"with-hyphen.js" is no part of a module'],
  [{ ["a".repeat(62)]: { one } }, "is no part of a module"],
  [{ ["a".repeat(61)]: { one } }, null],
  [{ "actions/send": { one } }, "the folder actions/"],
  [{ mod: { $one: one } }, '"$one" is no name of a function'],
  [{ mod: { one }, "mod/one": { two: one } }, "there is a module mod/one"],
  [{ mod: { one }, "mod/two": { two: one } }, null],
  [{ "with-hyphen.config": { one }, mod: { one } }, null],
];

test.each(NAMES)(
  "trap 42: names of modules and functions are those that a push takes: %#",
  async (modules, message) => {
    const app = start({ rows });
    app.registerComponent("c", schema, modulesOf(modules));
    const result = await outcome(app.query(q("rows:keys")));
    expect(message === null ? result : result.slice(0, 11)).toBe(message === null ? "result []" : "StrictError");
    if (message !== null) expect(result).toContain(message);
  },
);

test("trap 42: names of tables, indexes and components are those that a push takes", () => {
  const table = (name: string) => defineSchema({ [name]: defineTable({ a: v.string() }) });
  const index = (name: string) => defineSchema({ t: defineTable({ a: v.string() }).index(name as "by_a", ["a"]) });
  const register = (path: string, given: Schema) => new Deployment().registerComponent(path, given, {});
  expect(() => register("c", table("with-hyphen"))).toThrow("no name of a table");
  expect(() => register("c", table("_own"))).toThrow("no name of a table");
  expect(() => register("c", index("_a"))).toThrow("no name of an index");
  expect(() => register("c", index("a".repeat(65)))).toThrow("no name of an index");
  expect(() => register("c-d", table("t"))).toThrow("no name of a component");
  register("c", index("a".repeat(64)));
});

test("trap 43: indexes are those that a push takes", () => {
  const fields = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`f${i}`, v.string()]));
  const register = (...indexes: string[][]) => {
    let table = defineTable(fields) as unknown as { index(name: string, fields: string[]): unknown };
    for (const [i, index] of indexes.entries()) table = table.index(`i${i}`, index) as typeof table;
    new Deployment().registerComponent("c", defineSchema({ t: table as never }), {});
  };
  expect(() => register(Object.keys(fields))).toThrow("t.i0: 16 fields");
  register(Object.keys(fields).slice(1));
  expect(() => register(["f0", "_creationTime"])).toThrow("_creationTime cannot be declared");
  expect(() => register(["f0"], ["f0", "f1"], ["f0"])).toThrow("t.i2: it has the fields of i0");
  expect(() => register(["f0", "f0"])).toThrow("twice");
  register(["f0"], ["f0", "f1"], ["f1", "f0"]);
});

test("trap 45: a validator that a circular import has left undefined fails the push", async () => {
  const later = undefined as unknown as ReturnType<typeof v.string>;
  const circular = {
    args: mutationGeneric({ args: { id: later } as never, handler: () => 1 }),
    notAnObject: mutationGeneric({ args: v.string() as never, handler: () => 1 }),
  };
  for (const [name, definition] of Object.entries(circular)) {
    const result = await outcome(start({ mod: { [name]: definition }, rows }).query(q("rows:keys")));
    expect(result).toContain(`mod:${name}`);
    expect(result).toContain("trap 45");
  }
});

const loose = {
  insert: mutationGeneric({
    args: { table: v.string() },
    handler: async (ctx, { table }) => void (await ctx.db.insert(table as "t", {})),
  }),
};

test("trap 47: the first insert into a table that no schema has conflicts with all in flight", async () => {
  const run = async (options: DeploymentOptions) => {
    const app = new Deployment({ modules: modulesOf({ loose }), latencies: DEFAULT_LATENCIES, ...options });
    app.registerComponent("c", schema, modulesOf({ rows }));
    const insert = async (table: string) => await app.mutation(m("loose:insert"), { table });
    await app.loop.drive(Promise.all([insert("a"), insert("b"), insert("c")]));
    const first = app.history.conflicts;
    await app.loop.drive(Promise.all([insert("a"), insert("b"), insert("c")]));
    return [first, app.history.conflicts - first];
  };
  const [first, later] = await run({});
  expect(first).toBeGreaterThan(1);
  expect(later).toBe(0);
  expect(await run({ strict: { undeclaredTables: "ignore" } })).toEqual([0, 0]);
  expect(await outcome(run({ strict: true }))).toContain('Table "a" is in no schema');
});

test("what tests for convex-test do stays possible: nothing of a push is checked there", async () => {
  const t = convexTest({ modules: modulesOf({ "with-hyphen": { one }, loose }) });
  expect(await t.mutation(m("with-hyphen:one"))).toBe(1);
  await Promise.all(["a", "b"].map((table) => t.mutation(m("loose:insert"), { table })));
});
