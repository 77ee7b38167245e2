/**
 * The state of one walk, shared by the parts of the walker.
 *
 * Invariant: it is changed synchronously only, so whoever looks at it after an await sees a consistent whole.
 */
import type { Plan, PlanNode } from "../engine/plan.js";
import type { Position, Token } from "../engine/position.js";
import type { SecretSource } from "../engine/secrets.js";
import type { Conclusion } from "../shared/checkpoint.js";
import type { JsonObject } from "../shared/json.js";
import type { StretchStopped } from "./flusher.js";
import type { ExecutionInfo } from "./memory.js";
import type { Binding } from "./nodes/context.js";
import { executorOf } from "./nodes/executors.js";

export type Stretch = {
  execution: ExecutionInfo;
  plan: Plan;
  position: Position;
  variables: JsonObject;
  lastSeq: number;
  nodeRuns: number;
  bindings: ReadonlyMap<string, Binding>;
  secrets: SecretSource;
  /** Makes the markers of secrets unguessable for data. */
  secretNonce: string;
  startedAt: number;
  budgetMs: number;
};

export class WalkState {
  readonly stretch: Stretch;
  position: Position;
  nodeRuns: number;
  /** Set once: the execution was canceled or taken over. Nothing is recorded and nothing starts any more. */
  stopped: StretchStopped | null = null;
  /** Set once: how the execution ended. */
  conclusion: Conclusion | null = null;
  /** The budget is used up: no further node starts. */
  yielding = false;

  constructor(stretch: Stretch) {
    this.stretch = stretch;
    this.position = stretch.position;
    this.nodeRuns = stretch.nodeRuns;
  }

  get plan(): Plan {
    return this.stretch.plan;
  }

  get isOver(): boolean {
    return this.stopped !== null || this.conclusion !== null;
  }

  nodeOf(token: Token): PlanNode {
    return this.plan.nodes[token.node]!;
  }

  /** The token of the place, if it still stands there: its loop may have been left meanwhile. */
  current(place: Token): Token | null {
    return this.position.tokens.find((t) => t.pass === place.pass && t.node === place.node) ?? null;
  }

  bindingOf(node: PlanNode): Binding | null {
    return node.type === "action" ? (this.stretch.bindings.get(node.action) ?? null) : null;
  }

  /** Whether a run of the node must be durable before the next effect. A query is called again without harm. */
  hasEffect(node: PlanNode): boolean {
    return node.type === "action" ? this.bindingOf(node)?.kind !== "query" : executorOf(node).effect;
  }
}
