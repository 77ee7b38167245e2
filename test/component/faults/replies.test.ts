/**
 * Replies that never arrive: every call of a stretch is made and answered with an error, or fails before it is made.
 * The stretch cannot tell the two apart, and must record each node once and commit each mutation once all the same.
 */
import { beforeAll, expect, test } from "vitest";
import {
  expectCleansUp,
  expectWhole,
  isCall,
  isEffect,
  startMeasuredWorld,
  strikeAt,
} from "../../support/faultChecks.js";
import { preload } from "../../support/harness.js";

beforeAll(preload);

test("every call fails before it is made", { timeout: 120_000 }, async () => {
  const { world, clean, awaits } = await startMeasuredWorld();
  const calls = awaits.filter(isCall);
  const ids = await strikeAt(world, calls, "before", "fail");
  await world.untilEnded(...ids);
  await world.untilQuiet();
  const tables = await world.tables();
  for (const id of [clean, ...ids]) expectWhole(tables, id);
  // Only a stretch that cannot load anything ends; every other call is made again.
  const atLoad = ids.filter((_, i) => /^load:/.test(calls[i]!.name));
  expect((tables["shardflow/events"] ?? []).map(({ executionId }) => executionId).sort()).toEqual(atLoad.sort());
  await expectCleansUp(world, [clean, ...ids]);
});

test("every call is made, and its reply is lost", { timeout: 120_000 }, async () => {
  const { world, clean, awaits } = await startMeasuredWorld();
  const ids = await strikeAt(world, awaits.filter(isEffect), "after", "fail");
  await world.untilEnded(...ids);
  await world.untilQuiet();
  const tables = await world.tables();
  for (const id of [clean, ...ids]) expectWhole(tables, id);
  // What has been written is found written: no stretch ends over it.
  expect(tables["shardflow/events"]).toBeUndefined();
  await expectCleansUp(world, [clean, ...ids]);
});
