/** Calls of calls, and what components have of their own (traps 14 to 19, 28, 41, 51 and 52). */
import { expect, test } from "vitest";
import { ConvexError, v } from "convex/values";
import type { FunctionHandle } from "convex/server";
import {
  a,
  action,
  child,
  childQuery,
  internalMutation,
  m,
  modulesOf,
  mutation,
  outcome,
  q,
  query,
  rows,
  schema,
  start,
  type ModulesOf,
} from "./support.js";

/** The same modules as the app and as its child "c". */
function twice(modules: ModulesOf) {
  const app = start({ rows, ...modules });
  app.registerComponent("c", schema, modulesOf({ rows, ...modules }));
  return app;
}

test("trap 14: identity does not go into components", async () => {
  const who = {
    here: query({ args: {}, handler: async (ctx) => (await ctx.auth.getUserIdentity())?.subject ?? null }),
    both: query({
      args: {},
      handler: async (ctx) => [
        (await ctx.runQuery(q("who:here"))) as unknown,
        (await ctx.runQuery(childQuery("c", "who", "here"))) as unknown,
      ],
    }),
    fromAction: action({
      args: {},
      handler: async (ctx) => [
        (await ctx.runQuery(q("who:here"))) as unknown,
        (await ctx.runQuery(childQuery("c", "who", "here"))) as unknown,
      ],
    }),
  };
  const app = twice({ who });
  const identity = { subject: "ada" };
  expect(await app.query(q("who:both"), {}, { identity })).toEqual(["ada", null]);
  expect(await app.action(a("who:fromAction"), {}, { identity })).toEqual(["ada", null]);
});

test("trap 15: ids belong to a table number, which names another table in another component", async () => {
  const ids = {
    insert: mutation({ args: {}, handler: async (ctx) => await ctx.db.insert("rows", { key: "child", n: 1 }) }),
    asRow: query({ args: { id: v.id("rows") }, handler: async (ctx, { id }) => await ctx.db.get("rows", id) }),
    asOther: query({ args: { id: v.id("others") }, handler: async (ctx, { id }) => await ctx.db.get("others", id) }),
    through: mutation({
      args: {},
      handler: async (ctx) => (await ctx.runMutation(child("c", "ids", "insert"))) as string,
    }),
  };
  const app = twice({ ids });
  const id = await app.mutation(m("ids:through"));
  // The child's "rows" has the number of the app's: it passes, and leads nowhere.
  expect(await app.query(q("ids:asRow"), { id })).toBe(null);
  expect(await outcome(app.query(q("ids:asOther"), { id }))).toContain("ArgumentValidationError");
});

test("trap 16: an app reaches public functions of its children alone", async () => {
  const inner = {
    hidden: internalMutation({ args: {}, handler: () => 1 }),
    shown: mutation({ args: {}, handler: async (ctx) => (await ctx.runMutation(m("inner:hidden"))) as number }),
    toHidden: mutation({
      args: {},
      handler: async (ctx) => (await ctx.runMutation(child("c", "inner", "hidden"))) as number,
    }),
    toShown: mutation({
      args: {},
      handler: async (ctx) => (await ctx.runMutation(child("c", "inner", "shown"))) as number,
    }),
  };
  const app = twice({ inner });
  expect(await outcome(app.mutation(m("inner:toHidden")))).toContain("InvalidReference");
  expect(await app.mutation(m("inner:toShown"))).toBe(1);
});

