/**
 * The scheduler of the deployment (section 3).
 *
 * Owns: which job starts when, and how it ends. Invariants: a job takes a slot from its start to its end, with all its
 * retries; a mutation's effects and its end are one commit (exactly once); an action is started at most once, and one
 * that died is failed and never run again.
 */
import type { JSONValue } from "convex/values";
import type { Deployment } from "../engine/deployment.js";
import { Faults } from "../faults/faults.js";
import type { ConvexFunction } from "../runtime/component.js";
import { outsideOfCalls } from "../runtime/ambientGlobals.js";
import { crossing, OverloadError, SystemError } from "../runtime/errors.js";
import type { Request } from "../runtime/frame.js";
import { nameOf } from "../runtime/transactionCalls.js";
import type { Commit } from "../store/database.js";
import type { Table } from "../store/table.js";
import type { Transaction } from "../transaction/transaction.js";
import { JOBS_TABLE } from "./systemTables.js";

export type Job = {
  /** As it was when it was scheduled; what runs is the function of that name at the time. */
  fn: ConvexFunction;
  args: JSONValue;
  dueAt: number;
  /** Among jobs that are due at the same time: of the call, for those that were due at once; else 0, and ids decide. */
  order: number;
  /** Starts that the deployment had no room for. */
  attempts: number;
  namespace: string;
};
type State = { kind: "pending" | "inProgress" | "success" | "canceled" | "failed"; error?: string };

const CONFLICT_BACKOFF = { initialMs: 100, maxMs: 60_000 };
const SYSTEM_BACKOFF = { initialMs: 500, maxMs: 2 * 3_600_000 };
/** What a job whose action died is failed with. */
const CRASHED = "Transient error while executing action";
/** Finished jobs are deleted after this long. */
const RETENTION_MS = 7 * 86_400_000;

export type JobFailure = { readonly id: string; readonly source: string; readonly error: string };
/** Failures that are kept. */
const KEPT_FAILURES = 1_000;

export class Jobs {
  readonly #deployment: Deployment;
  readonly #slots: number;
  readonly #known = new Map<string, Job>();
  /** Committed, not started. */
  readonly #waiting = new Map<string, Job>();
  #running = 0;
  #nextOrder = 1;
  /** Faults that keep every slot closed. */
  #closures = 0;
  /** Most that ran at once. */
  peak = 0;
  started = 0;
  failed = 0;
  /** The last ones that failed. */
  readonly failures: JobFailure[] = [];
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

  nextOrder(): number {
    return this.#nextOrder++;
  }

