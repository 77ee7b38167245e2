/**
 * The world around the walker, in memory: a clock that stands still until it is told to go on, a database of one
 * execution behind the real fence, and functions of an app.
 *
 * Owns: what a checkpoint does to the stored rows, as the component's `applyProgress` does it, and the record of every
 * call. Invariant: a transaction is one synchronous step, so nothing is ever seen half written.
 */
import { checkFence } from "../../src/engine/fence.js";
import { readPlan, writePlan } from "../../src/engine/definition/planCache.js";
import { compileDefinition } from "../../src/engine/definition/compile.js";
import type { Definition } from "../../src/engine/definition/schema.js";
import { initialPosition } from "../../src/engine/position.js";
import { parseSecrets } from "../../src/engine/secrets.js";
import { readPosition, writePosition } from "../../src/engine/storedPosition.js";
import { mergeVariables } from "../../src/engine/variables.js";
import { checkValueSize, fromConvexResult, toConvexArgs } from "../../src/engine/values.js";
import type { CommitReply, Conclusion, FinishedRun, Progress, Reply } from "../../src/shared/checkpoint.js";
import type { Json, JsonObject } from "../../src/shared/json.js";
import { DEFAULT_STRETCH_BUDGET_MS, MAX_VALUE_BYTES } from "../../src/shared/limits.js";
import type { CommittedRun, ModelRequest, ModelResult, StretchPorts } from "../../src/walker/ports.js";
import { walk, type StretchEnd } from "../../src/walker/walk.js";
import { VirtualClock } from "./virtualClock.js";

export type AppFunction = {
  kind: "query" | "mutation" | "action";
  /** A mutation must answer at once: it is one transaction. */
  run: (args: JsonObject, call: number) => unknown;
};

export type StoredRun = FinishedRun & { seq: number };

export type WorldOptions = {
  definition: Definition;
  input?: Json;
  context?: Json;
  functions?: Record<string, AppFunction>;
  secrets?: string;
  model?: (request: ModelRequest, signal: AbortSignal, call: number) => ModelResult | Promise<ModelResult>;
  budgetMs?: number;
  /** Node runs that the execution is said to have made before. */
  nodeRuns?: number;
  /** How long a write takes to be answered. */
  writeMs?: number;
  /** How long a read takes. */
  readMs?: number;
  /** Asked before and after each write whether the request is refused, or its reply is lost. */
  isLost?: (moment: "request" | "reply", write: number) => boolean;
};

/** A call of a function, a model or the database, in the order they were made. */
export type Call = {
  kind: string;
  name: string;
  at: number;
  args?: JsonObject;
  /** It threw at once. */
  failed: boolean;
  /** When it had ended; a mutation ends as it begins. */
  endedAt?: number;
  /** Keys of the node runs that were stored when it was made. */
  durable: string[];
};

const EXECUTION = {
  id: "execution1",
  scope: "tests",
  definition: "generated",
  version: 1,
  shardIndex: 0,
};

