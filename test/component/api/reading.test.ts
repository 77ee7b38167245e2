/** What is told of one execution: getStatus, getSummary, describe, getValue, isCanceled, listNodeRuns, getNodeOutput. */
import type { FunctionReturnType } from "convex/server";
import { beforeAll, describe, expect, test } from "vitest";
import { INLINE_VALUE_BYTES } from "../../../src/shared/limits.js";
import type { ValueName } from "../../../src/shared/views.js";
import { api } from "../../support/harness.js";
import {
  aNumber,
  echo,
  HOUR,
  looping,
  matching,
  pass,
  preload,
  refusal,
  START,
  startWorld,
  worker,
} from "../../support/hosts/api/world.js";

beforeAll(preload);

type NodeRuns = FunctionReturnType<typeof api.history.listNodeRuns>;

test("an execution is told through all of its life", async () => {
  const world = await startWorld();
  const work = (ms: number, success: string) => ({
    type: "action",
    action: "app.work",
    args: { mode: "{{ input.mode }}", ms },
    next: { success },
  });
  await world.publish({
    name: "two steps",
    nodes: {
      start: { type: "trigger", next: { success: "first" } },
      first: work(0, "second"),
      second: work(20_000, "end"),
      end: { type: "output", value: "{{ nodes.second.output }}" },
    },
  });
  const executionId = await world.start("two steps", { mode: "done" }, { tags: { customer: "42" } });
  const told = { executionId, scope: "", definition: "two steps", version: 1, startedAt: START };
  const input = '{"mode":"done"}';
  expect(await world.describe(executionId)).toEqual({
    ...told,
    status: "pending",
    shardIndex: aNumber,
    input,
    tags: { customer: "42" },
    variables: "{}",
    places: [{ key: "start", node: "start", attempt: 1 }],
    loops: [],
    nodeRuns: 0,
    leaseEpoch: 0,
    task: { state: "queued" },
    events: [],
  });

  await pass(5_000);
  const running = await world.describe(executionId);
  expect(running).toMatchObject({ ...told, status: "running", leaseEpoch: 1, nodeRuns: 2 });
  expect(running.places).toEqual([{ key: "second", node: "second", attempt: 1 }]);
  expect(running.task).toMatchObject({ state: "claimed", claimedAt: aNumber });
  expect(running.output).toBeUndefined();

  await world.untilEnded(executionId);
  const ended = await world.describe(executionId);
  expect(ended).toMatchObject({ ...told, status: "succeeded", output: '"done"', places: [], nodeRuns: 4, input });
  expect(ended.endedAt).toBeGreaterThanOrEqual(START + 20_000);
  expect(ended.task).toBeUndefined();
  expect(await world.status(executionId)).toEqual({
    ...told,
    status: "succeeded",
    shardIndex: ended.shardIndex,
    endedAt: ended.endedAt,
    output: '"done"',
  });
});

test("an execution that waits says for what, until when, and what went wrong before", async () => {
  const world = await startWorld();
  await world.publish(worker());
  const executionId = await world.start("worker", { mode: "throw" });
  await pass(10_000);
  const waiting = await world.describe(executionId);
  expect(waiting).toMatchObject({ status: "waiting", wait: { kind: "retry", node: "work" } });
  expect(waiting.wait?.reason).toContain("the app refuses");
  expect(waiting.wait?.wakeAt).toBeGreaterThan(START);
  expect(waiting.places).toEqual([
    {
      key: "work",
      node: "work",
      attempt: 2,
      notBefore: waiting.wait?.wakeAt,
      lastError: matching(/^ACTION_FAILED: .*the app refuses/),
    },
  ]);
  expect(waiting.task).toBeUndefined();

  await world.untilEnded(executionId);
  const failed = await world.describe(executionId);
  expect(failed).toMatchObject({
    status: "failed",
    lastError: matching(/^ACTION_FAILED at work: .*the app refuses/),
    error: { code: "ACTION_FAILED", class: "app", retryable: true, node: "work" },
  });
  expect(failed.wait).toBeUndefined();
  const { page } = await world.t.query(api.history.listNodeRuns, { executionId });
  const work = page.find((run) => run.node === "work");
  expect(work).toMatchObject({ status: "failed", attempt: 3, outputBytes: 0 });
  expect(work?.failures.map(({ attempt, kind }) => [attempt, kind])).toEqual([
    [1, "initial"],
    [2, "retry"],
  ]);
  for (const { error } of work?.failures ?? []) expect(error.code).toBe("ACTION_FAILED");
});

