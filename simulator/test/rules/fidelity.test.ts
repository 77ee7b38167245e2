/** The checks of section 11 of the execution model, in its order. */
import { expect, test } from "vitest";
import { v } from "convex/values";
import type { GenericId } from "convex/values";
import {
  act,
  action,
  deploy,
  f,
  messageOf,
  mutate,
  mutation,
  overlap,
  query,
  read,
  STEADY,
  type MutationCtx,
} from "./support.js";

const seed = async ({ db }: MutationCtx, values: readonly number[]): Promise<GenericId<"rows">[]> => {
  const ids: GenericId<"rows">[] = [];
  for (const n of values) ids.push(await db.insert("rows", { k: "q", n }));
  return ids;
};
const queue = ({ db }: MutationCtx) => db.query("rows").withIndex("by_k_n", (q) => q.eq("k", "q"));
const blind = async ({ db }: MutationCtx) => await db.insert("others", { x: 1 });

test("1: of two that each read what the other one writes, exactly one loses, and runs again on the other's write", async () => {
  const app = deploy();
  const [a, b] = await mutate(app, async (ctx) => await seed(ctx, [0, 0]));
  const seen: unknown[] = [];
  const skew = (from: typeof a, to: typeof a) => async () =>
    await mutate(app, async ({ db }) => {
      const row = await db.get("rows", from!);
      seen.push(row?.n);
      await db.patch("rows", to!, { n: 1 });
    });
  await overlap(app, skew(a, b), skew(b, a));
  expect([app.history.conflicts, app.history.retries]).toEqual([1, 1]);
  expect(seen).toEqual([0, 0, 1]);
});

test("2: blind inserts never lose to each other; who collects the range loses exactly when one commits meanwhile", async () => {
  const app = deploy();
  const insert = async (n: number) => await mutate(app, async ({ db }) => await db.insert("rows", { k: "q", n }));
  await overlap(
    app,
    () => insert(1),
    () => insert(2),
  );
  expect(app.history.conflicts).toBe(0);

  const counts: number[] = [];
  const collect = async () =>
    await mutate(app, async (ctx) => {
      counts.push((await queue(ctx).collect()).length);
      await blind(ctx);
    });
  await overlap(app, () => insert(3), collect);
  expect(counts).toEqual([2, 3]);
  await overlap(app, collect, () => insert(4));
  expect(counts).toEqual([2, 3, 3]);
  expect(app.history.conflicts).toBe(1);
});

test.each([
  [3, 0],
  [2, 1],
])("3: take(3) over %i rows and an insert at the tail: %i conflicts", async (rows, conflicts) => {
  const app = deploy();
  await mutate(app, async (ctx) => await seed(ctx, [1, 2, 3].slice(0, rows)));
  await overlap(
    app,
    () => mutate(app, async (ctx) => await seed(ctx, [9])),
    () =>
      mutate(app, async (ctx) => {
        await queue(ctx).take(3);
        await blind(ctx);
      }),
  );
  expect(app.history.conflicts).toBe(conflicts);
});

test.each<[string, Partial<{ note: string; n: number }>, number]>([
  ["4: a patch of a field that no index has", { note: "new" }, 1],
  ["5: a patch that changes nothing", { n: 1 }, 0],
])("%s, on a row in a range that was read", async (_, change, conflicts) => {
  const app = deploy();
  const [id] = await mutate(app, async (ctx) => await seed(ctx, [1]));
  await overlap(
    app,
    () => mutate(app, async ({ db }) => await db.patch("rows", id!, change)),
    () =>
      mutate(app, async (ctx) => {
        await queue(ctx).collect();
        await blind(ctx);
      }),
  );
  expect(app.history.conflicts).toBe(conflicts);
});

test("6: who read that an id is missing does not lose to the insert of another one", async () => {
  const app = deploy();
  const [missing] = await mutate(app, async (ctx) => {
    const ids = await seed(ctx, [1]);
    await ctx.db.delete("rows", ids[0]!);
    return ids;
  });
  await overlap(
    app,
    () => mutate(app, async (ctx) => await seed(ctx, [2])),
    () =>
      mutate(app, async (ctx) => {
        expect(await ctx.db.get("rows", missing!)).toBeNull();
        await blind(ctx);
      }),
  );
  expect(app.history.conflicts).toBe(0);
});

