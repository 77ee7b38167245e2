/** startWorkflow and startWorkflowBatch: what is started, with which version, when nothing is. */
import { beforeAll, describe, expect, test } from "vitest";
import { MAX_BATCH_STARTS, MAX_KEY_LENGTH, MAX_TAG_LENGTH, MAX_TAGS } from "../../../src/shared/limits.js";
import { api } from "../../support/harness.js";
import {
  containing,
  DAY,
  echo,
  matching,
  preload,
  refusal,
  refusedWithoutATrace,
  START,
  startWorld,
} from "../../support/hosts/api/world.js";

beforeAll(preload);

const ORDER = {
  type: "object",
  required: ["id", "lines"],
  properties: { id: { type: "string" }, lines: { type: "array", items: { type: "integer", minimum: 1 } } },
  additionalProperties: false,
};

describe("the input", () => {
  test("is checked against the JSON Schema of the version", async () => {
    const world = await startWorld();
    await world.publish(echo("order", { input: ORDER }));
    const bad = { id: 7, lines: [1, 0], note: "?" };
    const { problems, message } = await refusedWithoutATrace(world, () => world.start("order", bad), "INPUT_INVALID");
    expect(problems).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ path: containing("id") }),
        expect.objectContaining({ path: containing("lines") }),
      ]),
    );
    expect(message).toContain('"order" version 1');

    const good = await world.start("order", { id: "7", lines: [1, 2] });
    await world.untilEnded(good);
    expect(await world.status(good)).toMatchObject({ status: "succeeded", output: '{"id":"7","lines":[1,2]}' });
  });

  test("is checked against the schema of the version that is started, not of the active one", async () => {
    const world = await startWorld();
    await world.publish(echo("order", { input: ORDER }));
    await world.publish(echo("order", { input: { type: "string" } }));
    await world.start("order", "any text");
    await world.start("order", { id: "7", lines: [] }, { version: 1 });
    await refusedWithoutATrace(world, () => world.start("order", "any text", { version: 1 }), "INPUT_INVALID");
  });

  test("with a schema of `false` nothing can be started, without one everything", async () => {
    const world = await startWorld();
    await world.publish(echo("closed", { input: false }));
    await world.publish(echo("open"));
    await refusedWithoutATrace(world, () => world.start("closed", null), "INPUT_INVALID");
    for (const input of [null, 0, "", [], { $odd: { clé: 1 } }]) {
      const executionId = await world.start("open", input);
      await world.untilEnded(executionId);
      expect(JSON.parse((await world.status(executionId)).output ?? "")).toEqual(input);
    }
  });
});

