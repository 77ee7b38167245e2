/** An action goes on between the turns of a transaction that it called: the globals that it finds are those of an action. */
import { actionGeneric, makeFunctionReference, mutationGeneric } from "convex/server";
import { v } from "convex/values";
import { expect, test } from "vitest";
import { Deployment } from "../src/index.js";

const TURNS = 200;
const slow = makeFunctionReference<"mutation", Record<string, never>, null>("functions:slow");
const act = makeFunctionReference<"action", Record<string, never>, string[]>("functions:act");

const functions = {
  slow: mutationGeneric({
    args: {},
    returns: v.null(),
    handler: async () => {
      for (let i = 0; i < TURNS; i++) await Promise.resolve();
      return null;
    },
  }),
  act: actionGeneric({
    args: {},
    handler: async (ctx) => {
      const called = ctx.runMutation(slow, {});
      const refused = new Set<string>();
      for (let i = 0; i < 2 * TURNS; i++) {
        await Promise.resolve();
        try {
          clearTimeout(setTimeout(() => undefined, 0));
        } catch (error) {
          refused.add((error as Error).message);
        }
      }
      await called;
      return [...refused];
    },
  }),
};

test("an action has its timers while a mutation that it called is under way", async () => {
  const app = new Deployment({
    modules: { "./_generated/api.js": async () => ({}), "./functions.ts": async () => functions },
  });
  expect(await app.action(act, {})).toEqual([]);
});
