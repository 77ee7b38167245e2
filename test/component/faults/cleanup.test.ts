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
  expect(await world.t.mutation(api.executions.cleanupWorkflow, { executionId: id })).toEqual({ done: false });
  world.watchTransactions(async () => {
    const now = countOf(await world.tables());
    if (now < left) batches.push(left - now);
    left = now;
  });
  await world.untilQuiet();
  expect(rowsOfExecutions(await world.tables(), [id])).toEqual({});
  expect(Math.max(...batches)).toBeLessThanOrEqual(CLEANUP_BATCH_ROWS);
  expect(batches.length).toBeGreaterThan(2);
});
