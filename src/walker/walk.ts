/**
 * The walker: runs consecutive nodes of one execution until it ends, has to wait, or the stretch's budget is used up.
 * The same for both hosts.
 *
 * Each token is driven by one async function; state changes are synchronous, so a snapshot taken at any await is
 * consistent. Invariants: (K1) a node's run is recorded in the same synchronous step that moves its token; (K2) after a
 * stop (cancel, takeover) nothing is recorded and no node starts; (K3) a stretch concludes exactly once.
 */
import { createEvaluator } from "../engine/expr/evaluate.js";
import type { PlanNode } from "../engine/plan.js";
import { innermostPass, moveToken, removeToken, runKey, type Position, type Token } from "../engine/position.js";
import type { Conclusion } from "../shared/checkpoint.js";
import { shardflowError } from "../shared/errors.js";
import { ACTION_LIMIT_MS, MAX_NODE_RUNS } from "../shared/limits.js";
import { nodeError } from "../shared/nodeError.js";
import { Attempts } from "./attempts.js";
import { Effects } from "./effects.js";
import { Flusher, StretchStopped } from "./flusher.js";
import { Loops } from "./loops.js";
import { Memory } from "./memory.js";
import { executorOf } from "./nodes/executors.js";
import { Pauses } from "./pauses.js";
import type { StretchPorts } from "./ports.js";
import { Settling } from "./settling.js";
import { WalkState, type Stretch } from "./state.js";
import { Ticker } from "./ticker.js";

/** How old the last proof of ownership may be when an effect starts. */
const FENCE_FRESH_MS = 250;

export type StretchEnd = Conclusion["kind"] | "canceled" | "stale" | "conflict";

export async function walk(stretch: Stretch, ports: StretchPorts): Promise<StretchEnd> {
  return await new Walk(stretch, ports).run();
}

class Walk {
  readonly #state: WalkState;
  readonly #ports: StretchPorts;
  readonly #ticker: Ticker;
  readonly #flusher: Flusher;
  readonly #memory: Memory;
  readonly #effects: Effects;
  readonly #pauses: Pauses;
  readonly #loops: Loops;
  readonly #attempts: Attempts;
  readonly #settling: Settling;
  #drives = 0;
  #onIdle: () => void = () => undefined;
  #crash: { error: unknown } | null = null;

