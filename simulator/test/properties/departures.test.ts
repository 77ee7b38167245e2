/**
 * Where convex-test departs from the execution model: what it does, and what the simulator does instead.
 *
 * Owns: the list of excuses of differential.test.ts. Invariant: each case differs today; one that no longer does has no
 * place here, and the random programs can cover it.
 */
import { convexTest as onConvexTest } from "convex-test";
import {
  anyApi,
  defineSchema,
  defineTable,
  mutationGeneric,
  queryGeneric,
  type FunctionReference,
} from "convex/server";
import { ConvexError, v, type Value } from "convex/values";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Deployment, NO_LATENCIES } from "../../src/index.js";

type Row = { _id: string; n: number; value?: Value };
type Range = { [name in "eq" | "gt" | "lt"]: (field: string, value: unknown) => Range };
type Filter = Record<string, (...of: unknown[]) => unknown>;
type Query = AsyncIterable<Row> & {
  withIndex(name: string, range?: (q: Range) => Range): Query;
  order(order: "asc" | "desc"): Query;
  filter(predicate: (q: Filter) => unknown): Query;
  collect(): Promise<Row[]>;
  paginate(options: object): Promise<{ page: Row[]; isDone: boolean }>;
};
type Ctx = {
  db: {
    query(table: string): Query;
    get(id: string): Promise<Row | null>;
    insert(table: string, doc: object): Promise<string>;
    patch(id: string, fields: object): Promise<void>;
    delete(id: string): Promise<void>;
    system: { query(table: string): { collect(): Promise<Array<{ state: { kind: string } }>> } };
  };
  scheduler: { runAfter(ms: number, ref: object, args: object): Promise<string>; cancel(id: string): Promise<void> };
  runMutation(ref: object, args: object): Promise<Value>;
  runQuery(ref: object, args: object): Promise<Value>;
};
type Work = (ctx: Ctx) => Promise<unknown>;

const schema = defineSchema({
  rows: defineTable({ n: v.number(), value: v.optional(v.any()), strict: v.optional(v.record(v.string(), v.number())) })
    .index("by_value", ["value"])
    .index("by_n", ["n"]),
});
const api = anyApi as unknown as {
  app: Record<"work" | "badResult" | "look" | "insert" | "throwData" | "deeper", FunctionReference<"mutation">>;
};

/** What `work` is to do: a function cannot go into arguments. */
let work: Work = async () => null;
const run = async (ctx: unknown): Promise<Value> => ((await work(ctx as Ctx)) ?? null) as Value;
const modules = {
  "./_generated/api.js": () => Promise.resolve({}),
  "./app.ts": () =>
    Promise.resolve({
      work: mutationGeneric({ args: {}, handler: run }),
      look: queryGeneric({ args: {}, handler: run }),
      badResult: mutationGeneric({
        args: {},
        returns: v.null(),
        handler: async (ctx) => (await ctx.db.insert("rows", { n: 1 })) as unknown as null,
      }),
      insert: mutationGeneric({
        args: { n: v.number() },
        handler: async (ctx, { n }) => await ctx.db.insert("rows", { n }),
      }),
      throwData: mutationGeneric({
        args: {},
        handler: async () => {
          throw new ConvexError({ n: 1n });
        },
      }),
      deeper: mutationGeneric({
        args: { levels: v.number() },
        handler: async (ctx, { levels }): Promise<number> =>
          levels === 0 ? 0 : 1 + ((await ctx.runMutation(api.app.deeper, { levels: levels - 1 })) as number),
      }),
    }),
};

type System = { mutation(name: keyof typeof api.app): Promise<Value>; run(): Promise<Value> };

function simulator(): System {
  const app = new Deployment({ schema, modules, latencies: NO_LATENCIES });
  const mutation = async (name: keyof typeof api.app) => await app.mutation(api.app[name]);
  return { mutation, run: async () => await mutation("work") };
}

function convexTest(): System {
  const t = onConvexTest(schema, modules);
  const mutation = async (name: keyof typeof api.app) => (await t.mutation(api.app[name], {})) as Value;
  return { mutation, run: async () => await mutation("work") };
}

beforeEach(() => void vi.spyOn(console, "error").mockImplementation(() => undefined));
afterEach(() => void vi.restoreAllMocks());

