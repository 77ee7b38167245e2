/**
 * Concurrent programs are serializable, by two checks that share nothing but the record; deployments that were broken on
 * purpose are caught by them.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkDependencies } from "../../src/check/graph.js";
import { documentKey, Recorder } from "../../src/check/recorder.js";
import { checkReplay } from "../../src/check/replay.js";
import { checkSerializability } from "../../src/check/serializability.js";
import { NO_LATENCIES, type Deployment } from "../../src/index.js";
import { TICKS_PER_MS, type Database, type ReadSet } from "../../src/store/database.js";
import { BY_ID, type Table } from "../../src/store/table.js";
import type { Transaction } from "../../src/transaction/transaction.js";
import { concurrentPrograms, runConcurrently, start } from "./support/concurrent.js";

const SEED = 20_260_102;
const fresh = () => start({ latencies: NO_LATENCIES });

test("a concurrent program has a serial order, and it is the order of commits", { timeout: 60_000 }, async () => {
  const seen = { conflicts: 0, commits: 0, aborted: 0, undone: 0, jobs: 0, faults: 0 };
  await fc.assert(
    fc.asyncProperty(concurrentPrograms, async (program) => {
      const recorder = await runConcurrently(program);
      expect(await checkSerializability(recorder, fresh())).toEqual([]);
      expect(leftovers(recorder)).toEqual([]);
      const { history, jobs, faults } = recorder.deployment;
      seen.conflicts += history.conflicts;
      seen.commits += recorder.history().length;
      seen.aborted += recorder.aborted.length;
      seen.undone += recorder.history().filter(({ run }) => JSON.stringify(run?.result)?.includes("undone")).length;
      seen.jobs += jobs.started;
      seen.faults += faults?.injected.length ?? 0;
    }),
    { numRuns: 80, seed: SEED },
  );
  // Programs that never meet would prove nothing.
  expect(seen.conflicts).toBeGreaterThan(100);
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(20);
});

/** Rows that an attempt made which lost or failed, and that are there all the same. */
function leftovers({ aborted, deployment }: Recorder): string[] {
  const there = new Set<string>();
  for (const namespace of deployment.database.namespaces.values()) {
    for (const table of namespace.tables()) for (const { id } of table.documents()) there.add(documentKey(table, id));
  }
  return aborted.flatMap(({ changes }) =>
    changes.filter(({ table, id, before }) => before === null && there.has(documentKey(table, id))).map(({ id }) => id),
  );
}

/** How many of some programs each check refuses. */
async function refusals(prepare: (deployment: Deployment) => void) {
  const refused = { byCycles: 0, byDependencies: 0, byReplay: 0, byLeftovers: 0 };
  for (const program of fc.sample(concurrentPrograms, { numRuns: 20, seed: SEED })) {
    const recorder = await runConcurrently(program, prepare);
    const history = recorder.history();
    const found = checkDependencies(history);
    if (found.length > 0) refused.byDependencies++;
    if (found.some(({ kind }) => kind === "cycle")) refused.byCycles++;
    if ((await checkReplay(history, recorder.deployment, fresh())).length > 0) refused.byReplay++;
    if (leftovers(recorder).length > 0) refused.byLeftovers++;
  }
  return refused;
}

type Conflict = Database["conflict"];
const VALIDATORS: Record<string, (database: Database, conflict: Conflict) => Conflict> = {
  "checks nothing": () => () => null,
  "checks only rows that were read by their id": (_, conflict) => (begin, reads) =>
    conflict(begin, only(reads, isById)),
  "checks only ranges": (_, conflict) => (begin, reads) =>
    conflict(
      begin,
      only(reads, (index) => !isById(index)),
    ),
  "does not check writes that are not published yet": (database) => (begin, reads) => {
    const published = database.commitsSince(begin).filter((commit) => commit.published);
    for (const commit of published) {
      for (const { table, id, oldKeys, newKeys } of commit.writes) {
        for (const [i, index] of table.list.entries()) {
          const keys = [oldKeys?.[i], newKeys?.[i]];
          if (keys.some((key) => key !== undefined && reads.get(index.key)?.has(key) === true)) {
            return { index: index.key, table, documentId: id, commit };
          }
        }
      }
    }
    return null;
  },
};
const isById = (index: string) => index.endsWith(`.${BY_ID}`);
const only = (reads: ReadSet, wanted: (index: string) => boolean): ReadSet =>
  new Map([...reads].filter(([index]) => wanted(index)));

test.each(Object.keys(VALIDATORS))(
  "a validator that %s is caught by both checks",
  { timeout: 60_000 },
  async (name) => {
    const { byCycles, byReplay } = await refusals(({ database }) => {
      const conflict = database.conflict.bind(database);
      database.conflict = VALIDATORS[name]?.(database, conflict) ?? conflict;
    });
    expect(byCycles).toBeGreaterThan(0);
    expect(byReplay).toBeGreaterThan(0);
  },
);

test("reads that do not come from the snapshot are caught by both checks", { timeout: 60_000 }, async () => {
  const { byDependencies, byReplay } = await refusals(({ database }) => {
    for (const namespace of database.namespaces.values()) {
      for (const table of namespace.tables()) readNewest(table);
    }
  });
  expect(byDependencies).toBeGreaterThan(0);
  expect(byReplay).toBeGreaterThan(0);
});

function readNewest(table: Table): void {
  const [get, page, scan] = [table.get.bind(table), table.page.bind(table), table.scan.bind(table)];
  table.get = (id) => get(id, Infinity);
  table.page = (index, from, to, order, _begin, ...rest) => page(index, from, to, order, Infinity, ...rest);
  table.scan = (index, from, to, order, _begin, told) => scan(index, from, to, order, Infinity, told);
}

/** Breaks every transaction of a deployment before its code runs. */
function inEach({ transactions }: Deployment, breakIt: (transaction: Transaction) => void): void {
  const { observer } = transactions;
  if (observer === null) return;
  transactions.observer = {
    running: (transaction, ...rest) => {
      breakIt(transaction);
      observer.running(transaction, ...rest);
    },
    ended: (...all) => observer.ended(...all),
  };
}

test("a read set that forgets its ranges is caught by both checks", { timeout: 60_000 }, async () => {
  const { byCycles, byReplay } = await refusals((deployment) =>
    inEach(deployment, (transaction) => {
      const record = transaction.record.bind(transaction);
      transaction.record = (index, ...range) => {
        if (index.name === BY_ID) record(index, ...range);
      };
    }),
  );
  expect(byCycles).toBeGreaterThan(0);
  expect(byReplay).toBeGreaterThan(0);
});

test("a nested call that fails and leaves its writes is caught", { timeout: 60_000 }, async () => {
  const { byReplay } = await refusals((deployment) =>
    inEach(deployment, (transaction) => void (transaction.rollback = () => undefined)),
  );
  expect(byReplay).toBeGreaterThan(0);
});

test("an attempt that loses and leaves its writes is caught", { timeout: 60_000 }, async () => {
  const { byLeftovers } = await refusals(({ committer, database, loop, epoch }) => {
    const commit = committer.commit.bind(committer);
    committer.commit = async (request) => {
      const outcome = await commit(request);
      const inserts = request.changes.filter(({ before }) => before === null);
      if (outcome.kind === "conflict" && inserts.length > 0) {
        const now = (loop.now() - epoch.startMs) * TICKS_PER_MS;
        database.publish(database.assign("(half a commit)", inserts, now, (document) => document));
      }
      return outcome;
    };
  });
  expect(byLeftovers).toBeGreaterThan(0);
});
