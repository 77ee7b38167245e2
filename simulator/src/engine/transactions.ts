/**
 * Top-level queries and mutations, from their snapshot to their commit (sections 1, 2 and 4).
 *
 * Owns: permits, execution, the commit and the retries. Invariants: the snapshot is taken before the permit is waited for;
 * every attempt is a full execution of its own; a mutation's effects are those of exactly one attempt.
 */
import { convexToJson, type JSONValue } from "convex/values";
import type { Kind } from "../runtime/component.js";
import { ConflictError } from "../runtime/errors.js";
import type { Frame, Identity, Request, TransactionFrame } from "../runtime/frame.js";
import {
  checkArgs,
  checkReturns,
  componentOf,
  invoke,
  nameOf,
  newFrame,
  type Target,
} from "../runtime/transactionCalls.js";
import { TICKS_PER_MS } from "../store/database.js";
import type { Table } from "../store/table.js";
import type { Usage } from "../transaction/limits.js";
import { Transaction, type Cost } from "../transaction/transaction.js";
import type { Epoch } from "./committer.js";
import type { Deployment } from "./deployment.js";
import { PERMIT_WAIT_MS } from "./profile.js";
import type { Throughput } from "./throughput.js";

export type Attempt = { target: Target; args: JSONValue; identity: Identity; request: Request };
/** What happens in a mutation's transaction besides its code: a job's own state. False stops the attempt. */
export type Around = { before: (transaction: Transaction) => boolean; after: (transaction: Transaction) => void };

export class Transactions {
  readonly #deployment: Deployment;
  readonly #throughput: Throughput;
  readonly #limits: Readonly<Usage>;
  #executing: Promise<void> = Promise.resolve();

  constructor(deployment: Deployment, throughput: Throughput, limits: Readonly<Usage>) {
    this.#deployment = deployment;
    this.#throughput = throughput;
    this.#limits = limits;
  }

  async runQuery(attempt: Attempt): Promise<JSONValue> {
    const begin = this.#deployment.database.begin();
    const permits = this.#deployment.permits.query;
    try {
      if (!(await permits.acquire(PERMIT_WAIT_MS.query))) throw tooMany("query", attempt);
      try {
        const { frame, result } = await this.#execute(attempt, "query", begin, null);
        await this.#spend(frame.transaction);
        this.#deployment.history.add("query", nameOf(attempt.target), frame.transaction);
        return result;
      } finally {
        permits.release();
      }
    } finally {
      this.#deployment.database.release(begin);
    }
  }

