/** What the crons do: retention (cleanup.sweep) and starting again what has stopped (revive.revive). */
import { beforeAll, describe, expect, test } from "vitest";
import crons from "../../../src/component/crons.js";
import { DEFAULT_RETENTION_MS } from "../../../src/shared/limits.js";
import { api } from "../../support/harness.js";
import {
  containing,
  DAY,
  echo,
  HOUR,
  MINUTE,
  pass,
  preload,
  startWorld,
  worker,
  type World,
} from "../../support/hosts/api/world.js";

beforeAll(preload);

test("both are run by crons of the component", () => {
  const jobs = Object.values(crons.crons).map(({ name, schedule }) => [name, schedule]);
  expect(jobs).toEqual([
    ["cleanup:sweep", { type: "hourly", minuteUTC: 17 }],
    ["revive:revive", { type: "interval", minutes: 5 }],
  ]);
});

describe("retention", () => {
  const sweep = async (world: World) => await world.internal("cleanup:sweep");
  const left = async (world: World) => (await world.rows("executions")).map((row) => row._id);

  test("deletes what ended longer ago than that, and nothing else", async () => {
    const world = await startWorld();
    await world.t.mutation(api.admin.configure, { retentionMs: HOUR });
    await world.publish(echo());
    await world.publish(worker());
    const old = [await world.start("echo", "x".repeat(20_000), { tags: { a: "b" } }), await world.start("echo", 2)];
    await world.untilEnded(...old);
    // Older than all the others, and not ended.
    const waiting = await world.start("worker", { mode: "throw" });
    await pass(50 * MINUTE);
    const young = await world.start("echo", 3);
    await world.untilEnded(young);
    const parked = await world.start("worker", { mode: "throw" });
    await pass(9 * MINUTE);
    expect(await sweep(world), "not yet").toBe(0);
    expect(await left(world)).toEqual([...old, waiting, young, parked]);

    await pass(2 * MINUTE);
    expect(await sweep(world)).toBe(2);
    await pass(MINUTE);
    expect(await left(world)).toEqual([waiting, young, parked]);
    const text = JSON.stringify(Object.values(await world.tables()), (_, value: unknown) =>
      typeof value === "bigint" ? `${value}` : value,
    );
    for (const id of old) expect(text).not.toContain(id);
    await world.untilEnded(waiting, parked);
  });

  test("is thirty days unless configured, and 0 keeps everything", async () => {
    const world = await startWorld();
    await world.publish(echo());
    const executionId = await world.start("echo");
    await world.untilEnded(executionId);
    await world.untilQuiet();
    await pass(DEFAULT_RETENTION_MS - HOUR);
    expect(await sweep(world)).toBe(0);
    await pass(2 * HOUR);
    await world.t.mutation(api.admin.configure, { retentionMs: 0 });
    expect(await sweep(world)).toBe(0);
    await world.untilQuiet();
    expect(await left(world)).toEqual([executionId]);
    await world.t.mutation(api.admin.configure, { retentionMs: 30 * DAY });
    expect(await sweep(world)).toBe(1);
    await world.untilQuiet();
    expect(await left(world)).toEqual([]);
  });

  test("goes on by itself when there is more than one batch", async () => {
    const world = await startWorld();
    await world.t.mutation(api.admin.configure, { retentionMs: HOUR });
    await world.publish(echo());
    for (const length of [100, 30]) {
      const items = Array.from({ length }, () => ({ input: "1" }));
      const ids = await world.t.mutation(api.executions.startWorkflowBatch, { definition: "echo", items });
      for (const executionId of ids) await world.t.mutation(api.cancellations.cancelWorkflow, { executionId });
    }
    await pass(HOUR + MINUTE);
    expect(await sweep(world)).toBe(100);
    await pass(1_000);
    expect(await left(world)).toHaveLength(30);
    await world.untilQuiet();
    expect(await left(world)).toEqual([]);
  });
});

