/**
 * Top-level queries and mutations, from their snapshot to their commit (sections 1, 2 and 4).
 *
 * Owns: permits, execution, the commit and the retries. Invariants: the snapshot is taken before the permit is waited for;
 * every attempt is a full execution of its own; a mutation's effects are those of exactly one attempt.
 */
import { convexToJson, type JSONValue } from "convex/values";
import { ConnectionLost } from "../faults/lifetime.js";
import type { Component, Kind } from "../runtime/component.js";
import { ConflictError, OverloadError, SystemError } from "../runtime/errors.js";
import type { ActionFrame, Frame, Identity, Request, TransactionFrame } from "../runtime/frame.js";
import {
  checkArgs,
  checkReturns,
  codeOf,
  componentOf,
  invoke,
  nameOf,
  newFrame,
  type Target,
} from "../runtime/transactionCalls.js";
import { TICKS_PER_MS, type Change, type Commit } from "../store/database.js";
import type { Table } from "../store/table.js";
import type { Usage } from "../transaction/limits.js";
import { differenceOf, outcomeOf, type Outcome } from "../strict/doubleRun.js";
import { Transaction, type Cost } from "../transaction/transaction.js";
import type { Epoch } from "./committer.js";
import type { Deployment } from "./deployment.js";
import { PERMIT_WAIT_MS } from "./profile.js";
import type { Rng } from "./rng.js";
import type { Throughput } from "./throughput.js";
import { Turns } from "./turns.js";

export type Attempt = {
  target: Target;
  args: JSONValue;
  identity: Identity;
  request: Request;
  /** The action that asks. */
  parent?: ActionFrame;
};
/** What happens in a mutation's transaction besides its code: a job's own state. False stops the attempt. */
export type Around = { before: (transaction: Transaction) => boolean; after: (transaction: Transaction) => void };

type Backoff = { initialMs: number; maxMs: number };

/** Clock and chance of one attempt: with them it can be run again as it was. */
export type Start = { readonly now: number; readonly creationTime: number; readonly rng: Rng };
/** For checkers: told of each attempt as its code begins to run, and once it has ended. */
export interface AttemptObserver {
  running(transaction: Transaction, attempt: Attempt, kind: "query" | "mutation", start: Start): void;
  /** @param ts - the commit, or the snapshot of one that wrote nothing; null: it lost, or failed. */
  ended(transaction: Transaction, ts: number | null, changes: readonly Change[], result: JSONValue): void;
}

export class Transactions {
  observer: AttemptObserver | null = null;
  readonly #deployment: Deployment;
  readonly #throughput: Throughput;
  readonly #limits: Readonly<Usage>;
  readonly #executing = new Turns();
  readonly #ambient = new Turns();
  #latest: Transaction | null = null;

  constructor(deployment: Deployment, throughput: Throughput, limits: Readonly<Usage>) {
    this.#deployment = deployment;
    this.#throughput = throughput;
    this.#limits = limits;
  }

