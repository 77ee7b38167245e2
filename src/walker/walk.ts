/**
 * The walker: runs consecutive nodes of one execution until it ends, has to wait, or the stretch's budget is used up.
 * The same for both hosts.
 *
 * Each token is driven by one async function; state changes are synchronous, so a snapshot taken at any await is
 * consistent. Invariants: (K1) a node's run is recorded in the same synchronous step that moves its token; (K2) after a
 * stop (cancel, takeover) nothing is recorded and no node starts; (K3) a stretch concludes exactly once.
 */
import { createEvaluator } from "../engine/expr/evaluate.js";
import { ExpressionError } from "../engine/expr/error.js";
import type { Plan, PlanNode } from "../engine/plan.js";
import {
  moveToken,
  innermostPass,
  removeToken,
  replaceToken,
  runKey,
  exitToken,
  type Position,
  type Token,
} from "../engine/position.js";
import { decideRetry } from "../engine/retry.js";
import { createSecretScope, type SecretTable } from "../engine/secrets.js";
import { mergeVariables } from "../engine/variables.js";
import type { Conclusion } from "../shared/checkpoint.js";
import { shardflowError } from "../shared/errors.js";
import { utf8Bytes, type Json, type JsonObject } from "../shared/json.js";
import { ACTION_LIMIT_MS, MAX_NODE_RUNS, MAX_VALUE_BYTES } from "../shared/limits.js";
import { nodeError, toNodeError, type NodeError } from "../shared/nodeError.js";
import { Effects } from "./effects.js";
import { Flusher, StretchStopped } from "./flusher.js";
import { Loops } from "./loops.js";
import { Memory, type ExecutionInfo, type RunInfo } from "./memory.js";
import type { Binding, NodeContext } from "./nodes/context.js";
import { executorOf, runNode } from "./nodes/executors.js";
import type { NodeOutcome } from "./nodes/outcome.js";
import { Pauses } from "./pauses.js";
import type { StretchPorts } from "./ports.js";
import { committedRun, finishedRun, toStoredError } from "./records.js";
import { refusalDelay } from "./refusals.js";
import { Ticker } from "./ticker.js";

export type Stretch = {
  execution: ExecutionInfo;
  plan: Plan;
  position: Position;
  variables: JsonObject;
  lastSeq: number;
  nodeRuns: number;
  bindings: ReadonlyMap<string, Binding>;
  secrets: SecretTable;
  /** Makes the markers of secrets unguessable for data. */
  secretNonce: string;
  startedAt: number;
  budgetMs: number;
};

export type StretchEnd = Conclusion["kind"] | "canceled" | "stale" | "conflict";

export async function walk(stretch: Stretch, ports: StretchPorts): Promise<StretchEnd> {
  return await new Walk(stretch, ports).run();
}

class Walk {
  readonly #stretch: Stretch;
  readonly #plan: Plan;
  readonly #ports: StretchPorts;
  readonly #ticker: Ticker;
  readonly #flusher: Flusher;
  readonly #memory: Memory;
  readonly #effects: Effects;
  readonly #pauses: Pauses;
  readonly #loops: Loops;
  #drives = 0;
  #onIdle: () => void = () => undefined;
  #position: Position;
  #nodeRuns: number;
  #stopped: StretchStopped | null = null;
  #crash: { error: unknown } | null = null;
  #conclusion: Conclusion | null = null;
  #yielding = false;

