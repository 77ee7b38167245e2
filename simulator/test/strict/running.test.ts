/** How the code of one call runs, and what it reads (traps 20, 21, 39, 40, 49, 55 and 56). */
import { expect, test, vi } from "vitest";
import { v } from "convex/values";
import { DEFAULT_LATENCIES } from "../../src/index.js";
import { a, action, internalMutation, m, mutation, outcome, q, query, rows, start } from "./support.js";

const unwaited = {
  write: mutation({
    args: {},
    handler: (ctx) => {
      void ctx.db.insert("rows", { key: "a", n: 1 }).then(async () => await ctx.db.insert("rows", { key: "b", n: 2 }));
      void ctx.runMutation(m("unwaited:inner"));
    },
  }),
  inner: internalMutation({
    args: {},
    handler: async (ctx) => {
      await ctx.db.query("rows").collect();
      await ctx.db.insert("rows", { key: "nested", n: 1 });
    },
  }),
  failingWrite: mutation({
    args: {},
    handler: async (ctx) => {
      await ctx.db.insert("rows", { key: "a", n: 1 });
      void ctx.db.insert("rows", { key: "bad" } as never);
    },
  }),
  rejected: mutation({ args: {}, handler: () => void Promise.reject(new Error("nobody waits")) }),
  inNested: mutation({
    args: {},
    handler: async (ctx) => await outcome(ctx.runMutation(m("unwaited:failingWrite"))),
  }),
  late: mutation({
    args: {},
    handler: async (ctx) => {
      const failing = ctx.db.insert("rows", { key: "bad" } as never);
      await ctx.db.query("rows").collect();
      await failing.catch(() => undefined);
    },
  }),
  together: mutation({
    args: {},
    handler: async (ctx) => {
      const all = [ctx.db.insert("rows", { key: "bad" } as never), ctx.db.insert("rows", { key: "b", n: 1 })];
      return (await Promise.allSettled(all)).map(({ status }) => status);
    },
  }),
  lateOwn: mutation({
    args: {},
    handler: async (ctx) => {
      const failing = Promise.reject(new Error("waited for too late"));
      await ctx.db.query("rows").collect();
      await failing.catch(() => undefined);
    },
  }),
  inQuery: query({ args: {}, handler: () => void Promise.reject(new Error("in a query")) }),
  inAction: action({
    args: {},
    handler: async () => {
      void Promise.reject(new Error("in an action"));
      await new Promise((resolve) => setTimeout(resolve, 10));
    },
  }),
  stuck: mutation({ args: {}, handler: () => new Promise<null>(() => undefined) }),
};

test("trap 20: what nobody waits for is done all the same, with what follows from it", async () => {
  const app = start({ unwaited, rows });
  await app.mutation(m("unwaited:write"));
  expect(((await app.query(q("rows:keys"))) as string[]).sort()).toEqual(["a", "b", "nested"]);
});

test.each([
  ["failingWrite", "missing the required field"],
  ["rejected", "nobody waits"],
  ["late", "missing the required field"],
])("trap 20: a rejection that nobody handles fails the mutation: %s", async (name, message) => {
  for (const latencies of [DEFAULT_LATENCIES, undefined]) {
    const app = start({ unwaited, rows }, latencies === undefined ? {} : { latencies });
    expect(await outcome(app.mutation(m(`unwaited:${name}`)))).toContain(message);
    expect(await app.query(q("rows:keys"))).toEqual([]);
  }
});

test("trap 20: such a rejection fails queries, actions and nested calls, each by itself", async () => {
  const app = start({ unwaited, rows });
  expect(await outcome(app.query(q("unwaited:inQuery")))).toContain("in a query");
  expect(await outcome(app.action(a("unwaited:inAction")))).toContain("in an action");
  expect(await app.mutation(m("unwaited:inNested"))).toContain("missing the required field");
  expect(await app.query(q("rows:keys"))).toEqual([]);
  expect(await app.mutation(m("unwaited:together"))).toEqual(["rejected", "fulfilled"]);
  expect(await outcome(app.mutation(m("unwaited:stuck")))).toContain("will never resolve");
});

test("trap 20: strict turns find a rejection of the function's own that is handled too late", async () => {
  expect(await outcome(start({ unwaited }).mutation(m("unwaited:lateOwn")))).toContain("result");
  const strict = { turns: true };
  expect(await outcome(start({ unwaited }, { strict }).mutation(m("unwaited:lateOwn")))).toContain("too late");
});

test("rejections of anything else go to whoever listened, and all listeners are back afterwards", async () => {
  const listeners = process.listeners("unhandledRejection");
  const heard = vi.fn();
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", heard);
  const app = start({ unwaited, rows });
  await app.loop.drive(
    Promise.all([
      outcome(app.mutation(m("unwaited:rejected"))),
      (async () => {
        await app.mutation(m("rows:add"), { key: "a", n: 1 });
        void Promise.reject(new Error("of the test"));
        await app.loop.sleep(5);
        await app.mutation(m("rows:add"), { key: "b", n: 1 });
      })(),
    ]),
  );
  expect(heard.mock.calls.map(([error]) => (error as Error).message)).toEqual(["of the test"]);
  expect(process.listeners("unhandledRejection")).toEqual([heard]);
  process.removeAllListeners("unhandledRejection");
  for (const listener of listeners) process.on("unhandledRejection", listener);
});

