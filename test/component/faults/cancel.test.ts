/**
 * Cancel at every await of a flow, and in every state between stretches. After the cancel has committed no node starts,
 * not a row of the execution changes, and what is in flight is aborted or ignored.
 */
import { beforeAll, expect, test } from "vitest";
import { MINUTE, REAP_DELAY_MS, SECOND } from "../../../src/shared/limits.js";
import {
  CONTEXT,
  expectCleansUp,
  hasStarted,
  rowsOfExecutions,
  startEverything,
  startMeasuredWorld,
  startsNode,
  strikeAt,
} from "../../support/faultChecks.js";
import { startWorld, type Tables, type World } from "../../support/faults.js";
import { api, preload, runUntil } from "../../support/harness.js";
import { EVERYTHING, notify, record } from "../../support/hosts/faults/flows.js";
import type { When } from "../../support/stretchProcess.js";

beforeAll(preload);

const REASON = { reason: "no longer needed", requester: "a test" };
const NOTHING_LEFT = { openCalls: 0, openFetches: 0, openBodies: 0, listeners: 0, timers: 0 };

/** What is recorded of executions, and what their mutation nodes did. */
function recorded(tables: Tables): Tables {
  const own = ["executions", "executionData", "positions", "nodeRuns", "payloads", "tasks", "waits", "cancellations"];
  const names = [...own.map((name) => `shardflow/${name}`), "shardflow/events", "effects"];
  return Object.fromEntries(names.map((name) => [name, tables[name] ?? []]));
}

/** Cancels what has not ended; returns the ids of those. */
async function cancelAll(world: World, ids: string[]): Promise<string[]> {
  const canceled = [];
  for (const id of ids) {
    if (await world.hasEnded(id)) {
      await expect(world.cancel(id)).rejects.toMatchObject({ data: { code: "EXECUTION_ENDED" } });
    } else {
      await world.cancel(id);
      canceled.push(id);
    }
  }
  return canceled;
}

async function expectCanceled(world: World, ids: string[]): Promise<void> {
  const tables = await world.tables();
  for (const executionId of ids) {
    expect(await world.describe(executionId)).toMatchObject({ status: "canceled", canceled: REASON });
    const completions = (tables.completions ?? []).filter((row) => row.executionId === executionId);
    expect(completions).toMatchObject([{ status: "canceled", context: JSON.stringify(CONTEXT) }]);
    expect(JSON.parse(String(completions[0]?.result))).toEqual({ status: "canceled", ...REASON });
  }
  for (const table of ["tasks", "waits", "outbox"]) expect(tables[`shardflow/${table}`]).toBeUndefined();
}

test.for<When>(["before", "after"])("canceled %s every call has been made", { timeout: 120_000 }, async (when) => {
  const { world, clean, awaits } = await startMeasuredWorld();
  const ids = await strikeAt(world, awaits, when, "hold");
  const canceled = await cancelAll(world, ids);
  // Those that are held when their work is done have ended.
  expect(ids.length - canceled.length).toBeLessThan(5);
  const before = recorded(await world.tables());
  const mark = world.points.length;
  await world.elapse(SECOND);
  for (const { release } of world.held) release();
  await world.untilQuiet();

  for (const { point } of world.held) {
    const started = world.points.slice(mark).filter((next) => next.execution === point.execution && startsNode(next));
    expect([point, started.slice(hasStarted(point) ? 1 : 0)]).toEqual([point, []]);
  }
  expect(recorded(await world.tables())).toEqual(before);
  await expectCanceled(world, canceled);
  await expectCleansUp(world, [clean, ...ids]);
});

test("canceled while every kind of node hangs: given up in seconds, and late replies are ignored", async () => {
  const { world, clean, awaits } = await startMeasuredWorld();
  const ids = await strikeAt(world, awaits.filter(startsNode), "after", "hold");
  expect(await cancelAll(world, ids)).toEqual(ids);
  const before = recorded(await world.tables());
  const mark = world.points.length;
  await runUntil(() => world.held.every(({ process }) => process.end !== null), 10 * SECOND);
  for (const { release } of world.held) release();
  await world.untilQuiet();
  expect(world.points.slice(mark).filter(startsNode)).toEqual([]);
  expect(recorded(await world.tables())).toEqual(before);
  await expectCanceled(world, ids);
  for (const { process } of world.held) expect(process.left).toEqual(NOTHING_LEFT);
  await expectCleansUp(world, [clean, ...ids]);
});

test("canceled before it was claimed", async () => {
  const world = await startWorld();
  await world.publish(EVERYTHING);
  const id = await startEverything(world);
  await world.cancel(id);
  await world.untilQuiet();
  expect(world.processes).toEqual([]);
  await expectCanceled(world, [id]);
  await expectCleansUp(world, [id]);
});

