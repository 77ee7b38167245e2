/**
 * What follows from an attempt: the record of the run and the move of its token, or a later attempt.
 *
 * Invariant: every function here is synchronous, so a checkpoint never holds a run without its move or a move without
 * its run.
 */
import type { PlanNode } from "../engine/plan.js";
import { exitToken, passLevels, replaceToken, runKey, type AttemptKind, type Token } from "../engine/position.js";
import { decideRetry } from "../engine/retry.js";
import { mergeVariables } from "../engine/variables.js";
import { utf8Bytes, type JsonObject } from "../shared/json.js";
import { MAX_VALUE_BYTES } from "../shared/limits.js";
import { nodeError, toNodeError, type NodeError } from "../shared/nodeError.js";
import type { Usage } from "../shared/values.js";
import type { Flusher } from "./flusher.js";
import type { Loops } from "./loops.js";
import type { Memory } from "./memory.js";
import type { NodeOutcome } from "./nodes/outcome.js";
import type { StretchPorts } from "./ports.js";
import { addUsage, finishedRun, toStoredError } from "./records.js";
import { refusalDelay } from "./refusals.js";
import type { WalkState } from "./state.js";

export class Settling {
  readonly #state: WalkState;
  readonly #ports: StretchPorts;
  readonly #memory: Memory;
  readonly #flusher: Flusher;
  readonly #loops: Loops;

  constructor(state: WalkState, ports: StretchPorts, memory: Memory, flusher: Flusher, loops: Loops) {
    this.#state = state;
    this.#ports = ports;
    this.#memory = memory;
    this.#flusher = flusher;
    this.#loops = loops;
  }

  /** Records what came of an attempt and moves the token; returns where its drive goes on, if it does. */
  settle(token: Token, node: PlanNode, startedAt: number, outcome: NodeOutcome): Token | null {
    this.#flusher.boundary();
    switch (outcome.kind) {
      case "exit":
        return this.#exit(token, node, startedAt, outcome);
      case "committed":
        this.#memory.keepRun(runKey(token.pass, token.node), node.id, {
          output: outcome.output,
          text: JSON.stringify(outcome.output),
        });
        return this.#leave(token, outcome.port);
      case "fail":
        return this.#failAttempt(token, node, startedAt, outcome.error, outcome.usage);
      case "refused":
        return this.#refuse(token, node, startedAt, outcome.error);
      case "enter":
        this.#loops.enter(token, runKey(token.pass, token.node), outcome.items, outcome.carry, startedAt);
        return this.#state.current(token);
    }
  }

  /** Fails the node for good: through its failure port, or with its pass or execution. */
  fail(token: Token, node: PlanNode, startedAt: number, error: NodeError, usage?: Usage): Token {
    const key = runKey(token.pass, token.node);
    const stored = toStoredError(error);
    const end = { port: "failure" as const, error: stored, usage: addUsage(token.usage, usage) };
    const run = finishedRun(this.#state.plan, token, node, key, startedAt, this.#ports.now(), end);
    this.#flusher.record(run, this.#state.hasEffect(node));
    this.#memory.keepRun(key, node.id, { error: stored });
    this.#loops.lastError.set(key, stored);
    return this.#leave(token, "failure");
  }

  #leave(token: Token, port: string): Token {
    this.#state.nodeRuns++;
    this.#state.position = exitToken(this.#state.position, token, port);
    return token;
  }

  #exit(token: Token, node: PlanNode, startedAt: number, outcome: Extract<NodeOutcome, { kind: "exit" }>): Token {
    const text = JSON.stringify(outcome.output);
    if (utf8Bytes(text) > MAX_VALUE_BYTES) {
      const error = nodeError("VALUE_TOO_LARGE", `The output of "${node.id}" is over ${MAX_VALUE_BYTES} bytes.`);
      return this.fail(token, node, startedAt, error, outcome.usage);
    }
    if (outcome.variables !== undefined) {
      const refused = this.#setVariables(token, outcome.variables);
      if (refused !== null) return this.fail(token, node, startedAt, refused);
    }
    const key = runKey(token.pass, token.node);
    const end = { port: outcome.port, output: text, usage: addUsage(token.usage, outcome.usage) };
    const run = finishedRun(this.#state.plan, token, node, key, startedAt, this.#ports.now(), end);
    this.#flusher.record(run, this.#state.hasEffect(node));
    this.#memory.keepRun(key, node.id, { output: outcome.output, text });
    return this.#leave(token, outcome.port);
  }

  #setVariables(token: Token, values: JsonObject): NodeError | null {
    const writer = this.#writerOf(token);
    try {
      this.#memory.variables = mergeVariables(this.#memory.variables, [{ writer, values }]);
    } catch (error) {
      return toNodeError(error);
    }
    this.#flusher.setVariables(writer, values);
    return null;
  }

  /** Who sets variables: all that runs one after the other is one writer; each pass of a concurrent loop is its own. */
  #writerOf(token: Token): string {
    const isConcurrent = (id: string) => {
      const node = this.#state.plan.nodes[id];
      return node?.type === "loop" && node.concurrency > 1;
    };
    return passLevels(token.pass).findLast((level) => isConcurrent(level.node))?.pass ?? "";
  }

  #failAttempt(token: Token, node: PlanNode, startedAt: number, error: NodeError, usage: Usage | undefined): Token {
    const attempt = token.attempt ?? 1;
    const decision = decideRetry({ policy: node.retry, attempt, error, random: this.#ports.random() });
    if (!decision.retry) return this.fail(token, node, startedAt, error, usage);
    const now = this.#ports.now();
    const kind: AttemptKind = attempt === 1 ? "initial" : "retry";
    const spent = addUsage(token.usage, usage);
    return this.#tryLater(token, {
      pass: token.pass,
      node: token.node,
      attempt: attempt + 1,
      failures: [...(token.failures ?? []), { attempt, kind, startedAt, endedAt: now, error }],
      notBefore: now + decision.delayMs,
      ...(spent === undefined ? {} : { usage: spent }),
    });
  }

  /** Nothing was tried. Waits, without counting an attempt, until the patience for refusals is used up. */
  #refuse(token: Token, node: PlanNode, startedAt: number, error: NodeError): Token {
    const refusals = (token.refusals ?? 0) + 1;
    const delay = refusalDelay(error.code, refusals, this.#ports.random());
    if (delay === null) return this.fail(token, node, startedAt, error);
    return this.#tryLater(token, { ...token, refusals, notBefore: this.#ports.now() + delay });
  }

  #tryLater(token: Token, later: Token): Token {
    this.#state.position = replaceToken(this.#state.position, token, later);
    this.#flusher.requireFlush();
    return later;
  }
}
