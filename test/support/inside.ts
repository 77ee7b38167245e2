/**
 * A way past the functions of components, for tests on convex-test: their rows, their scheduled jobs and the internal
 * functions of Shardflow. Nothing of the product knows about it.
 */
import batchWorker from "@convex-dev/batch-worker/test";
import workflow from "@convex-dev/workflow/test";
import workpool from "@convex-dev/workpool/test";
import {
  makeFunctionReference,
  type GenericDataModel,
  type GenericMutationCtx,
  type SystemDataModel,
} from "convex/server";
import type { GenericId, Value } from "convex/values";
import { MAX_SHARDS } from "../../src/shared/limits.js";
import shardflow from "../../src/test.js";

export type Row = { _id: string; _creationTime: number; [field: string]: unknown };
/** Rows by "component path/table"; tables without rows are left out. */
export type Tables = Record<string, Row[]>;
export type Job = SystemDataModel["_scheduled_functions"]["document"];
type Ctx = GenericMutationCtx<GenericDataModel>;

const tablesOf = (schema: { tables: object }) => Object.keys(schema.tables);

/** Every component of an installation, with its tables. */
const COMPONENTS: ReadonlyArray<readonly [path: string, tables: string[]]> = [
  ["shardflow", tablesOf(shardflow.schema)],
  ...Array.from({ length: MAX_SHARDS }, (_, shard) => `shardflow/shard${shard}`).flatMap((path) => [
    [path, tablesOf(workflow.schema)] as const,
    [`${path}/workpool`, tablesOf(workpool.schema)] as const,
    [`${path}/workpool/batchWorker`, tablesOf(batchWorker.schema)] as const,
  ]),
];

/** `module:function`: Convex names the module's file, convex-test leaves its extension out. */
export const functionOf = ({ name }: Job): string => name.replace(".js:", ":");

export type Inside = ReturnType<typeof inside>;

/** @param t - what `convexTest` returned, with Shardflow registered as `shardflow`. */
export function inside(t: object) {
  /** Runs a transaction in a component, past its functions. */
  const within = async <T>(path: string, body: (ctx: Ctx) => Promise<T>): Promise<T> => {
    // Present at run time and used by convex-test itself, but not in its types.
    type Runner = { runInComponent: (path: string, body: (ctx: Ctx) => Promise<T>) => Promise<T> };
    return await (t as Runner).runInComponent(path, body);
  };

  /** Every row of every component, but the scheduler's own. */
  const tables = async (): Promise<Tables> => {
    const all: Tables = {};
    for (const [path, names] of COMPONENTS) {
      const rows = await within(path, async ({ db }) => {
        return await Promise.all(names.map(async (name) => (await db.query(name).collect()) as unknown as Row[]));
      });
      names.forEach((name, i) => {
        if (rows[i]!.length > 0) all[`${path}/${name}`] = rows[i]!;
      });
    }
    return all;
  };

  /** The scheduled functions of Shardflow itself; convex-test keeps those that have run. */
  const jobs = async (): Promise<Job[]> =>
    await within("shardflow", async ({ db }) => await db.system.query("_scheduled_functions").collect());

  return {
    within,
    tables,
    jobs,
    /** All that a refused call must leave as it was. */
    snapshot: async () => ({ tables: await tables(), jobs: await jobs() }),
    rows: async (table: string): Promise<Row[]> => (await tables())[`shardflow/${table}`] ?? [],
    /** How many rows each table holds; tables without rows are left out. */
    counts: async (): Promise<Record<string, number>> =>
      Object.fromEntries(Object.entries(await tables()).map(([table, rows]) => [table, rows.length])),
    patch: async (table: string, id: string, fields: Record<string, Value | undefined>): Promise<void> =>
      await within("shardflow", async ({ db }) => await db.patch(table, id as GenericId<string>, fields)),
    remove: async (table: string, id: string): Promise<void> =>
      await within("shardflow", async ({ db }) => await db.delete(table, id as GenericId<string>)),
    /** Calls an internal mutation of Shardflow, as a cron would. */
    internal: async (name: string, args: Record<string, unknown> = {}): Promise<unknown> =>
      await within("shardflow", async (ctx) => {
        return await ctx.runMutation(makeFunctionReference<"mutation", Record<string, unknown>, unknown>(name), args);
      }),
    /** Cancels the pending jobs of a function, as an operator can in the dashboard; returns how many there were. */
    cancelJobs: async (name: string): Promise<number> =>
      await within("shardflow", async ({ db, scheduler }) => {
        const all = await db.system.query("_scheduled_functions").collect();
        const pending = all.filter((job) => functionOf(job) === name && job.state.kind === "pending");
        for (const { _id } of pending) await scheduler.cancel(_id);
        return pending.length;
      }),
  };
}