test("trap 21: operations happen in the order in which they are asked for, nested calls among them", async () => {
  const order = {
    all: mutation({
      args: {},
      handler: async (ctx) => {
        await Promise.all([
          ctx.db.insert("rows", { key: "1", n: 1 }),
          ctx.runMutation(m("order:two")),
          ctx.db.insert("rows", { key: "4", n: 4 }),
          ctx.runMutation(m("order:two")),
        ]);
      },
    }),
    two: mutation({
      args: {},
      handler: async (ctx) => {
        const n = (await ctx.db.query("rows").collect()).length + 1;
        await ctx.db.insert("rows", { key: `${n}`, n });
        await ctx.db.insert("rows", { key: `${n + 1}`, n: n + 1 });
      },
    }),
  };
  for (const strict of [false, true]) {
    const app = start({ order, rows }, { strict });
    await app.mutation(m("order:all"));
    expect(await app.query(q("rows:keys"))).toEqual(["1", "2", "3", "4", "5", "6"]);
  }
});

const patches = {
  same: mutation({
    args: { id: v.id("rows"), n: v.number() },
    handler: async (ctx, { id, n }) => await ctx.db.patch("rows", id, { n }),
  }),
};

test("trap 39: a patch that changes nothing writes nothing", async () => {
  const app = start({ rows, patches }, { latencies: DEFAULT_LATENCIES });
  const id = await app.mutation(m("rows:add"), { key: "a", n: 1 });
  const begin = app.database.published;
  const patch = async (n: number) => {
    await app.loop.drive(Promise.all([1, 2].map(() => app.mutation(m("patches:same"), { id, n }))));
    return [app.history.conflicts, app.database.published > begin];
  };
  expect(await patch(1)).toEqual([0, false]);
  expect(await patch(2)).toEqual([1, true]);
});

test("trap 40: a stale snapshot does not show own writes, and conflicts with nothing", async () => {
  const stale = {
    seen: mutation({
      args: { useStaleSnapshot: v.boolean() },
      handler: async (ctx, { useStaleSnapshot }) => {
        await ctx.db.insert("rows", { key: "own", n: 1 });
        const options = useStaleSnapshot ? { useStaleSnapshot } : {};
        return (await ctx.runQuery(q("rows:keys"), {}, options)) as string[];
      },
    }),
  };
  const app = start({ rows, stale }, { latencies: DEFAULT_LATENCIES });
  const race = async (useStaleSnapshot: boolean) => {
    const before = app.history.conflicts;
    const [seen] = await app.loop.drive(
      Promise.all([
        app.mutation(m("stale:seen"), { useStaleSnapshot }),
        ...[1, 2, 3].map((n) => app.mutation(m("rows:add"), { key: `k${n}`, n })),
      ]),
    );
    return [(seen as string[]).includes("own"), app.history.conflicts - before] as const;
  };
  expect(await race(true)).toEqual([false, 0]);
  const [own, conflicts] = await race(false);
  expect(own).toBe(true);
  expect(conflicts).toBeGreaterThan(0);
});

test("trap 49: every query of an action has a snapshot of its own", async () => {
  const reads = {
    twice: action({
      args: {},
      handler: async (ctx) => {
        const count = async () => ((await ctx.runQuery(q("rows:keys"))) as string[]).length;
        const first = await count();
        await new Promise((resolve) => setTimeout(resolve, 500));
        return [first, await count()];
      },
    }),
  };
  const app = start({ rows, reads });
  const [counts] = await app.loop.drive(
    Promise.all([
      app.action(a("reads:twice")),
      (async () => {
        await app.loop.sleep(100);
        await app.mutation(m("rows:add"), { key: "a", n: 1 });
      })(),
    ]),
  );
  expect(counts).toEqual([0, 1]);
});

test("trap 55: the commit timestamp is a placeholder until the commit, and a bigint afterwards", async () => {
  const stamps = {
    insert: mutation({
      args: {},
      handler: async (ctx) => {
        const { commitTs } = (ctx.db as unknown as { vars: { commitTs: bigint } }).vars;
        const id = await ctx.db.insert("others", { stamp: commitTs });
        const own = await ctx.db.get("others", id);
        return [typeof own?.stamp, commitTs] as const;
      },
    }),
    read: query({ args: {}, handler: async (ctx) => (await ctx.db.query("others").first())?.stamp ?? null }),
  };
  const app = start({ stamps });
  const [type, returned] = (await app.mutation(m("stamps:insert"))) as [string, bigint];
  expect(type).toBe("object");
  expect(returned).toBeTypeOf("bigint");
  expect(await app.query(q("stamps:read"))).toBe(returned);
});

test("trap 56: a loop over a query sees its own writes from the next page of 100 on", async () => {
  const loops = {
    grow: mutation({
      args: { from: v.number() },
      handler: async (ctx, { from }) => {
        for (let n = 0; n < from; n++) await ctx.db.insert("rows", { key: "start", n });
        let seen = 0;
        for await (const row of ctx.db.query("rows").withIndex("by_n")) {
          if (seen++ === 0) await ctx.db.insert("rows", { key: "added", n: row.n + 0.5 });
        }
        return seen;
      },
    }),
  };
  // Fewer than a page: all were there already when the first one was handed out.
  expect(await start({ loops }).mutation(m("loops:grow"), { from: 50 })).toBe(50);
  // Later than the first page of 100: it is seen.
  const later = {
    grow: mutation({
      args: {},
      handler: async (ctx) => {
        for (let n = 0; n < 150; n++) await ctx.db.insert("rows", { key: "start", n });
        let seen = 0;
        for await (const row of ctx.db.query("rows").withIndex("by_n")) {
          if (seen++ === 0) await ctx.db.insert("rows", { key: "added", n: row.n + 140.5 });
        }
        return seen;
      },
    }),
  };
  expect(await start({ later }).mutation(m("later:grow"))).toBe(151);
});
