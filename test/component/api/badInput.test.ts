/**
 * Bad input: a typed error, and nothing is changed in any table of any component. What is wrong with definitions,
 * settings and lists is in the tests of those; here are ids, values, and what only shows when an execution runs.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { assertJson, toJsonText } from "../../../src/shared/json.js";
import { MAX_VALUE_BYTES, MB } from "../../../src/shared/limits.js";
import type { ErrorCode } from "../../../src/shared/errors.js";
import { api } from "../../support/harness.js";
import {
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

/** Every public function that takes the id of an execution and needs it to exist. */
const BY_ID = {
  getStatus: async ({ t }: World, executionId: string) => await t.query(api.history.getStatus, { executionId }),
  describe: async ({ t }: World, executionId: string) => await t.query(api.history.describe, { executionId }),
  listNodeRuns: async ({ t }: World, executionId: string) => await t.query(api.history.listNodeRuns, { executionId }),
  getNodeOutput: async ({ t }: World, executionId: string) =>
    await t.query(api.history.getNodeOutput, { executionId, key: "end" }),
  cancelWorkflow: async ({ t }: World, executionId: string) =>
    await t.mutation(api.cancellations.cancelWorkflow, { executionId }),
  cleanupWorkflow: async ({ t }: World, executionId: string) =>
    await t.mutation(api.history.cleanupWorkflow, { executionId }),
  retryCallback: async ({ t }: World, executionId: string) =>
    await t.mutation(api.admin.retryCallback, { executionId }),
};

describe("ids", () => {
  test.each(Object.keys(BY_ID) as Array<keyof typeof BY_ID>)("%s refuses what is no execution", async (name) => {
    const world = await startWorld();
    await world.publish(echo());
    const gone = await world.start("echo");
    await world.untilEnded(gone);
    await world.t.mutation(api.history.cleanupWorkflow, { executionId: gone });
    const running = await world.start("echo");
    const task = (await world.rows("tasks"))[0]!._id;
    const definition = (await world.rows("definitions"))[0]!._id;
    const before = await world.snapshot();
    for (const id of ["", "nonsense", " ", `${running} `, "🦀", task, definition, "null"]) {
      await refusal(BY_ID[name](world, id), "ID_INVALID");
    }
    expect(await refusal(BY_ID[name](world, gone), "EXECUTION_NOT_FOUND")).toMatchObject({ executionId: gone });
    expect(await world.snapshot()).toEqual(before);
  });

  test("an execution that has ended can be canceled no more, one that has not cannot be cleaned up", async () => {
    const world = await startWorld();
    await world.publish(echo());
    await world.publish(worker());
    const cancel = (id: string) => () => BY_ID.cancelWorkflow(world, id);
    const cleanup = (id: string) => () => BY_ID.cleanupWorkflow(world, id);

    const pending = await world.start("worker", { mode: "x", ms: 30_000 });
    expect(await refusedWithoutATrace(world, cleanup(pending), "EXECUTION_ACTIVE")).toMatchObject({
      status: "pending",
    });
    await pass(5_000);
    expect(await refusedWithoutATrace(world, cleanup(pending), "EXECUTION_ACTIVE")).toMatchObject({
      status: "running",
    });
    const parked = await world.start("worker", { mode: "throw" });
    await pass(10_000);
    expect(await refusedWithoutATrace(world, cleanup(parked), "EXECUTION_ACTIVE")).toMatchObject({ status: "waiting" });

    const ended = await world.start("echo");
    await world.untilEnded(ended);
    expect(await refusedWithoutATrace(world, cancel(ended), "EXECUTION_ENDED")).toMatchObject({ status: "succeeded" });
    await cancel(parked)();
    expect(await refusedWithoutATrace(world, cancel(parked), "EXECUTION_ENDED")).toMatchObject({ status: "canceled" });
  });
});

