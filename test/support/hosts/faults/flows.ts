/** Definitions of the fault tests, and the nodes they are made of. */
import type { Json } from "../../../../src/shared/json.js";

export type Definition = { name: string; defaults?: Json; nodes: Record<string, Json> };

export function record(note: string, next: string | null): Json {
  const args = { key: "{{ node.idempotencyKey }}", note };
  return { type: "action", action: "app.record", args, ...(next === null ? {} : { next: { success: next } }) };
}

const CALL = { key: "{{ node.idempotencyKey }}", node: "{{ node.id }}", attempt: "{{ node.attempt }}" };

export function notify(next: string | null): Json {
  return { type: "action", action: "app.notify", args: CALL, ...(next === null ? {} : { next: { success: next } }) };
}

export function flaky(initialMs: number, next: string): Json {
  const retry = { maxAttempts: 3, initialMs, maxMs: 600_000 };
  return { type: "action", action: "app.flaky", args: CALL, retry, next: { success: next } };
}

/** A flow over all node types, with effects of every kind, nested loops, a short backoff and a long one. */
export const EVERYTHING: Definition = {
  name: "everything",
  // So that a call whose reply is lost is made again.
  defaults: { retry: { maxAttempts: 3, initialMs: 100, on: ["app", "unavailable", "internal"] } },
  nodes: {
    start: { type: "trigger", next: { success: "prepare" } },
    prepare: { type: "set", values: { word: "{{ input.word }}" }, next: { success: "check" } },
    check: { type: "condition", if: "vars.word != ''", next: { true: "route" } },
    route: { type: "switch", value: "{{ vars.word }}", cases: [{ equals: "hi", port: "hi" }], next: { hi: "look" } },
    look: { type: "action", action: "app.lookup", args: { word: "{{ vars.word }}" }, next: { success: "tell" } },
    tell: notify("save"),
    save: record("{{ nodes.look.output }}", "outer"),
    outer: { type: "loop", items: [1, 2], concurrency: 2, item: "row", body: "inner", next: { done: "ask" } },
    inner: {
      type: "loop",
      items: ["a", "b"],
      item: "column",
      index: "place",
      body: "mark",
      collect: "{{ row }}{{ column }}",
    },
    mark: record("{{ row }}{{ column }}", "ping"),
    ping: notify(null),
    ask: { type: "llm", model: "openai:gpt-4o-mini", prompt: "{{ nodes.look.output }}", next: { success: "soon" } },
    soon: flaky(1_000, "late"),
    late: flaky(60_000, "end"),
    end: {
      type: "output",
      value: {
        heard: "{{ nodes.ask.output }}",
        loops: "{{ nodes.outer.output.results }}",
        late: "{{ nodes.late.output }}",
      },
    },
  },
};
