/**
 * The scheduler of the deployment (section 3).
 *
 * Owns: which job starts when, and how it ends. Invariants: a job takes a slot from its start to its end, with all its
 * retries; a mutation's effects and its end are one commit (exactly once); an action is started at most once, and one
 * that died is failed and never run again.
 */
import type { JSONValue } from "convex/values";
import type { Deployment } from "../engine/deployment.js";
import type { ConvexFunction } from "../runtime/component.js";
import { crossing } from "../runtime/errors.js";
import type { Request } from "../runtime/frame.js";
import { nameOf } from "../runtime/transactionCalls.js";
import type { Commit } from "../store/database.js";
import type { Table } from "../store/table.js";
import type { Transaction } from "../transaction/transaction.js";
import { JOBS_TABLE } from "./systemTables.js";

export type Job = { fn: ConvexFunction; args: JSONValue; dueAt: number; namespace: string };
type State = { kind: "pending" | "inProgress" | "success" | "canceled" | "failed"; error?: string };

const CONFLICT_BACKOFF = { initialMs: 100, maxMs: 60_000 };
const SYSTEM_BACKOFF = { initialMs: 500, maxMs: 2 * 3_600_000 };
/** Finished jobs are deleted after this long. */
const RETENTION_MS = 7 * 86_400_000;

export class Jobs {
  readonly #deployment: Deployment;
  readonly #slots: number;
  readonly #known = new Map<string, Job>();
  /** Committed, not started. */
  readonly #waiting = new Map<string, Job>();
  #running = 0;
  #isPassPlanned = false;
  /** Most that ran at once. */
  peak = 0;
  started = 0;
  failed = 0;
  #idle: Array<() => void> = [];

  constructor(deployment: Deployment, slots: number) {
    this.#deployment = deployment;
    this.#slots = slots;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  remember(id: string, job: Job): void {
    this.#known.set(id, job);
  }

  /** A commit is visible: jobs in it that are new can start, those that are over are forgotten. */
  published({ writes }: Commit): void {
    for (const { table, id, before, after } of writes) {
      if (table.name !== JOBS_TABLE) continue;
      const kind = (after?.value.state as State | undefined)?.kind;
      const job = this.#known.get(id);
      if (kind === "pending" && before === null && job !== undefined) {
        this.#waiting.set(id, job);
        this.#plan(job.dueAt - this.#deployment.loop.now());
      } else if (kind !== "inProgress" && kind !== "pending") {
        this.#waiting.delete(id);
        if (kind !== undefined) this.#forgetLater(table, id);
      }
    }
  }

  /** Resolves when no job runs. */
  async untilNoneRuns(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => void this.#idle.push(resolve));
  }

  #plan(inMs: number): void {
    const { loop } = this.#deployment;
    loop.after(Math.max(0, inMs), () => this.#pass(), true);
  }