describe("values", () => {
  test("over 4 MB are refused, also 8 MB of them", async () => {
    const world = await startWorld();
    await world.publish(echo());
    const before = await world.snapshot();
    const start = async (options: { input: string; context?: string }) =>
      await world.t.mutation(api.executions.startWorkflow, { definition: "echo", ...options });
    const text = (bytes: number) => JSON.stringify("x".repeat(bytes - 2));
    for (const bytes of [MAX_VALUE_BYTES + 1, 8 * MB]) {
      await refusal(start({ input: text(bytes) }), "VALUE_TOO_LARGE");
      await refusal(start({ input: "1", context: text(bytes) }), "VALUE_TOO_LARGE");
      const items = [{ input: "1" }, { input: text(bytes) }];
      const batch = world.t.mutation(api.executions.startWorkflowBatch, { definition: "echo", items });
      await refusal(batch, "VALUE_TOO_LARGE");
    }
    // Bytes count, not characters.
    await refusal(start({ input: JSON.stringify("ü".repeat(MAX_VALUE_BYTES / 2)) }), "VALUE_TOO_LARGE");
    expect(await world.snapshot()).toEqual(before);
    await start({ input: text(MAX_VALUE_BYTES) });
  });

  test.each(["", "{", "undefined", "{'a':1}", "NaN", "[1,]", '"\n"'])(
    "that are not JSON are refused: %j",
    async (text) => {
      const world = await startWorld();
      await world.publish(echo());
      const start = (args: { input: string; context?: string }) => () =>
        world.t.mutation(api.executions.startWorkflow, { definition: "echo", ...args });
      await refusedWithoutATrace(world, start({ input: text }), "VALUE_NOT_JSON");
      await refusedWithoutATrace(world, start({ input: "1", context: text }), "VALUE_NOT_JSON");
    },
  );

  test("that JSON cannot carry are refused before they become text", async () => {
    const circular: Record<string, unknown> = { list: [] };
    (circular.list as unknown[]).push(circular);
    let deep: unknown = 0;
    for (let i = 0; i < 101; i++) deep = [deep];
    const values: unknown[] = [
      circular,
      { a: 1n },
      [Number.NaN],
      { at: new Date(0) },
      [undefined],
      deep,
      new Map(),
      () => 1,
    ];
    for (const value of values) {
      for (const write of [() => toJsonText(value, "The input"), () => assertJson(value, "The input")]) {
        const { message } = await refusal(Promise.resolve().then(write), "VALUE_NOT_JSON");
        expect(message).toContain("The input");
      }
    }
    const shared = { a: 1 };
    expect(toJsonText({ one: shared, two: shared, gone: undefined }, "The input")).toBe(
      '{"one":{"a":1},"two":{"a":1}}',
    );
  });
});

describe("what only shows when it runs fails its own execution, with its reason", () => {
  const condition = (expression: string) => ({
    name: "run",
    nodes: {
      start: { type: "trigger", next: { success: "check" } },
      check: { type: "condition", if: expression, next: { true: "end" } },
      end: { type: "output", value: "reached" },
    },
  });
  const DOUBLING = Array.from({ length: 30 }, (_, i) => `x${i}`).reduceRight(
    (inner, name, i) => `[${i === 0 ? "input.text" : `x${i - 1} + x${i - 1}`}].exists(${name}, ${inner})`,
    'x29 == ""',
  );
  const NESTED = "input.list.all(a, input.list.all(b, input.list.all(c, input.list.all(d, a + b + c + d >= 0))))";
  const list = Array.from({ length: 100 }, (_, i) => i);

  test.each<[string, Record<string, unknown>, unknown, ErrorCode]>([
    ["a loop over something that is no list", looping("run"), { not: "a list" }, "LOOP_ITEMS_NOT_LIST"],
    ["a loop over a text", looping("run"), "abc", "LOOP_ITEMS_NOT_LIST"],
    ["a loop over more than it may", looping("run", 3), [1, 2, 3, 4], "LOOP_TOO_MANY_ITEMS"],
    ["a path that is not there", condition("input.a.b.c == 1"), { a: {} }, "EXPRESSION_FAILED"],
    ["a condition that is no bool", condition("input.n"), { n: 1 }, "EXPRESSION_NOT_BOOLEAN"],
    ["loops in loops in an expression", condition(NESTED), { list }, "EXPRESSION_LIMIT"],
    ["a text that doubles without end", condition(DOUBLING), { text: "0123456789" }, "EXPRESSION_LIMIT"],
    ["division by zero", condition("1 / input.n == 1"), { n: 0 }, "EXPRESSION_FAILED"],
    [
      "a model of nobody",
      {
        name: "run",
        nodes: {
          start: { type: "trigger", next: { success: "ask" } },
          ask: { type: "llm", model: "{{ input.model }}", prompt: "Hello" },
        },
      },
      { model: "nobody:gpt" },
      "MODEL_UNKNOWN",
    ],
  ])("%s", async (_, source, input, code) => {
    const world = await startWorld();
    await world.publish({ ...source, name: "run" });
    await world.publish(echo());
    const shared = { shardKey: "one shard" };
    const bad = await world.start("run", input as never, shared);
    const good = await world.start("echo", "fine", shared);
    await world.untilEnded(bad, good);
    const { lastError, error } = await world.status(bad);
    expect(error).toMatchObject({ code });
    expect(lastError).toMatch(new RegExp(`^${code} at `));
    expect(await world.status(good)).toMatchObject({ status: "succeeded", output: '"fine"' });
    expect(await world.describe(bad), "in the first try: it is nobody's crash").toMatchObject({
      leaseEpoch: 1,
      events: [],
    });
  });
});
