/**
 * What makes the simulator fast, in counts: no time is measured here. `npm run simulator:bench` measures.
 * A count that grows with the size of a table, or with the length of a run, is a defect.
 */
import { createHook } from "node:async_hooks";
import { expect, test } from "vitest";
import { api, modules, schema } from "../bench/app.js";
import { Deployment } from "../src/index.js";
import { Database, Namespace, TICKS_PER_MS, TOMBSTONE_MS } from "../src/store/database.js";
import type { Index, Table } from "../src/store/table.js";
import { Transaction } from "../src/transaction/transaction.js";
import { newId } from "../src/values/ids.js";

const start = () => new Deployment({ schema, modules, className: "D1024" });

async function fill(app: Deployment, rows: number): Promise<void> {
  for (let from = 0; from < rows; from += 500) {
    await app.mutation(api.fill, { from, count: Math.min(500, rows - from) });
  }
}

/** Turns of the event loop that the work asks for. */
async function turnsOf(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  const hook = createHook({ init: (_id, type) => void (turns += type === "Immediate" ? 1 : 0) }).enable();
  try {
    await work();
  } finally {
    hook.disable();
  }
  return turns;
}

test("a small transaction takes six turns of the event loop, whatever is in the table", async () => {
  const app = start();
  const id = await app.mutation(api.anchor, {});
  const small = async () => await app.mutation(api.small, { id, n: 1 });
  await small();
  const inEmptyTable = await turnsOf(small);
  await fill(app, 2_000);
  // To begin, before and after the function, after its time, after the commit's, and a last one.
  expect(inEmptyTable).toBeLessThanOrEqual(6);
  expect(await turnsOf(small)).toBe(inEmptyTable);
});

/** Comparisons of keys in an index. */
async function comparisonsOf(index: Index, work: () => Promise<unknown>): Promise<number> {
  const tree = index.tree as unknown as { _compare: (a: string, b: string) => number };
  const compare = tree._compare;
  let count = 0;
  tree._compare = (a, b) => {
    count++;
    return compare(a, b);
  };
  try {
    await work();
  } finally {
    tree._compare = compare;
  }
  return count;
}

test("a range read touches as many entries as it gives, and finds them in the logarithm of the table", async () => {
  const counts: number[] = [];
  for (const rows of [200, 10_000]) {
    const app = start();
    await fill(app, rows);
    const index = app.component("").namespace.table("items")?.index("by_n") as Index;
    counts.push(await comparisonsOf(index, async () => await app.query(api.range, { from: rows / 2 })));
  }
  const [small = 0, large = 0] = counts;
  expect(small).toBeGreaterThan(0);
  // Fifty times the rows are six more halvings.
  expect(large - small).toBeLessThanOrEqual(10);
});

test("a hundred thousand writes of the same rows leave no old versions, keys and log entries behind", () => {
  const database = new Database();
  const namespace = new Namespace("", [{ name: "rows", indexes: [{ name: "by_n", fields: ["n"] }] }]);
  database.namespaces.set("", namespace);
  const table = namespace.table("rows") as Table;
  const ids = Array.from({ length: 50 }, (_, i) => newId(table.number, () => i / 50, 0));
  /** One commit a millisecond. */
  let at = 0;
  const write = (work: (transaction: Transaction) => void) => {
    const begin = database.begin();
    const transaction = new Transaction(database, begin, { creationTime: 1 });
    work(transaction);
    const commit = database.assign("test", transaction.changes(), (at += TICKS_PER_MS), (document) => document);
    database.release(begin);
    database.publish(commit);
  };
  write((transaction) => {
    for (const id of ids) transaction.insert(table, id, { n: 0, text: "" });
  });
  const update = (id: string, n: number) =>
    write((transaction) => void transaction.update(table, id, () => ({ n, text: `written at ${at}` })));
  for (let i = 0; i < 100_000; i++) update(ids[i % ids.length] as string, 0);
  expect(database.held).toEqual({ versions: ids.length, commits: 0 });
  // A key that changes leaves a tombstone, for as long as tombstones stay.
  const byN = table.index("by_n") as Index;
  for (let i = 1; i <= 2_000; i++) update(ids[i % ids.length] as string, i);
  expect(byN.tree.size).toBe(ids.length + 2_000);
  at += TOMBSTONE_MS * TICKS_PER_MS;
  update(ids[0] as string, 0);
  expect(byN.tree.size).toBe(ids.length + 1);
  expect(database.held).toEqual({ versions: ids.length, commits: 0 });
});