test("7: increments that start together end at the number of those that succeeded", async () => {
  const app = deploy({}, { seed: 3, permits: { mutations: 16 }, latencies: { ...STEADY, executionMs: 50 } });
  const [id] = await mutate(app, async (ctx) => await seed(ctx, [0]));
  const increment = async () =>
    await mutate(app, async ({ db }) => {
      const row = await db.get("rows", id!);
      await db.patch("rows", id!, { n: (row?.n as number) + 1 });
    });
  const results = await app.loop.drive(Promise.allSettled(Array.from({ length: 32 }, increment)));
  const succeeded = results.filter(({ status }) => status === "fulfilled").length;
  expect(succeeded).toBeGreaterThan(0);
  expect(succeeded).toBeLessThan(32);
  expect((await mutate(app, async ({ db }) => await db.get("rows", id!)))?.n).toBe(succeeded);
});

test("8: a nested mutation that is undone leaves its reads", async () => {
  const app = deploy({
    readAndFail: mutation({
      handler: async (ctx) => {
        await queue(ctx).collect();
        throw new Error("no");
      },
    }),
  });
  await overlap(
    app,
    () => mutate(app, async (ctx) => await seed(ctx, [1])),
    () =>
      mutate(app, async (ctx) => {
        await ctx.runMutation(f("readAndFail"), {}).catch(() => null);
        await blind(ctx);
      }),
  );
  expect(app.history.conflicts).toBe(1);
});

test("9: a nested mutation whose result is refused has written; at the top it has not", async () => {
  const app = deploy({
    wrong: mutation({
      returns: v.string(),
      handler: async (ctx) => {
        await seed(ctx, [1]);
        return 1 as unknown as string;
      },
    }),
  });
  const rows = async () => (await mutate(app, async (ctx) => await queue(ctx).collect())).length;
  await expect(app.mutation(f("wrong"))).rejects.toThrow("ReturnsValidationError");
  expect(await rows()).toBe(0);
  await mutate(app, async (ctx) => {
    await expect(ctx.runMutation(f("wrong"), {})).rejects.toThrow("ReturnsValidationError");
  });
  expect(await rows()).toBe(1);
});

test("10: a scheduled mutation that loses for ever keeps its slot, and others wait for it", async () => {
  let ran = 0;
  const app = deploy(
    {
      loser: mutation({
        handler: async (ctx) => {
          await queue(ctx).collect();
          await blind(ctx);
        },
      }),
      other: mutation({ handler: () => Promise.resolve(void ran++) }),
    },
    { permits: { scheduledJobs: 1 }, latencies: { ...STEADY, executionMs: 1_000, commitMs: 0 } },
  );
  await mutate(app, async ({ scheduler }) => {
    await scheduler.runAfter(2_000, f("loser"), {});
    await scheduler.runAfter(2_001, f("other"), {});
  });
  // Each second of the job's execution sees some of these commits.
  const writes = Array.from({ length: 100 }, async (_, i) => {
    await app.loop.sleep(i * 300);
    await mutate(app, async (ctx) => await seed(ctx, [i]));
  });
  await app.loop.drive(Promise.all(writes));
  expect([app.jobs.running, app.jobs.waiting, ran]).toEqual([1, 1, 0]);
  expect(app.history.conflicts).toBeGreaterThan(3);
  await app.loop.advance(120_000);
  expect([app.jobs.running, app.jobs.waiting, ran]).toEqual([0, 0, 1]);
});

test("11: an action that is killed after its mutation committed fails its job, and the effect is there", async () => {
  const app = deploy({
    effect: mutation({ handler: async (ctx) => void (await seed(ctx, [1])) }),
    acting: action({
      handler: async (ctx) => {
        await ctx.runMutation(f("effect"), {});
        await ctx.runMutation(f("effect"), {});
      },
    }),
  });
  // Once the commit is visible, and before its answer is.
  app.committer.onPublish(({ source }) => void (source === "f:effect" && app.actions.kill()));
  const id = await mutate(app, async ({ scheduler }) => await scheduler.runAfter(0, f("acting"), {}));
  await app.loop.advance(60_000);
  expect((await mutate(app, async (ctx) => await queue(ctx).collect())).length).toBe(1);
  const job = await read(app, async ({ db }) => await db.system.get("_scheduled_functions", id));
  expect(job?.state).toEqual({ kind: "failed", error: expect.stringContaining("Transient error") as unknown });
  expect(app.jobs.started).toBe(1);
});

