/**
 * Replies that never arrive: every call of a stretch is made and answered with an error, or fails before it is made.
 * The stretch cannot tell the two apart, and must record each node once and commit each mutation once all the same.
 */
import { beforeAll, test } from "vitest";
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
  const ids = await strikeAt(world, awaits.filter(isCall), "before", "fail");
  await world.untilEnded(...ids);
  await world.untilQuiet();
  const tables = await world.tables();
  for (const id of [clean, ...ids]) expectWhole(tables, id);
  await expectCleansUp(world, [clean, ...ids]);
});

test("every call is made, and its reply is lost", { timeout: 120_000 }, async () => {
  const { world, clean, awaits } = await startMeasuredWorld();
  const ids = await strikeAt(world, awaits.filter(isEffect), "after", "fail");
  await world.untilEnded(...ids);
  await world.untilQuiet();
  const tables = await world.tables();
  for (const id of [clean, ...ids]) expectWhole(tables, id);
  await expectCleansUp(world, [clean, ...ids]);
});