export class World {
  readonly clock = new VirtualClock();
  readonly functions: Map<string, AppFunction>;
  readonly calls: Call[] = [];
  readonly logs: string[] = [];
  /** Every flush that arrived, with its answer. */
  readonly flushes: Array<{ progress: Progress; reply: Reply["kind"] | "committed" }> = [];
  readonly stretches: StretchEnd[] = [];
  runs: StoredRun[] = [];
  payloads = new Map<string, string>();
  variables: JsonObject = {};
  position: string;
  conclusion: Conclusion | null = null;
  canceled = false;
  ended = false;
  leaseEpoch = 0;
  lastSeq = 0;
  lastFlushId = "";
  /** Signs of life of owners. */
  renewals = 0;
  inFlight = 0;
  mostInFlight = 0;
  readonly #options: WorldOptions;
  readonly #plan: string;
  #flushIds = 0;
  #writes = 0;
  #chance = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.functions = new Map(Object.entries(options.functions ?? {}));
    const plan = compileDefinition(options.definition);
    this.#plan = writePlan(plan);
    this.position = writePosition(initialPosition(plan));
  }

  /** Runs stretches, as claims and wakes would, until the execution ends or is canceled. */
  async run(maxStretches = 1_000): Promise<void> {
    for (let stretch = 0; stretch < maxStretches; stretch++) {
      const end = await this.stretch();
      if (end === "succeeded" || end === "failed" || end === "canceled") return;
      if (end === "park" && this.conclusion?.kind === "park") this.clock.advanceTo(this.conclusion.wakeAt);
    }
    throw new Error(`the execution has not ended after ${maxStretches} stretches`);
  }

  /** Claims the execution and runs one stretch to its end. Rejects with what made the stretch crash. */
  async stretch(): Promise<StretchEnd> {
    const end = await this.clock.until(this.startStretch().end);
    this.stretches.push(end);
    return end;
  }

  /** Begins a stretch; `kill` lets its owner die: it hears nothing any more. */
  startStretch(): { end: Promise<StretchEnd>; kill: () => void } {
    this.leaseEpoch++;
    this.conclusion = null;
    const owner = { epoch: this.leaseEpoch, dead: false };
    const { plan } = readPlan(this.#plan, "");
    const bindings = [...this.functions].map(([name, { kind }]) => [name, { kind, handle: name }] as const);
    const end = walk(
      {
        execution: { ...EXECUTION, startedAt: 0 },
        plan,
        position: readPosition(this.position, plan),
        variables: structuredClone(this.variables),
        lastSeq: this.lastSeq,
        nodeRuns: (this.#options.nodeRuns ?? 0) + this.runs.length,
        bindings: new Map(bindings),
        secrets: parseSecrets(this.#options.secrets),
        secretNonce: `nonce-of-a-stretch-of-a-test-${owner.epoch}`,
        startedAt: this.clock.now,
        budgetMs: this.#options.budgetMs ?? DEFAULT_STRETCH_BUDGET_MS,
      },
      this.#ports(owner),
    );
    return { end, kill: () => (owner.dead = true) };
  }

  /** The keys of the node runs that are stored. */
  get durableKeys(): string[] {
    return this.runs.map(({ key }) => key);
  }

  runOf(key: string): StoredRun | undefined {
    return this.runs.find((run) => run.key === key);
  }

  #ports(owner: { epoch: number; dead: boolean }): StretchPorts {
    const { clock } = this;
    /** A dead owner hears nothing: what it waits for never comes. */
    const alive = <T>(answer: () => T | Promise<T>, ms = 0): Promise<T> => this.#answer(owner, answer, ms);
    const read = <T>(answer: () => T): Promise<T> => alive(answer, this.#options.readMs ?? 0);
    const isOwner = () => !this.canceled && !this.ended && this.leaseEpoch === owner.epoch;
    return {
      now: () => clock.now,
      // The same numbers in every run; retries need no real chance.
      random: () => (this.#chance = (this.#chance + 0.381_966) % 1),
      newFlushId: () => `flush${++this.#flushIds}`,
      setTimer: (callback, ms) => clock.setTimer(() => (owner.dead ? undefined : callback()), ms),
      checkpoint: (progress) =>
        this.#write(owner, () => {
          const kind = this.#checkpoint(owner.epoch, progress);
          this.flushes.push({ progress, reply: kind });
          return { kind };
        }),
      commitUserMutation: (progress, run, handle, args) =>
        this.#write(owner, () => {
          const reply = this.#commit(owner.epoch, progress, run, handle, args);
          this.flushes.push({ progress, reply: reply.kind });
          return reply;
        }),
      hasLanded: (seq, flushId) => read(() => this.lastSeq === seq && this.lastFlushId === flushId),
      isOwner: () => read(isOwner),
      renew: () => {
        this.renewals++;
        return read(isOwner);
      },
      callFunction: (_kind, handle, args) => alive(() => this.#call(handle, args)),
      callModel: (request, signal) => alive(() => this.#callModel(request, signal)),
      modelHost: () => "models.example.com",
      loadRuns: (keys) =>
        read(() =>
          this.runs
            .filter(({ key, status }) => keys.includes(key) && status !== "canceled")
            .map(({ key, output, error }) => ({ key, output: output ?? null, error: error ?? null })),
        ),
      loadPasses: (loopKey) => read(() => this.#passes(loopKey)),
      loadPayload: (name) => read(() => this.payloads.get(name) ?? null),
      loadInput: () => read(() => JSON.stringify(this.#options.input ?? null)),
      loadContext: () =>
        read(() => (this.#options.context === undefined ? null : JSON.stringify(this.#options.context))),
      log: (level, message) => this.logs.push(`${level}: ${message}`),
    };
  }

  async #answer<T>(owner: { dead: boolean }, answer: () => T | Promise<T>, ms: number): Promise<T> {
    const never = () => new Promise<never>(() => undefined);
    if (owner.dead) return await never();
    if (ms > 0) await this.clock.sleep(ms);
    if (owner.dead) return await never();
    try {
      return await answer();
    } finally {
      if (owner.dead) await never();
    }
  }

  #write<T>(owner: { dead: boolean }, transaction: () => T): Promise<T> {
    const { writeMs = 0, isLost = () => false } = this.#options;
    const write = ++this.#writes;
    return this.#answer(
      owner,
      async () => {
        // What Convex says when other transactions were first each time; nothing was written.
        if (isLost("request", write)) throw new Error("OptimisticConcurrencyControlFailure: it changed meanwhile");
        if (writeMs > 0) await this.clock.sleep(writeMs / 2);
        // An owner that dies has sent it all the same.
        const answer = transaction();
        if (writeMs > 0) await this.clock.sleep(writeMs / 2);
        if (isLost("reply", write)) throw new Error("the connection broke");
        return answer;
      },
      0,
    );
  }

  #verdict(leaseEpoch: number, { seq, flushId }: Progress) {
    return checkFence(this, { leaseEpoch, seq, flushId });
  }

  #checkpoint(epoch: number, progress: Progress): Reply["kind"] {
    const verdict = this.#verdict(epoch, progress);
    if (verdict !== "apply") return verdict === "repeat" ? "repeated" : verdict;
    this.#apply(progress);
    return "applied";
  }

  #commit(epoch: number, progress: Progress, run: CommittedRun, handle: string, args: Json): CommitReply {
    const verdict = this.#verdict(epoch, progress);
    if (verdict === "repeat") return { kind: "committed", output: this.runOf(run.key)?.output ?? "null" };
    if (verdict !== "apply") return { kind: verdict };
    const output = fromConvexResult(this.#call(handle, args), "The result of the mutation");
    checkValueSize(output, "The result of the mutation", MAX_VALUE_BYTES);
    const after = this.#verdict(epoch, progress);
    if (after !== "apply") return { kind: after === "canceled" ? "canceled" : "stale" };
    this.#apply(progress);
    this.runs.push({
      ...run,
      status: "succeeded",
      port: "success",
      output,
      endedAt: this.clock.now,
      seq: progress.seq,
    });
    return { kind: "committed", output };
  }

  #apply(progress: Progress): void {
    // What is stored is a copy, as it is in a database.
    const { seq, flushId, runs, position, variables, payloads, passEnds, conclusion } = structuredClone(progress);
    for (const run of runs) this.runs.push({ ...run, seq });
    for (const { name, text } of payloads) this.payloads.set(name, text);
    for (const { key, result, error } of passEnds) {
      const run = this.runOf(key);
      if (run === undefined) throw new Error(`a pass ends with the run ${key}, which is not stored`);
      Object.assign(
        run,
        result === undefined ? {} : { passResult: result },
        error === undefined ? {} : { passError: error },
      );
    }
    const patches = variables.map((text) => JSON.parse(text) as { writer: string; values: JsonObject });
    if (patches.length > 0) this.variables = mergeVariables(this.variables, patches);
    this.position = position;
    this.lastSeq = seq;
    this.lastFlushId = flushId;
    this.conclusion = conclusion ?? null;
    this.ended = conclusion?.kind === "succeeded" || conclusion?.kind === "failed";
  }

  #passes(loopKey: string) {
    return this.runs
      .filter(({ endsLoop }) => endsLoop === loopKey)
      .map(({ passIndex, output, passResult, passError, error }) => ({
        index: passIndex ?? 0,
        output: output ?? null,
        result: passResult ?? null,
        error: passError ?? error ?? null,
      }))
      .toSorted((a, b) => a.index - b.index);
  }

  #call(name: string, args: Json): unknown {
    const called = this.functions.get(name);
    if (called === undefined) throw new Error(`Could not find function for handle ${name}`);
    const converted = toConvexArgs(structuredClone(args)) as JsonObject;
    const record = this.#record(called.kind, name);
    record.args = converted;
    const call = this.calls.filter((one) => one.name === name).length;
    try {
      return this.#counted(record, called.run(converted, call));
    } catch (error) {
      record.failed = true;
      throw error;
    }
  }

  #callModel(request: ModelRequest, signal: AbortSignal): ModelResult | Promise<ModelResult> {
    const { model } = this.#options;
    if (model === undefined) throw new Error("this world has no model");
    const record = this.#record("model", request.model);
    const call = this.calls.filter(({ kind }) => kind === "model").length;
    return this.#counted(record, model(structuredClone(request), signal, call)) as ModelResult | Promise<ModelResult>;
  }

  #record(kind: string, name: string): Call {
    const call: Call = { kind, name, at: this.clock.now, failed: false, durable: this.durableKeys };
    this.calls.push(call);
    return call;
  }

  /** Counts what takes time while it does. */
  #counted(call: Call, result: unknown): unknown {
    call.endedAt = this.clock.now;
    if (!(result instanceof Promise)) return result;
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    return result.finally(() => {
      this.inFlight--;
      call.endedAt = this.clock.now;
    });
  }
}
