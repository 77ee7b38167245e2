/** Clocks and chance (traps 6 to 8, 46 and 48). */
import { expect, test } from "vitest";
import { v } from "convex/values";
import { DEFAULT_LATENCIES } from "../../src/index.js";
import { a, action, m, mutation, q, query, rows, start } from "./support.js";

const clock = {
  inMutation: mutation({
    args: {},
    handler: async (ctx) => {
      const before = [Date.now(), performance.now()];
      await ctx.db.query("rows").collect();
      const nested = (await ctx.runQuery(q("clock:inQuery"))) as number[];
      return [before[0] === Date.now(), nested[0] === before[0], performance.now() > before[1]!];
    },
  }),
  inQuery: query({
    args: {},
    handler: async (ctx) => {
      const [date, time] = [Date.now(), performance.now()];
      await ctx.db.query("rows").collect();
      return [date, performance.now() - time, new Date().getTime() - date];
    },
  }),
  inAction: action({
    args: {},
    handler: async () => {
      const [date, time] = [Date.now(), performance.now()];
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      return [Date.now() - date, performance.now() - time];
    },
  }),
  draw: mutation({ args: {}, handler: () => [Math.random(), crypto.randomUUID()] }),
  drawInAction: action({ args: {}, handler: () => [Math.random(), crypto.randomUUID()] }),
  digest: mutation({
    args: { text: v.string() },
    handler: async (_, { text }) =>
      new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)))[0],
  }),
  digests: mutation({
    args: { times: v.number() },
    handler: async (_, { times }) => {
      for (let i = 0; i < times; i++) await crypto.subtle.digest("SHA-256", new Uint8Array(10_000));
      return times;
    },
  }),
  busy: mutation({
    args: {},
    handler: () => {
      let x = 0;
      for (let i = 0; i < 1e6; i++) x += i % 7;
      return x;
    },
  }),
};

test("trap 6: Date.now stands still in a call with all that it calls; performance.now only in queries", async () => {
  const app = start({ clock });
  expect(await app.mutation(m("clock:inMutation"))).toEqual([true, true, true]);
  expect(await app.query(q("clock:inQuery"))).toEqual([expect.any(Number), 0, 0]);
  expect(await app.action(a("clock:inAction"))).toEqual([1_500, 1_500]);
});

test("trap 7: creation times have a fraction, rise within a mutation, and are not Date.now", async () => {
  const two = mutation({
    args: {},
    handler: async (ctx) => {
      await ctx.db.insert("rows", { key: "a", n: 1 });
      await ctx.db.insert("rows", { key: "b", n: 2 });
      return Date.now();
    },
  });
  const app = start({ rows, two: { two } });
  const now = (await app.mutation(m("two:two"))) as number;
  const [first, second] = (await app.query(q("rows:all"))) as Array<{ _creationTime: number }>;
  expect(first!._creationTime).toBeLessThan(second!._creationTime);
  expect(Number.isInteger(first!._creationTime)).toBe(false);
  expect(first!._creationTime).not.toBe(now);
});

test("trap 8: chance is the seed's, and another one for every call", async () => {
  const draws = async (seed: number) => {
    const app = start({ clock }, { seed });
    return [
      await app.mutation(m("clock:draw")),
      await app.mutation(m("clock:draw")),
      await app.action(a("clock:drawInAction")),
    ];
  };
  const [first, again, other] = [await draws(1), await draws(1), await draws(2)];
  expect(first).toEqual(again);
  expect(new Set([...first, ...other].map((draw) => JSON.stringify(draw))).size).toBe(6);
});

test("operations of crypto.subtle that need no chance work in mutations, and nothing happens meanwhile", async () => {
  const app = start({ clock }, { latencies: DEFAULT_LATENCIES });
  const digests = await app.loop.drive(
    Promise.all(["a", "b", "a"].map((text) => app.mutation(m("clock:digest"), { text }))),
  );
  expect(digests).toEqual([0xca, 0x3e, 0xca]);
});

test("what another function does meanwhile does not run in the world of the mutation", async () => {
  let onStart: () => void = () => undefined;
  const isUnderWay = new Promise<void>((resolve) => (onStart = resolve));
  const timers = {
    many: action({
      args: {},
      handler: async () => {
        for (let i = 0; i < 300; i++) {
          if (i === 5) onStart();
          await new Promise((resolve) => setTimeout(resolve, 0));
        }
        return "done";
      },
    }),
  };
  const app = start({ clock, timers });
  const digest = async () => {
    await isUnderWay;
    return await app.mutation(m("clock:digests"), { times: 40 });
  };
  expect(await app.loop.drive(Promise.all([app.action(a("timers:many")), digest()]))).toEqual(["done", 40]);
});

test("trap 46: calls whose JavaScript took long are reported, outside of the history", async () => {
  const run = async (slowCallMs: number) => {
    const app = start({ clock }, { strict: { slowCallMs } });
    await app.mutation(m("clock:busy"));
    return [app.slowCalls.calls.map(({ source }) => source), app.history.digest()];
  };
  const [all, none] = [await run(0), await run(60_000)];
  expect(all[0]).toEqual(["clock:busy"]);
  expect(none).toEqual([[], all[1]]);
});

test("trap 48: clocks of functions differ, so creation times need not follow the order of commits", async () => {
  const app = start({ rows }, { latencies: { ...DEFAULT_LATENCIES, clockSkewMs: 500 }, seed: 3 });
  const committed: string[] = [];
  await app.loop.drive(
    Promise.all(
      Array.from({ length: 12 }, async (_, n) => {
        await app.loop.sleep(n * 20);
        await app.mutation(m("rows:add"), { key: `k${n}`, n });
        committed.push(`k${n}`);
      }),
    ),
  );
  expect(await app.query(q("rows:keys"))).not.toEqual(committed);
});
