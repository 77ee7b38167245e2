/**
 * The app that generated definitions call, and what they need to call it.
 *
 * Every function depends on its arguments alone, so the same call always comes to the same, whoever makes it and how
 * often; the two that fail do so by what they are given.
 */
import type { Definition, NodeSource } from "../../src/engine/definition/schema.js";
import type { Json, JsonObject } from "../../src/shared/json.js";
import type { AppFunction } from "./recordingPorts.js";
import { canonical, type ReferenceFunction } from "./reference.js";

export const GENERATED_ACTIONS = ["echo", "store", "send", "refuse", "flaky"] as const;
type Name = (typeof GENERATED_ACTIONS)[number];

export const KINDS: Record<Name, AppFunction["kind"]> = {
  echo: "query",
  store: "mutation",
  send: "action",
  refuse: "mutation",
  flaky: "action",
};

const FAILS: Record<Name, (args: JsonObject) => boolean> = {
  echo: () => false,
  store: () => false,
  send: () => false,
  refuse: ({ value }) => weightOf(value ?? null) % 2 === 0,
  flaky: ({ value, attempt }) => Number(attempt) <= weightOf(value ?? null) % 5,
};

/** What a call comes to: its result, or null when it throws. */
export function callGenerated(name: string, args: JsonObject): { result: Json } | null {
  if (!isName(name)) throw new Error(`the app has no function ${name}`);
  return FAILS[name](args) ? null : { result: { by: name, value: args.value ?? null } };
}

function isName(name: string): name is Name {
  return GENERATED_ACTIONS.some((one) => one === name);
}

/** A number that differs from value to value, and not from run to run: Convex may change the order of keys. */
function weightOf(value: Json): number {
  let weight = 7;
  for (const char of canonical(value)) weight = (weight * 31 + (char.codePointAt(0) ?? 0)) % 9_973;
  return weight;
}

export function referenceFunctions(): Record<string, ReferenceFunction> {
  return Object.fromEntries(
    GENERATED_ACTIONS.map((name) => [name, (args) => callGenerated(name, args) ?? { code: "ACTION_FAILED" }]),
  );
}

/**
 * The same definition, told apart by its calls: arguments name the node run and the attempt. Those of `flaky` are tried
 * again.
 */
export function prepared(definition: Definition): Definition {
  const prepare = (node: NodeSource): NodeSource => {
    if (node.type !== "action") return node;
    const args = { ...node.args, key: "{{ node.key }}", attempt: "{{ node.attempt }}" };
    const retry = { maxAttempts: 3, initialMs: 40, maxMs: 100 };
    return node.action === "flaky" ? { ...node, args, retry } : { ...node, args };
  };
  const nodes = Object.entries(definition.nodes).map(([id, node]) => [id, prepare(node)] as const);
  return { ...definition, nodes: Object.fromEntries(nodes) };
}
