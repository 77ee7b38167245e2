/** definitions.delete and cleanupWorkflow: what is deleted is gone from every table of every component. */
import { beforeAll, describe, expect, test } from "vitest";
import { api, runUntil } from "../../support/harness.js";
import {
  DAY,
  echo,
  looping,
  pass,
  preload,
  refusal,
  refusedWithoutATrace,
  startWorld,
  worker,
  type World,
} from "../../support/hosts/api/world.js";

beforeAll(preload);

/** What stays when nothing is left of any execution and definition: one row per shard that was used, in each place. */
function restingCounts(usedShards: number, config: number): Record<string, number> {
  const tables = ["config", "workpool/globals", "workpool/internalState"];
  const workers = ["workpool/batchWorker/workers", "workpool/batchWorker/workerState"];
  const ofShard = (shard: number) => [...tables, ...workers].map((table) => [`shardflow/shard${shard}/${table}`, 1]);
  return {
    "shardflow/bindings": 4,
    ...(config > 0 ? { "shardflow/config": config } : {}),
    ...(usedShards > 0 ? { "shardflow/executors": usedShards } : {}),
    ...(Object.fromEntries(Array.from({ length: usedShards }, (_, shard) => ofShard(shard)).flat()) as object),
  };
}

async function deleteDefinition(world: World, name: string, more: { scope?: string; reason?: string } = {}) {
  await world.t.mutation(api.definitions.delete, { name, ...more });
}

/** Every row of every component, as text. */
async function textOfTables(world: World): Promise<string> {
  return JSON.stringify(await world.tables(), (_, value: unknown) => (typeof value === "bigint" ? `${value}` : value));
}

async function untilGone(world: World, name: string): Promise<void> {
  await runUntil(async () => (await world.t.query(api.definitions.get, { name })) === null, DAY);
  await world.untilQuiet();
}

