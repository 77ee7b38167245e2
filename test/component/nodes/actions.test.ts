/** Action nodes on the real component: queries, mutations and actions of an app. */
import { beforeAll, describe, expect, test } from "vitest";
import type { Json, JsonObject } from "../../../src/shared/json.js";
import type { Nodes } from "../../support/flows.js";
import { api, runUntil } from "../../support/harness.js";
import { preload, START, startWorld } from "../../support/hosts/nodes/world.js";

beforeAll(preload);

const MINUTE = 60_000;
const call = (action: string, args: JsonObject, rest: object = {}): Nodes => ({
  call: { type: "action", action, args, next: { success: "end", failure: "caught" }, ...rest },
  caught: { type: "output", value: { caught: "{{ nodes.call.error }}" } },
  end: { type: "output", value: "{{ nodes.call.output }}" },
});

test.each(["readEcho", "writeEcho", "actEcho"])("%s gets its arguments and hands on its result", async (fn) => {
  const world = await startWorld();
  const args = {
    n: "{{ input.n }}",
    text: "<{{ input.n }}>",
    list: [1, "{{ [input.n] }}"],
    deep: { none: null, _a: true },
  };
  const id = await world.run(call(fn, args), { n: 7 });
  expect(await world.resultOf(id)).toEqual({ n: 7, text: "<7>", list: [1, [7]], deep: { none: null, _a: true } });
});

test("nothing returned is null", async () => {
  const world = await startWorld();
  expect(await world.resultOf(await world.run(call("actNothing", {})))).toBeNull();
});

describe("what is thrown", () => {
  test.each(["readTrouble", "writeTrouble", "actFlaky"])(
    "by %s leaves through failure, with its message",
    async (fn) => {
      const world = await startWorld();
      const id = await world.run(call(fn, { throws: "the card was declined", times: 1 }));
      expect(await world.resultOf(id)).toMatchObject({
        caught: { code: "ACTION_FAILED", class: "app", cause: { message: "the card was declined" } },
      });
      expect(await world.runOf(id, "call")).toMatchObject({ status: "failed", port: "failure", attempt: 1 });
    },
  );

  test.each(["readTrouble", "writeTrouble", "actFlaky"])("by %s with data keeps the data", async (fn) => {
    const world = await startWorld();
    const data = { code: "DECLINED", retryable: false, why: { bank: ["no", 1] } };
    const id = await world.run(call(fn, { data, times: 9 }, { retry: { maxAttempts: 5, initialMs: 0 } }));
    expect(await world.resultOf(id)).toMatchObject({ caught: { cause: { code: "DECLINED", data } } });
    // The app said that trying again is no use.
    expect(await world.runOf(id, "call")).toMatchObject({ attempt: 1, error: { retryable: false } });
  });

  test("by a mutation takes back what it wrote; what was recorded before it is kept", async () => {
    const world = await startWorld();
    const id = await world.run({
      keep: { type: "set", values: { a: 1 }, next: { success: "first" } },
      first: { type: "action", action: "writeEcho", args: { n: 1 }, next: { success: "fails" } },
      fails: { type: "action", action: "writeTrouble", args: { n: 2 }, next: { failure: "last" } },
      last: { type: "action", action: "writeEcho", args: { n: 3 } },
    });
    expect((await world.calls()).map(({ fn, args }) => [fn, args.n])).toEqual([
      ["writeEcho", 1],
      ["writeEcho", 3],
    ]);
    const runs = await world.runsOf(id);
    expect(runs.map(({ key, status }) => [key, status])).toEqual([
      ["start", "succeeded"],
      ["keep", "succeeded"],
      ["first", "succeeded"],
      ["fails", "failed"],
      ["last", "succeeded"],
    ]);
  });
});

