/**
 * For every node type and every port it has: a flow whose node `it` leaves through that port.
 *
 * The table has an entry for each type, or it does not compile; that it has one for each port is tested where it is
 * used. The app of these flows has one function, `app.check`, which throws when it is told to, and a model.
 */
import type { Definition, NodeSource } from "../../src/engine/definition/schema.js";
import type { NodeType } from "../../src/engine/plan.js";
import type { Json, JsonObject } from "../../src/shared/json.js";

export type NodeCase = {
  node: NodeSource;
  /** Further nodes, such as the body of a loop. */
  more?: Record<string, NodeSource>;
  /** Output of the node, or the code of its error. */
  output?: Json;
  code?: string;
};

export const NODE_CASES: { readonly [T in NodeType]: Readonly<Record<string, NodeCase>> } = {
  trigger: {
    success: { node: { type: "trigger" }, output: null },
  },
  llm: {
    success: { node: { type: "llm", model: "openai:test", prompt: "Say {{ input.text }}" }, output: "Say hello" },
    failure: { node: { type: "llm", model: "{{ input.n }}", prompt: "Say" }, code: "MODEL_UNKNOWN" },
  },
  condition: {
    true: { node: { type: "condition", if: "input.n == 7" }, output: true },
    false: { node: { type: "condition", if: "input.n > 7" }, output: false },
    failure: { node: { type: "condition", if: "input.n" }, code: "EXPRESSION_NOT_BOOLEAN" },
  },
  switch: {
    seven: {
      node: { type: "switch", value: "{{ input.n }}", cases: [{ equals: 7, port: "seven" }] },
      output: 7,
    },
    default: {
      node: { type: "switch", value: "{{ input.n }}", cases: [{ equals: 8, port: "seven" }] },
      output: 7,
    },
    failure: {
      node: { type: "switch", value: "{{ input.gone }}", cases: [{ equals: 7, port: "seven" }] },
      code: "EXPRESSION_FAILED",
    },
  },
  action: {
    success: {
      node: { type: "action", action: "app.check", args: { value: "{{ input.list }}" } },
      output: { value: [1, 2] },
    },
    failure: { node: { type: "action", action: "app.check", args: { fail: true } }, code: "ACTION_FAILED" },
  },
  loop: {
    done: {
      node: { type: "loop", items: "{{ input.list }}", collect: "{{ item * 10 }}", body: "pass" },
      more: { pass: { type: "condition", if: "true" } },
      output: { results: [10, 20], passes: 2, errors: [], exit: "done", carry: {} },
    },
    break: {
      node: { type: "loop", items: "{{ input.list }}", until: "item == 1", body: "pass" },
      more: { pass: { type: "condition", if: "index == 0" } },
      output: { results: [true], passes: 1, errors: [], exit: "break", carry: {} },
    },
    failure: {
      node: { type: "loop", items: "{{ input.text }}", body: "pass" },
      more: { pass: { type: "condition", if: "true" } },
      code: "LOOP_ITEMS_NOT_LIST",
    },
  },
  set: {
    success: {
      node: { type: "set", values: { text: "{{ input.text }}!", kept: { $a: "{{ input.n }}" } } },
      output: { text: "hello!", kept: { $a: 7 } },
    },
    failure: { node: { type: "set", values: { text: "{{ vars.gone }}" } }, code: "EXPRESSION_FAILED" },
  },
  output: {
    success: { node: { type: "output", value: { text: "{{ input.text }}" } }, output: { text: "hello" } },
    failure: { node: { type: "output", value: "{{ input.gone }}" }, code: "EXPRESSION_FAILED" },
  },
};

export const CASE_INPUT: JsonObject = { n: 7, text: "hello", list: [1, 2] };

/** The flow of a case: the node, and behind the port a node that proves that it was left that way. */
export function flowOf(port: string, { node, more }: NodeCase): Definition {
  const next = node.type === "output" && port === "success" ? {} : { [port]: "after" };
  const nodes: Record<string, NodeSource> = {
    it: { ...node, next },
    ...more,
    ...(Object.keys(next).length === 0 ? {} : { after: { type: "output", value: "after" } }),
  };
  if (node.type !== "trigger") nodes.start = { type: "trigger", next: { success: "it" } };
  return { name: "case", nodes };
}
