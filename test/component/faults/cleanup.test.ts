/**
 * Deleting what ran: in bounded batches that go on by themselves, each execution on its own shard, until no row of any
 * table names it, those of workflow, workpool and batch-worker included.
 */
import { beforeAll, expect, test } from "vitest";
import { CLEANUP_BATCH_ROWS, DAY, DEFAULT_RETENTION_MS, MINUTE } from "../../../src/shared/limits.js";
import {
  expectCleansUp,
  rowsNaming,
  rowsOfExecutions,
  startEverything,
  startMeasuredWorld,
  strikeAt,
} from "../../support/faultChecks.js";
import { startWorld, type Tables } from "../../support/faults.js";
import { api, preload, runUntil } from "../../support/harness.js";
import { EVERYTHING, record } from "../../support/hosts/faults/flows.js";

beforeAll(preload);

const countOf = (tables: Tables) => Object.values(rowsOfExecutions(tables)).reduce((sum, rows) => sum + rows.length, 0);

test("a large execution goes in batches that continue by themselves", async () => {
  const world = await startWorld();
  await world.publish({
    name: "large",
    nodes: {
      start: { type: "trigger", next: { success: "each" } },
      each: { type: "loop", items: "{{ input.items }}", body: "keep", collect: "{{ index }}", next: { done: "end" } },
      keep: { type: "set", values: { kept: "{{ input.text }}" } },
      end: { type: "output", value: "{{ nodes.each.output.passes }}" },
    },
  });
  const passes = CLEANUP_BATCH_ROWS + 20;
  const input = { items: Array.from({ length: passes }, (_, i) => i), text: "x".repeat(9_000) };
  const id = await world.start("large", input);
  await world.untilEnded(id);
  await world.untilQuiet();
  let left = countOf(await world.tables());
  // Every pass has a node run, and an output that is too large for its row.
  expect(left).toBeGreaterThan(2 * passes);

  const batches: number[] = [];
  expect(await world.t.mutation(api.history.cleanupWorkflow, { executionId: id })).toEqual({ done: false });
  await runUntil(async () => {
    const now = countOf(await world.tables());
    if (now < left) batches.push(left - now);
    left = now;
    return left === 0;
  });
  await world.untilQuiet();
  expect(rowsOfExecutions(await world.tables(), [id])).toEqual({});
  expect(Math.max(...batches)).toBeLessThanOrEqual(CLEANUP_BATCH_ROWS);
  expect(batches.length).toBeGreaterThan(2);
});

test("an execution is cleaned up under a stretch that is in flight at every await", { timeout: 120_000 }, async () => {
  const { world, clean, awaits } = await startMeasuredWorld();
  const ids = await strikeAt(world, awaits, "before", "hold");
  for (const id of ids) {
    if (!(await world.hasEnded(id))) await world.cancel(id);
    await world.t.mutation(api.history.cleanupWorkflow, { executionId: id });
  }
  await world.t.mutation(api.history.cleanupWorkflow, { executionId: clean });
  const { effects } = await world.tables();
  for (const { release } of world.held) release();
  await world.untilQuiet();
  const tables = await world.tables();
  expect(rowsOfExecutions(tables, [clean, ...ids])).toEqual({});
  expect(tables.effects).toEqual(effects);
});

test("a definition is deleted with its versions, drafts and executions, in batches; others stay", async () => {
  const world = await startWorld();
  await world.publish(EVERYTHING);
  await world.publish({ ...EVERYTHING, name: "other" });
  await world.t.mutation(api.definitions.saveDraft, { name: "everything", source: JSON.stringify(EVERYTHING) });
  const other = await world.start("other", { word: "hi" });
  const ids: string[] = [];
  for (let i = 0; i < 20; i++) ids.push(await startEverything(world));
  await runUntil(async () => (await world.rows("shardflow/waits")).length > ids.length);
  for (let i = 0; i < 25; i++) ids.push(await startEverything(world));
  await world.publish(EVERYTHING);
  await world.t.mutation(api.definitions.delete, { name: "everything", requester: "a test" });
  await world.untilEnded(other);
  await world.untilQuiet();

  const tables = await world.tables();
  expect(rowsNaming(tables, ids)).toEqual({});
  for (const table of ["definitions", "versions"]) {
    expect(tables[`shardflow/${table}`]?.map(({ name }) => name)).toEqual(["other"]);
  }
  expect([tables["shardflow/drafts"], tables["shardflow/versionTexts"]?.length]).toEqual([undefined, 2]);
  expect((await world.describe(other)).status).toBe("succeeded");
});

test("what is past its retention is deleted by the cron, and nothing else", async () => {
  const world = await startWorld();
  await world.publish({
    name: "short",
    nodes: { start: { type: "trigger", next: { success: "save" } }, save: record("kept by the app", null) },
  });
  const old = await world.start("short", null);
  await world.untilEnded(old);
  await world.untilQuiet();
  world.passTime(DEFAULT_RETENTION_MS - DAY);
  const young = await world.start("short", null);
  await world.untilEnded(young);
  world.passTime(DAY + MINUTE);
  await world.internal("cleanup:sweep", {});
  await world.untilQuiet();
  const tables = await world.tables();
  expect(tables["shardflow/executions"]?.map(({ _id }) => _id)).toEqual([young]);
  expect(rowsNaming(tables, [old])).toEqual({});
  expect(tables.effects).toHaveLength(2);
  await expectCleansUp(world, [young]);
});