  /** @param around - of a scheduled mutation: its job is part of the transaction. */
  async runMutation(
    attempt: Attempt,
    maxAttempts: number,
    around: Around | null = null,
    backoff: { initialMs: number; maxMs: number } = { initialMs: 100, maxMs: 2_000 },
  ): Promise<JSONValue> {
    const source = nameOf(attempt.target);
    for (let failures = 0; ; failures++) {
      let failure: Error;
      const begin = this.#deployment.database.begin();
      try {
        const outcome = await this.#attemptMutation(attempt, begin, around);
        if (outcome.kind === "done") return outcome.result;
        failure = outcome.error;
      } finally {
        this.#deployment.database.release(begin);
      }
      this.#deployment.history.retry(source, failures + 1, failure.message);
      if (failures + 1 >= maxAttempts) throw failure;
      await this.#deployment.loop.sleep(
        Math.min(backoff.initialMs * 2 ** failures, backoff.maxMs) * this.#deployment.jitter(),
      );
    }
  }

  async #attemptMutation(
    attempt: Attempt,
    begin: number,
    around: Around | null,
  ): Promise<{ kind: "done"; result: JSONValue } | { kind: "again"; error: Error }> {
    const permits = this.#deployment.permits.mutation;
    if (!this.#throughput.hasRoom()) {
      return { kind: "again", error: new Error("TooManyWrites: too many bytes were written in the last second.") };
    }
    if (!(await permits.acquire(PERMIT_WAIT_MS.mutation))) throw tooMany("mutation", attempt);
    try {
      const { frame, result } = await this.#execute(attempt, "mutation", begin, around);
      const { transaction } = frame;
      await this.#spend(transaction);
      const changes = transaction.changes();
      const source = nameOf(attempt.target);
      if (this.#deployment.faults?.forcesConflict(source) === true) {
        return { kind: "again", error: new ConflictError("(forced)", "(forced)", source) };
      }
      const outcome = await this.#deployment.committer.commit({ begin, reads: transaction.reads, changes, source });
      if (outcome.kind === "conflict") {
        const { conflict } = outcome;
        this.#deployment.history.conflict(source, conflict);
        return {
          kind: "again",
          error: new ConflictError(conflict.table.name, conflict.documentId, conflict.commit.source),
        };
      }
      transaction.chargeWrites(changes);
      this.#throughput.add(transaction.meter.used.bytesWritten);
      this.addCosts(transaction);
      this.#deployment.history.add("mutation", source, transaction, outcome.ts);
      return { kind: "done", result: stampResult(result, outcome.ts, this.#deployment.epoch) };
    } finally {
      permits.release();
    }
  }

  /** Runs the code of a transaction; its time is spent afterwards. */
  async #execute(
    { target, args, identity, request }: Attempt,
    kind: "query" | "mutation",
    begin: number,
    around: Around | null,
  ): Promise<{ frame: TransactionFrame; result: JSONValue }> {
    const now = this.#deployment.skewedNow();
    const creationTime = Math.max(this.#deployment.epoch.startMs + begin / TICKS_PER_MS, now) + 1 / 4_096;
    const transaction = new Transaction(this.#deployment.database, begin, { creationTime, limits: this.#limits });
    const frame: TransactionFrame = {
      ...newFrame({
        component: componentOf(target),
        fn: "fn" in target ? target.fn : null,
        kind,
        transaction,
        frozenNow: Math.floor(now),
        rng: this.#deployment.fork(),
      }),
      identity,
      request,
      depth: 0,
    };
    if (around !== null && !around.before(transaction)) return { frame, result: null };
    // One at a time: what a call sees of the world is the whole process's meanwhile.
    const release = await this.#lock();
    try {
      if ("fn" in target) checkArgs(target.fn, args, false);
      const result = await invoke(frame, "fn" in target ? target.fn.code : target.code, args, this.#deployment.loop);
      if ("fn" in target) checkReturns(target.fn, result);
      if (kind === "query" && JSON.stringify(result).includes('"$commitTs"')) {
        throw new Error("A query cannot return a placeholder of the commit timestamp.");
      }
      around?.after(transaction);
      return { frame, result };
    } catch (error) {
      release();
      await this.#spend(transaction);
      this.addCosts(transaction);
      throw error;
    } finally {
      release();
      frame.ended = true;
    }
  }

  async #lock(): Promise<() => void> {
    const before = this.#executing;
    let release: () => void = () => undefined;
    this.#executing = new Promise((resolve) => void (release = resolve));
    await before;
    return release;
  }

  async #spend(transaction: Transaction): Promise<void> {
    const ms =
      this.#deployment.latency(this.#deployment.latencies.executionMs) +
      transaction.tombstones * this.#deployment.latencies.tombstoneMs;
    if (ms > 0) await this.#deployment.loop.sleep(ms);
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
    const creationTime =
      Math.max(this.#deployment.epoch.startMs + begin / TICKS_PER_MS, this.#deployment.loop.now()) + 1 / 4_096;
    return new Transaction(this.#deployment.database, begin, { creationTime });
  }

  /** Deletes a row that the system is done with. */
  async deleteSystemRow(table: Table, id: string): Promise<void> {
    const begin = this.#deployment.database.begin();
    try {
      const transaction = this.newTransaction(begin);
      if (transaction.remove(table, id) === null) return;
      const changes = transaction.changes();
      await this.#deployment.committer.commit({ begin, reads: new Map(), changes, source: "(retention)" });
    } finally {
      this.#deployment.database.release(begin);
    }
  }

  /** A transaction that an action's own operation is (scheduling, storage): up to three attempts (section 2). */
  async inSmallTransaction<T>(frame: Frame, source: string, work: (inner: TransactionFrame) => T): Promise<T> {
    for (let failures = 0; ; failures++) {
      const begin = this.#deployment.database.begin();
      try {
        const now = this.#deployment.skewedNow();
        const transaction = new Transaction(this.#deployment.database, begin, {
          creationTime: now + 1 / 4_096,
          limits: this.#limits,
        });
        const inner: TransactionFrame = {
          ...newFrame({
            component: frame.component,
            fn: frame.fn,
            kind: "mutation",
            transaction,
            frozenNow: Math.floor(now),
            rng: this.#deployment.fork(),
          }),
          identity: null,
          request: frame.request,
          depth: 0,
        };
        const result = work(inner);
        await this.#spend(transaction);
        const outcome = await this.#deployment.committer.commit({
          begin,
          reads: transaction.reads,
          changes: transaction.changes(),
          source,
        });
        if (outcome.kind === "committed") return result;
        if (failures + 1 >= 3) {
          const { table, documentId, commit } = outcome.conflict;
          throw new ConflictError(table.name, documentId, commit.source);
        }
      } finally {
        this.#deployment.database.release(begin);
      }
      await this.#deployment.loop.sleep(Math.min(10 * 2 ** failures, 2_000) * this.#deployment.jitter());
    }
  }
}

export function tooMany(kind: Kind, { target }: Attempt): Error {
  return new Error(`TooManyConcurrentRequests: no permit for ${kind} ${nameOf(target)} became free in time.`);
}

function stampResult(result: JSONValue, ts: number, epoch: Epoch): JSONValue {
  const text = JSON.stringify(result);
  if (!text.includes('"$commitTs"')) return result;
  const integer = JSON.stringify(convexToJson(BigInt(epoch.startMs) * 1_000_000n + BigInt(ts) * 100n));
  return JSON.parse(text.replaceAll('{"$commitTs":null}', integer)) as JSONValue;
}