const nested = {
  wrongResult: mutation({
    args: { key: v.string() },
    returns: v.string(),
    handler: async (ctx, { key }) => {
      await ctx.db.insert("rows", { key, n: 1 });
      return 1 as unknown as string;
    },
  }),
  throws: mutation({
    args: { key: v.string() },
    handler: async (ctx, { key }) => {
      await ctx.db.insert("rows", { key, n: 1 });
      await ctx.scheduler.runAfter(0, m("rows:add"), { key: "scheduled", n: 1 });
      throw new ConvexError({ code: "no" });
    },
  }),
  throwsPlain: mutation({
    args: {},
    handler: () => {
      throw Object.assign(new TypeError("bad type"), { code: 42 });
    },
  }),
  catches: mutation({
    args: { which: v.string() },
    handler: async (ctx, { which }) => {
      const args = which === "throwsPlain" ? {} : { key: which };
      try {
        await ctx.runMutation(m(`nested:${which}`), args);
        return null;
      } catch (error) {
        const { name, message, code, data } = error as Error & { code?: number; data?: unknown };
        return {
          name,
          message,
          code: code ?? null,
          data: (data ?? null) as { code: string } | null,
          isTypeError: error instanceof TypeError,
          isConvexError: error instanceof ConvexError,
        };
      }
    },
  }),
  metrics: mutation({
    args: {},
    handler: async (ctx) => {
      await ctx.runMutation(m("nested:throws"), { key: "x" }).catch(() => undefined);
      const { functionsScheduled, documentsWritten } = await ctx.meta.getTransactionMetrics();
      return [functionsScheduled.used, documentsWritten.used];
    },
  }),
};

test("trap 17: a nested result that does not match is an error, whose writes stay when it is caught", async () => {
  const app = start({ rows, nested });
  expect(await app.mutation(m("nested:catches"), { which: "wrongResult" })).toMatchObject({
    message: expect.stringContaining("ReturnsValidationError") as unknown,
  });
  expect(await app.query(q("rows:keys"))).toEqual(["wrongResult"]);
  await app.mutation(m("nested:catches"), { which: "throws" });
  expect(await app.query(q("rows:keys"))).toEqual(["wrongResult"]);
  expect(await outcome(app.mutation(m("nested:wrongResult"), { key: "top" }))).toContain("ReturnsValidationError");
  expect(await app.query(q("rows:keys"))).toEqual(["wrongResult"]);
});

test("trap 18: of an error that crosses a call a changed message is left, and the data of a ConvexError", async () => {
  const app = start({ nested, rows });
  const plain = await app.mutation(m("nested:catches"), { which: "throwsPlain" });
  expect(plain).toMatchObject({ name: "Error", code: null, data: null, isTypeError: false });
  expect((plain as { message: string }).message).toMatch(/^Uncaught TypeError: bad type\n {4}at /);
  const convex = await app.mutation(m("nested:catches"), { which: "throws" });
  expect(convex).toMatchObject({ data: { code: "no" }, isConvexError: true });
  expect((convex as { message: string }).message).toMatch(/^Uncaught ConvexError: /);
});

test("trap 19: what a nested call scheduled stays counted after it was undone, what it wrote does not", async () => {
  const app = start({ nested, rows });
  expect(await app.mutation(m("nested:metrics"))).toEqual([1, 0]);
  await app.loop.advance(1_000);
  expect(app.jobs.started).toBe(0);
});

test("trap 28: an action of a component cancels nothing", async () => {
  const cancel = {
    plan: mutation({
      args: {},
      handler: async (ctx) => await ctx.scheduler.runAfter(1_000, m("rows:add"), { key: "a", n: 1 }),
    }),
    inAction: action({
      args: {},
      handler: async (ctx) => {
        const id = (await ctx.runMutation(m("cancel:plan"))) as never;
        await ctx.scheduler.cancel(id);
      },
    }),
    there: action({
      args: {},
      handler: async (ctx) => void (await ctx.runAction(child("c", "cancel", "inAction") as never)),
    }),
    count: query({
      args: {},
      handler: async (ctx) => (await ctx.runQuery(childQuery("c", "rows", "keys"))) as string[],
    }),
  };
  const app = twice({ cancel });
  await app.action(a("cancel:inAction"));
  await app.action(a("cancel:there"));
  await app.loop.advance(5_000);
  expect(await app.query(q("rows:keys"))).toEqual([]);
  expect(await app.query(q("cancel:count"))).toEqual(["a"]);
});

