/** What the published suites of Convex's components need of the simulator, beyond functions that are deployed. */
import { actionGeneric, anyApi, mutationGeneric, type FunctionReference } from "convex/server";
import { ConvexError, v } from "convex/values";
import { afterEach, expect, test, vi } from "vitest";
import { convexTest } from "../src/convexTest.js";
import { Deployment } from "../src/index.js";

type Mutation = FunctionReference<"mutation", "public">;
const api = anyApi as unknown as Record<string, Record<string, Mutation>>;

const refuse = mutationGeneric({
  args: {},
  handler: (): null => {
    throw new ConvexError({ code: "no" });
  },
});
const relay = mutationGeneric({
  args: {},
  handler: async (ctx) => (await ctx.runMutation(api.app!.refuse!, {})) as null,
});
const relayFromAction = actionGeneric({
  args: {},
  handler: async (ctx) => (await ctx.runMutation(api.app!.relay!, {})) as null,
});
const answer = mutationGeneric({ args: {}, returns: v.number(), handler: async () => 42 });
const call = mutationGeneric({
  args: { handle: v.string() },
  handler: async (ctx, { handle }) => await ctx.runMutation(handle as never, {}),
});

let loads = 0;
const modules = {
  "./_generated/api.js": async () => ({}),
  "./app.ts": async () => ({ refuse, relay, relayFromAction, call }),
  "./own.test.ts": async () => {
    loads++;
    return { answer };
  },
  "./other.test.ts": () => Promise.reject(new Error("loading a test file runs its tests")),
};

afterEach(() => {
  vi.useRealTimers();
  loads = 0;
});

test("the data of a ConvexError comes through a mutation that an action called, and one that that called", async () => {
  const t = convexTest({ modules });
  await expect(t.action(api.app!.relayFromAction!)).rejects.toMatchObject({ data: { code: "no" } });
});

test("functions of a test file are there for the test that names them, and other test files are left alone", async () => {
  const t = convexTest({ modules });
  expect(await t.mutation(api["own.test"]!.answer!)).toBe(42);
  expect(await t.mutation(api["own.test"]!.answer!)).toBe(42);
  expect(loads).toBe(1);
});

test("a handle that a test has written leads to its function", async () => {
  const t = convexTest({ modules });
  expect(await t.mutation(api.app!.call!, { handle: "function://;own.test:answer" })).toBe(42);
  await expect(t.mutation(api.app!.call!, { handle: "function://;app:missing" })).rejects.toThrow(
    "FunctionHandleNotFound",
  );
});

test("a deployment has neither functions of test files nor handles that it did not give out", async () => {
  const app = new Deployment({ modules });
  await expect(app.mutation(api["own.test"]!.answer!)).rejects.toThrow("Could not find function");
  await expect(app.mutation(api.app!.call!, { handle: "function://;own.test:answer" })).rejects.toThrow(
    "FunctionHandleNotFound",
  );
  expect(loads).toBe(0);
});

test("when a call is over, every global is the property that it was", async () => {
  vi.useFakeTimers();
  const t = convexTest({ modules });
  const names = ["Date", "Math", "crypto", "setTimeout", "fetch", "console", "process", "Crypto"];
  const look = () => names.map((name) => Object.getOwnPropertyDescriptor(globalThis, name));
  const before = look();
  await t.mutation(async () => {
    expect(() => setTimeout(() => undefined, 1)).toThrow("Can't use setTimeout()");
    globalThis.fetch = () => Promise.reject(new Error("of this call alone"));
  });
  expect(look()).toEqual(before);
  await expect(t.mutation(api.app!.refuse!)).rejects.toThrow();
  expect(look()).toEqual(before);
});