test("canceled in the queue of a shard that is full", async () => {
  const world = await startWorld();
  await world.t.mutation(api.admin.configure, { maxParallelism: 1 });
  await world.publish(EVERYTHING);
  world.stopAt(({ name }, when) => (name === "functions:notify" && when === "before" ? "hold" : null));
  const first = await world.start("everything", { word: "hi" }, { shardKey: "same" });
  await world.untilHeld();
  const onComplete = await world.handle("functions:completed");
  const context = JSON.stringify(CONTEXT);
  const id = await world.start("everything", { word: "hi" }, { shardKey: "same", onComplete, context });
  await world.elapse(SECOND);
  expect((await world.describe(id)).task).toMatchObject({
    state: "queued",
    refusal: { code: expect.any(String) as string },
  });
  await world.cancel(id);
  world.stopAt(() => null);
  world.held[0]!.release();
  await world.untilQuiet();
  expect((await world.describe(first)).status).toBe("succeeded");
  expect(world.pointsOf(id)).toEqual([]);
  await expectCanceled(world, [id]);
  await expectCleansUp(world, [first, id]);
});

test.for([
  { where: "parked until its next attempt", status: "waiting", parked: true, kind: "retry" },
  { where: "parked after a crash", status: "waiting", parked: true, kind: "crash" },
  { where: "asleep inside the stretch", status: "running", parked: false, kind: "" },
])("canceled $where", async ({ status, parked, kind }) => {
  const world = await startWorld();
  await world.publish(EVERYTHING);
  if (kind === "crash") {
    let loads = 0;
    world.stopAt(({ name }, when) => (name === "load:stretch" && when === "before" && loads++ === 0 ? "fail" : null));
  }
  if (!parked) {
    world.stopAt(({ kind }, when) =>
      kind === "timer" && when === "before" && world.held.length === 0 ? "hold" : null,
    );
  }
  const id = await startEverything(world);
  if (parked) await runUntil(async () => (await world.describe(id)).wait?.kind === kind);
  else await world.untilHeld();
  expect((await world.describe(id)).status).toBe(status);
  await world.cancel(id);
  const before = recorded(await world.tables());
  const mark = world.points.length;
  for (const { release } of world.held) release();
  await world.untilQuiet();
  expect(world.points.slice(mark).filter(startsNode)).toEqual([]);
  expect(recorded(await world.tables())).toEqual(before);
  await expectCanceled(world, [id]);
  await expectCleansUp(world, [id]);
});

test("a model call is aborted, and nothing of it stays open", async () => {
  const world = await startWorld();
  await world.publish(EVERYTHING);
  const signals: AbortSignal[] = [];
  world.answer(async ({ signal }) => {
    signals.push(signal);
    return await new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("aborted")), { once: true });
    });
  });
  const id = await startEverything(world);
  await runUntil(() => signals.length === 1);
  await world.cancel(id);
  await runUntil(() => signals[0]!.aborted, 10 * SECOND);
  await world.untilQuiet();
  expect(signals).toHaveLength(1);
  for (const process of world.processes) {
    expect(process.end).not.toBeNull();
    expect(process.left).toEqual(NOTHING_LEFT);
  }
  await expectCanceled(world, [id]);
});

test("the workflow of a canceled stretch that hangs is removed", async () => {
  const world = await startWorld();
  await world.publish(EVERYTHING);
  world.stopAt(({ kind }, when) => (kind === "begin" && when === "before" ? "kill" : null));
  const id = await startEverything(world);
  await runUntil(() => world.processes.length > 0);
  await world.cancel(id);
  await world.elapse(REAP_DELAY_MS + MINUTE);
  const left = Object.keys(rowsOfExecutions(await world.tables()));
  // Convex has not reported the death yet, so the workpool still counts the action as running.
  expect(left.filter((table) => /shard\d/.test(table)).map((table) => table.split("/").slice(2).join("/"))).toEqual([
    "workpool/internalState",
    "workpool/work",
  ]);
  await expectCleansUp(world, [id]);
});

test("a mutation that cancels its own execution is recorded, and nothing follows it", async () => {
  const world = await startWorld();
  await world.publish({
    name: "suicide",
    nodes: {
      start: { type: "trigger", next: { success: "stop" } },
      stop: {
        type: "action",
        action: "app.cancelSelf",
        args: { key: "{{ node.idempotencyKey }}", executionId: "{{ execution.id }}" },
        next: { success: "tell" },
      },
      tell: notify("save"),
      save: record("never", null),
    },
  });
  const id = await world.start("suicide", null);
  await world.untilEnded(id);
  await world.untilQuiet();
  const tables = await world.tables();
  expect(tables.effects).toMatchObject([{ key: `${id}:stop` }]);
  expect(tables["shardflow/nodeRuns"]?.map(({ key }) => key)).toEqual(["start", "stop"]);
  expect(tables.calls).toBeUndefined();
  expect(await world.describe(id)).toMatchObject({ status: "canceled", canceled: { requester: "itself" } });
  await expectCleansUp(world, [id]);
});