  constructor(stretch: Stretch, ports: StretchPorts) {
    const state = new WalkState(stretch);
    this.#state = state;
    this.#ports = ports;
    this.#ticker = new Ticker(ports);
    this.#flusher = new Flusher(ports, this.#ticker, stretch, state);
    this.#memory = new Memory(stretch.plan, ports, stretch.execution, stretch.variables);
    this.#effects = new Effects(ports, this.#ticker, () => this.#stop(new StretchStopped("stale")));
    this.#pauses = new Pauses(this.#ticker, () => ports.now());
    this.#attempts = new Attempts(state, ports, this.#memory, this.#effects, this.#flusher);
    this.#loops = new Loops({
      plan: stretch.plan,
      ports,
      flusher: this.#flusher,
      memory: this.#memory,
      effects: this.#effects,
      evaluator: createEvaluator(),
      position: () => state.position,
      move: (next) => this.#move(next),
    });
    this.#settling = new Settling(state, ports, this.#memory, this.#flusher, this.#loops);
  }

  async run(): Promise<StretchEnd> {
    try {
      // Drives launch drives, always before they end themselves, so the count is zero only when all is done.
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
        this.#launch(this.#state.position.tokens);
      });
      if (this.#crash !== null) throw this.#crash.error;
      if (this.#state.stopped !== null) return this.#state.stopped.reason;
      const conclusion = this.#state.conclusion ?? this.#pauseConclusion();
      if (conclusion.kind === "yield" || conclusion.kind === "park") this.#loops.saveResults();
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
    const before = new Set(this.#state.position.tokens.map((t) => runKey(t.pass, t.node)));
    this.#state.position = next;
    this.#launch(next.tokens.filter((t) => !before.has(runKey(t.pass, t.node))));
  }

  #stop(reason: StretchStopped): void {
    if (this.#state.stopped !== null) return;
    this.#state.stopped = reason;
    this.#effects.abandon(() => true);
    this.#pauses.parkAll();
  }

  async #drive(start: Token): Promise<void> {
    let place: Token | null = start;
    while (place !== null && !this.#state.isOver) {
      const token = this.#state.current(place);
      if (token === null) return;
      place = token.exited === undefined ? await this.#step(token) : await this.#follow(token, token.exited);
    }
  }

  /** Runs the token's node once; returns where to go on, or null when this drive is done. */
  async #step(token: Token): Promise<Token | null> {
    const node = this.#state.nodeOf(token);
    if (token.notBefore !== undefined && token.notBefore > this.#ports.now()) {
      const end = await this.#pauses.pause(token.notBefore, () => this.#drives);
      return end === "due" ? token : null;
    }
    if (!this.#hasTimeFor(node)) {
      this.#state.yielding = true;
      this.#pauses.parkAll();
      return null;
    }
    if (this.#state.nodeRuns >= MAX_NODE_RUNS) {
      const error = nodeError("NODE_RUN_LIMIT", `The execution made ${MAX_NODE_RUNS} node runs.`);
      return this.#settling.fail(token, node, this.#ports.now(), error);
    }
    if (executorOf(node).effect || this.#flusher.isFull) await this.#flusher.beforeEffect();
    if (executorOf(node).effect) await this.#checkOwner(node);
    if (this.#state.isOver || this.#state.current(token) === null) return null;
    if (this.#flusher.isClean) this.#memory.trim();

    const startedAt = this.#ports.now();
    const outcome = await this.#attempts.make(token, node, startedAt);
    if (outcome === null || this.#state.isOver || this.#state.current(token) === null) return null;
    return this.#settling.settle(token, node, startedAt, outcome);
  }

  /**
   * Asks whether the execution is still ours before an effect starts, unless a fenced write has just said so. Without
   * it an effect that follows a long query, which writes nothing, could start after a cancel. A mutation has the fence
   * in its own transaction.
   */
  async #checkOwner(node: PlanNode): Promise<void> {
    if (this.#state.bindingOf(node)?.kind === "mutation") return;
    const now = this.#ports.now();
    if (now - this.#flusher.fencedAt <= FENCE_FRESH_MS) return;
    if (await this.#ports.isOwner()) this.#flusher.fencedAt = now;
    else this.#stop(new StretchStopped("stale"));
  }

  #hasTimeFor(node: PlanNode): boolean {
    const used = this.#ports.now() - this.#state.stretch.startedAt;
    if (used >= this.#state.stretch.budgetMs) return false;
    return !executorOf(node).effect || used + node.timeoutMs <= ACTION_LIMIT_MS;
  }

  /** Goes on from a node whose run is recorded; returns the next place, or null when this drive is done. */
  async #follow(token: Token, port: string): Promise<Token | null> {
    const node = this.#state.nodeOf(token);
    const target = node.next[port];
    if (target !== undefined) {
      this.#state.position = moveToken(this.#state.position, token, target);
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
    if (this.#state.isOver) return;
    this.#flusher.boundary();
    this.#state.position = removeToken(this.#state.position, token);
    this.#state.conclusion = conclusion;
    // What waits for a later attempt stands in a loop that was left.
    this.#pauses.parkAll();
  }

  /** All drives have ended and the execution has not: the stretch yields, or waits for the next attempt. */
  #pauseConclusion(): Conclusion {
    const { tokens } = this.#state.position;
    const now = this.#ports.now();
    const waiting = tokens.flatMap((t) =>
      t.notBefore !== undefined && t.notBefore > now ? [{ ...t, at: t.notBefore }] : [],
    );
    const next = waiting.toSorted((a, b) => a.at - b.at)[0];
    if (next === undefined && !this.#state.yielding) {
      throw shardflowError("INTERNAL", { message: "The walk ended without a conclusion." });
    }
    if (next === undefined || waiting.length < tokens.length) return { kind: "yield" };
    const error = next.failures?.at(-1)?.error;
    const reason = error === undefined ? `"${next.node}" was refused` : `${error.code}: ${error.message}`;
    return { kind: "park", wakeAt: next.at, node: runKey(next.pass, next.node), reason };
  }
}
