/**
 * A naive interpreter of definitions, to compare the walker with.
 *
 * Written from the description of the format alone: recursive, synchronous, without plans, positions, stretches or a
 * database; passes of a loop run one after the other, whatever its concurrency. Only the expression language is the
 * real one. Invariant: where the order of parallel passes can be seen in the result, `isTimingDependent` says so.
 */
import { ExpressionError } from "../../src/engine/expr/error.js";
import { createEvaluator } from "../../src/engine/expr/evaluate.js";
import { parseTemplate } from "../../src/engine/expr/template.js";
import type { Definition, NodeSource, NodeSourceOf } from "../../src/engine/definition/schema.js";
import type { Json, JsonObject } from "../../src/shared/json.js";

/** What an app function comes to: a result, or the code of its failure. Depends on the arguments alone. */
export type ReferenceFunction = (args: JsonObject) => { result: Json } | { code: string };

export type ReferenceRun = {
  status: "succeeded" | "failed";
  port: string | undefined;
  attempt: number;
  output?: Json;
  code?: string;
};

export type ReferenceResult = {
  status: "succeeded" | "failed";
  output: Json;
  /** Code of the error that failed the execution. */
  code: string | null;
  runs: Map<string, ReferenceRun>;
  variables: JsonObject;
  isTimingDependent: boolean;
};

/** How a region of nodes was left: at a node, by a port that leads nowhere. */
type Left = { key: string; node: string; failed: string | null };

type Pass = { index: number; result: Json; error: string | null };

/** What is in scope at a place, besides what is so everywhere. */
type Frame = {
  /** Prefix of the keys of this pass; "" at the top. */
  prefix: string;
  outer: Frame | null;
  locals: JsonObject;
  loops: JsonObject;
  /** Results of the nodes that have run in this pass, by id. */
  nodes: JsonObject;
};

class Failure extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** The text of the error of a pass. Texts are for people: the interpreter takes them from the run it is compared with. */
export type MessageOf = (loopKey: string, index: number) => string;

export function interpret(
  definition: Definition,
  input: Json,
  functions: Record<string, ReferenceFunction>,
  messageOf: MessageOf = () => "",
): ReferenceResult {
  return new Interpreter(definition, input, functions, messageOf).run();
}

class Interpreter {
  readonly #nodes: Definition["nodes"];
  readonly #input: Json;
  readonly #functions: Record<string, ReferenceFunction>;
  readonly #messageOf: MessageOf;
  readonly #evaluator = createEvaluator();
  readonly #runs = new Map<string, ReferenceRun>();
  #variables: JsonObject = {};
  #isTimingDependent = false;

  constructor(definition: Definition, input: Json, functions: Record<string, ReferenceFunction>, messageOf: MessageOf) {
    this.#nodes = definition.nodes;
    this.#input = input;
    this.#functions = functions;
    this.#messageOf = messageOf;
  }

