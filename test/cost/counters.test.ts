/** The instrument itself: functions whose work is known, counted. */
import { convexTest } from "convex-test";
import {
  actionGeneric,
  defineSchema,
  defineTable,
  makeFunctionReference,
  mutationGeneric,
  queryGeneric,
  type DataModelFromSchemaDefinition,
  type MutationBuilder,
  type QueryBuilder,
} from "convex/server";
import { getDocumentSize, v, type GenericId } from "convex/values";
import { beforeEach, expect, test, vi } from "vitest";
import { Counters, sum, type Tally } from "../support/counters.js";
import { runToQuiet } from "../support/harness.js";

const schema = defineSchema({ items: defineTable({ text: v.string() }) });
type DataModel = DataModelFromSchemaDefinition<typeof schema>;
const mutation: MutationBuilder<DataModel, "public"> = mutationGeneric;
const query: QueryBuilder<DataModel, "public"> = queryGeneric;

const ref = {
  all: makeFunctionReference<"query", Record<string, never>, number>("functions:all"),
  add: makeFunctionReference<"mutation", { text: string }, GenericId<"items">>("functions:add"),
  change: makeFunctionReference<"mutation", { ids: Array<GenericId<"items">> }>("functions:change"),
  nest: makeFunctionReference<"mutation">("functions:nest"),
  plan: makeFunctionReference<"mutation">("functions:plan"),
  fail: makeFunctionReference<"mutation">("functions:fail"),
  act: makeFunctionReference<"action">("functions:act"),
};

const functions = {
  all: query({ args: {}, handler: async (ctx) => (await ctx.db.query("items").collect()).length }),
  add: mutation({
    args: { text: v.string() },
    handler: async (ctx, { text }) => await ctx.db.insert("items", { text }),
  }),
  change: mutation({
    args: { ids: v.array(v.id("items")) },
    handler: async (ctx, { ids: [patched, replaced, deleted] }) => {
      await ctx.db.get("items", patched!);
      await ctx.db.patch("items", patched!, { text: "patched" });
      await ctx.db.replace("items", replaced!, { text: "replaced" });
      await ctx.db.delete("items", deleted!);
      await ctx.db.get("items", deleted!);
    },
  }),
  nest: mutation({
    args: {},
    handler: async (ctx) => {
      await ctx.runMutation(ref.add, { text: "nested" });
      await ctx.runQuery(ref.all, {});
      await ctx.runQuery(ref.all, {}, { useStaleSnapshot: true });
    },
  }),
  plan: mutation({
    args: {},
    handler: async (ctx) => {
      await ctx.scheduler.runAfter(100, ref.act, {});
      await ctx.scheduler.cancel(await ctx.scheduler.runAfter(200, ref.act, {}));
    },
  }),
  fail: mutation({
    args: {},
    handler: async (ctx) => {
      await ctx.db.insert("items", { text: "undone" });
      throw new Error("as planned");
    },
  }),
  act: actionGeneric({
    args: {},
    handler: async (ctx) => {
      await ctx.runMutation(ref.add, { text: "by an action" });
      await ctx.runQuery(ref.all, {});
    },
  }),
};

let counters: Counters;
let t: ReturnType<typeof start>;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  counters = new Counters();
  t = start();
});

function start() {
  const modules = { "/own/_generated/api.ts": async () => ({}), "/own/functions.ts": async () => functions };
  return convexTest(schema, counters.instrument("", modules));
}

/** What was counted, without the zeros. */
function counted(): Partial<Tally> {
  const total = sum(counters.roots.flatMap(({ runs }) => [...runs.values()].map(({ tally }) => tally)));
  return Object.fromEntries(Object.entries(total).filter(([, value]) => value !== 0));
}

const add = (text: string) => counters.client(() => t.mutation(ref.add, { text }));
const sizeOf = (text: string) => getDocumentSize({ _id: "0".repeat(27) + "items", _creationTime: 0, text });

test("a change reads the document that it changes", async () => {
  const ids = [await add("first"), await add("second"), await add("third")];
  counters.reset();
  await counters.client(() => t.mutation(ref.change, { ids }));
  expect(counted()).toEqual({
    transactions: 1,
    reads: 4,
    writes: 3,
    bytesRead: 2 * sizeOf("first") + sizeOf("second") + sizeOf("third"),
    bytesWritten: sizeOf("patched") + sizeOf("replaced"),
  });
});

test("what runs inside a transaction is nested, and a snapshot does not see what is not committed", async () => {
  await add("before");
  counters.reset();
  await counters.client(() => t.mutation(ref.nest, {}));
  expect(counted()).toMatchObject({
    transactions: 1,
    nestedMutations: 1,
    queries: 2,
    reads: 3,
    snapshotReads: 1,
    writes: 1,
  });
  expect(counters.roots.map(({ name }) => name)).toEqual(["functions:nest"]);
});

test("a job is what the scheduler ran, and an action's calls are transactions of their own", async () => {
  await counters.client(() => t.mutation(ref.plan, {}));
  await runToQuiet();
  expect(counted()).toMatchObject({ transactions: 2, actions: 1, jobs: 1, queries: 1, reads: 1, writes: 1 });
  expect(counters).toMatchObject({ scheduled: 2, canceled: 1 });
  expect(counters.roots.map(({ name, isJob }) => [name, isJob])).toEqual([
    ["functions:plan", false],
    ["functions:add", false],
    ["functions:all", false],
    ["functions:act", true],
  ]);
});

test("work that is rolled back was work", async () => {
  await expect(counters.client(() => t.mutation(ref.fail, {}))).rejects.toThrow("as planned");
  expect(counted()).toMatchObject({ transactions: 1, writes: 1 });
  expect(await t.query(ref.all, {})).toBe(0);
});