describe("revive", () => {
  const revive = async (world: World) => await world.internal("revive:revive");
  const NOTHING = { pumps: 0, watches: 0, wakes: 0, strays: 0 };
  /** What health reports meanwhile: the same questions, asked by a query. */
  const health = async (world: World) =>
    (await world.t.query(api.health.check, {})).problems.map(({ code, shardIndex }) => [code, shardIndex]);
  const oneShard = { shardKey: "one shard" };

  test("leaves alone what is healthy", async () => {
    const world = await startWorld();
    await world.publish(worker());
    expect(await revive(world), "an installation that was never used").toEqual(NOTHING);
    const running = await world.start("worker", { mode: "sleep", ms: 4 * MINUTE });
    const parked = await world.start("worker", { mode: "throw" });
    await pass(3 * MINUTE);
    const fresh = await world.start("worker", { mode: "done" });
    const before = await world.snapshot();
    expect(await revive(world)).toEqual(NOTHING);
    expect(await world.t.query(api.health.check, {})).toEqual({ ok: true, activeShards: 4, problems: [] });
    expect(await world.snapshot()).toEqual(before);
    await world.untilEnded(running, parked, fresh);
  });

  test.each([
    ["the pump", "pump:pump"],
    ["the very first kick", "kick:kick"],
  ])("starts a queue again after somebody canceled %s", async (_, job) => {
    const world = await startWorld();
    await world.publish(echo());
    const first = await world.start("echo", 1, oneShard);
    if (job === "pump:pump") await world.untilEnded(first);
    expect(await world.cancelJobs(job)).toBe(1);
    const second = await world.start("echo", 2, oneShard);
    // The second start finds the shard asleep and kicks it, too; that kick is canceled as well.
    if (job === "kick:kick") await world.cancelJobs(job);
    await pass(MINUTE);
    expect(await world.status(second)).toMatchObject({ status: "pending" });
    expect(await revive(world), "a queue this short may be on its way").toEqual(NOTHING);
    expect(await health(world)).toEqual([]);
    await pass(5 * MINUTE);
    expect(await world.status(second)).toMatchObject({ status: "pending" });

    const { shardIndex } = await world.status(second);
    expect(await health(world)).toEqual([["QUEUE_STUCK", shardIndex]]);
    expect(await revive(world)).toEqual({ ...NOTHING, pumps: 1 });
    await world.untilEnded(first, second);
    expect(await health(world)).toEqual([]);
    expect(await world.status(second)).toMatchObject({ status: "succeeded", output: "2" });
  });

  test("finds an owner that died while the watchdog was canceled", async () => {
    const world = await startWorld();
    await world.publish(worker());
    const executionId = await world.start("worker", { mode: "done", ms: 30 * 1_000 }, oneShard);
    await pass(10_000);
    const [task] = await world.rows("tasks");
    const [position] = await world.rows("positions");
    // As if its owner had been silent from the start.
    const claimedAt = Date.now() - 20 * MINUTE;
    await world.patch("tasks", task!._id, { claimedAt });
    await world.patch("positions", position!._id, { renewedAt: claimedAt - 1 });
    expect(await world.cancelJobs("watch:watch")).toBe(1);

    expect(await health(world)).toEqual([["CLAIM_FORGOTTEN", (await world.status(executionId)).shardIndex]]);
    expect(await revive(world)).toEqual({ ...NOTHING, watches: 1 });
    await world.untilEnded(executionId);
    const described = await world.describe(executionId);
    expect(described).toMatchObject({ status: "succeeded", output: '"done"' });
    expect(described.events).toMatchObject([{ type: "reclaimed", detail: containing("no sign of life") }]);
    expect(described.leaseEpoch).toBeGreaterThan(1);
    await world.untilQuiet();
    const { page } = await world.t.query(api.history.listNodeRuns, { executionId });
    expect(
      page.map((run) => run.key),
      "each node is recorded once",
    ).toEqual(["start", "work", "end"]);
  });

  test("wakes what is overdue because its wake was canceled", async () => {
    const world = await startWorld();
    await world.publish(worker());
    const executionId = await world.start("worker", { mode: "throw" }, oneShard);
    await pass(10_000);
    expect(await world.cancelJobs("wake:wake")).toBe(1);
    await pass(20 * MINUTE);
    expect(await revive(world), "it is not due").toEqual(NOTHING);
    await pass(2 * HOUR);
    const overdue = await world.describe(executionId);
    expect(overdue).toMatchObject({ status: "waiting", wait: { kind: "retry" } });
    expect(overdue.wait?.wakeAt).toBeLessThan(Date.now() - MINUTE);

    expect(await health(world)).toEqual([["WAKE_OVERDUE", overdue.shardIndex]]);
    expect(await revive(world)).toEqual({ ...NOTHING, wakes: 1 });
    await pass(MINUTE);
    expect((await world.describe(executionId)).places).toMatchObject([{ node: "work", attempt: 3 }]);
    expect(await revive(world)).toEqual(NOTHING);
    await world.untilEnded(executionId);
  });

  test("of a queue that is only full does no harm", async () => {
    const world = await startWorld();
    await world.t.mutation(api.admin.configure, { activeShards: 1, maxParallelism: 1 });
    await world.publish(worker());
    const onComplete = await world.handle("functions:completed");
    const ids = [];
    for (let i = 0; i < 3; i++) ids.push(await world.start("worker", { mode: `${i}`, ms: 130_000 }, { onComplete }));
    await pass(135_000);
    for (let i = 0; i < 3; i++) {
      expect(await revive(world)).toMatchObject({ pumps: 1, watches: 0, wakes: 0 });
      await pass(1_000);
    }
    await world.untilEnded(...ids);
    await world.untilQuiet();
    const completed = (await world.completions()).map((row) => row.executionId);
    expect(completed.toSorted()).toEqual(ids.toSorted());
    for (const id of ids) expect(await world.describe(id)).toMatchObject({ status: "succeeded", leaseEpoch: 1 });
  });
});
