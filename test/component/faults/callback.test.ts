/**
 * onComplete: owed from the transaction that ends the execution, run exactly once, with the result and the context. One
 * that throws is tried again, then stored where an operator sees it and can try it once more.
 */
import { beforeAll, expect, test } from "vitest";
import { HOUR, MAX_CALLBACK_ATTEMPTS, MINUTE, SECOND } from "../../../src/shared/limits.js";
import { expectCleansUp } from "../../support/faultChecks.js";
import { startWorld, type World } from "../../support/faults.js";
import { api, preload, runUntil } from "../../support/harness.js";
import { functionOf } from "../../support/inside.js";

beforeAll(preload);

const CONTEXT = JSON.stringify({ ticket: 7, $odd: ["é", null] });
const FLOW = {
  name: "flow",
  nodes: {
    start: { type: "trigger", next: { success: "half" } },
    half: { type: "set", values: { half: "{{ input / 2 }}" }, next: { success: "end" } },
    end: { type: "output", value: { half: "{{ vars.half }}" } },
  },
};

async function startFlow(world: World, input: number | string = 8): Promise<string> {
  await world.publish(FLOW);
  const onComplete = await world.handle("functions:completed");
  const id = await world.start("flow", input, { context: CONTEXT, onComplete });
  await world.untilEnded(id);
  return id;
}

async function completions(world: World): Promise<unknown[]> {
  const rows = await world.rows("completions");
  return rows.map(({ executionId, context, result }) => ({
    executionId,
    context,
    ...(JSON.parse(String(result)) as object),
  }));
}

test("a success, once", async () => {
  const world = await startWorld();
  const executionId = await startFlow(world);
  await world.untilQuiet();
  const output = JSON.stringify({ half: 4 });
  expect(await completions(world)).toEqual([{ executionId, context: CONTEXT, status: "succeeded", output }]);
  expect(await world.rows("shardflow/outbox")).toEqual([]);
});

test("a failure, once, with its error and node", async () => {
  const world = await startWorld();
  const executionId = await startFlow(world, "no number");
  await world.untilQuiet();
  expect(await completions(world)).toMatchObject([
    { executionId, context: CONTEXT, status: "failed", error: { node: "half", class: "expression", retryable: false } },
  ]);
});

test("one that throws at first is tried again; what it wrote before it threw is undone", async () => {
  const world = await startWorld();
  await world.flip("callback", true);
  const id = await startFlow(world);
  await runUntil(async () => ((await world.describe(id)).callback?.attempt ?? 0) >= 2);
  expect(await completions(world)).toEqual([]);
  expect((await world.describe(id)).status).toBe("succeeded");
  await world.flip("callback", false);
  await world.untilQuiet();
  expect(await completions(world)).toMatchObject([{ executionId: id, status: "succeeded" }]);
  expect(await world.rows("shardflow/outbox")).toEqual([]);
  expect((await world.describe(id)).callback).toBeUndefined();
});

test("one that goes on throwing is stored and shown, and an operator can try it again", async () => {
  const world = await startWorld();
  await world.flip("callback", true);
  const executionId = await startFlow(world);
  const attempts = new Set<number>();
  const startedAt = Date.now();
  await runUntil(async () => {
    const { callback } = await world.describe(executionId);
    attempts.add(callback?.attempt ?? 0);
    return callback?.state === "failed";
  }, 12 * HOUR);
  expect([...attempts].filter((n) => n > 0)).toEqual(Array.from({ length: MAX_CALLBACK_ATTEMPTS }, (_, i) => i + 1));
  // Long enough for a deploy that repairs it.
  expect(Date.now() - startedAt).toBeGreaterThan(HOUR);
  await world.untilQuiet();
  expect(await completions(world)).toEqual([]);

  const failed = { executionId, attempt: MAX_CALLBACK_ATTEMPTS, lastError: expect.any(String) as string };
  expect(await world.t.query(api.admin.listFailedCallbacks, {})).toEqual([failed]);
  expect(await world.t.query(api.health.check, {})).toMatchObject({
    ok: false,
    problems: [{ code: "CALLBACK_FAILED", shardIndex: null }],
  });
  const described = await world.describe(executionId);
  expect(described).toMatchObject({ status: "succeeded", callback: { state: "failed" } });
  expect(described.events).toMatchObject([{ type: "callbackFailed" }]);

  await world.flip("callback", false);
  expect(await world.t.mutation(api.admin.retryCallback, { executionId })).toBe(true);
  await world.untilQuiet();
  expect(await completions(world)).toMatchObject([{ executionId, status: "succeeded", context: CONTEXT }]);
  expect(await world.t.query(api.admin.listFailedCallbacks, {})).toEqual([]);
  expect(await world.t.mutation(api.admin.retryCallback, { executionId })).toBe(false);
  await expectCleansUp(world, [executionId]);
});

test("a delivery that comes late, or twice, runs nothing", async () => {
  const world = await startWorld();
  await world.flip("callback", true);
  const id = await startFlow(world);
  await runUntil(async () => (await world.describe(id)).callback?.attempt === 2);
  await world.elapse(SECOND);
  await world.flip("callback", false);
  const [row] = await world.rows("shardflow/outbox");
  // The delivery of the first attempt, as if it had been queued all the while.
  await world.internal("outbox:deliver", { outboxId: row?._id, attempt: 1 });
  expect(await completions(world)).toEqual([]);
  await world.untilQuiet();
  await world.internal("outbox:deliver", { outboxId: row?._id, attempt: 3 });
  await world.internal("outbox:attempt", { outboxId: row?._id });
  await world.untilQuiet();
  expect(await completions(world)).toHaveLength(1);
});

test("a delivery whose job was removed by hand is made up for", async () => {
  const world = await startWorld();
  await world.publish(FLOW);
  const onComplete = await world.handle("functions:completed");
  const id = await world.start("flow", 8, { onComplete });
  let removed = 0;
  await runUntil(async () => {
    removed += await world.within("shardflow", async (ctx) => {
      const jobs = await ctx.db.system.query("_scheduled_functions").collect();
      const due = jobs.filter((job) => functionOf(job) === "outbox:deliver" && job.state.kind === "pending");
      for (const { _id } of due) await ctx.scheduler.cancel(_id);
      return due.length;
    });
    return removed > 0;
  });
  expect(await completions(world)).toEqual([]);
  await world.elapse(MINUTE);
  expect(await completions(world)).toMatchObject([{ executionId: id }]);
});