  run(): ReferenceResult {
    const [entry] = Object.entries(this.#nodes).find(([, node]) => node.type === "trigger") ?? [];
    if (entry === undefined) throw new Error("no trigger");
    const top: Frame = { prefix: "", outer: null, locals: {}, loops: {}, nodes: {} };
    const left = this.#region(entry, top);
    const isOutput = this.#nodes[left.node]?.type === "output";
    return {
      status: left.failed === null ? "succeeded" : "failed",
      output: left.failed === null && isOutput ? (this.#runs.get(left.key)?.output ?? null) : null,
      code: left.failed,
      runs: this.#runs,
      variables: this.#variables,
      isTimingDependent: this.#isTimingDependent,
    };
  }

  #region(entry: string, frame: Frame): Left {
    for (let id = entry; ;) {
      const node = this.#nodes[id];
      if (node === undefined) throw new Error(`no node ${id}`);
      const key = frame.prefix + id;
      const { port, code } = this.#node(id, node, key, frame);
      const next = node.next?.[port];
      if (next === undefined) return { key, node: id, failed: code };
      id = next;
    }
  }

  /** Runs one node and records it; the code is that of its error. */
  #node(id: string, node: NodeSource, key: string, frame: Frame): { port: string; code: string | null } {
    for (let attempt = 1; ; attempt++) {
      try {
        const { port, output } = this.#execute(node, key, attempt, frame);
        this.#runs.set(key, { status: "succeeded", port, attempt, output });
        frame.nodes[id] = { output: node.type === "trigger" ? this.#input : output };
        return { port, code: null };
      } catch (error) {
        const code = codeOf(error);
        if (code === "ACTION_FAILED" && attempt < (node.retry?.maxAttempts ?? 1)) continue;
        const port = node.next?.failure === undefined ? undefined : "failure";
        this.#runs.set(key, { status: "failed", port, attempt, code });
        frame.nodes[id] = { error: { code } };
        return { port: "failure", code };
      }
    }
  }

  #execute(node: NodeSource, key: string, attempt: number, frame: Frame): { port: string; output: Json } {
    const scope = this.#scope(frame, { key, attempt });
    switch (node.type) {
      case "trigger":
        return { port: "success", output: null };
      case "condition": {
        const holds = this.#evaluator.evaluateBoolean(node.if, scope);
        return { port: String(holds), output: holds };
      }
      case "switch":
        return this.#switch(node, scope);
      case "set": {
        const values = Object.fromEntries(
          Object.entries(node.values).map(([name, value]) => [name, this.#render(value, scope)]),
        );
        this.#variables = { ...this.#variables, ...values };
        return { port: "success", output: values };
      }
      case "output":
        return { port: "success", output: this.#render(node.value, scope) };
      case "action":
        return { port: "success", output: this.#call(node, scope) };
      case "loop":
        return this.#loop(node, key, scope, frame);
      case "llm":
        throw new Error("the interpreter has no model");
    }
  }

  #switch(node: NodeSourceOf<"switch">, scope: JsonObject): { port: string; output: Json } {
    const output = node.value === undefined ? null : this.#render(node.value, scope);
    for (const one of node.cases) {
      const matches =
        one.if === undefined
          ? canonical(one.equals ?? null) === canonical(output)
          : this.#evaluator.evaluateBoolean(one.if, scope);
      if (matches) return { port: one.port, output };
    }
    if (node.next?.default !== undefined) return { port: "default", output };
    throw new Failure("SWITCH_NO_MATCH");
  }

  #call(node: NodeSourceOf<"action">, scope: JsonObject): Json {
    const args = this.#render(node.args ?? {}, scope) as JsonObject;
    if (!mayPass(args, 1)) throw new Failure("VALUE_NOT_CONVEX");
    const called = this.#functions[node.action];
    if (called === undefined) throw new Error(`no function ${node.action}`);
    const end = called(args);
    if ("code" in end) throw new Failure(end.code);
    return end.result;
  }

  #loop(node: NodeSourceOf<"loop">, key: string, scope: JsonObject, frame: Frame): { port: string; output: Json } {
    const carried = Object.entries(node.carry ?? {});
    let carry: JsonObject = Object.fromEntries(
      carried.map(([name, { initial }]) => [name, this.#render(initial, scope)]),
    );
    const items = node.items === undefined ? null : this.#render(node.items, scope);
    const most = node.maxIterations ?? 1_000;
    if (items !== null && !Array.isArray(items)) throw new Failure("LOOP_ITEMS_NOT_LIST");
    if (items !== null && items.length > most) throw new Failure("LOOP_TOO_MANY_ITEMS");

    const passes: Pass[] = [];
    let exit = "done";
    for (let index = 0; index < (items?.length ?? most) && exit === "done"; index++) {
      const item = items?.[index] ?? null;
      const info: JsonObject = { index, count: items?.length ?? null, item, carry };
      const inner: Frame = {
        prefix: `${key}[${index}]/`,
        outer: frame,
        locals: { ...frame.locals, [node.item ?? "item"]: item, [node.index ?? "index"]: index, loop: info },
        loops: { ...frame.loops, [idOf(key)]: info },
        nodes: {},
      };
      const pass = this.#pass(node, index, inner);
      if (pass.error === null && carried.length > 0) {
        const next = this.#attempt(() =>
          Object.fromEntries(carried.map(([name, one]) => [name, this.#render(one.next, this.#scope(inner, null))])),
        );
        if ("code" in next) Object.assign(pass, { error: next.code, isBreak: false });
        else carry = next.value;
      }
      passes.push(pass);
      if (pass.error === null) exit = pass.isBreak ? "break" : "done";
      else if (node.onItemError === "stop") exit = "stop";
      else if (node.onItemError !== "continue") exit = "fail";
      // Which passes of a concurrent loop have begun when one fails is nobody's promise.
      if (exit !== "done" && exit !== "break" && (node.concurrency ?? 1) > 1) this.#isTimingDependent = true;
    }
    if (exit === "fail") throw new Failure("LOOP_ITEM_FAILED");
    const output = {
      results: passes.map(({ error, result }) => (error === null ? result : null)),
      passes: passes.length,
      errors: passes.flatMap(({ index, error }) =>
        error === null ? [] : [{ index, code: error, message: this.#messageOf(key, index) }],
      ),
      exit,
      carry,
    };
    return { port: exit === "break" && node.next?.break !== undefined ? "break" : "done", output };
  }

  #pass(node: NodeSourceOf<"loop">, index: number, frame: Frame): Pass & { isBreak: boolean } {
    const left = this.#region(node.body, frame);
    if (left.failed !== null) return { index, result: null, error: left.failed, isBreak: false };
    const end = this.#attempt(() => {
      const scope = this.#scope(frame, null);
      const result =
        node.collect === undefined ? (this.#runs.get(left.key)?.output ?? null) : this.#render(node.collect, scope);
      const isBreak = node.until !== undefined && this.#evaluator.evaluateBoolean(node.until, scope);
      return { result, isBreak };
    });
    return "code" in end
      ? { index, result: null, error: end.code, isBreak: false }
      : { index, ...end.value, error: null };
  }

  #attempt<T>(compute: () => T): { value: T } | { code: string } {
    try {
      return { value: compute() };
    } catch (error) {
      return { code: codeOf(error) };
    }
  }

  #render(value: Json, scope: JsonObject): Json {
    return this.#evaluator.render(parseTemplate(value).template, scope);
  }

  #scope(frame: Frame, run: { key: string; attempt: number } | null): JsonObject {
    const nodes: JsonObject = {};
    for (let at: Frame | null = frame; at !== null; at = at.outer) Object.assign(nodes, { ...at.nodes, ...nodes });
    return {
      input: this.#input,
      vars: this.#variables,
      nodes,
      loops: frame.loops,
      ...frame.locals,
      ...(run === null ? {} : { node: run }),
    };
  }
}

/** The node that a run key ends in. */
const idOf = (key: string) => key.slice(key.lastIndexOf("/") + 1);

function codeOf(error: unknown): string {
  if (error instanceof Failure || error instanceof ExpressionError) return error.code;
  throw error;
}

/** JSON with sorted keys: equal texts are equal values. */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const keys = Object.keys(value).toSorted();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key] ?? null)}`).join()}}`;
}

/** What Convex takes as arguments, as far as generated values go. */
function mayPass(value: Json, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (depth > 63) return false;
  return Object.entries(value).every(([key, member]) => !key.startsWith("$") && mayPass(member, depth + 1));
}