  /**
   * In ambient time nothing takes time, and nobody loses to anybody: one transaction after the other, from its snapshot
   * to its commit. In virtual time they run beside each other.
   */
  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#deployment.loop.mode === "virtual" ? work() : this.#oneByOne(work);
  }

  async #oneByOne<T>(work: () => Promise<T>): Promise<T> {
    const release = await this.#ambient.take();
    try {
      return await work();
    } finally {
      release();
    }
  }

  async runQuery(attempt: Attempt): Promise<JSONValue> {
    return await this.alone(async () => await this.#runQuery(attempt));
  }

  async #runQuery(attempt: Attempt): Promise<JSONValue> {
    const begin = this.#deployment.database.begin();
    const { lifetime, faults, history } = this.#deployment;
    const permits = this.#deployment.permits.query;
    const source = nameOf(attempt.target);
    history.began("query", source, begin, 1);
    try {
      checkOwnArgs(attempt);
      const shortage = faults?.strike("exhaustPermits:query", source);
      if (shortage) permits.exhaust(shortage.ms);
      const isAdmitted = await permits.acquire(PERMIT_WAIT_MS.query);
      lifetime.check();
      if (!isAdmitted) throw tooMany("query", attempt);
      try {
        const { frame, result } = await this.#execute(attempt, "query", begin, null);
        await this.#spend(frame.transaction);
        this.addCosts(frame.transaction);
        this.#deployment.calls.query++;
        history.add("query", source, frame.transaction);
        this.observer?.ended(frame.transaction, begin, [], result);
        return result;
      } finally {
        permits.release();
      }
    } catch (error) {
      throw this.#counted("query", error);
    } finally {
      this.#deployment.database.release(begin);
    }
  }

  /** @param around - of a scheduled mutation: its job is part of the transaction. */
  async runMutation(
    attempt: Attempt,
    maxAttempts: number,
    around: Around | null = null,
    backoff: Backoff = { initialMs: 100, maxMs: 2_000 },
  ): Promise<JSONValue> {
    return await this.alone(async () => await this.#runMutation(attempt, maxAttempts, around, backoff));
  }

  async #runMutation(asked: Attempt, maxAttempts: number, around: Around | null, backoff: Backoff): Promise<JSONValue> {
    const source = nameOf(asked.target);
    const { lifetime } = this.#deployment;
    let attempt = asked;
    for (let failures = 0; ; failures++) {
      let failure: Error;
      let lostTo: Commit | null;
      const begin = this.#deployment.database.begin();
      try {
        this.#deployment.history.began("mutation", source, begin, failures + 1);
        const outcome = await this.#attemptMutation(attempt, begin, around);
        if (outcome.kind === "done") return outcome.result;
        failure = outcome.error;
        lostTo = outcome.lostTo;
      } catch (error) {
        throw this.#counted("mutation", error);
      } finally {
        this.#deployment.database.release(begin);
      }
      this.#deployment.history.retry(source, failures + 1, failure.message);
      if (failures + 1 >= maxAttempts) throw failure;
      await this.#deployment.loop.sleep(
        Math.min(backoff.initialMs * 2 ** failures, backoff.maxMs) * this.#deployment.jitter(),
      );
      // With hardly any sleep the next attempt would begin before what it lost to, and lose to it again.
      if (lostTo !== null) await this.#deployment.committer.whenPublished(lostTo);
      lifetime.check();
      attempt = { ...asked, target: withCodeOfNow(asked.target) };
    }
  }

  async #attemptMutation(
    attempt: Attempt,
    begin: number,
    around: Around | null,
  ): Promise<{ kind: "done"; result: JSONValue } | { kind: "again"; error: Error; lostTo: Commit | null }> {
    const { permits, calls, lifetime, faults } = this.#deployment;
    const source = nameOf(attempt.target);
    checkOwnArgs(attempt);
    if (!this.#throughput.hasRoom()) {
      return {
        kind: "again",
        error: new Error("TooManyWrites: too many bytes were written in the last second."),
        lostTo: null,
      };
    }
    const shortage = faults?.strike("exhaustPermits:mutation", source);
    if (shortage) permits.mutation.exhaust(shortage.ms);
    const isAdmitted = await permits.mutation.acquire(PERMIT_WAIT_MS.mutation);
    lifetime.check();
    if (!isAdmitted) throw tooMany("mutation", attempt);
    let executed: { frame: TransactionFrame; result: JSONValue };
    try {
      executed = await this.#execute(attempt, "mutation", begin, around);
      this.#deployment.upheaval.mayStrike("execute", source);
      await this.#spend(executed.frame.transaction);
    } finally {
      // The permit is for the execution: the commit needs none.
      permits.mutation.release();
    }
    const { transaction } = executed.frame;
    const changes = transaction.changes();
    if (
      changes.length > 0 &&
      faults?.strike(around === null ? "forceConflict:mutation" : "forceConflict:job", source)
    ) {
      this.addCosts(transaction);
      calls.lostAttempts++;
      return { kind: "again", error: new ConflictError("(forced)", "(forced)", source), lostTo: null };
    }
    const outcome = await this.#deployment.committer.commit({ begin, reads: transaction.reads, changes, source });
    if (outcome.kind === "conflict") {
      const { conflict } = outcome;
      this.addCosts(transaction);
      calls.lostAttempts++;
      this.#deployment.history.conflict(source, conflict);
      this.observer?.ended(transaction, null, changes, null);
      const { table, documentId, commit } = conflict;
      const by = commit.source === source ? null : commit.source;
      return { kind: "again", error: new ConflictError(table.name, documentId, by), lostTo: commit };
    }
    this.observer?.ended(transaction, outcome.ts, changes, executed.result);
    calls.mutation++;
    transaction.chargeWrites(changes);
    this.#throughput.add(changes.reduce((sum, { after }) => sum + (after?.bytes ?? 0), 0));
    this.addCosts(transaction);
    this.#deployment.history.add("mutation", source, transaction, outcome.ts);
    return { kind: "done", result: stampResult(executed.result, outcome.ts, this.#deployment.epoch) };
  }

  /** A call that failed is one all the same, unless the deployment itself refused it (section 5). */
  #counted(kind: Kind, error: unknown): unknown {
    if (!(error instanceof SystemError) && !(error instanceof OverloadError)) this.#deployment.calls[kind]++;
    return error;
  }

  /** The first of two runs: nothing of it is left but what code keeps outside of the database. */
  async #rehearse(
    frame: TransactionFrame,
    around: Around | null,
    run: (frame: TransactionFrame) => Promise<JSONValue>,
  ): Promise<Outcome> {
    around?.before(frame.transaction);
    const costs = new Map([...this.#deployment.costs].map(([path, cost]) => [path, { ...cost }]));
    try {
      return await outcomeFrom(frame, run);
    } finally {
      frame.ended = true;
      this.#deployment.costs.clear();
      for (const [path, cost] of costs) this.#deployment.costs.set(path, cost);
    }
  }

  async #compared(
    rehearsed: Outcome,
    frame: TransactionFrame,
    run: (frame: TransactionFrame) => Promise<JSONValue>,
    where: string,
  ): Promise<JSONValue> {
    let result: JSONValue | Error;
    let thrown: unknown = null;
    try {
      result = await run(frame);
    } catch (error) {
      result = toError((thrown = error));
    }
    const difference = differenceOf(rehearsed, outcomeOf(frame.transaction, result));
    if (difference !== null) {
      const message = `run twice on the same snapshot it does not do the same, so it keeps state between calls: ${difference}.`;
      this.#deployment.problems.refuse([{ trap: 3, where, message }]);
    }
    if (result instanceof Error) throw thrown;
    return result;
  }

  /** Modules that are imported for one attempt, of the components that have any. */
  async #freshComponents(): Promise<ReadonlyMap<string, Component> | null> {
    const { freshModules } = this.#deployment.strict;
    if (freshModules === null) return null;
    const fresh = new Map<string, Component>();
    for (const component of this.#deployment.components()) {
      const modules = freshModules(component.path);
      if (modules !== null) fresh.set(component.path, await component.fresh(modules));
    }
    return fresh;
  }

  /** Runs the code of a transaction; its time is spent afterwards. */
  async #execute(
    { target, args, identity, request }: Attempt,
    kind: "query" | "mutation",
    begin: number,
    around: Around | null,
    { now, creationTime, rng } = this.#start(target, begin),
  ): Promise<{ frame: TransactionFrame; result: JSONValue }> {
    const start = (fresh: TransactionFrame["fresh"]): TransactionFrame =>
      newFrame({
        component: componentOf(target),
        fn: "fn" in target ? target.fn : null,
        kind,
        transaction: new Transaction(this.#deployment.database, begin, { creationTime, limits: this.#limits }),
        frozenNow: Math.floor(now),
        rng: rng.clone(),
        identity,
        request,
        depth: 0,
        fresh,
      });
    const run = async (running: TransactionFrame): Promise<JSONValue> => {
      const code = "fn" in target ? codeOf(running, target.fn) : target.code;
      const result = await invoke(running, code, args, this.#deployment.loop);
      if ("fn" in target) checkReturns(target.fn, result);
      if (kind === "query" && JSON.stringify(result).includes('"$commitTs"')) {
        throw new Error("A query cannot return a placeholder of the commit timestamp.");
      }
      around?.after(running.transaction);
      return result;
    };
    const frame = start(await this.#freshComponents());
    const { transaction } = frame;
    this.#latest = transaction;
    this.observer?.running(transaction, { target, args, identity, request }, kind, { now, creationTime, rng });
    if (around !== null && !around.before(transaction)) return { frame, result: null };
    // One at a time, and not between two turns of an action: the process's globals are this call's meanwhile.
    const release = await this.#executing.take();
    const { actions, loop } = this.#deployment;
    if (loop.mode === "virtual" && actions.running > 0) await loop.turn();
    const measured = this.#deployment.slowCalls.start(nameOf(target));
    try {
      if (!this.#deployment.strict.doubleRun) return { frame, result: await run(frame) };
      const rehearsed = await this.#rehearse(start(await this.#freshComponents()), around, run);
      return { frame, result: await this.#compared(rehearsed, frame, run, nameOf(target)) };
    } catch (error) {
      release();
      this.observer?.ended(transaction, null, transaction.changes(), null);
      this.#deployment.history.failed(nameOf(target), error instanceof Error ? error.message : String(error));
      await this.#spend(transaction);
      this.addCosts(transaction);
      throw error;
    } finally {
      measured();
      release();
      frame.ended = true;
    }
  }

  #start(target: Target, begin: number): Start {
    const now = this.#deployment.skewedNow(nameOf(target));
    return { now, creationTime: this.#firstCreationTime(begin, now), rng: this.#deployment.fork() };
  }

  /** Runs an attempt as it was, on the newest snapshot. What it would write stays with the caller. */
  async rerun(
    attempt: Attempt,
    kind: "query" | "mutation",
    start: Start,
  ): Promise<{ changes: Change[]; result: JSONValue }> {
    const begin = this.#deployment.database.begin();
    try {
      const { frame, result } = await this.#execute(attempt, kind, begin, null, start);
      return { changes: frame.transaction.changes(), result };
    } finally {
      this.#deployment.database.release(begin);
    }
  }

  async #spend(transaction: Transaction): Promise<void> {
    const ms =
      this.#deployment.latency(this.#deployment.latencies.executionMs) +
      transaction.tombstones * this.#deployment.latencies.tombstoneMs;
    if (ms === 0) return;
    const { lifetime } = this.#deployment;
    await this.#deployment.loop.sleep(ms);
    lifetime.check();
  }

  /** What `useStaleSnapshot` runs in: the snapshot alone, with a read set and counters of its own (section 1.5). */
  staleCopy({ database, begin }: Transaction): Transaction {
    return new Transaction(database, begin, { creationTime: 0, limits: this.#limits });
  }

  addCosts(transaction: Transaction): void {
    for (const [path, cost] of transaction.costs) {
      const sum = this.#deployment.costs.get(path) ?? {
        documentsRead: 0,
        bytesRead: 0,
        documentsWritten: 0,
        bytesWritten: 0,
      };
      for (const key of Object.keys(cost) as Array<keyof Cost>) sum[key] += cost[key];
      this.#deployment.costs.set(path, sum);
    }
  }

  /** For the scheduler's own transactions. */
  newTransaction(begin: number): Transaction {
    const creationTime = this.#firstCreationTime(begin, this.#deployment.loop.now());
    this.#latest = new Transaction(this.#deployment.database, begin, { creationTime });
    return this.#latest;
  }

  /** Later than all that is in the snapshot was committed, and never a whole millisecond (section 1.6). */
  #firstCreationTime(begin: number, now: number): number {
    const { epoch, loop, latencies } = this.#deployment;
    const first = Math.max(epoch.startMs + begin / TICKS_PER_MS, now) + 1 / 4_096;
    if (loop.mode === "virtual" && latencies.executionMs + latencies.commitMs > 0) return first;
    // The clock may stand still, and still no two transactions happen at once.
    return Math.max(first, this.#latest?.nextCreationTime() ?? 0);
  }

  /** Deletes a row that the system is done with. */
  async deleteSystemRow(table: Table, id: string): Promise<void> {
    const { database, committer, upheaval } = this.#deployment;
    for (let isDone = false; !isDone;) {
      await upheaval.whenUp();
      const begin = database.begin();
      try {
        const transaction = this.newTransaction(begin);
        if (transaction.remove(table, id) === null) return;
        const changes = transaction.changes();
        const { kind } = await committer.commit({ begin, reads: new Map(), changes, source: "(retention)" });
        isDone = kind === "committed";
      } catch (error) {
        // A restart took it away, or only its answer: the row tells.
        if (!(error instanceof ConnectionLost)) throw error;
      } finally {
        database.release(begin);
      }
    }
  }

  /** A transaction that an action's own operation is (scheduling, storage): up to three attempts (section 2). */
  async inSmallTransaction<T>(frame: Frame, source: string, work: (inner: TransactionFrame) => T): Promise<T> {
    return await this.alone(async () => await this.#smallTransaction(frame, source, work));
  }

  async #smallTransaction<T>(frame: Frame, source: string, work: (inner: TransactionFrame) => T): Promise<T> {
    const { lifetime, faults } = this.#deployment;
    for (let failures = 0; ; failures++) {
      let lostTo: Commit | null = null;
      const begin = this.#deployment.database.begin();
      try {
        const now = this.#deployment.skewedNow(source);
        const transaction = new Transaction(this.#deployment.database, begin, {
          creationTime: this.#firstCreationTime(begin, now),
          limits: this.#limits,
        });
        this.#latest = transaction;
        const inner: TransactionFrame = newFrame({
          component: frame.component,
          fn: frame.fn,
          kind: "mutation",
          transaction,
          frozenNow: Math.floor(now),
          rng: this.#deployment.fork(),
          identity: null,
          request: frame.request,
          depth: 0,
          fresh: null,
        });
        const result = work(inner);
        await this.#spend(transaction);
        const changes = transaction.changes();
        if (changes.length > 0 && faults?.strike("forceConflict:operation", source)) {
          if (failures + 1 >= 3) throw new ConflictError("(forced)", "(forced)", source);
        } else {
          const outcome = await this.#deployment.committer.commit({ begin, reads: transaction.reads, changes, source });
          if (outcome.kind === "committed") return result;
          const { table, documentId, commit } = outcome.conflict;
          if (failures + 1 >= 3) throw new ConflictError(table.name, documentId, commit.source);
          lostTo = commit;
        }
      } finally {
        this.#deployment.database.release(begin);
      }
      await this.#deployment.loop.sleep(Math.min(10 * 2 ** failures, 2_000) * this.#deployment.jitter());
      if (lostTo !== null) await this.#deployment.committer.whenPublished(lostTo);
      lifetime.check();
    }
  }
}

/** A deploy since the last attempt may have replaced the function, or taken it away. */
function withCodeOfNow(target: Target): Target {
  if (!("fn" in target)) return target;
  const { component, name } = target.fn;
  const fn = component.find(name);
  if (fn === null) throw new Error(`Could not find function for '${name}'. Did you forget to push it?`);
  return { fn };
}

async function outcomeFrom(
  frame: TransactionFrame,
  run: (frame: TransactionFrame) => Promise<JSONValue>,
): Promise<Outcome> {
  try {
    return outcomeOf(frame.transaction, await run(frame));
  } catch (error) {
    return outcomeOf(frame.transaction, toError(error));
  }
}

const toError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));

export function tooMany(kind: Kind, { target }: Attempt): Error {
  return new OverloadError(`TooManyConcurrentRequests: no permit for ${kind} ${nameOf(target)} became free in time.`);
}

/** Comes before the wait for a permit, and is part of every attempt. */
function checkOwnArgs({ target, args }: Attempt): void {
  if ("fn" in target) checkArgs(target.fn, args, false);
}

function stampResult(result: JSONValue, ts: number, epoch: Epoch): JSONValue {
  const text = JSON.stringify(result);
  if (!text.includes('"$commitTs"')) return result;
  const integer = JSON.stringify(convexToJson(BigInt(epoch.startMs) * 1_000_000n + BigInt(ts) * 100n));
  return JSON.parse(text.replaceAll('{"$commitTs":null}', integer)) as JSONValue;
}
