/**
 * Rows that no version of the component wrote: by hand in the dashboard, by a bad import, by a lost chunk. Only the
 * execution they belong to fails, with its reason; its neighbours in the same pass of the pump go on.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { api } from "../../support/harness.js";
import {
  echo,
  looping,
  matching,
  pass,
  preload,
  startWorld,
  worker,
  type World,
} from "../../support/hosts/api/world.js";

beforeAll(preload);

const LARGE = "x".repeat(20_000);

async function rowOf(world: World, table: string, executionId: string) {
  const row = (await world.rows(table)).find((one) => one.executionId === executionId);
  expect(row, `a row of ${table}`).toBeDefined();
  return row!;
}

async function removeRow(world: World, table: string, executionId: string): Promise<void> {
  await world.remove(table, (await rowOf(world, table, executionId))._id);
}

async function setPosition(world: World, executionId: string, json: string): Promise<void> {
  const { _id } = await rowOf(world, "positions", executionId);
  await world.patch("positions", _id, { position: { kind: "inline", json } });
}

/** What is done to the row of one execution before its first stretch, and what its error says. */
const DAMAGES: Record<string, { damage: (world: World, id: string) => Promise<void>; code: string; says: RegExp }> = {
  "the position is not JSON": {
    damage: async (world, id) => await setPosition(world, id, "garbage"),
    code: "CORRUPT_ROW",
    says: /position/i,
  },
  "the position is of another shape": {
    damage: async (world, id) => await setPosition(world, id, '{"tokens":"start","loops":[]}'),
    code: "CORRUPT_ROW",
    says: /position|tokens/i,
  },
  "the position names a node that is not there": {
    damage: async (world, id) => await setPosition(world, id, '{"tokens":[{"pass":"","node":"nowhere"}],"loops":[]}'),
    code: "CORRUPT_ROW",
    says: /nowhere/,
  },
  "the position is in chunks that are not there": {
    damage: async (world, id) => {
      const { _id } = await rowOf(world, "positions", id);
      const position = { kind: "stored", name: "position:1", bytes: 90_000, chunks: 1 };
      await world.patch("positions", _id, { position });
    },
    code: "CORRUPT_ROW",
    says: /position:1.*0 of 1 chunks/,
  },
  "the variables are not an object": {
    damage: async (world, id) => {
      const { _id } = await rowOf(world, "positions", id);
      await world.patch("positions", _id, { variables: { kind: "inline", json: "{oops" } });
    },
    code: "CORRUPT_ROW",
    says: /variables/,
  },
  "the position is missing": {
    damage: async (world, id) => await removeRow(world, "positions", id),
    code: "CORRUPT_ROW",
    says: /position is missing/,
  },
  "the values are missing": {
    damage: async (world, id) => await removeRow(world, "executionData", id),
    code: "CORRUPT_ROW",
    says: /input/,
  },
  "a chunk of the input is missing": {
    damage: async (world, id) => await removeRow(world, "payloads", id),
    code: "CORRUPT_ROW",
    says: /"input" has 0 of 1 chunks/,
  },
  "the input is not JSON": {
    damage: async (world, id) => {
      const { _id } = await rowOf(world, "executionData", id);
      await world.patch("executionData", _id, { input: { kind: "inline", json: "{oops" } });
    },
    code: "CORRUPT_ROW",
    says: /input/,
  },
};