test("trap 41: nine levels of calls are too many", async () => {
  const deep = {
    call: mutation({
      args: { levels: v.number() },
      handler: async (ctx, { levels }): Promise<number> =>
        levels === 0 ? 0 : 1 + ((await ctx.runMutation(m("deep:call"), { levels: levels - 1 })) as number),
    }),
  };
  const app = start({ deep });
  expect(await app.mutation(m("deep:call"), { levels: 8 })).toBe(8);
  expect(await outcome(app.mutation(m("deep:call"), { levels: 9 }))).toContain("call depth limit exceeded");
});

type Syscalls = { asyncSyscall: (op: string, args: string) => Promise<string> };
const syscall = async (op: string, args: object = {}) =>
  await (globalThis as unknown as { Convex: Syscalls }).Convex.asyncSyscall(op, JSON.stringify(args));

test("trap 51: each kind of function has its own operations", async () => {
  const ops = {
    inQuery: query({ args: { op: v.string() }, handler: async (_, { op }) => await syscall(op) }),
    inMutation: mutation({ args: { op: v.string() }, handler: async (_, { op }) => await syscall(op) }),
    inAction: action({ args: { op: v.string() }, handler: async (_, { op }) => await syscall(op) }),
    queryInQuery: query({
      args: {},
      handler: async () => await syscall("1.0/runUdf", { udfType: "mutation", name: "rows:add", args: {} }),
    }),
    write: query({
      args: {},
      handler: async () => await syscall("1.0/insert", { table: "rows", value: { key: "a", n: 1 } }),
    }),
  };
  const app = start({ ops, rows });
  const refused = async (kind: "inQuery" | "inMutation" | "inAction", op: string) => {
    const calls = {
      inQuery: () => app.query(q("ops:inQuery"), { op }),
      inMutation: () => app.mutation(m("ops:inMutation"), { op }),
      inAction: () => app.action(a("ops:inAction"), { op }),
    };
    return (await outcome(calls[kind]())).replace(/^result.*/s, "allowed");
  };
  expect(await refused("inQuery", "1.0/getRequestMetadata")).toContain("cannot be used in a query");
  expect(await refused("inMutation", "1.0/getRequestMetadata")).toBe("allowed");
  expect(await refused("inAction", "1.0/getTransactionMetrics")).toContain("UnknownAsyncOperation");
  expect(await refused("inMutation", "1.0/getTransactionMetrics")).toBe("allowed");
  expect(await refused("inAction", "1.0/get")).toContain("UnknownAsyncOperation");
  expect(await refused("inQuery", "1.0/schedule")).toContain("cannot be used in a query");
  expect(await refused("inMutation", "1.0/actions/query")).toContain("UnknownAsyncOperation");
  expect(await outcome(app.query(q("ops:queryInQuery")))).toContain("InvalidFunctionCall");
  expect(await outcome(app.query(q("ops:write")))).toContain("cannot be used in a query");
});

test("trap 52: a handle outlives its function, and then leads nowhere", async () => {
  const handles = {
    make: mutation({
      args: {},
      handler: async () => JSON.parse(await syscall("1.0/createFunctionHandle", { name: "rows:add" })) as string,
    }),
    use: mutation({
      args: { handle: v.string() },
      handler: async (ctx, { handle }) =>
        (await ctx.runMutation(handle as FunctionHandle<"mutation">, { key: "by handle", n: 1 })) as string,
    }),
  };
  const app = start({ handles, rows });
  const handle = await app.mutation(m("handles:make"));
  await app.mutation(m("handles:use"), { handle });
  expect(await app.query(q("rows:keys"))).toEqual(["by handle"]);
  await app.deploy("", modulesOf({ handles, rows: { keys: rows.keys } }));
  expect(await outcome(app.mutation(m("handles:use"), { handle }))).toContain("FunctionHandleNotFound");
});
