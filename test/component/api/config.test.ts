/** admin.configure, admin.getConfig and admin.countsPerShard: what is set, what is refused, what it applies to. */
import type { FunctionArgs } from "convex/server";
import { beforeAll, describe, expect, test } from "vitest";
import * as limits from "../../../src/shared/limits.js";
import { api } from "../../support/harness.js";
import {
  echo,
  MINUTE,
  pass,
  preload,
  refusedWithoutATrace,
  startWorld,
  worker,
  type World,
} from "../../support/hosts/api/world.js";

beforeAll(preload);

type Config = FunctionArgs<typeof api.admin.configure>;
const configure = async (world: World, config: Config) => await world.t.mutation(api.admin.configure, config);
const getConfig = async (world: World) => await world.t.query(api.admin.getConfig, {});
const counts = async (world: World) => (await world.t.query(api.admin.countsPerShard, {})).shards;

test("nothing set: every setting is told with its default, and so are the limits", async () => {
  const world = await startWorld();
  const config = await getConfig(world);
  expect(config).toMatchObject({
    activeShards: 4,
    maxShards: 8,
    placementVersion: 1,
    maxParallelism: 25,
    stretchBudgetMs: 4 * MINUTE,
    retentionMs: 30 * 24 * 60 * MINUTE,
  });
  const named = Object.entries(limits).filter(([name]) => /^(MAX|DEFAULT)_/.test(name));
  expect(config.limits).toEqual(Object.fromEntries(named));
  expect(named.length).toBeGreaterThan(40);
  expect(await world.rows("config"), "asking stores nothing").toEqual([]);
});

test("what is set is kept, what is left out stays, and all of it is told", async () => {
  const world = await startWorld();
  expect(await configure(world, { activeShards: 8 })).toMatchObject({ activeShards: 8, maxParallelism: 25 });
  expect(await configure(world, { maxParallelism: 100, retentionMs: 0 })).toMatchObject({
    activeShards: 8,
    maxParallelism: 100,
    retentionMs: 0,
    stretchBudgetMs: 4 * MINUTE,
  });
  expect(await configure(world, { activeShards: 1, stretchBudgetMs: 1_000 })).toMatchObject({
    activeShards: 1,
    maxParallelism: 100,
    stretchBudgetMs: 1_000,
  });
  expect(await configure(world, {})).toEqual(await getConfig(world));
  expect(await getConfig(world)).toMatchObject({ activeShards: 1, maxParallelism: 100, retentionMs: 0 });
  expect(await world.rows("config")).toHaveLength(1);
});

describe("what is out of range is refused and changes nothing", () => {
  const BAD = [0, 9, 1.5, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53];
  const refused: Config[] = [
    ...BAD.map((activeShards) => ({ activeShards })),
    ...[0, 101, 2.5, -3, Number.NaN].map((maxParallelism) => ({ maxParallelism })),
    ...[0, 999, 5 * MINUTE + 1, 1000.5, Number.NaN].map((stretchBudgetMs) => ({ stretchBudgetMs })),
    ...[-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY].map((retentionMs) => ({ retentionMs })),
    // One bad value refuses the good ones next to it.
    { activeShards: 2, maxParallelism: 10, retentionMs: -1 },
  ];

  test.each([
    ["unset", {}],
    ["set", { activeShards: 3, maxParallelism: 7 }],
  ])("while the settings are %s", async (_, set) => {
    const world = await startWorld();
    if (Object.keys(set).length > 0) await configure(world, set);
    for (const config of refused) {
      const error = await refusedWithoutATrace(world, () => configure(world, config), "CONFIG_INVALID");
      const named = typeof error.name === "string" ? error.name : "";
      expect(Object.keys(config), error.message).toContain(named);
      expect(error.message).toContain(String(config[named as keyof Config]));
    }
    expect(await getConfig(world)).toMatchObject({ activeShards: 4, maxParallelism: 25, ...set });
  });

  test("also by the validator: what is no number, or no setting", async () => {
    const world = await startWorld();
    await configure(world, { activeShards: 3 });
    const before = await world.snapshot();
    const odd: unknown[] = [{ activeShards: "4" }, { activeShards: null }, { activeShards: [4] }, { shards: 4 }, "4"];
    for (const config of odd) {
      // What a caller without types can send.
      await expect(configure(world, config as Config)).rejects.toThrow(/validator|must be an object/i);
    }
    expect(await world.snapshot()).toEqual(before);
  });
});

