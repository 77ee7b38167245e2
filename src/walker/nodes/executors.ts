/**
 * The one table from node type to executor. A type without an entry does not compile.
 * `effect`: whether running it can be seen outside; such a node starts only when what came before is durable.
 */
import type { NodeOf, NodeType, PlanNode } from "../../engine/plan.js";
import { runAction } from "./action.js";
import { enterLoopNode, runCondition, runOutput, runSet, runSwitch, runTrigger } from "./cheap.js";
import type { NodeContext } from "./context.js";
import { runLlm } from "./llm.js";
import type { NodeOutcome } from "./outcome.js";

type Executor<T extends NodeType> = {
  effect: boolean;
  run(node: NodeOf<T>, ctx: NodeContext): NodeOutcome | Promise<NodeOutcome>;
};

export const EXECUTORS: { readonly [T in NodeType]: Executor<T> } = {
  trigger: { effect: false, run: runTrigger },
  llm: { effect: true, run: runLlm },
  condition: { effect: false, run: runCondition },
  switch: { effect: false, run: runSwitch },
  action: { effect: true, run: runAction },
  loop: { effect: false, run: enterLoopNode },
  set: { effect: false, run: runSet },
  output: { effect: false, run: runOutput },
};

export function executorOf<T extends NodeType>(node: NodeOf<T>): Executor<T> {
  // The table is keyed by the node's own type; TypeScript cannot see that the two indexes are the same.
  return EXECUTORS[node.type];
}

export function runNode(node: PlanNode, ctx: NodeContext): NodeOutcome | Promise<NodeOutcome> {
  return executorOf(node).run(node, ctx);
}
