/**
 * Processes that freeze at every await, are taken for dead and replaced, and wake up when all is over. Whatever they do
 * then, not a row of the component changes.
 */
import { beforeAll, expect, test } from "vitest";
import {
  expectWhole,
  hasStarted,
  isCall,
  isEffect,
  rowsNaming,
  startMeasuredWorld,
  startsNode,
  strikeAt,
} from "../../support/faultChecks.js";
import type { Tables, World } from "../../support/faults.js";
import { preload, runUntil, settle } from "../../support/harness.js";
import type { Held, When } from "../../support/stretchProcess.js";
import { HOUR, MINUTE } from "../../../src/shared/limits.js";

beforeAll(preload);

/** What a late write would change. The shard's loop keeps the time, and at-least-once calls may come again. */
function durable(tables: Tables): Tables {
  const moves = (name: string) => name === "calls" || /\/workpool\//.test(name);
  return Object.fromEntries(Object.entries(tables).filter(([name]) => !moves(name)));
}

test.for<When>(["before", "after"])("frozen %s every await", { timeout: 120_000 }, async (when) => {
  const { world, clean, awaits } = await startMeasuredWorld();
  const ids = await strikeAt(world, awaits, when, "freeze");
  await world.untilEnded(...ids);
  await world.elapse(3 * MINUTE);
  const tables = await world.tables();
  for (const id of [clean, ...ids]) expectWhole(tables, id);
  const before = durable(tables);

  const mark = world.points.length;
  for (const { release } of world.held) release();
  await world.elapse(10 * MINUTE);
  // The calls it was about to make are made; after that it finds out.
  for (const { point, process } of world.held) {
    const later = world.points.slice(mark).filter(({ execution }) => execution === point.execution);
    const underWay = (hasStarted(point) ? 1 : 0) + process.madeFrozen.filter((name) => startsNode({ name })).length;
    expect([point, later.filter(startsNode).slice(underWay)]).toEqual([point, []]);
  }
  expect(durable(await world.tables())).toEqual(before);
  for (const { process } of world.held) {
    // One that froze at its last checkpoint had concluded; every other one was told that it is replaced.
    expect(["stale", "park", "succeeded"]).toContain((process.end as { returned: unknown }).returned);
    expect(process.left).toEqual({ openCalls: 0, openFetches: 0, openBodies: 0, listeners: 0, timers: 0 });
  }
});

/** What is recorded of one execution, and what its mutations did. */
async function recorded(world: World, id: string): Promise<Tables> {
  const tables = durable(await world.tables("", "shardflow"));
  const effects = (tables.effects ?? []).filter(({ key }) => String(key).startsWith(id));
  return { ...rowsNaming(tables, [id]), effects };
}

/** Lets a zombie do all it can at this very moment; nothing of its execution may change. */
async function wake(world: World, { point, release }: Held): Promise<void> {
  const before = await recorded(world, point.execution);
  release();
  await settle(50);
  expect([point, await recorded(world, point.execution)]).toEqual([point, before]);
}

test("woken between the loss of its lease and the next claim", { timeout: 120_000 }, async () => {
  const { world, clean, awaits } = await startMeasuredWorld();
  const ids = await strikeAt(world, awaits.filter(isCall), "before", "freeze");
  const frozen = new Map(world.held.map((held) => [held.point.execution, held]));
  await runUntil(async () => {
    for (const { executionId, kind } of await world.rows("shardflow/waits")) {
      const zombie = frozen.get(String(executionId));
      if (kind !== "crash" || zombie === undefined) continue;
      frozen.delete(String(executionId));
      await wake(world, zombie);
    }
    return frozen.size === 0;
  }, HOUR);
  await world.untilEnded(...ids);
  await world.elapse(3 * MINUTE);
  const tables = await world.tables();
  for (const id of [clean, ...ids]) expectWhole(tables, id);
});

test("woken while its successor is in flight, and has not written yet", { timeout: 120_000 }, async () => {
  const { world, clean, awaits } = await startMeasuredWorld();
  const ids = await strikeAt(world, awaits.filter(isEffect), "before", "freeze");
  const zombies = world.held.splice(0);
  const succeeded = new Set<string>();
  world.stopAt(({ execution, name }, when) => {
    const isFirst = startsNode({ name }) || /^checkpoint:c/.test(name);
    if (when === "after" || succeeded.has(execution) || !isFirst) return null;
    succeeded.add(execution);
    return "hold";
  });
  let woken = 0;
  await runUntil(async () => {
    for (const successor of world.held.splice(0)) {
      await wake(
        world,
        zombies.find(({ point }) => point.execution === successor.point.execution)!,
      );
      successor.release();
      woken++;
    }
    return woken === zombies.length;
  }, HOUR);
  await world.untilEnded(...ids);
  await world.elapse(3 * MINUTE);
  const tables = await world.tables();
  for (const id of [clean, ...ids]) expectWhole(tables, id);
});
