/**
 * The experiment behind the table of conflicts of the execution model (section 2), for the script and for its test.
 *
 * Invariant: a run is a function of its seed alone.
 */
import { actionGeneric, defineSchema, defineTable, mutationGeneric, type FunctionReference } from "convex/server";
import { v, type GenericId } from "convex/values";
import { Deployment, NO_LATENCIES } from "../src/index.js";

/** What the execution model calculates for D, N and the percentage of calls that fail. */
const EXPECTED: ReadonlyArray<readonly [durationMs: number, percents: Readonly<Record<number, number>>]> = [
  [5, { 16: 0, 32: 1, 64: 9, 128: 29 }],
  [20, { 8: 0, 16: 2, 32: 15, 64: 39 }],
  [50, { 8: 1, 16: 13, 32: 38, 64: 65 }],
  [100, { 4: 0, 8: 5, 16: 29, 32: 55 }],
];
export const CELLS = EXPECTED.flatMap(([durationMs, percents]) =>
  Object.entries(percents).map(([callers, expectedPercent]) => ({
    durationMs,
    callers: Number(callers),
    expectedPercent,
  })),
);

const WITHIN_MS = 5;
const increment = "f:increment" as unknown as FunctionReference<"mutation">;
const incrementAfter = "f:incrementAfter" as unknown as FunctionReference<"action">;
const functions = {
  increment: mutationGeneric({
    args: { id: v.id("counters") },
    handler: async ({ db }, { id }: { id: GenericId<"counters"> }) => {
      const { n } = (await db.get("counters", id)) as { n: number };
      await db.patch("counters", id, { n: n + 1 });
    },
  }),
  incrementAfter: actionGeneric({
    args: { id: v.id("counters"), ms: v.number() },
    handler: async (ctx, { id, ms }: { id: GenericId<"counters">; ms: number }) => {
      await new Promise((resolve) => void setTimeout(resolve, ms));
      await ctx.runMutation(increment, { id });
    },
  }),
};
const modules = {
  "./_generated/api.js": () => Promise.resolve({}),
  "./f.ts": () =>
    Promise.resolve({
      ...functions,
      create: mutationGeneric({ handler: async ({ db }) => await db.insert("counters", { n: 0 }) }),
    }),
};
const schema = defineSchema({ counters: defineTable({ n: v.number() }) });

/** One deployment and its callers. A lost attempt is one that another transaction made worthless. */
async function runOnce(
  durationMs: number,
  callers: number,
  seed: number,
): Promise<{ failed: number; attempts: number }> {
  const app = new Deployment({
    schema,
    modules,
    seed,
    permits: { mutations: 16, actions: callers },
    latencies: { ...NO_LATENCIES, executionMs: durationMs, commitMs: 3 },
  });
  const id = await app.mutation("f:create" as unknown as FunctionReference<"mutation">);
  const before = app.calls.mutation;
  const results = await app.loop.drive(
    Promise.allSettled(
      Array.from({ length: callers }, () => app.action(incrementAfter, { id, ms: WITHIN_MS * app.random() })),
    ),
  );
  const failed = results.filter(({ status }) => status === "rejected").length;
  if (app.calls.mutation - before !== callers - failed) throw new Error("A call succeeded and was not counted.");
  return { failed, attempts: app.calls.mutation - before + app.calls.lostAttempts };
}

export async function runCell(
  durationMs: number,
  callers: number,
  runs: number,
): Promise<{ failedPercent: number; attemptsPerSuccess: number }> {
  let failed = 0;
  let attempts = 0;
  for (let seed = 1; seed <= runs; seed++) {
    const one = await runOnce(durationMs, callers, seed);
    failed += one.failed;
    attempts += one.attempts;
  }
  const calls = callers * runs;
  return { failedPercent: (100 * failed) / calls, attemptsPerSuccess: attempts / (calls - failed) };
}
