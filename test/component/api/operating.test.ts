/** bindings.sync and bindings.list, and the callbacks that failed: admin.listFailedCallbacks, admin.retryCallback. */
import type { FunctionArgs } from "convex/server";
import { beforeAll, describe, expect, test } from "vitest";
import { MAX_CALLBACK_ATTEMPTS, MAX_NAME_LENGTH } from "../../../src/shared/limits.js";
import { api } from "../../support/harness.js";
import {
  echo,
  pass,
  preload,
  refusedWithoutATrace,
  startWorld,
  worker,
  type World,
} from "../../support/hosts/api/world.js";

beforeAll(preload);

describe("bindings", () => {
  type Sync = FunctionArgs<typeof api.bindings.sync>;
  const sync = async (world: World, args: Sync) => await world.t.mutation(api.bindings.sync, args);
  const names = async (world: World) => (await world.t.query(api.bindings.list, {})).map(({ name }) => name);
  const binding = (name: string, handle = "function://;functions:lookup") => ({ name, kind: "query" as const, handle });

  test("are added, changed, kept and, with `prune`, removed; the same again changes nothing", async () => {
    const world = await startWorld();
    expect(await names(world)).toEqual(["app.leak", "app.lookup", "app.note", "app.work"]);
    expect(await sync(world, { bindings: [binding("b"), binding("a")] })).toEqual({ added: 2, changed: 0, removed: 0 });
    const moved = binding("a", "function://;functions:other");
    expect(await sync(world, { bindings: [moved, binding("b")] })).toEqual({ added: 0, changed: 1, removed: 0 });
    expect(await world.t.query(api.bindings.list, {})).toContainEqual(moved);
    expect(await names(world)).toHaveLength(6);

    const before = await world.snapshot();
    expect(await sync(world, { bindings: [moved, binding("b")] })).toEqual({ added: 0, changed: 0, removed: 0 });
    expect(await sync(world, { bindings: [] })).toEqual({ added: 0, changed: 0, removed: 0 });
    expect(await world.snapshot()).toEqual(before);

    expect(await sync(world, { bindings: [moved], prune: true })).toEqual({ added: 0, changed: 0, removed: 5 });
    expect(await names(world)).toEqual(["a"]);
  });

  test("that are malformed are refused, and the good ones with them", async () => {
    const world = await startWorld();
    const bad = [
      [binding("good"), binding("")],
      [binding("good"), binding("n".repeat(MAX_NAME_LENGTH + 1))],
      [binding("twice"), binding("twice")],
      [binding("good"), binding("noHandle", "functions:lookup")],
      Array.from({ length: 501 }, (_, i) => binding(`n${i}`)),
    ];
    for (const bindings of bad) {
      await refusedWithoutATrace(world, () => sync(world, { bindings, prune: true }), "ARGUMENT_INVALID");
    }
    const before = await world.snapshot();
    const kindless = { bindings: [{ ...binding("x"), kind: "workflow" }] };
    // What a caller without types can send.
    await expect(sync(world, kindless as unknown as Sync)).rejects.toThrow(/validator/i);
    expect(await world.snapshot()).toEqual(before);
  });

  test("that are gone let executions wait until they are back", async () => {
    const world = await startWorld();
    await world.publish(worker());
    const kept = await world.t.query(api.bindings.list, {});
    await sync(world, { bindings: [], prune: true });
    const executionId = await world.start("worker", { mode: "late" });
    await pass(60_000);
    const waiting = await world.describe(executionId);
    expect(waiting.endedAt, JSON.stringify(waiting)).toBeUndefined();
    await sync(world, { bindings: kept });
    await world.untilEnded(executionId);
    expect(await world.status(executionId)).toMatchObject({ status: "succeeded", output: '"late"' });
  });
});

describe("onComplete", () => {
  const failed = async (world: World) => await world.t.query(api.admin.listFailedCallbacks, {});
  const retry = async (world: World, executionId: string) =>
    await world.t.mutation(api.admin.retryCallback, { executionId });

  test("that keeps throwing is listed after its last attempt and can be tried again", async () => {
    const world = await startWorld();
    await world.publish(echo());
    await world.flip("callback", true);
    const onComplete = await world.handle("functions:completed");
    const executionId = await world.start("echo", 1, { onComplete, context: '{"order":7}' });
    const other = await world.start("echo", 2);
    await world.untilEnded(executionId, other);
    expect(await failed(world)).toEqual([]);
    expect((await world.describe(executionId)).callback).toMatchObject({ state: "pending" });
    expect(await retry(world, executionId), "it has not failed yet").toBe(false);

    await world.untilQuiet();
    expect(await world.completions(), "what a throwing callback wrote is undone").toEqual([]);
    const listed = await failed(world);
    expect(listed).toMatchObject([{ executionId, attempt: MAX_CALLBACK_ATTEMPTS }]);
    expect((await world.describe(executionId)).callback).toMatchObject({ state: "failed" });
    expect((await world.describe(executionId)).events).toMatchObject([{ type: "callbackFailed" }]);
    expect(await world.status(executionId), "its result stands").toMatchObject({ status: "succeeded", output: "1" });
    expect(await retry(world, other), "there is none").toBe(false);

    await world.flip("callback", false);
    expect(await retry(world, executionId)).toBe(true);
    expect(await retry(world, executionId), "it is on its way already").toBe(false);
    await world.untilQuiet();
    expect(await failed(world)).toEqual([]);
    const calls = await world.completions();
    expect(calls).toHaveLength(1);
    expect(JSON.parse(calls[0]!.args)).toEqual({
      executionId,
      scope: "",
      definition: "echo",
      version: 1,
      result: { status: "succeeded", output: "1" },
      context: '{"order":7}',
    });
    expect((await world.describe(executionId)).callback).toBeUndefined();
  });

  test("is told how the execution ended", async () => {
    const world = await startWorld();
    await world.publish(worker());
    await world.publish({
      name: "failing",
      nodes: {
        start: { type: "trigger", next: { success: "check" } },
        check: { type: "condition", if: "input.absent", next: {} },
      },
    });
    const onComplete = await world.handle("functions:completed");
    const stopped = await world.start("worker", { mode: "x" }, { onComplete });
    await world.t.mutation(api.cancellations.cancelWorkflow, { executionId: stopped, reason: "sold out" });
    const broken = await world.start("failing", {}, { onComplete });
    await world.untilEnded(broken);
    await world.untilQuiet();
    const calls = await world.completions();
    const told = (id: string) =>
      JSON.parse(calls.find(({ executionId }) => executionId === id)?.args ?? "null") as unknown;
    expect(calls).toHaveLength(2);
    expect(told(stopped)).toMatchObject({ result: { status: "canceled", reason: "sold out" }, context: null });
    expect(told(broken)).toMatchObject({
      definition: "failing",
      result: { status: "failed", error: { code: "EXPRESSION_FAILED", node: "check" } },
    });
  });

  test("cannot be retried for what is no execution", async () => {
    const world = await startWorld();
    await world.publish(echo());
    const executionId = await world.start("echo");
    await world.untilEnded(executionId);
    await world.t.mutation(api.history.cleanupWorkflow, { executionId });
    await refusedWithoutATrace(world, () => retry(world, executionId), "EXECUTION_NOT_FOUND");
    await refusedWithoutATrace(world, () => retry(world, "garbage"), "ID_INVALID");
  });
});