  constructor(stretch: Stretch, ports: StretchPorts) {
    this.#stretch = stretch;
    this.#plan = stretch.plan;
    this.#ports = ports;
    this.#position = stretch.position;
    this.#nodeRuns = stretch.nodeRuns;
    this.#ticker = new Ticker(ports);
    this.#flusher = new Flusher(ports, this.#ticker, stretch.lastSeq, () => JSON.stringify(this.#position));
    this.#memory = new Memory(stretch.plan, ports, stretch.execution, stretch.variables);
    this.#effects = new Effects(ports, this.#ticker, () => this.#stop(new StretchStopped("stale")));
    this.#pauses = new Pauses(this.#ticker, () => ports.now());
    this.#loops = new Loops({
      plan: stretch.plan,
      ports,
      flusher: this.#flusher,
      memory: this.#memory,
      effects: this.#effects,
      evaluator: createEvaluator(),
      position: () => this.#position,
      move: (next) => this.#move(next),
    });
  }

  async run(): Promise<StretchEnd> {
    try {
      // Drives launch drives, always before they end themselves, so the set is empty only when all is done.
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
        this.#launch(this.#position.tokens);
      });
      if (this.#crash !== null) throw this.#crash.error;
      if (this.#stopped !== null) return this.#stopped.reason;
      const conclusion = this.#conclusion ?? this.#pauseConclusion();
      await this.#flusher.conclude(conclusion);
      return conclusion.kind;
    } catch (error) {
      if (error instanceof StretchStopped) return error.reason;
      throw error;
    } finally {
      this.#effects.abandon(() => true);
      this.#ticker.stop();
    }
  }

  #launch(tokens: Token[]): void {
    for (const token of tokens) {
      this.#drives++;
      void this.#drive(token)
        .catch((error: unknown) => this.#halt(error))
        .then(() => {
          this.#drives--;
          this.#pauses.settle(this.#drives);
          if (this.#drives === 0) this.#onIdle();
        });
    }
  }

  #halt(error: unknown): void {
    if (!(error instanceof StretchStopped)) this.#crash ??= { error };
    this.#stop(error instanceof StretchStopped ? error : new StretchStopped("stale"));
  }

  /** Takes the new position and starts the tokens that are new in it. */
  #move(next: Position): void {
    const before = new Set(this.#position.tokens.map((t) => runKey(t.pass, t.node)));
    this.#position = next;
    this.#launch(next.tokens.filter((t) => !before.has(runKey(t.pass, t.node))));
  }

  #stop(reason: StretchStopped): void {
    if (this.#stopped !== null) return;
    this.#stopped = reason;
    this.#effects.abandon(() => true);
    this.#pauses.parkAll();
  }

  get #isOver(): boolean {
    return this.#stopped !== null || this.#conclusion !== null;
  }

  /** The token of the place, if it still stands there: its loop may have been left meanwhile. */
  #current(place: Token): Token | null {
    return this.#position.tokens.find((t) => t.pass === place.pass && t.node === place.node) ?? null;
  }

  async #drive(start: Token): Promise<void> {
    let place: Token | null = start;
    while (place !== null && !this.#isOver) {
      const token = this.#current(place);
      if (token === null) return;
      place = token.exited === undefined ? await this.#step(token) : await this.#follow(token, token.exited);
    }
  }

  /** Runs the token's node once; returns where to go on, or null when this drive is done. */
  async #step(token: Token): Promise<Token | null> {
    const node = this.#nodeOf(token);
    if (token.notBefore !== undefined && token.notBefore > this.#ports.now()) {
      const end = await this.#pauses.pause(token.notBefore, () => this.#drives);
      return end === "due" ? token : null;
    }
    if (!this.#hasTimeFor(node)) {
      this.#yielding = true;
      this.#pauses.parkAll();
      return null;
    }
    const key = runKey(token.pass, token.node);
    if (this.#nodeRuns >= MAX_NODE_RUNS) {
      return this.#fail(
        token,
        key,
        this.#ports.now(),
        nodeError("NODE_RUN_LIMIT", `The execution made ${MAX_NODE_RUNS} node runs.`),
      );
    }
    if (executorOf(node).effect) await this.#flusher.beforeEffect();
    else if (this.#flusher.isFull) await this.#flusher.beforeEffect();
    if (this.#isOver || this.#current(token) === null) return null;
    if (this.#flusher.isClean) this.#memory.trim();

    const startedAt = this.#ports.now();
    const outcome = await this.#attempt(token, node, key, startedAt);
    if (outcome === null || this.#isOver || this.#current(token) === null) return null;
    return this.#settle(token, node, key, startedAt, outcome);
  }

  #hasTimeFor(node: PlanNode): boolean {
    const used = this.#ports.now() - this.#stretch.startedAt;
    if (used >= this.#stretch.budgetMs) return false;
    return !executorOf(node).effect || used + node.timeoutMs <= ACTION_LIMIT_MS;
  }

  async #attempt(token: Token, node: PlanNode, key: string, startedAt: number): Promise<NodeOutcome | null> {
    const attempt = token.attempt ?? 1;
    const { id } = this.#stretch.execution;
    const run: RunInfo = { id: node.id, key, attempt, idempotencyKey: `${id}:${key}` };
    const secrets = createSecretScope(this.#stretch.secrets, this.#stretch.secretNonce);
    const evaluator = createEvaluator({ secretMarker: (name) => secrets.marker(name) });
    const scope = await this.#memory.scopeAt(this.#position, token.pass, node.reads, run);
    if (this.#isOver) return null;
    const context = (signal: AbortSignal): NodeContext => ({
      scope,
      evaluator,
      ports: this.#ports,
      run,
      binding: (name) => this.#stretch.bindings.get(name) ?? null,
      secrets,
      signal,
      commit: (handle, args) => this.#commit(token, node, key, startedAt, handle, args),
    });
    if (!executorOf(node).effect) return asOutcome(() => runNode(node, context(NEVER)), secrets.scrub.bind(secrets));
    const end = await this.#effects.run(key, this.#timeoutOf(node), async (signal) =>
      asOutcome(() => runNode(node, context(signal)), secrets.scrub.bind(secrets)),
    );
    switch (end.kind) {
      case "done":
        return end.value;
      case "threw":
        throw end.error;
      case "timeout":
        return {
          kind: "fail",
          error: nodeError("NODE_TIMEOUT", `"${node.id}" did not end within ${node.timeoutMs} ms.`),
        };
      case "abandoned":
        return null;
    }
  }

  /** A transaction cannot be abandoned half way: a mutation ends by Convex's own limits, and its end is waited for. */
  #timeoutOf(node: PlanNode): number {
    const isMutation = node.type === "action" && this.#stretch.bindings.get(node.action)?.kind === "mutation";
    return isMutation ? Infinity : node.timeoutMs;
  }

  async #commit(
    token: Token,
    node: PlanNode,
    key: string,
    startedAt: number,
    handle: string,
    args: Json,
  ): Promise<string> {
    const run = committedRun(this.#plan, token, node, key, startedAt);
    const output = await this.#flusher.commit(run, handle, args, () => {
      const current = this.#current(token);
      return JSON.stringify(current === null ? this.#position : exitToken(this.#position, current, "success"));
    });
    this.#effects.renewed();
    return output;
  }

  /** Records what came of an attempt and moves the token. Synchronous: see K1. */
  #settle(token: Token, node: PlanNode, key: string, startedAt: number, outcome: NodeOutcome): Token | null {
    switch (outcome.kind) {
      case "exit":
        return this.#exit(token, node, key, startedAt, outcome);
      case "committed":
        this.#nodeRuns++;
        this.#memory.keepRun(key, node.id, { output: outcome.output, text: JSON.stringify(outcome.output) });
        this.#position = exitToken(this.#position, token, outcome.port);
        return token;
      case "fail":
        return this.#failAttempt(token, node, key, startedAt, outcome.error, outcome.usage);
      case "refused":
        return this.#refuse(token, key, startedAt, outcome.error);
      case "enter":
        this.#loops.enter(token, key, outcome.items, outcome.carry, startedAt);
        return this.#current(token);
    }
  }

  #exit(
    token: Token,
    node: PlanNode,
    key: string,
    startedAt: number,
    outcome: Extract<NodeOutcome, { kind: "exit" }>,
  ): Token | null {
    const text = JSON.stringify(outcome.output);
    if (utf8Bytes(text) > MAX_VALUE_BYTES) {
      const error = nodeError("VALUE_TOO_LARGE", `The output of "${node.id}" is over ${MAX_VALUE_BYTES} bytes.`);
      return this.#fail(token, key, startedAt, error, outcome.usage);
    }
    if (outcome.variables !== undefined) {
      const writer = token.pass;
      this.#memory.variables = mergeVariables(this.#memory.variables, [{ writer, values: outcome.variables }]);
      this.#flusher.setVariables(writer, outcome.variables);
    }
    const run = finishedRun(this.#plan, token, node, key, startedAt, this.#ports.now(), {
      port: outcome.port,
      output: text,
      usage: outcome.usage,
    });
    this.#nodeRuns++;
    this.#flusher.record(run, this.#hasEffect(node));
    this.#memory.keepRun(key, node.id, { output: outcome.output, text });
    this.#position = exitToken(this.#position, token, outcome.port);
    return token;
  }

  /** A query is called again without harm, so it need not be durable before the next effect. */
  #hasEffect(node: PlanNode): boolean {
    if (node.type !== "action") return executorOf(node).effect;
    return this.#stretch.bindings.get(node.action)?.kind !== "query";
  }

  #failAttempt(
    token: Token,
    node: PlanNode,
    key: string,
    startedAt: number,
    error: NodeError,
    usage: Extract<NodeOutcome, { kind: "fail" }>["usage"],
  ): Token | null {
    const attempt = token.attempt ?? 1;
    const decision = decideRetry({ policy: node.retry, attempt, error, random: this.#ports.random() });
    if (!decision.retry) return this.#fail(token, key, startedAt, error, usage);
    const now = this.#ports.now();
    const failures = [
      ...(token.failures ?? []),
      { attempt, kind: attempt === 1 ? ("initial" as const) : ("retry" as const), startedAt, endedAt: now, error },
    ];
    return this.#tryLater(token, {
      pass: token.pass,
      node: token.node,
      attempt: attempt + 1,
      failures,
      notBefore: now + decision.delayMs,
    });
  }

  /** Nothing was tried. Waits, without counting an attempt, until the patience for refusals is used up. */
  #refuse(token: Token, key: string, startedAt: number, error: NodeError): Token | null {
    const refusals = (token.refusals ?? 0) + 1;
    const delay = refusalDelay(error.code, refusals, this.#ports.random());
    if (delay === null) return this.#fail(token, key, startedAt, error);
    return this.#tryLater(token, { ...token, refusals, notBefore: this.#ports.now() + delay });
  }

  #tryLater(token: Token, later: Token): Token {
    this.#position = replaceToken(this.#position, token, later);
    this.#flusher.requireFlush();
    return later;
  }

  #fail(
    token: Token,
    key: string,
    startedAt: number,
    error: NodeError,
    usage?: Extract<NodeOutcome, { kind: "fail" }>["usage"],
  ): Token {
    const node = this.#nodeOf(token);
    const stored = toStoredError(error);
    const run = finishedRun(this.#plan, token, node, key, startedAt, this.#ports.now(), {
      port: "failure",
      error: stored,
      usage,
    });
    this.#nodeRuns++;
    this.#flusher.record(run, this.#hasEffect(node));
    this.#memory.keepRun(key, node.id, { error: stored });
    this.#loops.lastError.set(key, stored);
    this.#position = exitToken(this.#position, token, "failure");
    return token;
  }

  /** Goes on from a node whose run is recorded; returns the next place, or null when this drive is done. */
  async #follow(token: Token, port: string): Promise<Token | null> {
    const node = this.#nodeOf(token);
    const target = node.next[port];
    if (target !== undefined) {
      this.#position = moveToken(this.#position, token, target);
      return { pass: token.pass, node: target };
    }
    const pass = innermostPass(token.pass);
    if (pass !== null) return await this.#loops.endPass(token, pass, port === "failure");
    await this.#end(token, node, port);
    return null;
  }

  /** The token at the top has nowhere to go: the execution ends. */
  async #end(token: Token, node: PlanNode, port: string): Promise<void> {
    const key = runKey(token.pass, token.node);
    const conclusion: Conclusion =
      port === "failure"
        ? { kind: "failed", error: await this.#loops.errorOf(key), node: key }
        : {
            kind: "succeeded",
            output: node.type === "output" ? JSON.stringify(await this.#memory.outputOf(key)) : "null",
          };
    if (this.#isOver) return;
    this.#position = removeToken(this.#position, token);
    this.#conclusion = conclusion;
  }

  /** All drives have ended and the execution has not: the stretch yields, or waits for the next attempt. */
  #pauseConclusion(): Conclusion {
    const waiting = this.#position.tokens.filter((t) => t.notBefore !== undefined && t.notBefore > this.#ports.now());
    const next = waiting.reduce<Token | null>((a, t) => (a === null || t.notBefore! < a.notBefore! ? t : a), null);
    if (next === null || waiting.length < this.#position.tokens.length) {
      if (!this.#yielding && next === null) {
        throw shardflowError("INTERNAL", { message: "The walk ended without a conclusion." });
      }
      return { kind: "yield" };
    }
    const error = next.failures?.at(-1)?.error;
    const reason = error === undefined ? `"${next.node}" was refused` : `${error.code}: ${error.message}`;
    return { kind: "park", wakeAt: next.notBefore!, node: runKey(next.pass, next.node), reason };
  }

  #nodeOf(token: Token): PlanNode {
    return this.#plan.nodes[token.node]!;
  }
}

const NEVER = new AbortController().signal;

/** Expressions fail by throwing; so do values that cannot be stored. Both are failures of the node, not of the walk. */
async function asOutcome(
  run: () => NodeOutcome | Promise<NodeOutcome>,
  scrub: (text: string) => string,
): Promise<NodeOutcome> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof StretchStopped) throw error;
    const failed = error instanceof ExpressionError ? nodeError(error.code, error.message) : toNodeError(error);
    return { kind: "fail", error: { ...failed, message: scrub(failed.message) } };
  }
}
