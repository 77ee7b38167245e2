/**
 * The process of a stretch dies at every await, before the call and after it, and never settles. The watchdog, the
 * shard's workflow and the pump bring each execution to its one right end by themselves.
 */
import { beforeAll, expect, test } from "vitest";
import {
  expectCleansUp,
  expectWhole,
  isEffect,
  startEverything,
  startMeasuredWorld,
  strikeAt,
} from "../../support/faultChecks.js";
import { startWorld } from "../../support/faults.js";
import { preload, runUntil } from "../../support/harness.js";
import { EVERYTHING, flaky, notify } from "../../support/hosts/faults/flows.js";
import {
  LEASE_MS,
  MAX_CRASHES,
  MAX_NODE_TIMEOUT_MS,
  MINUTE,
  START_LEASE_MS,
  WATCH_INTERVAL_MS,
} from "../../../src/shared/limits.js";

beforeAll(preload);

test("the flow passes awaits of every kind", async () => {
  const { awaits } = await startMeasuredWorld();
  expect([...new Set(awaits.map(({ kind, name }) => `${kind} ${name}`))].sort()).toEqual([
    "action functions:flaky",
    "action functions:notify",
    "begin runStretch",
    "fetch api.openai.com",
    "mutation checkpoint:checkpoint",
    "mutation checkpoint:commitUserMutation",
    "query functions:lookup",
    "query load:input",
    "query load:runs",
    "query load:stretch",
    "return runStretch",
  ]);
});

test("killed before every await", { timeout: 120_000 }, async () => {
  const { world, clean, awaits } = await startMeasuredWorld();
  const ids = await strikeAt(world, awaits, "before", "kill");
  await world.untilEnded(...ids);
  await world.elapse(2 * MINUTE);
  const tables = await world.tables();
  for (const id of [clean, ...ids]) expectWhole(tables, id);
  await expectCleansUp(world, [clean, ...ids]);
});

test("killed after every call that changes something", { timeout: 120_000 }, async () => {
  const { world, clean, awaits } = await startMeasuredWorld();
  const ids = await strikeAt(world, awaits.filter(isEffect), "after", "kill");
  await world.untilEnded(...ids);
  await world.elapse(2 * MINUTE);
  const tables = await world.tables();
  for (const id of [clean, ...ids]) expectWhole(tables, id);
  await expectCleansUp(world, [clean, ...ids]);
});

test("killed while it waits for the next attempt", async () => {
  const world = await startWorld();
  await world.publish(EVERYTHING);
  let timers = 0;
  world.stopAt(({ kind }, when) => (kind === "timer" && when === "before" && timers++ === 0 ? "kill" : null));
  const id = await startEverything(world);
  await world.untilEnded(id);
  await world.elapse(2 * MINUTE);
  expect(timers).toBeGreaterThan(0);
  expectWhole(await world.tables(), id);
});

test("a stretch that has given a sign of life is missed after the lease", async () => {
  const { world, awaits } = await startMeasuredWorld();
  // By then the flow has slept, so its last checkpoint is later than the claim.
  const third = awaits.filter(({ name }) => name === "functions:flaky").slice(2, 3);
  const [id] = await strikeAt(world, third, "before", "kill");
  const reclaimed = async () => (await world.describe(id!)).events.length > 0;
  await runUntil(reclaimed, LEASE_MS + WATCH_INTERVAL_MS + MINUTE);
  const { events } = await world.describe(id!);
  expect(events).toMatchObject([{ type: "reclaimed", detail: expect.stringContaining("no sign of life") as string }]);
});

test("a stretch whose node takes longer than the lease is not missed", async () => {
  const world = await startWorld();
  await world.publish({
    name: "long",
    nodes: {
      // After its sleep the stretch has written later than it was claimed.
      start: { type: "trigger", next: { success: "sleep" } },
      sleep: flaky(1_000, "tell"),
      tell: { ...(notify("end") as object), timeoutMs: MAX_NODE_TIMEOUT_MS },
      end: { type: "output", value: "done" },
    },
  });
  world.stopAt(({ name }, when) => (name === "functions:notify" && when === "before" ? "hold" : null));
  const id = await world.start("long", null);
  const { release } = await world.untilHeld();
  await world.elapse(LEASE_MS + 1.5 * WATCH_INTERVAL_MS);
  release();
  await world.untilEnded(id);
  expect(await world.describe(id)).toMatchObject({ status: "succeeded", events: [] });
  expect((await world.rows("calls")).filter(({ node }) => node === "tell")).toHaveLength(1);
});

test("a stretch that may still wait in the workpool's queue is not taken for dead", async () => {
  const { world, awaits } = await startMeasuredWorld();
  const [id] = await strikeAt(world, awaits.slice(0, 1), "before", "kill");
  const startedAt = Date.now();
  const reclaimed = async () => (await world.describe(id!)).events.length > 0;
  await runUntil(reclaimed, START_LEASE_MS + 2 * WATCH_INTERVAL_MS);
  expect(Date.now() - startedAt).toBeGreaterThan(START_LEASE_MS);
  await world.untilEnded(id!);
  await world.elapse(MINUTE);
  expectWhole(await world.tables(), id!);
});

test("a death that Convex reports is made good by the shard's workpool, before the watchdog would", async () => {
  const { world, awaits } = await startMeasuredWorld();
  const [id] = await strikeAt(world, awaits.slice(0, 1), "before", "kill");
  const diedAt = Date.now();
  await world.reportDeaths();
  await world.untilEnded(id!);
  expect(Date.now() - diedAt).toBeLessThan(START_LEASE_MS);
  await world.untilQuiet();
  expectWhole(await world.tables(), id!);
  const { events } = await world.describe(id!);
  expect(events).toMatchObject([{ type: "reclaimed", detail: expect.stringContaining("the action died") as string }]);
});

test("an execution whose every stretch dies fails in the end, with the evidence", async () => {
  const world = await startWorld();
  await world.publish(EVERYTHING);
  world.stopAt(({ name }, when) => (name === "functions:notify" && when === "before" ? "kill" : null));
  const id = await startEverything(world);
  await world.untilEnded(id);
  await world.elapse(2 * MINUTE);
  const described = await world.describe(id);
  expect(described).toMatchObject({ status: "failed", error: { code: "INTERNAL", retryable: false } });
  expect(described.events.filter(({ type }) => type === "reclaimed")).toHaveLength(MAX_CRASHES);
  const tables = await world.tables();
  expect(tables.completions).toMatchObject([{ executionId: id, status: "failed" }]);
  expect([tables.effects, tables["shardflow/tasks"], tables["shardflow/waits"]]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(tables["shardflow/positions"]).toMatchObject([{ ended: true }]);
  await expectCleansUp(world, [id]);
});