  /** Starts what is due, as long as there are slots: earliest first, ties by id. */
  #pass(): void {
    if (this.#running >= this.#slots) return;
    const { loop, latencies, faults } = this.#deployment;
    const now = loop.now();
    // Timers of the process round to whole milliseconds.
    const tolerance = loop.mode === "ambient" ? 1 : 1e-6;
    const due = [...this.#waiting].filter(([, job]) => job.dueAt <= now + tolerance);
    if (due.length === 0) return;
    due.sort(([a, x], [b, y]) => x.dueAt - y.dueAt || (a < b ? -1 : 1));
    const namespaces = new Set(due.map(([, job]) => job.namespace)).size;
    for (const [id, job] of due) {
      if (this.#running >= this.#slots) return;
      this.#waiting.delete(id);
      this.#running++;
      this.peak = Math.max(this.peak, this.#running);
      const hop =
        this.#deployment.latency(latencies.schedulerHopMs) +
        namespaces * latencies.passPerNamespaceMs +
        (faults?.delaysJob(job.fn.name) ?? 0);
      const start = () => void this.#run(id, job);
      if (hop > 0) loop.after(hop, start);
      else loop.after(0, start);
    }
  }

  async #run(id: string, job: Job): Promise<void> {
    this.started++;
    const { history } = this.#deployment;
    history.job(nameOf(job), `start ${id}`);
    let again: number | null = null;
    try {
      if (job.fn.kind === "mutation") again = await this.#runMutation(id, job);
      else if (job.fn.kind === "action") await this.#runAction(id, job);
      else await this.#end(id, job, { kind: "failed", error: "A query cannot be scheduled." });
    } finally {
      this.#running--;
      if (again === null) history.job(nameOf(job), `end ${id}`);
      else this.#retryLater(id, { ...job, dueAt: this.#deployment.loop.now() + again });
      if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
      this.#pass();
    }
  }

  #retryLater(id: string, job: Job): void {
    this.#waiting.set(id, job);
    this.#plan(job.dueAt - this.#deployment.loop.now());
  }

  /** @returns after how many ms it is to be tried again, or null when it is over. */
  async #runMutation(id: string, job: Job): Promise<number | null> {
    const deployment = this.#deployment;
    const table = this.#table(job);
    const around = {
      before: (transaction: Transaction) => this.#stateOf(transaction, table, id)?.kind === "pending",
      after: (transaction: Transaction) => this.#set(transaction, table, id, { kind: "success" }),
    };
    try {
      const attempt = { target: { fn: job.fn }, args: job.args, identity: null, request: this.#request(id, table) };
      await deployment.transactions.runMutation(attempt, Infinity, around, CONFLICT_BACKOFF);
      return null;
    } catch (error) {
      const { message } = crossing(error, deployment.isVerbose);
      if (message.startsWith("TooManyConcurrentRequests")) {
        return Math.min(SYSTEM_BACKOFF.initialMs, SYSTEM_BACKOFF.maxMs) * deployment.random();
      }
      await this.#end(id, job, { kind: "failed", error: message });
      return null;
    }
  }

  async #runAction(id: string, job: Job): Promise<void> {
    const deployment = this.#deployment;
    if (!(await this.#end(id, job, { kind: "inProgress" }))) return;
    try {
      const request = this.#request(id, this.#table(job));
      await deployment.actions.run({ target: { fn: job.fn }, args: job.args, identity: null, request }, Infinity);
      await this.#end(id, job, { kind: "success" });
    } catch (error) {
      await this.#end(id, job, { kind: "failed", error: crossing(error, deployment.isVerbose).message });
    }
  }

  #request(id: string, table: Table): Request {
    const { database } = this.#deployment;
    return this.#deployment.newRequest({
      scheduledFunctionId: id,
      isCanceled: () => (table.get(id, database.published)?.value.state as State | undefined)?.kind === "canceled",
    });
  }

  #table({ namespace }: Job): Table {
    return this.#deployment.component(namespace).namespace.table(JOBS_TABLE) as Table;
  }

  #stateOf(transaction: Transaction, table: Table, id: string): State | undefined {
    return transaction.get(table, id)?.value.state as State | undefined;
  }

  #set(transaction: Transaction, table: Table, id: string, state: State): void {
    const completed = state.kind === "inProgress" ? {} : { completedTime: Math.floor(this.#deployment.loop.now()) };
    transaction.update(table, id, (old) => ({ ...old, ...completed, state }));
  }

  /** Moves a job on in a transaction of its own, repeated until it commits. False when the job is over already. */
  async #end(id: string, job: Job, state: State): Promise<boolean> {
    const deployment = this.#deployment;
    if (state.kind === "failed") this.failed++;
    const table = this.#table(job);
    for (let failures = 0; ; failures++) {
      const begin = deployment.database.begin();
      try {
        const transaction = deployment.transactions.newTransaction(begin);
        const kind = this.#stateOf(transaction, table, id)?.kind;
        if (kind !== "pending" && kind !== "inProgress") return false;
        this.#set(transaction, table, id, state);
        const changes = transaction.changes();
        const outcome = await deployment.committer.commit({
          begin,
          reads: transaction.reads,
          changes,
          source: "(scheduler)",
        });
        if (outcome.kind === "committed") return true;
      } finally {
        deployment.database.release(begin);
      }
      await deployment.loop.sleep(Math.min(500 * 2 ** failures, 60_000) * deployment.random());
    }
  }

  #forgetLater(table: Table, id: string): void {
    this.#known.delete(id);
    if (this.#deployment.loop.mode !== "virtual") return;
    this.#deployment.loop.after(RETENTION_MS, () => void this.#deployment.transactions.deleteSystemRow(table, id));
  }
}