const THREW = "threw";
async function outcome(done: Promise<Value>): Promise<Value> {
  return await done.catch(() => THREW);
}

const insertAll = async ({ db }: Ctx, values: readonly unknown[]) => {
  for (const value of values) await db.insert("rows", { n: 0, value });
};
const rowsWhere = async ({ db }: Ctx, predicate: (q: Filter) => unknown) =>
  (await db.query("rows").filter(predicate).collect()).map(({ value }) => value);
const compared = (value: unknown, comparison: "lt" | "gt" | "gte", to: unknown): Work => {
  return async (ctx) => {
    await insertAll(ctx, [value]);
    return (await rowsWhere(ctx, (q) => q[comparison]?.(q.field?.("value"), to))).length;
  };
};

/** Name -> what a mutation does -> what convex-test answers -> what the model says. */
const CASES: ReadonlyArray<readonly [name: string, work: Work, onConvexTest: Value, onSimulator: Value]> = [
  // Comparisons in filters are those of JavaScript there; in the model they are those of index keys (section 7).
  ["a filter compares values of different types", compared("a", "gt", 5), 0, 1],
  ["a filter takes a text for a number", compared("5", "lt", 10), 1, 0],
  ["a filter compares null with a number", compared(null, "gte", 0), 1, 0],
  ["a filter compares a missing field", compared(undefined, "lt", 0), 0, 1],
  ["a filter compares a bigint with a number", compared(10n, "lt", 1), 0, 1],
  ["a filter does not tell -0 from 0", compared(-0, "lt", 0), 0, 1],
  ["a filter compares texts beyond the basic plane", compared("\u{10000}", "gt", "\uffff"), 0, 1],
  ["a filter compares arrays as texts", compared([2], "lt", [10]), 0, 1],
  [
    "a filter calculates with a text",
    async (ctx) => {
      await insertAll(ctx, ["a"]);
      return (await rowsWhere(ctx, (q) => q.eq?.(q.add?.(q.field?.("value"), 1), "a1"))).length;
    },
    1,
    THREW,
  ],
  [
    "a filter negates a number",
    async (ctx) => {
      await insertAll(ctx, [2]);
      return (await rowsWhere(ctx, (q) => q.eq?.(q.neg?.(q.field?.("value")), -2))).length;
    },
    THREW,
    1,
  ],
  // Validators.
  [
    "a record is not checked",
    async ({ db }) => typeof (await db.insert("rows", { n: 0, strict: { a: "b" } })),
    "string",
    THREW,
  ],
  [
    "a field that the schema does not have is taken off",
    async ({ db }) => {
      await db.patch(await db.insert("rows", { n: 0 }), { unknown: undefined });
      return "done";
    },
    THREW,
    "done",
  ],
  [
    "a table that the schema does not have is written to",
    async ({ db }) => typeof (await db.insert("others", {})),
    "string",
    THREW,
  ],
  ["a text that is no id is looked up", async ({ db }) => await db.get("no id"), null, THREW],
  // Limits of values (section 4).
  [
    "an array has more than 8192 elements",
    async ({ db }) => typeof (await db.insert("rows", { n: 0, value: new Array(8_193).fill(0) })),
    "string",
    THREW,
  ],
  [
    "a document is nested more than 16 levels deep",
    async ({ db }) => {
      let value: Value = 0;
      for (let i = 0; i < 20; i++) value = [value];
      return typeof (await db.insert("rows", { n: 0, value }));
    },
    "string",
    THREW,
  ],
  // Calls.
  [
    "calls are nested more than eight levels deep",
    async (ctx) => await ctx.runMutation(api.app.deeper, { levels: 10 }),
    10,
    THREW,
  ],
  [
    "the data of an error of a nested call holds a bigint",
    async (ctx) =>
      await ctx
        .runMutation(api.app.throwData, {})
        .catch((error: unknown) => (error instanceof ConvexError ? (error.data as Value) : "another error")),
    "another error",
    { n: 1n },
  ],
  [
    "rows are written while a query is read",
    async ({ db }) => {
      for (let i = 0; i < 101; i++) await db.insert("rows", { n: i });
      let seen = 0;
      // From the next page of a hundred on it sees what was written meanwhile.
      for await (const { n } of db.query("rows").withIndex("by_n")) {
        if (n === 0) await db.insert("rows", { n: 200 });
        seen++;
      }
      return seen;
    },
    101,
    102,
  ],
  // Pages.
  [
    "the last page is full",
    async ({ db }) => {
      await db.insert("rows", { n: 0 });
      return (await db.query("rows").paginate({ cursor: null, numItems: 1 })).isDone;
    },
    true,
    false,
  ],
  [
    "a page of no rows is asked for",
    async ({ db }) => {
      await db.insert("rows", { n: 0 });
      return (await db.query("rows").paginate({ cursor: null, numItems: 0 })).page.length;
    },
    1,
    0,
  ],
  // Jobs.
  [
    "a job that does not exist is canceled",
    async (ctx) => {
      const id = await ctx.scheduler.runAfter(0, api.app.insert, { n: 1 });
      await ctx.scheduler.cancel(id);
      await ctx.scheduler.cancel(id.replace(/^./, id.startsWith("1") ? "2" : "1")).catch(() => {
        throw new Error("refused");
      });
      return "done";
    },
    THREW,
    "done",
  ],
];