test("a canceled execution tells who canceled it and why, and isCanceled says so to actions", async () => {
  const world = await startWorld();
  await world.publish(worker());
  const isCanceled = async (executionId: string) => await world.t.query(api.cancellations.isCanceled, { executionId });
  const executionId = await world.start("worker", { mode: "throw" });
  await pass(10_000);
  expect(await isCanceled(executionId)).toBe(false);
  await world.t.mutation(api.cancellations.cancelWorkflow, { executionId, reason: "sold out", requester: "ada" });
  expect(await isCanceled(executionId)).toBe(true);
  expect(await world.status(executionId)).toMatchObject({
    status: "canceled",
    canceled: { reason: "sold out", requester: "ada", at: Date.now() },
  });
  const described = await world.describe(executionId);
  expect(described.wait).toBeUndefined();
  expect(described.task).toBeUndefined();

  const silent = await world.start("worker", { mode: "x" });
  await world.t.mutation(api.cancellations.cancelWorkflow, { executionId: silent });
  expect((await world.status(silent)).canceled).toEqual({ at: Date.now() });
  await world.untilQuiet();
  expect(await world.status(executionId)).toMatchObject({ status: "canceled" });
  expect(await isCanceled("not an id")).toBe(false);
});

test("getSummary tells the row, and null for what is no execution", async () => {
  const world = await startWorld();
  await world.publish(echo());
  const executionId = await world.start("echo", 1, { idempotencyKey: "k" });
  const summary = { executionId, scope: "", definition: "echo", version: 1, startedAt: START, idempotencyKey: "k" };
  const ask = async (id: string) => await world.t.query(api.history.getSummary, { executionId: id });
  expect(await ask(executionId)).toEqual({ ...summary, status: "pending", shardIndex: aNumber });
  await world.untilEnded(executionId);
  expect(await ask(executionId)).toMatchObject({ ...summary, status: "succeeded", endedAt: aNumber });
  expect(await ask("garbage")).toBeNull();
  expect(await ask((await world.rows("versions"))[0]!._id), "an id of another table").toBeNull();
  await world.t.mutation(api.history.cleanupWorkflow, { executionId });
  expect(await ask(executionId)).toBeNull();
});