test("the number of active shards counts for new executions; the others stay and finish where they are", async () => {
  const world = await startWorld();
  await world.publish(worker());
  const begin = async () => {
    const ids = [];
    for (let i = 0; i < 16; i++) ids.push(await world.start("worker", { mode: `of ${i}`, ms: 30_000 }));
    return ids;
  };
  const shardsOf = async (ids: string[]) =>
    (await Promise.all(ids.map((id) => world.status(id)))).map((s) => s.shardIndex);

  await configure(world, { activeShards: 8 });
  const wide = await begin();
  const wideShards = await shardsOf(wide);
  expect(Math.max(...wideShards)).toBeGreaterThan(1);
  await pass(5_000);
  await configure(world, { activeShards: 2 });
  const narrow = await begin();
  expect(new Set(await shardsOf(narrow))).toEqual(new Set([0, 1]));
  expect(await shardsOf(wide)).toEqual(wideShards);

  const shards = await counts(world);
  expect(shards.map(({ shardIndex, active }) => [shardIndex, active])).toEqual(
    Array.from({ length: 8 }, (_, shard) => [shard, shard < 2]),
  );
  const onShard = (all: number[], shard: number) => all.filter((one) => one === shard).length;
  const narrowShards = await shardsOf(narrow);
  for (const { shardIndex, running, claimed, pending, queued, waiting } of shards) {
    expect([running, claimed, waiting], `shard ${shardIndex}`).toEqual([
      onShard(wideShards, shardIndex),
      onShard(wideShards, shardIndex),
      0,
    ]);
    expect([pending, queued], `shard ${shardIndex}`).toEqual([
      onShard(narrowShards, shardIndex),
      onShard(narrowShards, shardIndex),
    ]);
  }

  await world.untilEnded(...wide, ...narrow);
  expect(await shardsOf(wide)).toEqual(wideShards);
  for (const [i, id] of [...wide, ...narrow].entries()) {
    expect(await world.status(id)).toMatchObject({ status: "succeeded", output: `"of ${i % 16}"` });
  }
});

test("one active shard takes everything, also explicit keys", async () => {
  const world = await startWorld();
  await world.publish(echo());
  await configure(world, { activeShards: 1 });
  for (let i = 0; i < 10; i++) {
    const executionId = await world.start("echo", i, i % 2 === 0 ? {} : { shardKey: `key ${i}` });
    expect(await world.status(executionId)).toMatchObject({ shardIndex: 0 });
  }
});

test("the parallelism bounds what runs on a shard at once, and the first that waits says why", async () => {
  const world = await startWorld();
  await world.publish(worker());
  await configure(world, { activeShards: 1, maxParallelism: 2 });
  const ids = [];
  for (let i = 0; i < 5; i++) ids.push(await world.start("worker", { mode: "sleep", ms: 20_000 }));
  await pass(5_000);
  expect((await counts(world))[0]).toMatchObject({ claimed: 2, running: 2, queued: 3, pending: 3 });
  const third = await world.describe(ids[2]!);
  expect(third.task).toMatchObject({ state: "queued", refusal: { code: "CAPACITY" } });
  expect(third.task?.refusal?.detail).toContain("2 of 2");

  await configure(world, { maxParallelism: 3 });
  await pass(5_000);
  expect((await counts(world))[0]).toMatchObject({ claimed: 3, running: 3, queued: 2 });
  await world.untilEnded(...ids);
});
