/**
 * The fences one by one, asked directly: a write, a look or a chain that is not the newest one changes nothing.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { MINUTE, SECOND, START_LEASE_MS } from "../../../src/shared/limits.js";
import { startWorld, type Row, type World } from "../../support/faults.js";
import { preload, runUntil } from "../../support/harness.js";
import { flaky, notify } from "../../support/hosts/faults/flows.js";

beforeAll(preload);

const FLOW = {
  name: "flow",
  nodes: {
    start: { type: "trigger", next: { success: "first" } },
    first: notify("second"),
    second: notify("end"),
    end: { type: "output", value: "done" },
  },
};

/** An execution whose stretch has written once and is in flight at its second node. */
async function startInFlight() {
  const world = await startWorld();
  await world.publish(FLOW);
  let calls = 0;
  world.stopAt(({ name }, when) => (name === "functions:notify" && when === "before" && ++calls === 2 ? "hold" : null));
  const id = await world.start("flow", null);
  await world.untilHeld();
  const [position] = await world.rows("shardflow/positions");
  const [task] = await world.rows("shardflow/tasks");
  const leaseEpoch = Number(position!.leaseEpoch);
  const fence = { executionId: id, positionId: position!._id, taskId: task!._id, leaseEpoch };
  const write = async (change: { leaseEpoch?: number; seq?: number; flushId?: string }) =>
    await world.internal("checkpoint:checkpoint", {
      fence: { ...fence, leaseEpoch: change.leaseEpoch ?? leaseEpoch },
      progress: {
        seq: change.seq ?? Number(position!.lastSeq) + 1,
        flushId: change.flushId ?? "another flush",
        runs: [RUN],
        position: (position!.position as { json: string }).json,
        variables: [JSON.stringify({ writer: "", values: { written: true } })],
        payloads: [{ name: "late", text: "1" }],
        passEnds: [],
      },
    });
  return { world, id, position: position!, task: task!, leaseEpoch, fence, write };
}

const RUN = { key: "late", node: "first", type: "action", status: "succeeded", attempt: 1, startedAt: 0, endedAt: 0 };

/** All rows but those that only say whether a shard's loops are alive. */
async function rowsOf(world: World): Promise<Record<string, Row[]>> {
  const tables = Object.entries(await world.tables());
  return Object.fromEntries(tables.filter(([name]) => /^shardflow\/(?!executors)\w+$/.test(name)));
}

describe("a checkpoint", () => {
  test("of an older or a newer lease epoch is stale", async () => {
    const { world, leaseEpoch, write } = await startInFlight();
    const before = await rowsOf(world);
    expect(await write({ leaseEpoch: leaseEpoch - 1 })).toEqual({ kind: "stale" });
    expect(await write({ leaseEpoch: leaseEpoch + 1 })).toEqual({ kind: "stale" });
    expect(await rowsOf(world)).toEqual(before);
  });

  test("with a sequence number that is taken, or leaves a gap, is a conflict", async () => {
    const { world, position, write } = await startInFlight();
    const before = await rowsOf(world);
    const lastSeq = Number(position.lastSeq);
    expect(lastSeq).toBeGreaterThan(0);
    for (const seq of [lastSeq, lastSeq + 2, 0, NaN]) expect(await write({ seq })).toEqual({ kind: "conflict" });
    expect(await rowsOf(world)).toEqual(before);
  });

  test("that arrives again is answered, and written once", async () => {
    const { world, position, write } = await startInFlight();
    const before = await rowsOf(world);
    const again = { seq: Number(position.lastSeq), flushId: String(position.lastFlushId) };
    expect(await write(again)).toEqual({ kind: "repeated" });
    expect(await rowsOf(world)).toEqual(before);
    expect(await write({})).toEqual({ kind: "applied" });
    expect(await write({})).toEqual({ kind: "repeated" });
    expect((await world.rows("shardflow/nodeRuns")).filter(({ key }) => key === "late")).toHaveLength(1);
  });

  test("after a cancel is refused", async () => {
    const { world, id, write } = await startInFlight();
    await world.cancel(id);
    const before = await rowsOf(world);
    expect(await write({})).toEqual({ kind: "canceled" });
    expect(await rowsOf(world)).toEqual(before);
  });

  test("after the end is stale, whatever its sequence number", async () => {
    const { world, id, fence, write } = await startInFlight();
    world.held[0]!.release();
    await world.untilEnded(id);
    await world.untilQuiet();
    const [position] = await world.rows("shardflow/positions");
    expect(position).toMatchObject({ ended: true, leaseEpoch: fence.leaseEpoch });
    const before = await rowsOf(world);
    expect(await write({ seq: Number(position!.lastSeq) + 1 })).toEqual({ kind: "stale" });
    expect(await rowsOf(world)).toEqual(before);
  });
});

