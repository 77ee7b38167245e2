/** Work on one shard touches no row of another: every document that is read or written is looked at. */
import { beforeAll, expect, test } from "vitest";
import { placeShard } from "../../src/engine/placement.js";
import { DEFAULT_ACTIVE_SHARDS } from "../../src/shared/limits.js";
import type { Root, Touch } from "../support/counters.js";
import { preload } from "../support/harness.js";
import { chain, runShardflow } from "./runs.js";

beforeAll(preload);

/** Rows of definitions belong to no shard, and neither do settings and bindings. */
const SHARED_TABLES = ["bindings", "config", "definitions", "versions", "versionTexts"];

/** Follows which rows each transaction touched, and tells their shards when all is over. */
function followShards() {
  const shardOfExecution = new Map<string, number>();
  const touched = new Map<Root, Map<string, { where: string; shard: () => number | undefined }>>();
  const onTouch = ({ root, component, table, id, row }: Touch) => {
    if (component === "" || (component === "shardflow" && SHARED_TABLES.includes(table))) return;
    const inside = /^shardflow\/shard(\d)/.exec(component);
    const executionId = table === "executions" ? id : row.executionId;
    if (table === "executions") shardOfExecution.set(id, Number(row.shardIndex));
    const rows = touched.get(root) ?? new Map<string, { where: string; shard: () => number | undefined }>();
    touched.set(root, rows);
    // Within a transaction the last state of a row counts: a start learns the shard from the id of what it inserted.
    rows.set(`${component}/${id}`, {
      where: `${component}/${table}`,
      shard: () => {
        if (inside !== null) return Number(inside[1]);
        return typeof row.shardIndex === "number" ? row.shardIndex : shardOfExecution.get(executionId as string);
      },
    });
  };
  const transactions = () =>
    [...touched].map(([root, rows]) => ({
      name: `${root.component} ${root.name}`,
      shards: [...new Set([...rows.values()].map(({ shard }) => shard()))],
      tables: [...rows.values()].map(({ where }) => where),
    }));
  return { onTouch, transactions };
}

test("no transaction touches rows of two shards", async () => {
  const { onTouch, transactions } = followShards();
  await runShardflow({ definition: chain(3, 100), nodes: 3, executions: 40, onTouch });
  const all = transactions();
  expect(all.filter(({ shards }) => shards.length > 1 || shards.includes(undefined))).toEqual([]);
  expect([...new Set(all.flatMap(({ shards }) => shards))].sort()).toEqual([0, 1, 2, 3]);
  // What was looked at holds the rows that matter.
  const tables = new Set(all.flatMap(({ tables }) => tables));
  for (const table of ["executions", "executionData", "positions", "nodeRuns", "tasks", "executors"]) {
    expect(tables).toContain(`shardflow/${table}`);
  }
});

test("executions of one shard leave the others alone", async () => {
  const shard = 2;
  const shardKey = Array.from({ length: 100 }, (_, index) => `customer ${index}`).find(
    (key) => placeShard(key, DEFAULT_ACTIVE_SHARDS) === shard,
  )!;
  const { onTouch, transactions } = followShards();
  const { roots } = await runShardflow({ definition: chain(3, 100), nodes: 3, executions: 10, shardKey, onTouch });
  expect([...new Set(transactions().flatMap(({ shards }) => shards))]).toEqual([shard]);
  const components = roots.flatMap(({ runs }) => [...runs.values()].map(({ component }) => component));
  const base = `shardflow/shard${shard}`;
  expect([...new Set(components)].sort()).toEqual([
    "",
    "shardflow",
    base,
    `${base}/workpool`,
    `${base}/workpool/batchWorker`,
  ]);
});