describe("a result that cannot be stored", () => {
  test.each([
    [{ odd: "bigint" }, "VALUE_NOT_JSON"],
    [{ odd: "nan" }, "VALUE_NOT_JSON"],
    [{ odd: "bytes" }, "VALUE_NOT_JSON"],
    [{ size: 4 * 1024 * 1024 }, "VALUE_TOO_LARGE"],
  ])("%j is a typed error", async (args, code) => {
    const world = await startWorld();
    const id = await world.run(call("readOdd", args));
    expect(await world.resultOf(id)).toMatchObject({ caught: { code } });
  });
});

describe("a function that is not bound", () => {
  test("is waited for; the node goes on after sync", async () => {
    const world = await startWorld();
    await world.bind([{ name: "app.new", kind: "action", fn: "actEcho" }]);
    await world.publish({
      name: "flow",
      nodes: { start: { type: "trigger", next: { success: "call" } }, ...call("app.new", { n: 1 }) },
    });
    // A deploy that leaves the action out.
    const { bindings } = api;
    const all = await world.t.query(bindings.list, {});
    await world.t.mutation(bindings.sync, { bindings: all.filter(({ name }) => name !== "app.new"), prune: true });
    const id = await world.start("flow");
    await runUntil(async () => (await world.status(id)).status === "waiting");
    const waiting = await world.describe(id);
    expect(waiting).toMatchObject({ wait: { kind: "retry", node: "call" }, places: [{ key: "call", attempt: 1 }] });
    expect(waiting.wait?.wakeAt).toBeGreaterThanOrEqual(START + 10_000);

    await runUntil(() => Date.now() > START + 3 * MINUTE);
    expect((await world.status(id)).endedAt).toBeUndefined();
    await world.t.mutation(bindings.sync, { bindings: all });
    await world.untilEnded(id);
    expect(await world.resultOf(id)).toEqual({ n: 1 });
    expect(await world.runOf(id, "call")).toMatchObject({ attempt: 1, failures: [] });
  });

  test("that stays away fails the node after about half an hour", async () => {
    const world = await startWorld();
    // A handle that leads nowhere: Convex makes none for a function that is not there.
    const handle = "function://;functions:gone";
    await world.t.mutation(api.bindings.sync, { bindings: [{ name: "app.gone", kind: "mutation", handle }] });
    const id = await world.run(call("app.gone", {}));
    expect(await world.resultOf(id)).toMatchObject({ caught: { code: "ACTION_UNBOUND", class: "unavailable" } });
    expect(Date.now() - START).toBeGreaterThan(20 * MINUTE);
  });
});

test.each<[kind: "query" | "mutation" | "action", fn: string]>([
  ["query", "writeEcho"],
  ["query", "actEcho"],
  ["mutation", "readEcho"],
  ["mutation", "actEcho"],
  ["action", "readEcho"],
  ["action", "writeEcho"],
])("a function bound as a %s that is %s fails at once, and is not tried again", async (kind, fn) => {
  const world = await startWorld();
  await world.bind([{ name: "app.odd", kind, fn }]);
  const id = await world.run(
    call("app.odd", {}, { retry: { maxAttempts: 5, initialMs: 0, on: ["app", "input", "unavailable"] } }),
  );
  const { caught } = (await world.resultOf(id)) as { caught: JsonObject };
  expect(caught.code).toBe("ACTION_KIND_MISMATCH");
  expect(await world.runOf(id, "call")).toMatchObject({ attempt: 1 });
  expect(await world.calls()).toEqual([]);
});

test("arguments that Convex would refuse never reach it", async () => {
  const world = await startWorld();
  const refused: Json[] = [{ $key: 1 }, { größe: 1 }, Array.from({ length: 8_193 }, () => 0)];
  for (const fn of ["readEcho", "writeEcho", "actEcho"]) {
    for (const input of refused) {
      const id = await world.run(call(fn, { value: "{{ input }}" }), input);
      expect(await world.resultOf(id)).toMatchObject({ caught: { code: "VALUE_NOT_CONVEX" } });
    }
  }
  expect(await world.calls()).toEqual([]);
});
