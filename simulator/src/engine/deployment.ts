/**
 * A simulated deployment: it runs the functions of an app and its components.
 *
 * Owns: what is deployed, chance, and the calls of clients. The life of a transaction is in transactions.ts, that of an
 * action in actions.ts. Invariant: all chance comes from the seed.
 */
import { getFunctionAddress, type FunctionReference, type FunctionVisibility } from "convex/server";
import { convexToJson, jsonToConvex, type JSONValue, type Value } from "convex/values";
import { Crons } from "../scheduler/crons.js";
import { Jobs } from "../scheduler/jobs.js";
import { SYSTEM_TABLES } from "../scheduler/systemTables.js";
import { Files } from "../scheduler/storage.js";
import { Database, Namespace, type Commit } from "../store/database.js";
import { type Cost } from "../transaction/transaction.js";
import { TRANSACTION_LIMITS, type Usage } from "../transaction/limits.js";
import { Component, type Kind, type Loading, type Modules, type Schema } from "../runtime/component.js";
import { crossing, forClient } from "../runtime/errors.js";
import { type Identity, type Request } from "../runtime/frame.js";
import { outside } from "../runtime/ambientGlobals.js";
import { ambient, SYSTEM_VARIABLES } from "../runtime/globals.js";
import { Handles, resolve } from "../runtime/references.js";
import { nameOf, wrongKind, type Target } from "../runtime/transactionCalls.js";
import { Committer, type Epoch } from "./committer.js";
import { Faults, type FaultOptions } from "../faults/faults.js";
import { Lifetime, connectionLost, replyLost } from "../faults/lifetime.js";
import { Upheaval } from "../faults/upheaval.js";
import { Invariants } from "../report/invariants.js";
import { History } from "./history.js";
import { Loop, type TimeMode } from "./loop.js";
import { Permits } from "./permits.js";
import {
  ACTION_TIMEOUT_MS,
  CLASSES,
  DEFAULT_LATENCIES,
  type ClassName,
  type DeploymentClass,
  type LatencyProfile,
} from "./profile.js";
import { Actions } from "./actions.js";
import { Rng } from "./rng.js";
import { importing } from "../strict/imports.js";
import { strictness, type Strictness, type StrictOptions } from "../strict/options.js";
import { Problems } from "../strict/problems.js";
import { dynamicImportProblems, moduleProblems, schemaProblems } from "../strict/rules.js";
import { SlowCalls } from "../strict/slowCalls.js";
import { sourceProblems } from "../strict/sources.js";
import { Throughput } from "./throughput.js";
import { Transactions, type Attempt } from "./transactions.js";
import { World } from "./world.js";

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
  /** An action that runs for longer is ended; Convex's pages say 10 minutes and 30. */
  actionTimeoutMs?: number;
  /** Errors that cross a call say "Uncaught", as a deployment's do. */
  verboseErrors?: boolean;
  fetch?: typeof fetch;
  /** What is to go wrong. */
  faults?: FaultOptions;
  /** What is refused beyond what Convex always refuses; see {@link StrictOptions}. */
  strict?: boolean | StrictOptions;
};

/** Attempts of a mutation that a client or an action called (section 2). */
const MAX_ATTEMPTS = 5;
const DEFAULT_START = Date.UTC(2026, 0, 1);

