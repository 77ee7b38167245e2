/** Code that keeps state between calls, or counts on running once (traps 1 to 3). */
import { expect, test } from "vitest";
import { v } from "convex/values";
import { DEFAULT_LATENCIES } from "../../src/index.js";
import { m, modulesOf, mutation, outcome, q, query, rows, start } from "./support.js";

test("trap 1: writers of one document conflict, retry, and in the end fail", async () => {
  const app = start({ rows }, { latencies: DEFAULT_LATENCIES });
  const id = await app.mutation(m("rows:add"), { key: "a", n: 0 });
  const results = await app.loop.drive(
    Promise.all(Array.from({ length: 40 }, () => outcome(app.mutation(m("rows:increment"), { id })))),
  );
  expect(results.some((text) => text.includes("OptimisticConcurrencyControlFailure"))).toBe(true);
  const [by] = [...app.history.conflictsBy.keys()];
  expect(by).toContain("rows:increment|rows:increment|/rows");
});

/** Counts its calls in the module. */
const counting = () => {
  let calls = 0;
  return {
    next: mutation({
      args: {},
      handler: async (ctx) => {
        calls++;
        await ctx.db.insert("rows", { key: "call", n: calls });
      },
    }),
    count: query({ args: {}, handler: () => ++calls }),
    random: mutation({
      args: {},
      handler: async (ctx) => await ctx.db.insert("rows", { key: crypto.randomUUID(), n: Math.random() + Date.now() }),
    }),
  };
};

test("trap 2: each attempt runs twice, and a handler that must not is found out", async () => {
  const app = start({ counting: counting() }, { strict: { doubleRun: true } });
  expect(await outcome(app.mutation(m("counting:next")))).toMatch(/counting:next: run twice .* number 1 was .*"n":1/);
  expect(app.problems.found).toMatchObject([{ trap: 3, where: "counting:next" }]);
  expect(() => app.problems.assertNone()).toThrow("trap 3");
  expect(await outcome(app.query(q("counting:count")))).toContain(
    "the first run came to result 3, the second to result 4",
  );
  // Chance and clock are the attempt's own, and the same in both runs.
  expect(await outcome(app.mutation(m("counting:random")))).toMatch(/^result/);
});

test("what a run that was discarded wrote, scheduled and cost is not there", async () => {
  const app = start({ rows }, { strict: { doubleRun: true } });
  await app.mutation(m("rows:add"), { key: "a", n: 1 });
  expect(await app.query(q("rows:keys"))).toEqual(["a"]);
  expect(app.costs.get("")).toMatchObject({ documentsWritten: 1 });
});

test("trap 3: a cache in a module is seen by the reads that it saves", async () => {
  let cached: number | null = null;
  const cache = {
    read: query({
      args: {},
      handler: async (ctx) => (cached ??= (await ctx.db.query("rows").collect()).length),
    }),
  };
  const app = start({ cache }, { strict: true });
  expect(await outcome(app.query(q("cache:read")))).toContain("of the reads of both runs, number 1");
});

test("trap 3: with fresh modules every attempt has the state that its module begins with", async () => {
  const modules = { counting: () => Promise.resolve(counting()), rows };
  const app = start(modules, { strict: { freshModules: () => modulesOf(modules), doubleRun: true } });
  await app.mutation(m("counting:next"));
  await app.mutation(m("counting:next"));
  expect(await app.query(q("rows:all"))).toMatchObject([{ n: 1 }, { n: 1 }]);
});

test("nested calls have the fresh modules of their attempt", async () => {
  const outer = {
    twice: mutation({
      args: {},
      returns: v.null(),
      handler: async (ctx) => {
        await ctx.runMutation(m("counting:next"));
        return null;
      },
    }),
  };
  const modules = { counting: () => Promise.resolve(counting()), outer, rows };
  const app = start(modules, { strict: { freshModules: () => modulesOf(modules) } });
  await app.mutation(m("outer:twice"));
  await app.mutation(m("outer:twice"));
  expect(await app.query(q("rows:all"))).toMatchObject([{ n: 1 }, { n: 1 }]);
});