test.each(CASES)("%s", async (_, todo, expected, modelled) => {
  work = todo;
  expect(await outcome(convexTest().run())).toEqual(expected);
  expect(await outcome(simulator().run())).toEqual(modelled);
});

test("a result that does not match leaves its writes at the top in convex-test, and nothing on a deployment", async () => {
  for (const [system, left] of [
    [convexTest(), 1],
    [simulator(), 0],
  ] as const) {
    await expect(system.mutation("badResult")).rejects.toThrow();
    work = async ({ db }) => (await db.query("rows").collect()).length;
    expect(await system.run()).toBe(left);
  }
});

test("a job that is over is canceled all the same in convex-test, and not on a deployment", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  const t = onConvexTest(schema, modules);
  const app = new Deployment({ schema, modules, latencies: NO_LATENCIES });
  const seen: string[][] = [];
  for (const [call, advance] of [
    [async () => (await t.mutation(api.app.work, {})) as Value, () => vi.advanceTimersByTimeAsync(10)],
    [async () => await app.mutation(api.app.work), () => app.loop.advance(10)],
  ] as const) {
    work = async ({ scheduler }) => await scheduler.runAfter(1, api.app.insert, { n: 1 });
    const id = (await call()) as string;
    await advance();
    work = async ({ scheduler }) => await scheduler.cancel(id);
    await call();
    work = async ({ db }) => (await db.system.query("_scheduled_functions").collect()).map(({ state }) => state.kind);
    seen.push((await call()) as string[]);
  }
  vi.useRealTimers();
  expect(seen).toEqual([["canceled"], ["success"]]);
});

test("after a page of no rows the others follow, in both orders and within a range", async () => {
  const app = new Deployment({ schema, modules, latencies: NO_LATENCIES });
  work = async ({ db }) => {
    for (const n of [1, 2, 3]) await db.insert("rows", { n });
  };
  await app.mutation(api.app.work);
  for (const order of ["asc", "desc"] as const) {
    let cursor: string | null = null;
    const page = async (numItems: number) => {
      work = async ({ db }) =>
        await db
          .query("rows")
          .withIndex("by_n", (q) => q.gt("n", 1))
          .order(order)
          .paginate({ cursor, numItems });
      const result = (await app.mutation(api.app.work)) as { page: Row[]; continueCursor: string };
      cursor = result.continueCursor;
      return result.page.map(({ n }) => n);
    };
    expect(await page(0)).toEqual([]);
    expect(await page(5)).toEqual(order === "asc" ? [2, 3] : [3, 2]);
  }
});

test("ids are in the order of insertion in convex-test, and in any order on a deployment", async () => {
  const isSorted = async ({ db }: Ctx) => {
    const ids: string[] = [];
    for (let n = 0; n < 20; n++) ids.push(await db.insert("rows", { n }));
    return JSON.stringify(ids) === JSON.stringify([...ids].sort());
  };
  work = isSorted;
  expect(await convexTest().run()).toBe(true);
  expect(await simulator().run()).toBe(false);
});
