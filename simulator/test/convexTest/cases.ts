/**
 * What a test may count on, with convex-test and with the facade alike. The two files beside this one run it on each.
 * Invariant: nothing in here knows which one it is.
 */
import type { convexTest as ConvexTest } from "convex-test";
import { ConvexError } from "convex/values";
import { setImmediate as realSetImmediate } from "node:timers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { api, functions, modules, schema } from "./app.js";

const START = Date.UTC(2026, 0, 1);
const turn = () => new Promise<void>((resolve) => void realSetImmediate(resolve));

export function cases(convexTest: typeof ConvexTest): void {
  const start = () => convexTest(schema, modules);
  const useFakeTimers = () =>
    vi.useFakeTimers({ now: START, toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });

  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  describe("functions and code of the test", () => {
    test("read and write one database; nothing returned is null", async () => {
      const t = start();
      const id = await t.mutation(api.add, { text: "a" });
      await t.run(async ({ db }) => {
        await db.insert("notes", { text: "b" });
        expect(await db.query("notes").collect()).toHaveLength(2);
      });
      expect(await t.query(api.list, {})).toEqual(["a", "b"]);
      expect(await t.run(async ({ db }) => (await db.query("notes").first())?._id)).toBe(id);
      expect(await t.run(async () => undefined)).toBeNull();
      expect(await t.mutation(async ({ db }) => (await db.query("notes").collect()).length)).toBe(2);
      expect(await t.query(async ({ db }) => (await db.query("notes").collect()).length)).toBe(2);
      expect(await t.action(async (ctx) => await ctx.runQuery(api.list, {}))).toEqual(["a", "b"]);
    });

    test("code of the test calls functions as part of its transaction", async () => {
      const t = start();
      await expect(
        t.run(async (ctx) => {
          await ctx.runMutation(api.add, { text: "a" });
          expect(await t.query(api.list, {})).toEqual(["a"]);
          throw new Error("not kept");
        }),
      ).rejects.toThrow("not kept");
      expect(await t.query(api.list, {})).toEqual([]);
    });

    test("a mutation that throws writes nothing; the data of its error arrives, and its message", async () => {
      const t = start();
      const data = { code: "no", list: [1n, null] };
      const thrown: unknown = await t.mutation(api.fail, { data, afterInsert: true }).catch((error: unknown) => error);
      expect(thrown).toBeInstanceOf(ConvexError);
      expect(thrown).toMatchObject({ data });
      await expect(t.mutation(api.fail, { data: null, afterInsert: true })).rejects.toThrow("of no use");
      await expect(t.mutation(api.fail, { data: "text", afterInsert: false })).rejects.toMatchObject({ data: "text" });
      expect(await t.query(api.list, {})).toEqual([]);
    });

    test("what the code of a test throws arrives as it was thrown", async () => {
      const t = start();
      const error = new RangeError("mine");
      await expect(t.run(() => Promise.reject(error))).rejects.toBe(error);
      const withData = new ConvexError({ n: 1n });
      await expect(t.run(() => Promise.reject(withData))).rejects.toBe(withData);
      expect(withData.data).toEqual({ n: 1n });
    });

    test("arguments are checked, and are an object", async () => {
      const t = start();
      await expect(t.mutation(api.add, { text: 1 as never })).rejects.toThrow(/validator/i);
      await expect(t.mutation(api.add, { text: "a", more: 1 } as never)).rejects.toThrow(/validator|extra field/i);
      await expect(t.mutation(api.add, [] as never)).rejects.toThrow(/must be an object|plain old JavaScript/);
    });

    test("a handler that a test has put in place is the one that runs", async () => {
      const add = Object.assign(() => undefined, functions.add, { _handler: () => Promise.reject(new Error("mine")) });
      const t = convexTest(schema, { ...modules, "./notes.ts": async () => ({ ...functions, add }) });
      await expect(t.action(api.relay, { texts: ["a"] })).rejects.toThrow("mine");
    });

    test("rows are created one after the other, also while the clock stands still", async () => {
      useFakeTimers();
      const t = start();
      for (const text of ["a", "b", "c"]) await t.mutation(api.add, { text });
      const times = await t.run(async ({ db }) => (await db.query("notes").collect()).map((row) => row._creationTime));
      expect([...times].sort((a, b) => a - b)).toEqual(times);
      expect(new Set(times).size).toBe(3);
    });
  });

  describe("time", () => {
    test("what needs no time is done within a turn of the event loop, however many transactions it takes", async () => {
      useFakeTimers();
      const t = start();
      await t.query(api.list, {});
      let ended = false;
      void t.action(api.relay, { texts: Array.from({ length: 20 }, (_, i) => `${i}`) }).then(() => (ended = true));
      for (let i = 0; i < 3; i++) await turn();
      expect(ended).toBe(true);
    });

    test("a scheduled function runs when its timer fires, also one without a delay, and not before", async () => {
      useFakeTimers();
      const t = start();
      await t.mutation(api.later, { text: "now", ms: 0 });
      await t.mutation(api.later, { text: "later", ms: 60_000 });
      expect(vi.getTimerCount()).toBe(2);
      for (let i = 0; i < 3; i++) await turn();
      expect(await t.query(api.list, {})).toEqual([]);
      vi.advanceTimersByTime(1);
      await t.finishInProgressScheduledFunctions();
      expect(await t.query(api.list, {})).toEqual(["now"]);
      vi.advanceTimersByTime(60_000);
      await t.finishInProgressScheduledFunctions();
      expect(await t.query(api.list, {})).toEqual(["now", "later"]);
      expect(vi.getTimerCount()).toBe(0);
    });

    test("each timer starts its own function alone", async () => {
      useFakeTimers();
      const t = start();
      await t.mutation(api.chain, { left: 2 });
      for (const count of [2, 3, 3]) {
        vi.advanceTimersToNextTimer();
        for (let i = 0; i < 3; i++) await turn();
        expect(await t.query(api.list, {})).toHaveLength(count);
      }
    });

    test("everything scheduled is finished, with what that schedules", async () => {
      vi.useFakeTimers();
      const t = start();
      await t.mutation(api.chain, { left: 5 });
      await t.finishAllScheduledFunctions(vi.runAllTimers);
      expect(await t.query(api.list, {})).toHaveLength(6);
    });

    test("also on the clock of the process", async () => {
      const t = start();
      await t.mutation(api.chain, { left: 3 });
      await vi.waitFor(async () => expect(await t.query(api.list, {})).toHaveLength(4));
      await t.finishInProgressScheduledFunctions();
    });

    test("a loop of scheduled functions without end is given up", async () => {
      vi.useFakeTimers();
      const t = start();
      await t.mutation(api.chain, { left: 1_000 });
      await expect(t.finishAllScheduledFunctions(vi.runAllTimers, 5)).rejects.toThrow("too many iterations");
    });

    test("jobs are rows of the scheduler, with their states", async () => {
      useFakeTimers();
      vi.spyOn(console, "error").mockImplementation(() => undefined);
      const t = start();
      const jobs = async () =>
        await t
          .run(async ({ db }) => await db.system.query("_scheduled_functions").collect())
          .then((all) =>
            all.map(({ name, args, scheduledTime, state }) => [
              name.replace(".js:", ":"),
              args[0] as unknown,
              scheduledTime,
              state.kind,
            ]),
          );
      await t.mutation(api.later, { text: "a", ms: 1_000 });
      expect(await jobs()).toEqual([["notes:add", { text: "a" }, START + 1_000, "pending"]]);
      const failing = await t.run(
        async ({ scheduler }) => await scheduler.runAfter(1_000, api.fail, { data: null, afterInsert: true }),
      );
      const canceled = await t.run(async ({ scheduler }) => await scheduler.runAfter(1_000, api.add, { text: "b" }));
      await t.run(async ({ scheduler }) => await scheduler.cancel(canceled));
      vi.advanceTimersByTime(1_000);
      await t.finishInProgressScheduledFunctions();
      expect((await jobs()).map((job) => job[3])).toEqual(["success", "failed", "canceled"]);
      expect(await t.run(async ({ db }) => (await db.system.get(failing))?.state.kind)).toBe("failed");
      expect(await t.query(api.list, {})).toEqual(["a"]);
      // As a test may pretend that Convex did.
      await t.run(async ({ db }) => await db.patch(failing as never, { state: { kind: "pending" } } as never));
      expect((await jobs())[1]?.[3]).toBe("pending");
    });

    test("an action sets timers while its mutation, which may not, is running", async () => {
      useFakeTimers();
      const t = start();
      const sleeping = t.action(api.sleepy, { ms: 5_000 });
      for (let i = 0; i < 3; i++) await turn();
      expect(vi.getTimerCount()).toBe(1);
      vi.advanceTimersByTime(5_000);
      expect(await sleeping).toBe("no timers here");
    });

    test("what a call assigns to globals is its own", async () => {
      const t = start();
      const { fetch } = globalThis;
      const [seen] = await Promise.all([
        t.action(async () => {
          globalThis.fetch = () => Promise.reject(new Error("mine"));
          await turn();
          return await globalThis.fetch("http://nowhere.test").catch((error: unknown) => (error as Error).message);
        }),
        t.action(async () => {
          await turn();
          expect(globalThis.fetch).toBe(fetch);
          return null;
        }),
      ]);
      expect(seen).toBe("mine");
      expect(globalThis.fetch).toBe(fetch);
    });
  });

  describe("around a call", () => {
    test("is an identity, which does not reach scheduled functions or other callers", async () => {
      const t = start();
      const user = t.withIdentity({ subject: "ada", team: "acme" });
      const identity = { subject: "ada", team: "acme", issuer: "https://convex.test" };
      expect(await user.query(api.who, {})).toMatchObject({
        ...identity,
        tokenIdentifier: "https://convex.test|ada",
      });
      expect(await user.action(async (ctx) => await ctx.runQuery(api.who, {}))).toMatchObject(identity);
      expect(await t.query(api.who, {})).toBeNull();
      const named = { name: "Ada" };
      const [one, two] = [
        await t.withIdentity(named).query(api.who, {}),
        await t.withIdentity(named).query(api.who, {}),
      ];
      expect(one).toMatchObject({ subject: expect.any(String) as string });
      expect(one).toEqual(two);
    });

    test("is a request with an address and an agent", async () => {
      const t = start();
      const nobody = { ip: null, userAgent: null, scheduledFunctionId: null };
      expect(await t.mutation(api.request, {})).toEqual(nobody);
      const there = t.withRequestMetadata({ ip: "192.0.2.1", userAgent: "a test" }).withIdentity({ subject: "ada" });
      expect(await there.mutation(api.request, {})).toEqual({ ...nobody, ip: "192.0.2.1", userAgent: "a test" });
    });
  });

  test("HTTP actions are found by the router and call functions", async () => {
    const t = start();
    const made = await t.fetch("/notes?x=1", { method: "POST", body: "a" });
    expect([made.status, await made.json()]).toEqual([201, ["a"]]);
    expect((await t.fetch("/notes")).status).toBe(404);
    await expect(t.fetch("notes")).rejects.toThrow("start with");
  });

  test("files are stored by actions and by code of the test, and are gone when they are deleted", async () => {
    const t = start();
    const id = await t.action(api.keep, { text: "hello" });
    expect(await t.action(api.read, { id })).toBe("hello");
    expect(await t.run(async ({ storage }) => await storage.getUrl(id))).toMatch(/^https:/);
    const [own, text] = (await t.run(async ({ storage }) => {
      const stored = await storage.store(new Blob(["mine"]));
      return [stored, (await (await storage.get(stored))?.text()) ?? ""] as const;
    })) as [string, string];
    expect(text).toBe("mine");
    expect(await t.action(api.read, { id: own })).toBe("mine");
    await t.run(async ({ storage }) => await storage.delete(id as never));
    expect(await t.action(api.read, { id })).toBeNull();
    expect(await t.run(async ({ storage }) => await storage.getUrl(id))).toBeNull();
  });

  test("two deployments in one process do not see each other", async () => {
    const [one, two] = [start(), start()];
    await Promise.all([one.action(api.relay, { texts: ["a", "b"] }), two.action(api.relay, { texts: ["c"] })]);
    expect([await one.query(api.list, {}), await two.query(api.list, {})]).toEqual([["a", "b"], ["c"]]);
  });
}
