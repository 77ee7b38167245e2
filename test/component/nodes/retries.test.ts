/** Attempts on the real component: backoff in the stretch and in the database, and what is kept of each attempt. */
import { beforeAll, describe, expect, test, vi } from "vitest";
import type { JsonObject } from "../../../src/shared/json.js";
import type { Nodes } from "../../support/flows.js";
import { runUntil } from "../../support/harness.js";
import { preload, START, startWorld } from "../../support/hosts/nodes/world.js";

beforeAll(preload);

const tried = (action: string, args: JsonObject, retry: object, rest: object = {}): Nodes => ({
  call: { type: "action", action, args, retry, ...rest, next: { success: "end" } },
  end: { type: "output", value: "{{ nodes.call.output }}" },
});

test("a short backoff is slept in the stretch", async () => {
  const world = await startWorld();
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  const id = await world.run(tried("actFlaky", { times: 2 }, { maxAttempts: 3, initialMs: 2_000, factor: 2 }));
  expect(await world.resultOf(id)).toBe(3);
  const { leaseEpoch, events } = await world.describe(id);
  // One stretch from start to end.
  expect(leaseEpoch).toBe(1);
  expect(events).toEqual([]);
  const at = (await world.calls()).map((one) => one.at - START);
  expect(at[1]! - at[0]!).toBe(1_000);
  expect(at[2]! - at[1]!).toBe(2_000);
});

test("a long backoff is waited for in the database, with nothing running", async () => {
  const world = await startWorld();
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  const nodes = tried("actFlaky", { times: 1 }, { maxAttempts: 2, initialMs: 3_600_000, maxMs: 3_600_000 });
  await world.publish({ name: "flow", nodes: { start: { type: "trigger", next: { success: "call" } }, ...nodes } });
  const id = await world.start("flow");
  await runUntil(async () => (await world.status(id)).status === "waiting");

  const described = await world.describe(id);
  const wakeAt = described.places[0]?.notBefore ?? 0;
  expect(wakeAt - START).toBeGreaterThanOrEqual(1_800_000);
  expect(described).toMatchObject({
    status: "waiting",
    wait: { kind: "retry", node: "call", wakeAt },
    places: [{ key: "call", node: "call", attempt: 2, notBefore: wakeAt }],
  });
  expect(described.wait?.reason).toContain("ACTION_FAILED");
  expect(described.task).toBeUndefined();
  // Neither a task nor a workflow is held meanwhile.
  const held = async () =>
    Object.keys(await world.counts()).filter((table) => /\/(tasks|workflows|steps|work|pendingStart)$/.test(table));
  await runUntil(async () => (await held()).length === 0);
  expect(Date.now()).toBeLessThan(wakeAt);
  expect((await world.counts())["shardflow/waits"]).toBe(1);

  await world.untilEnded(id);
  expect(await world.resultOf(id)).toBe(2);
  expect((await world.calls())[1]!.at).toBeGreaterThanOrEqual(wakeAt);
  expect((await world.describe(id)).wait).toBeUndefined();
});

test("each attempt is kept: which, why, when, and with what error", async () => {
  const world = await startWorld();
  const id = await world.run(tried("actFlaky", { times: 3 }, { maxAttempts: 5, initialMs: 100 }));
  const run = await world.runOf(id, "call");
  expect(run).toMatchObject({ status: "succeeded", attempt: 4 });
  expect(run.failures.map(({ attempt, kind, error }) => [attempt, kind, error.code, error.message])).toEqual([
    [1, "initial", "ACTION_FAILED", '"actFlaky" threw: not yet, 1'],
    [2, "retry", "ACTION_FAILED", '"actFlaky" threw: not yet, 2'],
    [3, "retry", "ACTION_FAILED", '"actFlaky" threw: not yet, 3'],
  ]);
  const times = [...run.failures, run].flatMap(({ startedAt, endedAt }) => [startedAt, endedAt]);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
});

test("all attempts may fail; the last error is the node's, and the execution's", async () => {
  const world = await startWorld();
  const id = await world.run(tried("actFlaky", { times: 9 }, { maxAttempts: 3, initialMs: 0 }));
  expect(await world.status(id)).toMatchObject({
    status: "failed",
    error: { code: "ACTION_FAILED", node: "call", message: '"actFlaky" threw: not yet, 3' },
    lastError: 'ACTION_FAILED at call: "actFlaky" threw: not yet, 3',
  });
  const run = await world.runOf(id, "call");
  expect(run).toMatchObject({ status: "failed", attempt: 3 });
  expect(run.port).toBeUndefined();
  expect(run.failures).toHaveLength(2);
});

describe("a mutation that fails at first", () => {
  test("writes nothing with its failures, and once with its success", async () => {
    const world = await startWorld();
    const id = await world.run({
      call: {
        type: "action",
        action: "writeTrouble",
        args: { throws: "no" },
        retry: { maxAttempts: 4, initialMs: 10 },
      },
    });
    expect((await world.status(id)).status).toBe("failed");
    expect(await world.runOf(id, "call")).toMatchObject({ attempt: 4 });
    expect(await world.calls()).toEqual([]);
  });
});

test("a node that takes too long is given up and tried again", async () => {
  const world = await startWorld();
  const nodes = tried("actSlowOnce", { ms: 90_000 }, { maxAttempts: 2, initialMs: 0 }, { timeoutMs: 5_000 });
  const id = await world.run(nodes);
  expect(await world.resultOf(id)).toBe(2);
  const run = await world.runOf(id, "call");
  expect(run).toMatchObject({ attempt: 2, failures: [{ error: { code: "NODE_TIMEOUT", class: "timeout" } }] });
  // It was not waited for.
  expect((await world.status(id)).endedAt! - START).toBeLessThan(30_000);
  // And when it came back at last, nothing happened.
  await world.untilQuiet();
  expect((await world.runsOf(id)).filter(({ key }) => key === "call")).toHaveLength(1);
});

test("the app's own wish for a delay is obeyed", async () => {
  const world = await startWorld();
  const args = { times: 1, data: { retryAfterMs: 40_000 } };
  const id = await world.run(tried("actFlaky", args, { maxAttempts: 2, initialMs: 0 }));
  expect(await world.resultOf(id)).toBe(2);
  const [first, second] = await world.calls();
  expect(second!.at - first!.at).toBeGreaterThanOrEqual(40_000);
  expect(second!.at - first!.at).toBeLessThan(60_000);
});