describe("damage before the first stretch", () => {
  test.each(Object.keys(DAMAGES))("%s", async (name) => {
    const { damage, code, says } = DAMAGES[name]!;
    const world = await startWorld();
    await world.publish(echo());
    const onComplete = await world.handle("functions:completed");
    const oneShard = { shardKey: "one shard", onComplete };
    const before = await world.start("echo", LARGE, oneShard);
    const bad = await world.start("echo", LARGE, oneShard);
    const after = await world.start("echo", LARGE, oneShard);
    await damage(world, bad);

    await world.untilEnded(before, bad, after);
    const { status, lastError } = await world.status(bad);
    expect([status, lastError]).toEqual(["failed", matching(new RegExp(`^${code}`))]);
    expect(lastError).toMatch(says);
    for (const id of [before, after]) {
      expect(await world.status(id)).toMatchObject({ status: "succeeded", output: JSON.stringify(LARGE) });
    }
    await world.untilQuiet();
    expect(await world.rows("tasks")).toEqual([]);
    expect(await world.rows("waits")).toEqual([]);
    expect(await world.rows("events"), "it failed in its first try").toEqual([]);

    // What is left of it can be looked at, and be cleaned up.
    expect((await world.t.query(api.history.list, { status: "failed" })).page).toMatchObject([{ executionId: bad }]);
    await world.t.mutation(api.history.cleanupWorkflow, { executionId: bad });
    await world.untilQuiet();
    expect((await world.rows("executions")).map((row) => row._id)).toEqual([before, after]);
    for (const [table, rows] of Object.entries(await world.tables())) {
      expect(
        JSON.stringify(rows, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)),
        table,
      ).not.toContain(bad);
    }
  });

  test("the version is missing: all of its executions fail, those of others go on", async () => {
    const world = await startWorld();
    await world.publish(echo("gone"));
    await world.publish(echo());
    const oneShard = { shardKey: "one shard" };
    const bad = [await world.start("gone", 1, oneShard), await world.start("gone", 2, oneShard)];
    const good = await world.start("echo", 3, oneShard);
    const version = (await world.rows("versions")).find((row) => row.name === "gone")!;
    await world.remove("versions", version._id);
    await world.untilEnded(good, ...bad);
    for (const id of bad) {
      const { lastError } = await world.status(id);
      expect(lastError).toMatch(/^VERSION_NOT_FOUND: .*Publish the definition/);
    }
    expect(await world.status(good)).toMatchObject({ status: "succeeded", output: "3" });
  });

  test("plan and source of the version are missing", async () => {
    const world = await startWorld();
    await world.publish(echo("gone"));
    await world.publish(echo());
    const bad = await world.start("gone", 1, { shardKey: "one shard" });
    const good = await world.start("echo", 3, { shardKey: "one shard" });
    const version = (await world.rows("versions")).find((row) => row.name === "gone")!;
    for (const row of await world.rows("versionTexts")) {
      if (row.versionId === version._id) await world.remove("versionTexts", row._id);
    }
    await world.untilEnded(good, bad);
    expect((await world.status(bad)).lastError).toMatch(/^CORRUPT_ROW: .*plan.*source/);
    expect(await world.status(good)).toMatchObject({ status: "succeeded", output: "3" });
  });

  test("only the plan is missing: it is compiled again from the source", async () => {
    const world = await startWorld();
    await world.publish(echo());
    for (const row of await world.rows("versionTexts")) {
      if (row.kind === "plan") await world.remove("versionTexts", row._id);
    }
    const executionId = await world.start("echo", "fine");
    await world.untilEnded(executionId);
    expect(await world.status(executionId)).toMatchObject({ status: "succeeded", output: '"fine"' });
    const kinds = (await world.rows("versionTexts")).map((row) => row.kind);
    expect(kinds.toSorted()).toEqual(["plan", "source"]);
  });
});

test("a task whose execution is gone is dropped, and the next one is run", async () => {
  const world = await startWorld();
  await world.publish(echo());
  const gone = await world.start("echo", 1, { shardKey: "one shard" });
  const good = await world.start("echo", 2, { shardKey: "one shard" });
  await world.remove("executions", gone);
  await world.untilEnded(good);
  await world.untilQuiet();
  expect(await world.rows("tasks")).toEqual([]);
  expect(world.logged.join("\n")).toContain(`There is no execution ${gone}`);
});

test("damage while an execution waits: it fails when it is woken, its neighbours go on", async () => {
  const world = await startWorld();
  await world.publish(worker());
  const oneShard = { shardKey: "one shard" };
  const start = async (mode: string) => await world.start("worker", { mode }, oneShard);
  const bad = await start("throw");
  const fine = await start("throw");
  await pass(10_000);
  expect(await world.status(bad)).toMatchObject({ status: "waiting" });
  await setPosition(world, bad, "garbage");
  expect((await world.describe(bad)).places, "it can still be looked at").toEqual([]);
  await world.untilEnded(bad, fine);
  const [broken, exhausted] = [await world.describe(bad), await world.describe(fine)];
  expect(broken).toMatchObject({ status: "failed", lastError: matching(/^CORRUPT_ROW: .*position/) });
  expect(exhausted).toMatchObject({ status: "failed", lastError: matching(/^ACTION_FAILED at work/) });
});

test("a chunk that is lost after the end is told when it is read, and only there", async () => {
  const world = await startWorld();
  await world.publish(echo());
  await world.publish(looping());
  const executionId = await world.start("echo", LARGE);
  await world.untilEnded(executionId);
  const output = (await world.rows("payloads")).find((row) => row.name === "output")!;
  await world.remove("payloads", output._id);
  await expect(world.status(executionId)).rejects.toMatchObject({ data: { code: "CORRUPT_ROW", executionId } });
  expect((await world.t.query(api.history.list, {})).page).toMatchObject([{ executionId, status: "succeeded" }]);
  expect((await world.t.query(api.history.listNodeRuns, { executionId })).page).toHaveLength(2);
  expect(await world.t.query(api.history.getNodeOutput, { executionId, key: "end" })).toBe(JSON.stringify(LARGE));
  expect(await world.t.mutation(api.history.cleanupWorkflow, { executionId })).toEqual({ done: true });
});

test("a flow that reads no input still does not succeed without a place for its result", async () => {
  const world = await startWorld();
  await world.publish({ name: "blind", nodes: { start: { type: "trigger" } } });
  const bad = await world.start("blind");
  await removeRow(world, "executionData", bad);
  await world.untilEnded(bad);
  expect(await world.status(bad)).toMatchObject({ status: "failed", lastError: matching(/^CORRUPT_ROW/) });
});
