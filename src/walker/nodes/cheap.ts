/**
 * Nodes without side effects: they only evaluate expressions, so running one again after a crash gives the same.
 * Failures of expressions are thrown as ExpressionError and become node errors in walk.ts.
 */
import type { ConditionNode, LoopNode, OutputNode, SetNode, SwitchNode, TriggerNode } from "../../engine/plan.js";
import type { Json, JsonObject } from "../../shared/json.js";
import { nodeError } from "../../shared/nodeError.js";
import type { NodeContext } from "./context.js";
import { exit, fail, type NodeOutcome } from "./outcome.js";

export function runTrigger(_node: TriggerNode, _ctx: NodeContext): NodeOutcome {
  return exit("success", null);
}

export function runCondition(node: ConditionNode, ctx: NodeContext): NodeOutcome {
  const holds = ctx.evaluator.evaluateBoolean(node.if, ctx.scope);
  return exit(holds ? "true" : "false", holds);
}

export function runSwitch(node: SwitchNode, ctx: NodeContext): NodeOutcome {
  const value = node.value === null ? null : ctx.evaluator.render(node.value, ctx.scope);
  for (const candidate of node.cases) {
    const matches =
      "if" in candidate ? ctx.evaluator.evaluateBoolean(candidate.if, ctx.scope) : sameJson(candidate.equals, value);
    if (matches) return exit(candidate.port, value);
  }
  if (node.next.default !== undefined) return exit("default", value);
  return fail(
    nodeError(
      "SWITCH_NO_MATCH",
      `No case of switch "${node.id}" matches ${preview(value)}. Add a case or a default port.`,
    ),
  );
}

export function runSet(node: SetNode, ctx: NodeContext): NodeOutcome {
  // Every value sees the variables as they were before this node.
  const values: JsonObject = Object.fromEntries(
    node.values.map(([name, template]) => [name, ctx.evaluator.render(template, ctx.scope)]),
  );
  return { kind: "exit", port: "success", output: values, variables: values };
}

export function runOutput(node: OutputNode, ctx: NodeContext): NodeOutcome {
  return exit("success", ctx.evaluator.render(node.value, ctx.scope));
}

/** Evaluates what a loop runs over. The passes themselves are the walker's business. */
export function enterLoopNode(node: LoopNode, ctx: NodeContext): NodeOutcome {
  const carry =
    node.carry.length === 0
      ? null
      : Object.fromEntries(node.carry.map(({ name, initial }) => [name, ctx.evaluator.render(initial, ctx.scope)]));
  if (node.items === null) return { kind: "enter", items: null, carry };
  const items = ctx.evaluator.render(node.items, ctx.scope);
  if (!Array.isArray(items)) {
    return fail(
      nodeError("LOOP_ITEMS_NOT_LIST", `The items of loop "${node.id}" are ${preview(items)}, which is not a list.`),
    );
  }
  if (items.length > node.maxIterations) {
    return fail(
      nodeError(
        "LOOP_TOO_MANY_ITEMS",
        `Loop "${node.id}" was given ${items.length} items, but its maxIterations is ${node.maxIterations}.`,
      ),
    );
  }
  return { kind: "enter", items, carry };
}

/** Equality of JSON values, without regard to the order of keys. */
export function sameJson(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((x, i) => sameJson(x, b[i] ?? null))
    );
  }
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key] ?? null, b[key] ?? null))
  );
}

function preview(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
