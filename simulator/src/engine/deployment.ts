/**
 * A simulated deployment: it runs the functions of an app and its components.
 *
 * Owns: the life of a top-level call: snapshot, permit, execution, commit, retries (sections 1, 2 and 4). Invariants: a
 * mutation's effects are those of exactly one attempt; an action's own calls are transactions of their own.
 */
import { getFunctionAddress, type FunctionReference, type FunctionVisibility } from "convex/server";
import { convexToJson, jsonToConvex, type JSONValue, type Value } from "convex/values";
import { Crons } from "../scheduler/crons.js";
import { Jobs } from "../scheduler/jobs.js";
import { SYSTEM_TABLES } from "../scheduler/systemTables.js";
import { Files } from "../scheduler/storage.js";
import { Database, Namespace, TICKS_PER_MS, type Commit } from "../store/database.js";
import type { Table } from "../store/table.js";
import { Transaction, type Cost } from "../transaction/transaction.js";
import { TRANSACTION_LIMITS, type Usage } from "../transaction/limits.js";
import { Component, type ConvexFunction, type Kind, type Modules, type Schema } from "../runtime/component.js";
import { ConflictError, SystemError, crossing, forClient } from "../runtime/errors.js";
import {
  frames,
  type ActionFrame,
  type Frame,
  type Identity,
  type Request,
  type TransactionFrame,
} from "../runtime/frame.js";
import { ambient, VirtualGlobals, installEnvironment } from "../runtime/globals.js";
import { Handles, resolve } from "../runtime/references.js";
import { convexGlobal } from "../runtime/syscalls.js";
import {
  checkArgs,
  checkReturns,
  componentOf,
  invoke,
  nameOf,
  newFrame,
  type Target,
} from "../runtime/transactionCalls.js";
import { Committer, type Epoch } from "./committer.js";
import type { Faults } from "./faults.js";
import { History } from "./history.js";
import { Loop, type TimeMode } from "./loop.js";
import { Permits } from "./permits.js";
import {
  CLASSES,
  DEFAULT_LATENCIES,
  PERMIT_WAIT_MS,
  type ClassName,
  type DeploymentClass,
  type LatencyProfile,
} from "./profile.js";
import { Rng } from "./rng.js";
import { Throughput } from "./throughput.js";

export type DeploymentOptions = {
  schema?: Schema | null;
  modules?: Modules;
  /** The app's variables; without them those of the process. */
  env?: Readonly<Record<string, string | undefined>>;
  seed?: number;
  className?: ClassName;
  /** Another set of permits than the class has. */
  permits?: Partial<DeploymentClass>;
  latencies?: LatencyProfile;
  /** "virtual": the simulation's own clock. "ambient": the process's timers, which a test may have faked. */
  time?: TimeMode;
  /** Milliseconds since the epoch. */
  startAt?: number;
  limits?: Readonly<Usage> | "unlimited";
  /** Errors that cross a call say "Uncaught", as a deployment's do. */
  verboseErrors?: boolean;
  fetch?: typeof fetch;
  faults?: Faults;
};

/** Attempts of a mutation that a client or an action called (section 2). */
const MAX_ATTEMPTS = 5;
const DEFAULT_START = Date.UTC(2026, 0, 1);

export type CallOptions = { identity?: Identity; request?: Partial<Request> };
export type Attempt = { target: Target; args: JSONValue; identity: Identity; request: Request };
/** What happens in a mutation's transaction besides its code: a job's own state. False stops the attempt. */
export type Around = { before: (transaction: Transaction) => boolean; after: (transaction: Transaction) => void };

export class Deployment {
  readonly loop: Loop;
  readonly database = new Database();
  readonly epoch: Epoch;
  readonly committer: Committer;
  readonly jobs: Jobs;
  readonly crons: Crons;
  readonly files = new Files();
  readonly handles: Handles;
  readonly history: History;
  readonly faults: Faults | null;
  readonly className: ClassName;
  readonly latencies: LatencyProfile;
  readonly isVerbose: boolean;
  readonly permits: Readonly<Record<Kind, Permits>>;
  readonly costs = new Map<string, Cost>();
  readonly #limits: Readonly<Usage>;
  readonly #components = new Map<string, Component>();
  readonly #rng: Rng;
  readonly #latencyRng: Rng;
  readonly #throughput: Throughput;
  readonly virtualGlobals: VirtualGlobals | null;
  readonly #actions = new Set<{ frame: ActionFrame; kill: (error: Error) => void }>();
  #executing: Promise<void> = Promise.resolve();
  #nextRequest = 1;
  #restoreWorld: (() => void) | null = null;