export type CallOptions = { identity?: Identity; request?: Partial<Request> };

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
  /** Checked after every publication. */
  readonly invariants: Invariants;
  readonly upheaval: Upheaval;
  readonly seed: number;
  readonly className: ClassName;
  readonly latencies: LatencyProfile;
  readonly isVerbose: boolean;
  permits: Readonly<Record<Kind, Permits>>;
  lifetime = new Lifetime();
  readonly costs = new Map<string, Cost>();
  readonly strict: Strictness;
  /** What strictness has found, also where code caught the error. */
  readonly problems = new Problems();
  /** Top-level queries and mutations whose JavaScript took long in this process. */
  readonly slowCalls: SlowCalls;
  /** Function calls as they are billed (section 5), and attempts that lost to another transaction. */
  readonly calls = { query: 0, mutation: 0, action: 0, lostAttempts: 0 };
  readonly transactions: Transactions;
  readonly actions: Actions;
  readonly #components = new Map<string, Component>();
  readonly #rng: Rng;
  readonly #latencyRng: Rng;
  readonly world: World;
  #nextRequest = 1;

  constructor(options: DeploymentOptions = {}) {
    const mode = options.time ?? "virtual";
    const startMs = options.startAt ?? (mode === "ambient" ? Date.now() : DEFAULT_START);
    this.loop = new Loop(mode, startMs);
    this.strict = strictness(options.strict, mode);
    this.database.undeclaredTables = this.strict.undeclaredTables;
    this.slowCalls = new SlowCalls(this.strict.slowCallMs);
    this.epoch = { startMs };
    this.seed = options.seed ?? 1;
    this.#rng = new Rng(this.seed);
    this.#latencyRng = this.#rng.fork();
    this.className = options.className ?? "S256";
    this.latencies = options.latencies ?? DEFAULT_LATENCIES;
    this.isVerbose = options.verboseErrors ?? true;
    const limits = options.limits === "unlimited" ? UNLIMITED : (options.limits ?? TRANSACTION_LIMITS);
    const deploymentClass = { ...CLASSES[this.className], ...options.permits };
    this.permits = {
      query: new Permits(this.loop, deploymentClass.queries),
      mutation: new Permits(this.loop, deploymentClass.mutations),
      action: new Permits(this.loop, deploymentClass.actions),
    };
    const throughput = new Throughput(this.loop, deploymentClass.writeBytesPerSecond);
    this.transactions = new Transactions(this, throughput, limits);
    this.actions = new Actions(this, options.actionTimeoutMs ?? ACTION_TIMEOUT_MS);
    this.committer = new Committer(this.loop, this.database, this.epoch, () => this.latency(this.latencies.commitMs));
    this.history = new History(this.loop);
    this.handles = new Handles(this);
    this.jobs = new Jobs(this, deploymentClass.scheduledJobs);
    this.crons = new Crons(this);
    this.faults = options.faults === undefined ? null : new Faults(options.faults, this.seed, startMs, this);
    this.invariants = new Invariants(this);
    this.upheaval = new Upheaval(this);
    this.upheaval.planTimed();
    this.world = new World(this, options.fetch);
    this.loop.ambientGlobal = mode === "ambient" ? outside : ambient;
    this.loop.enter = () => this.world.enter();
    this.loop.leave = () => this.world.leave();
    this.committer.onPublish((commit) => this.#published(commit));
    if (this.faults !== null) {
      this.committer.onAssign = ({ source }) => this.upheaval.mayStrike("assign", source);
      this.committer.onPublish(({ source }) => this.upheaval.mayStrike("publish", source));
    }
    this.registerComponent("", options.schema ?? null, options.modules ?? {}, options.env);
  }

  // ── What is deployed ──

  /**
   * @param env - the variables that the app binds for it; CONVEX_CLOUD_URL and CONVEX_SITE_URL are there anyway. Null: those
   * of the process. Left out it is null for the app and in ambient time, and else a component without variables.
   */
  registerComponent(
    path: string,
    schema: Schema | null,
    modules: Modules,
    env?: Readonly<Record<string, string | undefined>> | null,
  ): void {
    if (this.strict.push) this.problems.refuse(schemaProblems(path, schema));
    this.problems.refuse(sourceProblems(path, this.strict.sources[path] ?? {}));
    const tables = Object.entries(schema?.tables ?? {}).map(([name, table]) => ({
      name,
      indexes: (table as unknown as { " indexes"(): Array<{ indexDescriptor: string; fields: string[] }> })
        [" indexes"]()
        .map(({ indexDescriptor, fields }) => ({ name: indexDescriptor, fields })),
    }));
    const namespace = new Namespace(path, [...SYSTEM_TABLES, ...tables]);
    this.database.namespaces.set(path, namespace);
    const seesProcess = env === null || (env === undefined && (path === "" || this.loop.mode === "ambient"));
    const seen = seesProcess ? null : { ...SYSTEM_VARIABLES, ...env };
    const component = new Component(path, namespace, schema, modules, seen, this.#loading(path));
    this.#components.set(path, component);
    this.world.adopt(component);
  }

  #loading(path: string): Loading {
    const { push, dynamicImport } = this.strict;
    return {
      // Tests written for convex-test bring their modules with them; what these did as they were imported is done.
      import: async (work) =>
        push && this.loop.mode === "virtual"
          ? await this.loop.outside(() => importing(path, this.epoch.startMs, new Rng(this.seed), work))
          : await work(),
      check: (modules) => {
        if (push) this.problems.refuse(moduleProblems(path, modules));
        if (dynamicImport) this.problems.refuse(dynamicImportProblems(path, modules));
      },
    };
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
    await this.loop.real(Promise.all(missing.map((component) => component.load())));
    await this.upheaval.prepare();
    for (const component of missing) this.crons.adopt(component);
  }

  /**
   * Other code for a component, while everything runs: running actions keep theirs, mutations in flight conflict and retry
   * on the new code, later calls and jobs run it.
   */
  async deploy(path: string, modules: Modules): Promise<void> {
    await this.loop.drive(this.upheaval.deploy(path, modules));
  }

  /** The machine goes down at once, and comes back. {@link Upheaval} says what survives. */
  restart(downMs = 1_000, draw = this.random()): void {
    this.upheaval.restart({ ms: downMs, draw });
  }

  /** Of a restart: what began before it belongs to a machine that is gone. */
  newLifetime(): void {
    this.lifetime.end();
    this.lifetime = new Lifetime();
    const { query, mutation, action } = this.permits;
    this.permits = { query: query.fresh(), mutation: mutation.fresh(), action: action.fresh() };
    for (const old of [query, mutation, action]) old.dismiss();
  }

  // ── What must not have happened ──

  /** Jobs that failed do so in silence: whoever scheduled them does not hear of it (section 3). */
  assertNoFailedJobs(): void {
    const { failures } = this.jobs;
    if (failures.length === 0) return;
    throw new Error(
      `${failures.length} scheduled functions failed:\n` +
        failures.map(({ source, error }) => `- ${source}: ${error}`).join("\n"),
    );
  }

  // ── Chance and time ──

  random(): number {
    return this.#rng.next();
  }

  /** Uniform in [0, 1), for backoffs. */
  jitter(): number {
    return this.#latencyRng.next();
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
  skewedNow(source = ""): number {
    const skew = this.latencies.clockSkewMs;
    const wrong = this.faults?.strike("skewClock:transaction", source)?.ms ?? 0;
    return this.loop.now() + wrong + (skew === 0 ? 0 : skew * (this.#latencyRng.next() - 0.5));
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
      if (this.upheaval.isDown) throw connectionLost();
      const result = await this.run(attempt, kind);
      if (kind !== "query" && this.faults?.strike(`loseReply:${kind}`, nameOf(target))) throw replyLost();
      return jsonToConvex(result);
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
      throw wrongKind(target.fn, kind);
    }
    if (kind === "query") return await this.transactions.runQuery(attempt);
    if (kind === "mutation") return await this.transactions.runMutation(attempt, MAX_ATTEMPTS);
    return await this.actions.run(attempt);
  }

  #published(commit: Commit): void {
    this.history.commit(commit);
    this.jobs.published(commit);
    this.invariants.check(commit);
  }
}

const UNLIMITED = Object.fromEntries(Object.keys(TRANSACTION_LIMITS).map((key) => [key, Infinity])) as Usage;
