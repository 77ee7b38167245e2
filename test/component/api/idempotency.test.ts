/** Idempotency keys: one execution per scope, definition and key, for as long as was said. */
import { beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_IDEMPOTENCY_TTL_MS } from "../../../src/shared/limits.js";
import { api } from "../../support/harness.js";
import {
  containing,
  echo,
  HOUR,
  pass,
  preload,
  refusedWithoutATrace,
  startWorld,
  worker,
} from "../../support/hosts/api/world.js";

beforeAll(preload);

const KEY = { idempotencyKey: "order 42" };

describe("while the key is remembered", () => {
  test("a repeated start returns the existing execution and changes nothing", async () => {
    const world = await startWorld();
    await world.publish(echo());
    const first = await world.start("echo", 1, KEY);
    const before = await world.snapshot();
    expect(await world.start("echo", 2, KEY)).toBe(first);
    expect(await world.start("echo", 3, { ...KEY, onConflict: "return", shardKey: "elsewhere" })).toBe(first);
    expect(await world.snapshot()).toEqual(before);

    await world.untilEnded(first);
    expect(await world.start("echo", 4, KEY), "also after its end").toBe(first);
    expect(await world.status(first)).toMatchObject({ output: "1", ...KEY });
  });

  test("`reject` refuses and names the existing execution", async () => {
    const world = await startWorld();
    await world.publish(echo());
    const first = await world.start("echo", 1, KEY);
    const again = () => world.start("echo", 2, { ...KEY, onConflict: "reject" });
    const error = await refusedWithoutATrace(world, again, "IDEMPOTENCY_CONFLICT");
    expect(error).toMatchObject({ executionId: first, retryable: false });
    expect(await world.start("echo", 2, { idempotencyKey: "order 43", onConflict: "reject" })).not.toBe(first);
  });

  test("`replace` cancels the existing execution and takes the key over", async () => {
    const world = await startWorld();
    await world.publish(worker());
    const first = await world.start("worker", { mode: "first", ms: HOUR / 60 }, KEY);
    await pass(5_000);
    expect(await world.status(first)).toMatchObject({ status: "running" });

    const second = await world.start("worker", { mode: "second" }, { ...KEY, onConflict: "replace" });
    expect(second).not.toBe(first);
    expect(await world.status(first)).toMatchObject({
      status: "canceled",
      canceled: { reason: containing("idempotency key") },
    });
    expect((await world.status(first)).idempotencyKey).toBeUndefined();
    expect(await world.start("worker", { mode: "third" }, KEY), "the newer one has the key").toBe(second);
    await world.untilEnded(second);
    await world.untilQuiet();
    expect(await world.status(second)).toMatchObject({ status: "succeeded", output: '"second"' });
    expect(await world.status(first)).toMatchObject({ status: "canceled" });
  });

  test("`replace` leaves an execution that has ended as it ended", async () => {
    const world = await startWorld();
    await world.publish(echo());
    const first = await world.start("echo", 1, KEY);
    await world.untilEnded(first);
    const second = await world.start("echo", 2, { ...KEY, onConflict: "replace" });
    expect(second).not.toBe(first);
    expect(await world.status(first)).toMatchObject({ status: "succeeded", output: "1" });
    expect(await world.start("echo", 3, KEY)).toBe(second);
  });
});

describe("the lifetime of a key", () => {
  test.each([
    ["a day, when none is named", undefined, DEFAULT_IDEMPOTENCY_TTL_MS],
    ["what is named", 2 * HOUR, 2 * HOUR],
  ])("is %s", async (_, idempotencyTtlMs, lifetime) => {
    const world = await startWorld();
    await world.publish(echo());
    const options = idempotencyTtlMs === undefined ? KEY : { ...KEY, idempotencyTtlMs };
    const first = await world.start("echo", 1, options);
    const startedAt = Date.now();
    await world.untilEnded(first);
    await pass(startedAt + lifetime - 1 - Date.now());
    expect(await world.start("echo", 2, options), "to its last millisecond").toBe(first);

    await pass(1);
    const second = await world.start("echo", 3, { ...options, onConflict: "reject" });
    expect(second).not.toBe(first);
    expect(await world.start("echo", 4, options), "the newer one is found from now on").toBe(second);
    expect(await world.status(first)).toMatchObject({ status: "succeeded", output: "1" });
  });

  test("ends early when the execution is cleaned up", async () => {
    const world = await startWorld();
    await world.publish(echo());
    const first = await world.start("echo", 1, KEY);
    await world.untilEnded(first);
    await world.t.mutation(api.history.cleanupWorkflow, { executionId: first });
    expect(await world.start("echo", 2, { ...KEY, onConflict: "reject" })).not.toBe(first);
  });
});

test("a key belongs to its scope and its definition", async () => {
  const world = await startWorld();
  for (const scope of ["", "a", "b"]) {
    await world.publish(echo("one"), scope);
    await world.publish(echo("two"), scope);
  }
  const start = async (scope: string, name: string) =>
    await world.start(name, null, { ...KEY, scope, onConflict: "reject" });
  const all = [];
  for (const scope of ["", "a", "b"]) all.push(await start(scope, "one"), await start(scope, "two"));
  expect(new Set(all).size).toBe(6);
  await refusedWithoutATrace(world, () => start("b", "two"), "IDEMPOTENCY_CONFLICT");
  expect(await world.start("one", null, { ...KEY, scope: "a" })).toBe(all[2]);
});

test("a key holds across versions: a repeated start finds the execution of the version before", async () => {
  const world = await startWorld();
  await world.publish(echo());
  const first = await world.start("echo", 1, KEY);
  await world.publish(echo("echo", { input: { type: "string" } }));
  expect(await world.start("echo", 1, KEY)).toBe(first);
});