  #recordFailure(id: string, job: Job, error: string): void {
    this.failed++;
    this.failures.push({ id, source: nameOf(job), error });
    if (this.failures.length > KEPT_FAILURES) this.failures.shift();
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
        const { loop, faults } = this.#deployment;
        const delay = faults?.strike("delayJob:pending", nameOf(job));
        this.#retryLater(id, delay ? { ...job, dueAt: Math.max(job.dueAt, loop.now()) + delay.ms } : job);
      } else if (kind !== "inProgress" && kind !== "pending") {
        this.#waiting.delete(id);
        if (kind !== undefined) this.#forgetLater(table, id, job);
      }
    }
  }

  /** Resolves when no job runs. */
  async untilNoneRuns(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => void this.#idle.push(resolve));
  }

  /** In ambient time each job has a timer of its own, which a test may fire alone, and there is room for all. */
  #plan(id: string, inMs: number): void {
    const { loop } = this.#deployment;
    const startAlone = () => {
      const job = this.#waiting.get(id);
      if (job !== undefined) this.#start(id, job, 0);
    };
    const isAmbient = loop.mode === "ambient";
    outsideOfCalls(() => loop.after(Math.max(0, inMs), isAmbient ? startAlone : () => this.#pass(), true));
  }

  /** The machine is gone, and with it all that ran. */
  forgetRunning(): void {
    this.#running = 0;
    this.#waiting.clear();
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** The machine is back: mutations that have not committed run again, actions that had been started are failed. */
  recover(): void {
    for (const { namespace } of this.#deployment.components()) {
      for (const { id, value } of namespace.table(JOBS_TABLE)?.documents() ?? []) {
        const job = this.#known.get(id);
        const { kind } = value.state as State;
        if (job === undefined) continue;
        if (kind === "pending") this.#retryLater(id, job);
        else if (kind === "inProgress") void this.#fail(id, job);
      }
    }
  }

  async #fail(id: string, job: Job): Promise<void> {
    const { lifetime } = this.#deployment;
    try {
      await this.#end(id, job, { kind: "failed", error: CRASHED });
    } catch (error) {
      if (!lifetime.ended) throw error;
    }
  }

  /** Starts what is due, as long as there are slots: earliest first. */
  #pass(): void {
    const { loop, latencies, faults, upheaval } = this.#deployment;
    if (loop.mode === "ambient" || this.#running >= this.#slots || this.#closures > 0 || upheaval.isDown) return;
    const now = loop.now();
    const due = [...this.#waiting].filter(([, job]) => job.dueAt <= now + 1e-6);
    if (due.length === 0) return;
    due.sort(([a, x], [b, y]) => x.dueAt - y.dueAt || x.order - y.order || (a < b ? -1 : 1));
    const shortage = faults?.strike("exhaustPermits:slot", "(scheduler)");
    if (shortage) {
      this.#closures++;
      loop.after(shortage.ms, () => {
        this.#closures--;
        this.#pass();
      });
      return;
    }
    const disorder = due.length > 1 ? faults?.strike("reorderJobs:pass", "(scheduler)") : null;
    if (disorder) shuffle(due, Faults.chanceOf(disorder));
    const namespaces = new Set(due.map(([, job]) => job.namespace)).size;
    for (const [id, job] of due) {
      if (this.#running >= this.#slots) return;
      const hopMs = this.#deployment.latency(latencies.schedulerHopMs) + namespaces * latencies.passPerNamespaceMs;
      this.#start(id, job, hopMs);
    }
  }

  #start(id: string, job: Job, hopMs: number): void {
    const { loop, lifetime } = this.#deployment;
    this.#waiting.delete(id);
    this.#running++;
    this.peak = Math.max(this.peak, this.#running);
    loop.after(hopMs, () => {
      if (!lifetime.ended) void this.#run(id, job);
    });
  }

  async #run(id: string, scheduled: Job): Promise<void> {
    this.started++;
    const { history, lifetime } = this.#deployment;
    history.job(nameOf(scheduled), `start ${id}`);
    let again: number | null = null;
    let job = scheduled;
    try {
      // A deploy in between may have replaced it, or taken it away.
      const { component, name } = scheduled.fn;
      const fn = component.find(name);
      if (fn !== null) job = { ...scheduled, fn };
      if (fn === null) await this.#end(id, job, { kind: "failed", error: `Could not find function for '${name}'.` });
      else if (job.fn.kind === "mutation") again = await this.#runMutation(id, job);
      else if (job.fn.kind === "action") await this.#runAction(id, job);
      else await this.#end(id, job, { kind: "failed", error: "A query cannot be scheduled." });
    } catch (error) {
      if (!lifetime.ended) throw error;
    } finally {
      if (!lifetime.ended) this.#ended(id, job, again);
    }
  }

  #ended(id: string, job: Job, again: number | null): void {
    const { history } = this.#deployment;
    this.#running--;
    if (again === null) history.job(nameOf(job), `end ${id}`);
    else this.#retryLater(id, { ...job, dueAt: this.#deployment.loop.now() + again, attempts: job.attempts + 1 });
    if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
    this.#pass();
  }

  #retryLater(id: string, job: Job): void {
    this.#waiting.set(id, job);
    this.#plan(id, job.dueAt - this.#deployment.loop.now());
  }

  /** @returns after how many ms it is to be tried again, or null when it is over. */
  async #runMutation(id: string, job: Job): Promise<number | null> {
    const deployment = this.#deployment;
    const { lifetime } = deployment;
    const table = this.#table(job);
    const around = {
      before: (transaction: Transaction) => {
        if (this.#stateOf(transaction, table, id)?.kind !== "pending") return false;
        // Only its own code sees this.
        transaction.ownJob = id;
        this.#set(transaction, table, id, { kind: "inProgress" });
        return true;
      },
      after: (transaction: Transaction) => this.#set(transaction, table, id, { kind: "success" }),
    };
    try {
      const attempt = { target: { fn: job.fn }, args: job.args, identity: null, request: this.#request(id, table) };
      await deployment.transactions.runMutation(attempt, Infinity, around, CONFLICT_BACKOFF);
      return null;
    } catch (error) {
      lifetime.check();
      if (error instanceof OverloadError) {
        return Math.min(SYSTEM_BACKOFF.initialMs * 2 ** job.attempts, SYSTEM_BACKOFF.maxMs) * deployment.jitter();
      }
      await this.#end(id, job, { kind: "failed", error: this.#textOf(error) });
      return null;
    }
  }

  async #runAction(id: string, job: Job): Promise<void> {
    const deployment = this.#deployment;
    const { lifetime } = deployment;
    if (!(await this.#end(id, job, { kind: "inProgress" }))) return;
    try {
      const request = this.#request(id, this.#table(job));
      await deployment.actions.run({ target: { fn: job.fn }, args: job.args, identity: null, request }, Infinity);
      await this.#end(id, job, { kind: "success" });
    } catch (error) {
      lifetime.check();
      await this.#end(id, job, { kind: "failed", error: this.#textOf(error) });
    }
  }

  #textOf(error: unknown): string {
    const { message } = crossing(error, this.#deployment.isVerbose);
    return error instanceof SystemError ? message.slice(error.code.length + 2) : message;
  }

  #request(id: string, table: Table): Request {
    return this.#deployment.newRequest({
      scheduledFunctionId: id,
      isCanceled: (transaction) => this.#stateOf(transaction, table, id)?.kind === "canceled",
    });
  }

  #table({ namespace }: Job): Table {
    return this.#deployment.component(namespace).namespace.table(JOBS_TABLE) as Table;
  }

  #stateOf(transaction: Transaction, table: Table, id: string): State | undefined {
    return transaction.look(table, id)?.value.state as State | undefined;
  }

  #set(transaction: Transaction, table: Table, id: string, state: State): void {
    const completed = state.kind === "inProgress" ? {} : { completedTime: Math.floor(this.#deployment.loop.now()) };
    transaction.update(table, id, (old) => ({ ...old, ...completed, state }));
  }

  /** Moves a job on in a transaction of its own, repeated until it commits. False when the job is over already. */
  async #end(id: string, job: Job, state: State): Promise<boolean> {
    return await this.#deployment.transactions.alone(async () => await this.#endAlone(id, job, state));
  }

  async #endAlone(id: string, job: Job, state: State): Promise<boolean> {
    const deployment = this.#deployment;
    const { lifetime, faults } = deployment;
    const table = this.#table(job);
    for (let failures = 0; ; failures++) {
      let lostTo: Commit | null = null;
      const begin = deployment.database.begin();
      try {
        const transaction = deployment.transactions.newTransaction(begin);
        const kind = this.#stateOf(transaction, table, id)?.kind;
        if (kind !== "pending" && kind !== "inProgress") return false;
        this.#set(transaction, table, id, state);
        const changes = transaction.changes();
        if (!faults?.strike("forceConflict:scheduler", nameOf(job))) {
          const { reads } = transaction;
          const outcome = await deployment.committer.commit({ begin, reads, changes, source: "(scheduler)" });
          if (outcome.kind === "committed") {
            deployment.history.job(
              nameOf(job),
              `${state.kind} ${id}${state.error === undefined ? "" : `: ${state.error}`}`,
            );
            if (state.kind === "failed") this.#recordFailure(id, job, state.error ?? "");
            return true;
          }
          lostTo = outcome.conflict.commit;
        }
      } finally {
        deployment.database.release(begin);
      }
      await deployment.loop.sleep(Math.min(500 * 2 ** failures, 60_000) * deployment.jitter());
      if (lostTo !== null) await deployment.committer.whenPublished(lostTo);
      lifetime.check();
    }
  }

  #forgetLater(table: Table, id: string, job: Job | undefined): void {
    this.#known.delete(id);
    const { loop, faults } = this.#deployment;
    if (loop.mode !== "virtual") return;
    const early = faults?.strike("collectJobs:finished", job === undefined ? "" : nameOf(job));
    loop.after(early ? early.ms : RETENTION_MS, () => void this.#deployment.transactions.deleteSystemRow(table, id));
  }
}

function shuffle<T>(list: T[], random: () => number): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [list[j] as T, list[i] as T];
  }
}