  constructor(options: DeploymentOptions = {}) {
    const mode = options.time ?? "virtual";
    const startMs = options.startAt ?? (mode === "ambient" ? Date.now() : DEFAULT_START);
    this.loop = new Loop(mode, startMs);
    this.epoch = { startMs };
    this.#rng = new Rng(options.seed ?? 1);
    this.#latencyRng = this.#rng.fork();
    this.className = options.className ?? "S256";
    this.latencies = options.latencies ?? DEFAULT_LATENCIES;
    this.isVerbose = options.verboseErrors ?? true;
    this.#limits = options.limits === "unlimited" ? UNLIMITED : (options.limits ?? TRANSACTION_LIMITS);
    const deploymentClass = { ...CLASSES[this.className], ...options.permits };
    this.permits = {
      query: new Permits(this.loop, deploymentClass.queries),
      mutation: new Permits(this.loop, deploymentClass.mutations),
      action: new Permits(this.loop, deploymentClass.actions),
    };
    this.#throughput = new Throughput(this.loop, deploymentClass.writeBytesPerSecond);
    this.committer = new Committer(this.loop, this.database, this.epoch, () => this.latency(this.latencies.commitMs));
    this.history = new History(this.loop);
    this.handles = new Handles(this);
    this.jobs = new Jobs(this, deploymentClass.scheduledJobs);
    this.crons = new Crons(this);
    this.faults = options.faults ?? null;
    this.virtualGlobals = mode === "virtual" ? new VirtualGlobals(this.loop, options.fetch ?? this.#fetch()) : null;
    this.loop.ambientGlobal = ambient;
    this.loop.enter = () => this.#enterWorld();
    this.loop.leave = () => this.#leaveWorld();
    this.committer.onPublish((commit) => this.#published(commit));
    this.registerComponent("", options.schema ?? null, options.modules ?? {}, options.env ?? null);
  }

  // ── What is deployed ──

  /** @param env - what its code sees; without it, the variables of the process. */
  registerComponent(
    path: string,
    schema: Schema | null,
    modules: Modules,
    env?: Readonly<Record<string, string | undefined>> | null,
  ): void {
    const tables = Object.entries(schema?.tables ?? {}).map(([name, table]) => ({
      name,
      indexes: (table as unknown as { " indexes"(): Array<{ indexDescriptor: string; fields: string[] }> })
        [" indexes"]()
        .map(({ indexDescriptor, fields }) => ({ name: indexDescriptor, fields })),
    }));
    const namespace = new Namespace(path, [...SYSTEM_TABLES, ...tables]);
    this.database.namespaces.set(path, namespace);
    this.#components.set(path, new Component(path, namespace, schema, modules, env ?? null));
  }

  component(path: string): Component {
    const component = this.#components.get(path);
    if (component === undefined) throw new Error(`There is no component "${path}". Register it first.`);
    return component;
  }

  componentOrNull(path: string): Component | null {
    return this.#components.get(path) ?? null;
  }

  components(): Iterable<Component> {
    return this.#components.values();
  }

  async load(): Promise<void> {
    const missing = [...this.#components.values()].filter((component) => !component.isLoaded);
    if (missing.length === 0) return;
    await Promise.all(missing.map((component) => component.load()));
    for (const component of missing) this.crons.adopt(component);
  }

  // ── Chance and time ──

  random(): number {
    return this.#rng.next();
  }

  fork(): Rng {
    return this.#rng.fork();
  }

  /** One latency, drawn around its value. */
  latency(ms: number): number {
    if (ms === 0) return 0;
    const { spread } = this.latencies;
    return ms * (1 - spread + 2 * spread * this.#latencyRng.next());
  }

  /** What a function that starts now reads from its server's clock. */
  skewedNow(): number {
    const skew = this.latencies.clockSkewMs;
    return this.loop.now() + (skew === 0 ? 0 : skew * (this.#latencyRng.next() - 0.5));
  }

  // ── What clients call ──

  async query(
    reference: FunctionReference<"query", FunctionVisibility>,
    args: unknown = {},
    options: CallOptions = {},
  ): Promise<Value> {
    return await this.#fromClient(reference, "query", args, options);
  }

  async mutation(
    reference: FunctionReference<"mutation", FunctionVisibility>,
    args: unknown = {},
    options: CallOptions = {},
  ): Promise<Value> {
    return await this.#fromClient(reference, "mutation", args, options);
  }

  async action(
    reference: FunctionReference<"action", FunctionVisibility>,
    args: unknown = {},
    options: CallOptions = {},
  ): Promise<Value> {
    return await this.#fromClient(reference, "action", args, options);
  }

  async #fromClient(
    reference: FunctionReference<Kind, FunctionVisibility>,
    kind: Kind,
    args: unknown,
    options: CallOptions,
  ): Promise<Value> {
    return await this.loop.drive(
      (async () => {
        await this.load();
        const address = getFunctionAddress(reference) as Record<string, JSONValue>;
        const fn = resolve(this, this.component(""), address);
        const json = convexToJson(args as Value);
        return await this.call({ fn }, kind, json, options);
      })(),
    );
  }

  /** Runs a function as a client's request. For references use {@link query}, {@link mutation} or {@link action}. */
  async call(target: Target, kind: Kind, args: JSONValue, options: CallOptions = {}): Promise<Value> {
    const attempt: Attempt = {
      target,
      args,
      identity: options.identity ?? null,
      request: this.newRequest(options.request),
    };
    try {
      return jsonToConvex(await this.run(attempt, kind));
    } catch (error) {
      throw forClient(crossing(error, false));
    }
  }

  newRequest(given: Partial<Request> = {}): Request {
    return {
      id: `request-${this.#nextRequest++}`,
      ip: null,
      userAgent: null,
      authToken: null,
      scheduledFunctionId: null,
      isCanceled: () => false,
      ...given,
    };
  }

  async run(attempt: Attempt, kind: Kind): Promise<JSONValue> {
    const { target } = attempt;
    if ("fn" in target && target.fn.kind !== kind) {
      throw new Error(`InvalidFunctionCall: ${nameOf(target)} is a ${target.fn.kind} and was called as a ${kind}.`);
    }
    if (kind === "query") return await this.#runQuery(attempt);
    if (kind === "mutation") return await this.runMutation(attempt, MAX_ATTEMPTS);
    return await this.runAction(attempt);
  }

  /** `ctx.runQuery`, `runMutation` and `runAction` of an action: each takes a permit and is a call of its own. */
  async callFromAction(frame: ActionFrame, fn: ConvexFunction, kind: Kind, args: JSONValue): Promise<JSONValue> {
    await this.#killPoint(frame, `before ${kind} ${fn.name}`);
    const identity = frame.component === fn.component ? frame.identity : null;
    try {
      const result = await this.run({ target: { fn }, args, identity, request: frame.request }, kind);
      await this.#killPoint(frame, `after ${kind} ${fn.name}`);
      return result;
    } catch (error) {
      throw crossing(error, this.isVerbose);
    }
  }

  // ── Queries ──

  async #runQuery(attempt: Attempt): Promise<JSONValue> {
    const begin = this.database.begin();
    const permits = this.permits.query;
    try {
      if (!(await permits.acquire(PERMIT_WAIT_MS.query))) throw tooMany("query", attempt);
      try {
        const { frame, result } = await this.#execute(attempt, "query", begin, null);
        await this.#spend(frame.transaction);
        this.history.add("query", nameOf(attempt.target), frame.transaction);
        return result;
      } finally {
        permits.release();
      }
    } finally {
      this.database.release(begin);
    }
  }

  // ── Mutations ──

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
      const begin = this.database.begin();
      try {
        const outcome = await this.#attemptMutation(attempt, begin, around);
        if (outcome.kind === "done") return outcome.result;
        failure = outcome.error;
      } finally {
        this.database.release(begin);
      }
      this.history.retry(source, failures + 1, failure.message);
      if (failures + 1 >= maxAttempts) throw failure;
      await this.loop.sleep(Math.min(backoff.initialMs * 2 ** failures, backoff.maxMs) * this.#latencyRng.next());
    }
  }

  async #attemptMutation(
    attempt: Attempt,
    begin: number,
    around: Around | null,
  ): Promise<{ kind: "done"; result: JSONValue } | { kind: "again"; error: Error }> {
    const permits = this.permits.mutation;
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
      if (this.faults?.forcesConflict(source) === true) {
        return { kind: "again", error: new ConflictError("(forced)", "(forced)", source) };
      }
      const outcome = await this.committer.commit({ begin, reads: transaction.reads, changes, source });
      if (outcome.kind === "conflict") {
        const { conflict } = outcome;
        this.history.conflict(source, conflict);
        return {
          kind: "again",
          error: new ConflictError(conflict.table.name, conflict.documentId, conflict.commit.source),
        };
      }
      transaction.chargeWrites(changes);
      this.#throughput.add(transaction.meter.used.bytesWritten);
      this.addCosts(transaction);
      this.history.add("mutation", source, transaction, outcome.ts);
      return { kind: "done", result: stampResult(result, outcome.ts, this.epoch) };
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
    const now = this.skewedNow();
    const creationTime = Math.max(this.epoch.startMs + begin / TICKS_PER_MS, now) + 1 / 4_096;
    const transaction = new Transaction(this.database, begin, { creationTime, limits: this.#limits });
    const frame: TransactionFrame = {
      ...newFrame({
        component: componentOf(target),
        fn: "fn" in target ? target.fn : null,
        kind,
        transaction,
        frozenNow: Math.floor(now),
        rng: this.#rng.fork(),
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
      const result = await invoke(frame, "fn" in target ? target.fn.code : target.code, args, this.loop);
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
    const ms = this.latency(this.latencies.executionMs) + transaction.tombstones * this.latencies.tombstoneMs;
    if (ms > 0) await this.loop.sleep(ms);
  }

  addCosts(transaction: Transaction): void {
    for (const [path, cost] of transaction.costs) {
      const sum = this.costs.get(path) ?? { documentsRead: 0, bytesRead: 0, documentsWritten: 0, bytesWritten: 0 };
      for (const key of Object.keys(cost) as Array<keyof Cost>) sum[key] += cost[key];
      this.costs.set(path, sum);
    }
  }

  /** For the scheduler's own transactions. */
  newTransaction(begin: number): Transaction {
    const creationTime = Math.max(this.epoch.startMs + begin / TICKS_PER_MS, this.loop.now()) + 1 / 4_096;
    return new Transaction(this.database, begin, { creationTime });
  }

  /** Deletes a row that the system is done with. */
  async deleteSystemRow(table: Table, id: string): Promise<void> {
    const begin = this.database.begin();
    try {
      const transaction = this.newTransaction(begin);
      if (transaction.remove(table, id) === null) return;
      const changes = transaction.changes();
      await this.committer.commit({ begin, reads: new Map(), changes, source: "(retention)" });
    } finally {
      this.database.release(begin);
    }
  }

  /** A transaction that an action's own operation is (scheduling, storage): up to three attempts (section 2). */
  async inSmallTransaction<T>(frame: Frame, source: string, work: (inner: TransactionFrame) => T): Promise<T> {
    for (let failures = 0; ; failures++) {
      const begin = this.database.begin();
      try {
        const now = this.skewedNow();
        const transaction = new Transaction(this.database, begin, {
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
            rng: this.#rng.fork(),
          }),
          identity: null,
          request: frame.request,
          depth: 0,
        };
        const result = work(inner);
        await this.#spend(transaction);
        const outcome = await this.committer.commit({
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
        this.database.release(begin);
      }
      await this.loop.sleep(Math.min(10 * 2 ** failures, 2_000) * this.#latencyRng.next());
    }
  }

  // ── Actions ──

  async runAction(
    { target, args, identity, request }: Attempt,
    patienceMs: number = PERMIT_WAIT_MS.action,
  ): Promise<JSONValue> {
    if ("fn" in target) checkArgs(target.fn, args, false);
    if (!(await this.permits.action.acquire(patienceMs))) {
      throw tooMany("action", { target, args, identity, request });
    }
    let kill: (error: Error) => void = () => undefined;
    const killed = new Promise<never>((_, reject) => void (kill = reject));
    killed.catch(() => undefined);
    const frame: ActionFrame = {
      component: componentOf(target),
      fn: "fn" in target ? target.fn : null,
      kind: "action",
      identity,
      request,
      depth: 0,
      rng: this.#rng.fork(),
      ended: false,
      killed,
    };
    const entry = { frame, kill };
    this.#actions.add(entry);
    try {
      const startMs = this.latency(this.latencies.actionStartMs);
      if (startMs > 0) await this.loop.sleep(startMs);
      const code = "fn" in target ? target.fn.code : target.code;
      const running = frames.run(frame, async () => await code.invokeAction(request.id, JSON.stringify([args])));
      const result = JSON.parse(await Promise.race([running, killed])) as JSONValue;
      if ("fn" in target) checkReturns(target.fn, result);
      this.history.action(nameOf(target), "ended");
      return result;
    } finally {
      frame.ended = true;
      this.#actions.delete(entry);
      this.permits.action.release();
    }
  }

  /** Kills actions that run, as a crash of their machine does: what they asked for last may have happened. */
  killActions(which: (name: string) => boolean = () => true): number {
    let count = 0;
    for (const { frame, kill } of this.#actions) {
      const name = frame.fn === null ? "inline" : nameOf({ fn: frame.fn });
      if (!which(name)) continue;
      frame.ended = true;
      this.history.action(name, "killed");
      kill(new SystemError("ActionKilled", "Transient error while executing action"));
      count++;
    }
    return count;
  }

  async #killPoint(frame: ActionFrame, point: string): Promise<void> {
    if (frame.fn === null || this.faults === null) return;
    const name = nameOf({ fn: frame.fn });
    if (!this.faults.killsAt(name, point)) return;
    for (const entry of this.#actions) {
      if (entry.frame !== frame) continue;
      frame.ended = true;
      this.history.action(name, `killed ${point}`);
      entry.kill(new SystemError("ActionKilled", "Transient error while executing action"));
    }
    // Nothing of it goes on.
    await new Promise<never>(() => undefined);
  }

  #published(commit: Commit): void {
    this.history.commit(commit);
    this.jobs.published(commit);
  }

  // ── The world around ──

  #enterWorld(): void {
    if (this.#restoreWorld !== null) return;
    const holder = globalThis as { Convex?: unknown };
    const before = holder.Convex;
    holder.Convex = convexGlobal(this);
    const restoreEnvironment = installEnvironment();
    this.virtualGlobals?.install();
    this.#restoreWorld = () => {
      this.virtualGlobals?.uninstall();
      restoreEnvironment();
      holder.Convex = before;
    };
  }

  #leaveWorld(): void {
    this.#restoreWorld?.();
    this.#restoreWorld = null;
  }

  /** Real HTTP, whose answer comes when the clock has nothing else to do. */
  #fetch(): typeof fetch {
    const realFetch = globalThis.fetch;
    return async (input, init) => {
      const response = await this.loop.real(
        realFetch(input, init).then(async (answer) => ({ answer, body: await answer.arrayBuffer() })),
      );
      const { status, statusText, headers } = response.answer;
      const hasBody = ![101, 204, 205, 304].includes(status);
      return new Response(hasBody ? response.body : null, { status, statusText, headers });
    };
  }
}

const UNLIMITED = Object.fromEntries(Object.keys(TRANSACTION_LIMITS).map((key) => [key, Infinity])) as Usage;

function tooMany(kind: Kind, { target }: Attempt): Error {
  return new Error(`TooManyConcurrentRequests: no permit for ${kind} ${nameOf(target)} became free in time.`);
}

function stampResult(result: JSONValue, ts: number, epoch: Epoch): JSONValue {
  const text = JSON.stringify(result);
  if (!text.includes('"$commitTs"')) return result;
  const integer = JSON.stringify(convexToJson(BigInt(epoch.startMs) * 1_000_000n + BigInt(ts) * 100n));
  return JSON.parse(text.replaceAll('{"$commitTs":null}', integer)) as JSONValue;
}
