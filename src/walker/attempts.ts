/**
 * One attempt of a node: its scope, its secrets, its deadline. What comes of it is a value; nothing is recorded here,
 * except by a node bound to a mutation, whose transaction records it.
 */
import { ExpressionError } from "../engine/expr/error.js";
import { createEvaluator, type Evaluator } from "../engine/expr/evaluate.js";
import type { PlanNode } from "../engine/plan.js";
import { exitToken, runKey, type Token } from "../engine/position.js";
import { createSecretScope, type SecretScope } from "../engine/secrets.js";
import type { Json } from "../shared/json.js";
import { nodeError, toNodeError } from "../shared/nodeError.js";
import type { Effects } from "./effects.js";
import { StretchStopped, type Flusher } from "./flusher.js";
import type { Memory } from "./memory.js";
import type { NodeContext } from "./nodes/context.js";
import { executorOf, runNode } from "./nodes/executors.js";
import type { NodeOutcome } from "./nodes/outcome.js";
import type { StretchPorts } from "./ports.js";
import { committedRun } from "./records.js";
import type { WalkState } from "./state.js";

const NEVER = new AbortController().signal;

export class Attempts {
  readonly #state: WalkState;
  readonly #ports: StretchPorts;
  readonly #memory: Memory;
  readonly #effects: Effects;
  readonly #flusher: Flusher;
  /** One scope for the stretch: what one node resolved is scrubbed from what any later one shows. */
  readonly #secrets: SecretScope;
  /** One evaluator, so that an expression of a loop is parsed once, not once per pass. */
  readonly #evaluator: Evaluator;

  constructor(state: WalkState, ports: StretchPorts, memory: Memory, effects: Effects, flusher: Flusher) {
    this.#state = state;
    this.#ports = ports;
    this.#memory = memory;
    this.#effects = effects;
    this.#flusher = flusher;
    this.#secrets = createSecretScope(state.stretch.secrets, state.stretch.secretNonce);
    this.#evaluator = createEvaluator({ secretMarker: (name) => this.#secrets.marker(name) });
  }

  /** Null: the attempt was given up, because the stretch was stopped or the loop around was left. */
  async make(token: Token, node: PlanNode, startedAt: number): Promise<NodeOutcome | null> {
    const key = runKey(token.pass, token.node);
    const { execution, bindings } = this.#state.stretch;
    const run = { id: node.id, key, attempt: token.attempt ?? 1, idempotencyKey: `${execution.id}:${key}` };
    const scope = await this.#memory.scopeAt(this.#state.position, token.pass, node.reads, run);
    if (this.#state.isOver || this.#state.current(token) === null) return null;
    const context = (signal: AbortSignal): NodeContext => ({
      scope,
      evaluator: this.#evaluator,
      ports: this.#ports,
      run,
      binding: (name) => bindings.get(name) ?? null,
      secrets: this.#secrets,
      signal,
      commit: (handle, args) => this.#commit(token, node, key, startedAt, handle, args),
    });
    if (!executorOf(node).effect) return await this.#outcome(() => runNode(node, context(NEVER)));
    const end = await this.#effects.run(key, this.#timeoutOf(node), (signal) =>
      this.#outcome(() => runNode(node, context(signal))),
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
    return this.#state.bindingOf(node)?.kind === "mutation" ? Infinity : node.timeoutMs;
  }

  async #commit(
    token: Token,
    node: PlanNode,
    key: string,
    startedAt: number,
    handle: string,
    args: Json,
  ): Promise<string> {
    const run = committedRun(this.#state.plan, token, node, key, startedAt);
    const output = await this.#flusher.commit(
      run,
      handle,
      args,
      (position) => exitToken(position, token, "success"),
      () => !this.#state.isOver && this.#state.current(token) !== null,
    );
    this.#effects.renewed();
    return output;
  }

  /** Expressions fail by throwing; so do values that cannot be stored. Both are failures of the node, not of the walk. */
  async #outcome(run: () => NodeOutcome | Promise<NodeOutcome>): Promise<NodeOutcome> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof StretchStopped) throw error;
      const failed = error instanceof ExpressionError ? nodeError(error.code, error.message) : toNodeError(error);
      return { kind: "fail", error: { ...failed, message: this.#secrets.scrub(failed.message) } };
    }
  }
}