test("an owner of an older lease epoch is told so, cannot renew and is given nothing to run", async () => {
  const { world, fence, leaseEpoch } = await startInFlight();
  const before = await rowsOf(world);
  await world.elapse(SECOND);
  for (const old of [leaseEpoch - 1, leaseEpoch + 1]) {
    const stale = { fence: { ...fence, leaseEpoch: old } };
    expect(await world.ask("checkpoint:isOwner", stale)).toBe(false);
    expect(await world.internal("checkpoint:renew", stale)).toBe(false);
    expect(await world.ask("load:stretch", stale)).toBeNull();
  }
  expect(await rowsOf(world)).toEqual(before);
  expect(await world.ask("checkpoint:isOwner", { fence })).toBe(true);
  expect(await world.internal("checkpoint:renew", { fence })).toBe(true);
  expect(await world.rows("shardflow/positions")).toMatchObject([{ renewedAt: Date.now() }]);
});

test("a canceled owner is told so, and cannot renew", async () => {
  const { world, id, fence } = await startInFlight();
  await world.cancel(id);
  const before = await rowsOf(world);
  await world.elapse(SECOND);
  expect(await world.ask("checkpoint:isOwner", { fence })).toBe(false);
  expect(await world.internal("checkpoint:renew", { fence })).toBe(false);
  expect(await world.ask("load:stretch", { fence })).toBeNull();
  expect((await rowsOf(world))["shardflow/positions"]).toEqual(before["shardflow/positions"]);
});

test("a task that is claimed cannot be claimed again", async () => {
  const { world, task } = await startInFlight();
  const before = await rowsOf(world);
  expect(await world.internal("pump:claim", { taskId: task._id, inFlight: 0, capacity: 10 })).toBeNull();
  expect(await rowsOf(world)).toEqual(before);
});

test("a wake that comes twice queues one stretch", async () => {
  const world = await startWorld();
  await world.publish({
    name: "flow",
    nodes: {
      start: { type: "trigger", next: { success: "late" } },
      late: flaky(60_000, "end"),
      end: { type: "output", value: 1 },
    },
  });
  const id = await world.start("flow", null);
  await runUntil(async () => (await world.rows("shardflow/waits")).length === 1);
  const [wait] = await world.rows("shardflow/waits");
  for (let i = 0; i < 2; i++) await world.internal("wake:wake", { waitId: wait!._id });
  expect(await world.rows("shardflow/tasks")).toMatchObject([{ executionId: id, state: "queued" }]);
  await world.untilEnded(id);
  expect(await world.rows("calls")).toHaveLength(2);
});

test("a pump of an older generation claims nothing", async () => {
  const world = await startWorld();
  await world.publish(FLOW);
  await world.start("flow", null);
  const [task] = await world.rows("shardflow/tasks");
  const shardIndex = Number(task!.shardIndex);
  await world.within("shardflow", async ({ db }) => {
    await db.insert("executors", { shardIndex, running: true, generation: 2, watching: false, watchGeneration: 0 });
  });
  const before = await world.tables();
  await world.internal("pump:pump", { shardIndex, generation: 1, idleSince: null });
  expect(await world.tables()).toEqual(before);
  await world.internal("pump:pump", { shardIndex, generation: 2, idleSince: null });
  expect(await world.rows("shardflow/tasks")).toMatchObject([{ state: "claimed" }]);
});

test("a watchdog of an older generation takes nobody for dead", async () => {
  const { world, task } = await startInFlight();
  const [executor] = await world.rows("shardflow/executors");
  const shardIndex = Number(task.shardIndex);
  const watchGeneration = Number(executor!.watchGeneration);
  world.passTime(START_LEASE_MS + MINUTE);
  const before = await world.tables();
  await world.internal("watch:watch", { shardIndex, watchGeneration: watchGeneration - 1 });
  expect(await world.tables()).toEqual(before);
  await world.internal("watch:watch", { shardIndex, watchGeneration });
  expect(await world.rows("shardflow/tasks")).toEqual([]);
});