describe("deleting a definition", () => {
  test("calls the onComplete of each execution that it cancels, once, before anything goes", async () => {
    const world = await startWorld();
    await world.publish(echo());
    const onComplete = await world.handle("functions:completed");
    const ids = [];
    for (let i = 0; i < 3; i++) ids.push(await world.start("echo", i, { onComplete }));
    await deleteDefinition(world, "echo", { reason: "not needed" });
    await untilGone(world, "echo");
    const told = await world.t.run(async (ctx) => await ctx.db.query("completions").collect());
    expect(told.map(({ executionId }) => executionId).sort()).toEqual([...ids].sort());
    expect(told.map(({ args }) => (JSON.parse(args) as { result: unknown }).result)).toEqual(
      ids.map(() => ({ status: "canceled", reason: "not needed" })),
    );
  });

  test("with sixty executions of every status on every shard leaves nothing of it, anywhere", async () => {
    const world = await startWorld();
    await world.t.mutation(api.admin.configure, { activeShards: 4, maxParallelism: 3 });
    await world.publish(worker());
    await world.publish({ ...worker(), description: "the second version" });
    await world.t.mutation(api.definitions.saveDraft, { name: "worker", source: JSON.stringify(worker()) });
    await world.publish(echo("kept"));
    const kept = await world.start("kept", "untouched");
    const many = async (count: number, input: Record<string, unknown>) => {
      const items = Array.from({ length: count }, (_, i) => ({
        input: JSON.stringify(input),
        tags: { nth: String(i) },
        context: JSON.stringify("c".repeat(9_000)),
      }));
      return await world.t.mutation(api.executions.startWorkflowBatch, { definition: "worker", items });
    };
    const succeeded = await many(12, { mode: "done" });
    await world.untilEnded(...succeeded);
    const canceled = await many(4, { mode: "done" });
    for (const executionId of canceled) await world.t.mutation(api.cancellations.cancelWorkflow, { executionId });
    const parked = await many(14, { mode: "throw" });
    await pass(15_000);
    const started = await many(30, { mode: "sleep", ms: 200_000 });
    await pass(15_000);

    const ids = [...succeeded, ...canceled, ...parked, ...started];
    const statuses = await Promise.all(ids.map(async (id) => await world.status(id)));
    const tally = (status: string) => statuses.filter((one) => one.status === status).length;
    expect(ids).toHaveLength(60);
    const tallies = ["succeeded", "canceled", "waiting", "running", "pending"].map((one) => [one, tally(one)]);
    expect(Object.fromEntries(tallies), "running up to the parallelism, the rest queued").toEqual({
      succeeded: 12,
      canceled: 4,
      waiting: 14,
      running: 12,
      pending: 18,
    });
    expect(new Set(statuses.map((one) => one.shardIndex)).size).toBe(4);

    await deleteDefinition(world, "worker", { reason: "no longer sold" });
    expect(await world.t.query(api.definitions.get, { name: "worker" })).toMatchObject({ deleting: true });
    await refusedWithoutATrace(world, () => world.start("worker", { mode: "x" }), "DEFINITION_DELETING");
    await refusedWithoutATrace(world, () => world.publish(worker()), "DEFINITION_DELETING");
    const draft = () => world.t.mutation(api.definitions.saveDraft, { name: "worker", source: "{}" });
    await refusedWithoutATrace(world, draft, "DEFINITION_DELETING");
    const rollback = () => world.t.mutation(api.definitions.rollback, { name: "worker", version: 1 });
    await refusedWithoutATrace(world, rollback, "DEFINITION_DELETING");

    await untilGone(world, "worker");
    for (const executionId of ids) {
      expect(await world.t.query(api.history.getSummary, { executionId })).toBeNull();
    }
    const left = await textOfTables(world);
    for (const executionId of ids) expect(left).not.toContain(executionId);
    expect(left).not.toContain('"worker"');
    expect((await world.t.query(api.definitions.list, {})).page.map(({ name }) => name)).toEqual(["kept"]);
    expect(await world.status(kept)).toMatchObject({ status: "succeeded", output: '"untouched"' });

    // The last one goes too; then only what belongs to no execution and no definition is left.
    await deleteDefinition(world, "kept");
    await untilGone(world, "kept");
    expect(await world.counts()).toEqual(restingCounts(4, 1));

    // The name is free again.
    expect(await world.publish(worker())).toBe(1);
    const again = await world.start("worker", { mode: "again" });
    await world.untilEnded(again);
    expect(await world.status(again)).toMatchObject({ status: "succeeded", version: 1 });
  });

  test("goes on where it was cut off", async () => {
    const world = await startWorld();
    await world.publish(echo());
    const items = Array.from({ length: 45 }, () => ({ input: "1" }));
    await world.t.mutation(api.executions.startWorkflowBatch, { definition: "echo", items });
    await deleteDefinition(world, "echo");
    await pass(100);
    const batchLeft = (await world.rows("executions")).length;
    expect(batchLeft, "the first batch is gone, the others are not").toBeGreaterThan(0);
    expect(batchLeft).toBeLessThan(45);
    expect(await world.cancelJobs("cleanup:deleteDefinition")).toBe(1);
    await world.untilQuiet();
    expect((await world.rows("executions")).length, "nobody goes on").toBe(batchLeft);
    expect(await world.t.query(api.definitions.get, { name: "echo" })).toMatchObject({ deleting: true });

    await deleteDefinition(world, "echo");
    await untilGone(world, "echo");
    expect(await world.rows("executions")).toEqual([]);
    expect(await world.rows("definitions")).toEqual([]);
  });

  test("with more versions than one batch holds", async () => {
    const world = await startWorld();
    for (let i = 0; i < 43; i++) await world.publish(echo("echo", { description: `${i}` }));
    await world.t.mutation(api.definitions.rollback, { name: "echo", version: 1 });
    await deleteDefinition(world, "echo");
    // The active version is in the first batch: the definition can still be looked at until it is gone itself.
    await runUntil(async () => (await world.rows("versions")).length < 43);
    expect(await world.t.query(api.definitions.get, { name: "echo" })).toMatchObject({ deleting: true, version: null });
    await untilGone(world, "echo");
    expect(await world.counts()).toEqual(restingCounts(0, 0));
  });

  test("cancels what has not ended, for the reason that was given, before anything of it is deleted", async () => {
    const world = await startWorld();
    await world.publish(worker());
    const ids = [
      await world.start("worker", { mode: "sleep", ms: 60_000 }),
      await world.start("worker", { mode: "throw" }),
    ];
    await pass(10_000);
    ids.push(await world.start("worker", { mode: "never claimed" }));
    await deleteDefinition(world, "worker", { reason: "no longer sold" });
    const definitionId = (await world.rows("definitions"))[0]!._id;
    await world.internal("cleanup:deleteDefinition", { definitionId, reason: "no longer sold" });
    for (const id of ids) {
      expect(await world.status(id)).toMatchObject({ status: "canceled", canceled: { reason: "no longer sold" } });
    }
    expect(await world.rows("waits")).toEqual([]);
    expect(await world.rows("tasks")).toEqual([]);
    await untilGone(world, "worker");
    expect(await world.rows("executions")).toEqual([]);
  });

  test("of one scope leaves its namesakes alone; an unknown one is refused", async () => {
    const world = await startWorld();
    await world.publish(echo(), "a");
    await world.publish(echo(), "b");
    const theirs = await world.start("echo", 1, { scope: "b" });
    for (const scope of ["", "c"]) {
      await refusedWithoutATrace(world, () => deleteDefinition(world, "echo", { scope }), "DEFINITION_NOT_FOUND");
    }
    await deleteDefinition(world, "echo", { scope: "a" });
    await world.untilQuiet();
    expect(await world.t.query(api.definitions.get, { name: "echo", scope: "a" })).toBeNull();
    expect(await world.status(theirs)).toMatchObject({ status: "succeeded" });
    await refusal(deleteDefinition(world, "echo", { scope: "a" }), "DEFINITION_NOT_FOUND");
  });
});

