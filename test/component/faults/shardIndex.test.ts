/**
 * Rows whose shard index is none: each is treated as one of shard 0, with a warning, wherever its shard is needed; and
 * on shard 0 nothing of a stranger is touched, even by one whose workflow has the same id. (convex-test counts ids in
 * every component alike, so they repeat across shards; Convex draws them at random.)
 */
import type { GenericId, Value } from "convex/values";
import { beforeAll, expect, test } from "vitest";
import { placeShard } from "../../../src/engine/placement.js";
import { DEFAULT_ACTIVE_SHARDS, MINUTE, REAP_DELAY_MS } from "../../../src/shared/limits.js";
import { expectWhole, rowsNaming, startEverything } from "../../support/faultChecks.js";
import { startWorld, type World } from "../../support/faults.js";
import { api, preload, runUntil } from "../../support/harness.js";
import { EVERYTHING, notify } from "../../support/hosts/faults/flows.js";

beforeAll(preload);

const BAD: ReadonlyArray<[Value | undefined, string]> = [
  [undefined, "undefined"],
  [null, "null"],
  [-1, "-1"],
  [1.5, "1.5"],
  [NaN, "NaN"],
  [8, "8"],
  ["2", 'the string "2"'],
];

const keyOf = (shard: number) => {
  for (let i = 0; ; i++) if (placeShard(`key ${i}`, DEFAULT_ACTIVE_SHARDS) === shard) return `key ${i}`;
};

/** A world with a stretch of a stranger under way on shard 0, and one execution for each bad value on shard 2. */
async function startWithStranger() {
  const world = await startWorld({ looseRows: true });
  await world.publish(EVERYTHING);
  await world.publish({
    name: "stranger",
    nodes: {
      start: { type: "trigger", next: { success: "tell" } },
      tell: notify("end"),
      end: { type: "output", value: 1 },
    },
  });
  const stranger = await world.start("stranger", null, { shardKey: keyOf(0) });
  const isStranger = (owner: string) => owner === `host of ${stranger}`;
  world.stopAt((point, when) =>
    isStranger(point.execution) && point.kind === "return" && when === "before" ? "hold" : null,
  );
  await world.untilHeld();
  const [theirs] = await world.rows("shardflow/shard0/workflows");
  const ids: string[] = [];
  for (const _ of BAD) ids.push(await startEverything(world, { shardKey: keyOf(2) }));
  return {
    world,
    ids,
    /** The stranger's workflow is as it was, and goes on to its end. */
    expectStrangerUntouched: async () => {
      expect(await world.rows("shardflow/shard0/workflows")).toContainEqual(theirs);
      world.stopAt(() => null);
      for (const { release } of world.held) release();
      await world.untilQuiet();
      expect((await world.describe(stranger)).status).toBe("succeeded");
    },
    /** Where ids are counted, the workflow of the others has the id of the stranger's: only its arguments tell them apart. */
    expectSameId: async () => {
      const [ours] = await world.rows("shardflow/shard2/workflows");
      expect(ours?._id === theirs?._id).toBe(/^0+\d+workflows$/.test(String(theirs?._id)));
    },
    /** As if ids had repeated: the last workflow of the others had the id that the stranger's has on its shard. */
    repeatId: async () => {
      const positions = await world.rows("shardflow/positions");
      await world.within("shardflow", async ({ db }) => {
        for (const { _id, executionId } of positions) {
          if (ids.includes(String(executionId))) await db.patch(_id as GenericId<string>, { workflowId: theirs!._id });
        }
      });
    },
  };
}

/** Stores the bad values, one for each execution, in rows of these tables. */
async function spoil(world: World, ids: string[], tables: string[]): Promise<void> {
  await world.within("shardflow", async ({ db }) => {
    for (const table of tables) {
      for (const row of await db.query(table).collect()) {
        const at = ids.indexOf((table === "executions" ? row._id : row.executionId) as string);
        if (at < 0) continue;
        const { _id, _creationTime, ...fields } = row as Record<string, Value>;
        const [shardIndex] = BAD[at]!;
        if (shardIndex === undefined) delete fields.shardIndex;
        await db.replace(row._id as GenericId<string>, shardIndex === undefined ? fields : { ...fields, shardIndex });
      }
    }
  });
}

function expectWarnings(world: World): void {
  const shown = world.warnings.filter((line) => line.includes("using shard 0"));
  for (const [, text] of BAD) expect(shown.join("\n")).toContain(`The stored shard index is ${text}, not a whole`);
}

test("start", async () => {
  const { world, ids, expectStrangerUntouched } = await startWithStranger();
  await spoil(world, ids, ["executions", "positions", "tasks"]);
  // No shard's queue holds them: the component's cron finds them.
  await world.internal("revive:revive", {});
  await world.untilEnded(...ids);
  expectWarnings(world);
  await expectStrangerUntouched();
  const tables = await world.tables();
  for (const id of ids) expectWhole(tables, id);
});

test("cancel", async () => {
  const { world, ids, expectStrangerUntouched, expectSameId } = await startWithStranger();
  world.stopAt(({ name }, when) => (name === "functions:notify" && when === "before" ? "hold" : null));
  await world.untilHeld(1 + ids.length);
  await expectSameId();
  await spoil(world, ids, ["executions", "positions", "tasks"]);
  for (const id of ids) await world.cancel(id);
  await world.elapse(REAP_DELAY_MS + MINUTE);
  expectWarnings(world);
  for (const id of ids) expect((await world.describe(id)).status).toBe("canceled");
  await expectStrangerUntouched();
  expect((await world.tables())["shardflow/shard2/workflows"]).toBeUndefined();
});

test("wake", async () => {
  const { world, ids, expectStrangerUntouched } = await startWithStranger();
  await runUntil(async () => (await world.rows("shardflow/waits")).length === ids.length);
  await spoil(world, ids, ["executions", "positions", "waits"]);
  await world.untilEnded(...ids);
  expectWarnings(world);
  await expectStrangerUntouched();
  const tables = await world.tables();
  for (const id of ids) expectWhole(tables, id);
});

test("cleanup", async () => {
  const { world, ids, expectStrangerUntouched, repeatId } = await startWithStranger();
  await world.untilEnded(...ids);
  await spoil(world, ids, ["executions", "positions"]);
  await repeatId();
  for (const executionId of ids) await world.t.mutation(api.history.cleanupWorkflow, { executionId });
  await world.elapse(REAP_DELAY_MS + MINUTE);
  expectWarnings(world);
  await expectStrangerUntouched();
  expect(rowsNaming(await world.tables(), ids)).toEqual({});
});

test("delete, in a batch with executions of every state and shard", async () => {
  const { world, ids, expectStrangerUntouched, repeatId } = await startWithStranger();
  await world.untilEnded(...ids);
  const more: string[] = [];
  for (let shard = 0; shard < DEFAULT_ACTIVE_SHARDS; shard++)
    more.push(await startEverything(world, { shardKey: keyOf(shard) }));
  await runUntil(async () => (await world.rows("shardflow/waits")).length === more.length);
  for (const _ of BAD) more.push(await startEverything(world));
  await spoil(world, ids, ["executions", "positions"]);
  await spoil(world, more.slice(-BAD.length), ["executions", "positions", "tasks"]);
  await repeatId();
  await world.t.mutation(api.definitions.delete, { name: "everything" });
  await world.elapse(REAP_DELAY_MS + MINUTE);
  expectWarnings(world);
  await expectStrangerUntouched();
  expect(rowsNaming(await world.tables(), [...ids, ...more])).toEqual({});
});