describe("the version", () => {
  test("is the active one at the start and stays it: publishing and rolling back touch no running execution", async () => {
    const world = await startWorld();
    const answering = (answer: number) => ({
      name: "answer",
      nodes: { start: { type: "trigger", next: { success: "end" } }, end: { type: "output", value: answer } },
    });
    expect(await world.publish(answering(1))).toBe(1);
    const first = await world.start("answer");
    // Nothing has run yet: both publishes fall between the start and the first stretch.
    expect(await world.publish(answering(2))).toBe(2);
    const second = await world.start("answer");
    expect(await world.publish(answering(3))).toBe(3);
    const third = await world.start("answer");
    await world.t.mutation(api.definitions.rollback, { name: "answer", version: 1 });
    const rolledBack = await world.start("answer");
    const named = await world.start("answer", null, { version: 2 });
    expect(await world.publish(answering(4))).toBe(4);

    const all = [first, second, third, rolledBack, named];
    await world.untilEnded(...all);
    const views = await Promise.all(all.map((id) => world.status(id)));
    expect(views.map(({ version, output }) => [version, output])).toEqual([
      [1, "1"],
      [2, "2"],
      [3, "3"],
      [1, "1"],
      [2, "2"],
    ]);
  });

  test("must exist, be published, and be of that scope", async () => {
    const world = await startWorld();
    await world.publish(echo("flow"), "tenant-a");
    await world.t.mutation(api.definitions.saveDraft, { name: "draft", source: JSON.stringify(echo("draft")) });

    await refusedWithoutATrace(world, () => world.start("flow"), "DEFINITION_NOT_FOUND");
    await refusedWithoutATrace(world, () => world.start("flow", null, { scope: "tenant-b" }), "DEFINITION_NOT_FOUND");
    await refusedWithoutATrace(world, () => world.start("Flow", null, { scope: "tenant-a" }), "DEFINITION_NOT_FOUND");
    await refusedWithoutATrace(world, () => world.start("draft"), "DEFINITION_NOT_PUBLISHED");
    for (const version of [0, 2, -1, 1.5, Number.NaN]) {
      const call = () => world.start("flow", null, { scope: "tenant-a", version });
      await refusedWithoutATrace(world, call, "VERSION_NOT_FOUND");
    }
    const executionId = await world.start("flow", null, { scope: "tenant-a" });
    expect(await world.status(executionId)).toMatchObject({ scope: "tenant-a", definition: "flow", version: 1 });
  });

  test("a definition of one scope is another one than its namesake of another scope", async () => {
    const world = await startWorld();
    await world.publish(echo("flow", { input: { type: "string" } }), "a");
    await world.publish(echo("flow", { input: { type: "number" } }), "b");
    await world.start("flow", "text", { scope: "a" });
    await world.start("flow", 5, { scope: "b" });
    await refusal(world.start("flow", 5, { scope: "a" }), "INPUT_INVALID");
  });
});

test("context, tags and shard key are kept and used", async () => {
  const world = await startWorld();
  await world.publish({
    name: "greeting",
    nodes: {
      start: { type: "trigger", next: { success: "end" } },
      end: { type: "output", value: "{{ context.tenant }} on {{ execution.shardIndex }}" },
    },
  });
  const context = JSON.stringify({ tenant: "acme", $plan: "größte" });
  const tags = { customer: "42", region: "" };
  const ids = [];
  for (let i = 0; i < 6; i++) ids.push(await world.start("greeting", i, { context, tags, shardKey: "customer 42" }));
  await world.untilEnded(...ids);

  const views = await Promise.all(ids.map((id) => world.describe(id)));
  const { shardIndex } = views[0]!;
  for (const view of views) {
    expect(view).toMatchObject({ context, tags, shardIndex, output: `"acme on ${shardIndex}"` });
  }
  const spread = [];
  for (let i = 0; i < 24; i++) spread.push((await world.status(await world.start("greeting"))).shardIndex);
  expect(new Set(spread).size, "without a key they spread over all active shards").toBe(4);
});

describe("a batch", () => {
  test("starts all items, in order", async () => {
    const world = await startWorld();
    await world.publish(echo());
    const batch = async (length: number) => {
      const items = Array.from({ length }, (_, i) => ({ input: String(i) }));
      return await world.t.mutation(api.executions.startWorkflowBatch, { definition: "echo", items });
    };
    const ids = await batch(12);
    await world.untilEnded(...ids);
    const outputs = await Promise.all(ids.map(async (id) => (await world.status(id)).output));
    expect(outputs).toEqual(ids.map((_, i) => String(i)));
    expect(new Set(await batch(MAX_BATCH_STARTS)).size, "the largest batch").toBe(MAX_BATCH_STARTS);
  });

  test("starts none when one item is refused, or when there are too many", async () => {
    const world = await startWorld();
    await world.publish(echo("numbers", { input: { type: "number" } }));
    const batch = (items: Array<{ input: string; idempotencyKey?: string; onConflict?: "reject" }>) => () =>
      world.t.mutation(api.executions.startWorkflowBatch, { definition: "numbers", items });
    const numbers = (length: number) => Array.from({ length }, (_, i) => ({ input: String(i) }));
    await refusedWithoutATrace(world, batch([...numbers(9), { input: '"ten"' }]), "INPUT_INVALID");
    await refusedWithoutATrace(world, batch([...numbers(9), { input: "{" }]), "VALUE_NOT_JSON");
    await refusedWithoutATrace(world, batch(numbers(MAX_BATCH_STARTS + 1)), "ARGUMENT_INVALID");
    const twice = { input: "1", idempotencyKey: "same", onConflict: "reject" as const };
    await refusedWithoutATrace(world, batch([...numbers(9), twice, twice]), "IDEMPOTENCY_CONFLICT");
    expect(await batch([])()).toEqual([]);
  });

  test("answers equal keys with one execution", async () => {
    const world = await startWorld();
    await world.publish(echo());
    const item = (input: string, idempotencyKey: string) => ({ input, idempotencyKey });
    const [a, b, again] = await world.t.mutation(api.executions.startWorkflowBatch, {
      definition: "echo",
      items: [item("1", "a"), item("2", "b"), item("3", "a")],
    });
    expect(again).toBe(a);
    expect(b).not.toBe(a);
    expect(await world.rows("executions")).toHaveLength(2);
  });
});