describe("node runs", () => {
  test("come in the order they were recorded, a page at a time", async () => {
    const world = await startWorld();
    await world.publish(looping());
    const items = Array.from({ length: 60 }, (_, i) => i);
    const executionId = await world.start("looping", items);
    await world.untilEnded(executionId);
    const walk = async (limit: number) => {
      const runs: NodeRuns["page"] = [];
      for (let cursor: string | null = null; ;) {
        const result: NodeRuns = await world.t.query(api.history.listNodeRuns, { executionId, limit, cursor });
        expect(result.page.length).toBeLessThanOrEqual(limit);
        runs.push(...result.page);
        if (result.cursor === null) return runs;
        cursor = result.cursor;
      }
    };
    const runs = await walk(200);
    expect(runs.map((run) => run.key)).toEqual(["start", ...items.map((i) => `each[${i}]/keep`), "each", "end"]);
    for (const limit of [1, 7, 63]) expect(await walk(limit)).toEqual(runs);
    expect(runs[1]).toMatchObject({ node: "keep", type: "set", status: "succeeded", port: "success", failures: [] });
    for (const [i, run] of runs.entries()) {
      expect(run.outputBytes).toBe(run.output?.length);
      if (i > 0) expect(run.seq).toBeGreaterThanOrEqual(runs[i - 1]!.seq);
    }
    for (const limit of [0, 201, 2.5]) {
      const call = world.t.query(api.history.listNodeRuns, { executionId, limit });
      await refusal(call, "ARGUMENT_INVALID");
    }
    const call = world.t.query(api.history.listNodeRuns, { executionId, cursor: "garbage" });
    await refusal(call, "ARGUMENT_INVALID");
  });

  test("a large output is left out of the list and read whole by its key", async () => {
    const world = await startWorld();
    await world.publish(echo());
    const large = { text: "ü".repeat(INLINE_VALUE_BYTES) };
    const small = { text: "ü".repeat(INLINE_VALUE_BYTES / 2 - 20) };
    const output = async (executionId: string, key: string) =>
      await world.t.query(api.history.getNodeOutput, { executionId, key });
    for (const [value, isListed] of [
      [large, false],
      [small, true],
    ] as const) {
      const text = JSON.stringify(value);
      const executionId = await world.start("echo", value);
      await world.untilEnded(executionId);
      const { page } = await world.t.query(api.history.listNodeRuns, { executionId });
      const end = page.find((run) => run.key === "end");
      expect(end?.outputBytes).toBe(new TextEncoder().encode(text).length);
      expect(end?.output).toBe(isListed ? text : undefined);
      expect(await output(executionId, "end")).toBe(text);
      expect(await world.status(executionId)).toMatchObject({ output: text });
      expect(await output(executionId, "absent")).toBeNull();
      expect(await output(executionId, "")).toBeNull();
    }
  });
});

test("a value of almost 4 MB goes in, through and out again", async () => {
  const world = await startWorld();
  await world.publish(echo());
  const value = Array.from({ length: 4 }, (_, i) => `${i}`.repeat(1_000_000));
  const executionId = await world.start("echo", value, { idempotencyTtlMs: HOUR, idempotencyKey: "k" });
  await world.untilEnded(executionId);
  const { status, output } = await world.status(executionId);
  expect(status).toBe("succeeded");
  expect(output === JSON.stringify(value)).toBe(true);
  const chunks = (await world.rows("payloads")).map((row) => (row.text as string).length);
  expect(Math.max(...chunks)).toBeLessThan(1024 * 1024);
});

test("values that are too large for one description are named in it, and read one by one", async () => {
  const world = await startWorld();
  await world.publish({
    name: "large",
    nodes: {
      start: { type: "trigger", next: { success: "keep" } },
      keep: { type: "set", values: { kept: "{{ input }}" }, next: { success: "end" } },
      end: { type: "output", value: "{{ input }}" },
    },
  });
  const input = "x".repeat(3_900_000);
  const context = JSON.stringify("y".repeat(3_900_000));
  const executionId = await world.start("large", input, { context });
  const small = await world.start("large", "small", { context: '"little"' });
  await world.untilEnded(executionId, small);

  const described = await world.describe(executionId);
  expect(described).toMatchObject({ status: "succeeded", nodeRuns: 3, places: [] });
  const [text, kept] = [JSON.stringify(input), JSON.stringify({ kept: input })];
  expect(described.output === text).toBe(true);
  expect(described.omitted).toEqual([
    { name: "input", bytes: text.length },
    { name: "context", bytes: context.length },
    { name: "variables", bytes: kept.length },
  ]);
  const value = async (name: ValueName, id = executionId) =>
    await world.t.query(api.history.getValue, { executionId: id, name });
  for (const [name, whole] of Object.entries({ input: text, context, variables: kept, output: text })) {
    expect((await value(name as ValueName)) === whole, name).toBe(true);
  }

  const { omitted, ...fits } = await world.describe(small);
  expect(omitted).toBeUndefined();
  expect(fits).toMatchObject({ input: '"small"', context: '"little"', variables: '{"kept":"small"}' });
  const plain = await world.start("large", "small");
  expect([await value("context", plain), await value("output", plain)]).toEqual([null, null]);
});