test("12: a cancel that races with the run of a mutation either stops it or comes too late, never both", async () => {
  const outcomes = new Set<string>();
  for (let ms = 10; ms < 50; ms += 2) {
    const app = deploy({ effect: mutation({ handler: async (ctx) => void (await seed(ctx, [1])) }) });
    const id = await mutate(app, async ({ scheduler }) => await scheduler.runAfter(40, f("effect"), {}));
    await app.loop.advance(ms);
    await mutate(app, async ({ scheduler }) => await scheduler.cancel(id));
    await app.loop.advance(10_000);
    const rows = (await mutate(app, async (ctx) => await queue(ctx).collect())).length;
    const job = await read(app, async ({ db }) => await db.system.get("_scheduled_functions", id));
    outcomes.add(`${job?.state.kind} ${rows}`);
  }
  expect([...outcomes].sort()).toEqual(["canceled 0", "success 1"]);
});

test("13: a query on the stale snapshot sees no write of its caller, and what it reads makes nobody lose", async () => {
  const app = deploy({ all: query({ handler: async ({ db }) => (await db.query("rows").collect()).length }) });
  const counts: unknown[] = [];
  await overlap(
    app,
    () => mutate(app, async (ctx) => await seed(ctx, [1])),
    () =>
      mutate(app, async (ctx) => {
        await seed(ctx, [2]);
        counts.push(await ctx.runQuery(f("all"), {}, { useStaleSnapshot: true }));
      }),
  );
  expect(counts).toEqual([0]);
  const counted = await mutate(app, async (ctx) => {
    await seed(ctx, [3]);
    return [await ctx.runQuery(f("all"), {}, { useStaleSnapshot: true }), await ctx.runQuery(f("all"), {})];
  });
  expect(counted).toEqual([2, 3]);
});

test("14: rows come in the order of values of section 7, whatever their types", async () => {
  const app = deploy();
  const ordered = [
    ...[undefined, null, -5n, 5n, Number.NEGATIVE_INFINITY, -1, -0, 0, 1, 10, Number.NaN, false, true],
    ...["", "a", "ab", "b", "\uffff", "\u{10000}", new Uint8Array([1]).buffer, new Uint8Array([1, 0]).buffer],
    ...[[], [1], [1, 2], [2], {}, { a: 1 }, { a: 1, b: 1 }, { a: 2 }, { b: 0 }],
  ];
  const shuffled = ordered.map((_, i) => (i * 7) % ordered.length);
  expect(new Set(shuffled).size).toBe(ordered.length);
  await mutate(app, async ({ db }) => {
    for (const i of shuffled) await db.insert("rows", { k: "q", ...(i === 0 ? {} : { n: ordered[i] }), note: i });
  });
  const rows = await read(app, async ({ db }) => {
    const range = () => db.query("rows").withIndex("by_k_n", (q) => q.eq("k", "q"));
    return { up: await range().collect(), down: await range().order("desc").collect() };
  });
  expect(rows.up.map(({ note }) => note as number)).toEqual(ordered.map((_, i) => i));
  expect(rows.down.map(({ note }) => note as number)).toEqual(ordered.map((_, i) => i).reverse());
});

test("and an action's own calls see each the newest snapshot", async () => {
  const app = deploy({ all: query({ handler: async ({ db }) => (await db.query("rows").collect()).length }) });
  const [counts] = await overlap(
    app,
    () =>
      act(app, async (ctx) => {
        const first: unknown = await ctx.runQuery(f("all"), {});
        await new Promise((resolve) => void setTimeout(resolve, 50));
        return [first, await ctx.runQuery(f("all"), {})];
      }),
    () => mutate(app, async (ctx) => await seed(ctx, [1])),
  );
  expect(messageOf(counts)).toBe("");
  expect(counts).toMatchObject({ value: [0, 1] });
});
