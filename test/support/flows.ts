/** Flows for the tests of the walker: short to write, checked as if they were published, run in a world of their own. */
import { validateDefinition } from "../../src/engine/definition/validate.js";
import type { Definition, NodeSource } from "../../src/engine/definition/schema.js";
import type { Json, JsonObject } from "../../src/shared/json.js";
import { World, type AppFunction, type StoredRun, type WorldOptions } from "./recordingPorts.js";

export type Nodes = Record<string, NodeSource>;

/** A definition that begins with the first of the nodes. */
export function flow(nodes: Nodes, rest: Partial<Definition> = {}): Definition {
  const [first] = Object.keys(nodes);
  const definition: Definition = {
    name: "flow",
    ...rest,
    nodes: { start: { type: "trigger", ...(first === undefined ? {} : { next: { success: first } }) }, ...nodes },
  };
  const { problems } = validateDefinition(JSON.stringify(definition));
  if (problems.length > 0) throw new Error(`the flow of the test is not valid: ${JSON.stringify(problems)}`);
  return definition;
}

export function worldOf(nodes: Nodes, options: Omit<WorldOptions, "definition"> = {}): World {
  return new World({ definition: flow(nodes), ...options });
}

export async function run(nodes: Nodes, options: Omit<WorldOptions, "definition"> = {}): Promise<World> {
  const world = worldOf(nodes, options);
  await world.run();
  return world;
}

/** The result of an execution that must have succeeded. */
export function resultOf({ conclusion }: World): Json {
  if (conclusion?.kind !== "succeeded") throw new Error(`it did not succeed: ${JSON.stringify(conclusion)}`);
  return JSON.parse(conclusion.output) as Json;
}

/** The error of an execution that must have failed: code, message and the node. */
export function failureOf({ conclusion }: World): { code: string; message: string; node: string | undefined } {
  if (conclusion?.kind !== "failed") throw new Error(`it did not fail: ${JSON.stringify(conclusion)}`);
  const { code, message } = conclusion.error;
  return { code, message, node: conclusion.node };
}

/** A node run that must be stored. */
export function runOf(world: World, key: string): StoredRun {
  const found = world.runOf(key);
  if (found === undefined) throw new Error(`${key} has not run; these have: ${world.durableKeys.join(", ")}`);
  return found;
}

export function outputOf(world: World, key: string): Json {
  const { output, error } = runOf(world, key);
  if (output === undefined) throw new Error(`${key} has no output: ${JSON.stringify(error)}`);
  return JSON.parse(output) as Json;
}

/** The error of a node run, with its cause as a value. */
export function errorOf(world: World, key: string): JsonObject {
  const { error } = runOf(world, key);
  if (error === undefined) throw new Error(`${key} did not fail`);
  const { cause, ...rest } = error;
  return { ...rest, ...(cause === undefined ? {} : { cause: JSON.parse(cause) as Json }) };
}

export const query = (result: (args: JsonObject, call: number) => unknown): AppFunction => ({
  kind: "query",
  run: result,
});
export const mutation = (result: (args: JsonObject, call: number) => unknown): AppFunction => ({
  kind: "mutation",
  run: result,
});
export const action = (result: (args: JsonObject, call: number) => unknown): AppFunction => ({
  kind: "action",
  run: result,
});

export type LoopFields = Partial<Extract<Nodes[string], { type: "loop" }>>;

/** A loop over the input whose passes call `app.pass` with item and index; its output is the result. */
export const loopOver = (fields: LoopFields = {}, body: Nodes = {}): Nodes => ({
  each: { type: "loop", items: "{{ input }}", body: "pass", next: { done: "end" }, ...fields },
  pass: { type: "action", action: "app.pass", args: { item: "{{ item }}", index: "{{ index }}" } },
  ...body,
  end: { type: "output", value: "{{ nodes.each.output }}" },
});

/** What a loop hands on when all its passes went well. */
export const collected = (results: Json[], rest: object = {}) => ({
  results,
  passes: results.length,
  errors: [],
  exit: "done",
  carry: {},
  ...rest,
});