test("arguments that are out of range are refused and leave no trace", async () => {
  const world = await startWorld();
  await world.publish(echo());
  const long = "x".repeat(MAX_KEY_LENGTH + 1);
  const tooMany = Object.fromEntries(Array.from({ length: MAX_TAGS + 1 }, (_, i) => [`tag${i}`, "v"]));
  const refused: Array<Parameters<typeof world.start>[2]> = [
    { idempotencyKey: "" },
    { idempotencyKey: long },
    { shardKey: "" },
    { shardKey: long },
    { idempotencyKey: "k", idempotencyTtlMs: 0 },
    { idempotencyKey: "k", idempotencyTtlMs: -5 },
    { idempotencyKey: "k", idempotencyTtlMs: 31 * DAY },
    { idempotencyKey: "k", idempotencyTtlMs: Number.NaN },
    { tags: tooMany },
    { tags: { ["t".repeat(MAX_TAG_LENGTH + 1)]: "v" } },
    { tags: { t: "v".repeat(MAX_TAG_LENGTH + 1) } },
    { onComplete: "notAHandle" },
  ];
  for (const options of refused) {
    await refusedWithoutATrace(world, () => world.start("echo", 1, options), "ARGUMENT_INVALID");
  }
  await refusedWithoutATrace(world, () => world.start("echo", 1, { context: "{not json" }), "VALUE_NOT_JSON");
  // The bounds themselves are fine.
  await world.start("echo", 1, {
    idempotencyKey: long.slice(1),
    shardKey: long.slice(1),
    idempotencyTtlMs: 30 * DAY,
    tags: { ["t".repeat(MAX_TAG_LENGTH)]: "v".repeat(MAX_TAG_LENGTH) },
  });
});

test("rows read well without joins", async () => {
  const world = await startWorld();
  await world.publish({
    name: "checkout",
    nodes: {
      start: { type: "trigger", next: { success: "check" } },
      check: { type: "condition", if: "input.total > 0", next: { true: "end" } },
      end: { type: "output", value: "paid" },
    },
  });
  const good = await world.start("checkout", { total: 5 });
  const bad = await world.start("checkout", {});
  await world.untilEnded(good, bad);
  const stopped = await world.start("checkout", { total: 1 });
  await world.t.mutation(api.cancellations.cancelWorkflow, { executionId: stopped });
  const rows = await world.rows("executions");
  expect(rows).toEqual([
    expect.objectContaining({ _id: good, definition: "checkout", version: 1, status: "succeeded", startedAt: START }),
    expect.objectContaining({
      _id: bad,
      definition: "checkout",
      version: 1,
      status: "failed",
      startedAt: START,
      lastError: matching(/^EXPRESSION_FAILED at check: .*total/),
    }),
    expect.objectContaining({ _id: stopped, definition: "checkout", status: "canceled" }),
  ]);
  for (const row of rows) expect(row.endedAt).toBeGreaterThanOrEqual(row.startedAt as number);
});