test("the workflow of a stretch is removed when the stretch has ended, not only with its execution", async () => {
  const world = await startWorld();
  await world.t.mutation(api.admin.configure, { activeShards: 1 });
  await world.publish(worker());
  const executionId = await world.start("worker", { mode: "throw" });
  await world.untilEnded(executionId);
  await world.untilQuiet();
  expect(await world.describe(executionId), "three attempts, an hour apart").toMatchObject({ leaseEpoch: 3 });
  const shards = Object.entries(await world.counts()).filter(([table]) => table.startsWith("shardflow/shard"));
  const resting = Object.entries(restingCounts(1, 1)).filter(([table]) => table.startsWith("shardflow/shard"));
  expect(Object.fromEntries(shards)).toEqual(Object.fromEntries(resting));
});

describe("cleanupWorkflow", () => {
  test("deletes a large execution in batches and finishes by itself", async () => {
    const world = await startWorld();
    await world.publish(looping());
    const items = Array.from({ length: 640 }, (_, i) => i);
    const executionId = await world.start("looping", items, { tags: { size: "large" }, context: '"c"' });
    await world.untilEnded(executionId);
    await world.untilQuiet();
    expect(await world.rows("nodeRuns")).toHaveLength(643);

    const cleanup = async () => await world.t.mutation(api.history.cleanupWorkflow, { executionId });
    expect(await cleanup()).toEqual({ done: false });
    const left = (await world.rows("nodeRuns")).length;
    expect(left, "one batch is gone").toBeGreaterThanOrEqual(343);
    expect(left).toBeLessThan(643);
    expect(await world.status(executionId), "it can still be found").toMatchObject({ executionId });
    await world.untilQuiet();
    await refusal(world.status(executionId), "EXECUTION_NOT_FOUND");
    expect(await textOfTables(world)).not.toContain(executionId);
  });

  test("of a small execution is done at once; its neighbours stay", async () => {
    const world = await startWorld();
    await world.publish(echo());
    const [gone, stays] = [await world.start("echo", "x".repeat(20_000)), await world.start("echo", 2)];
    await world.untilEnded(gone, stays);
    expect(await world.t.mutation(api.history.cleanupWorkflow, { executionId: gone })).toEqual({ done: true });
    await world.untilQuiet();
    expect(await textOfTables(world)).not.toContain(gone);
    expect(await world.status(stays)).toMatchObject({ status: "succeeded", output: "2" });
    const { page } = await world.t.query(api.history.list, {});
    expect(page.map((one) => one.executionId)).toEqual([stays]);
  });

  test("of an execution that was canceled in the middle of a node leaves nothing behind", async () => {
    const world = await startWorld();
    await world.publish(worker());
    const executionId = await world.start("worker", { mode: "sleep", ms: 60_000 });
    await pass(5_000);
    await world.t.mutation(api.cancellations.cancelWorkflow, { executionId });
    await world.t.mutation(api.history.cleanupWorkflow, { executionId });
    await world.untilQuiet();
    expect(await textOfTables(world)).not.toContain(executionId);
  });
});
