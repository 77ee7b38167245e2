/**
 * The values a stretch knows: outputs of node runs, items and results of loops, variables, input and context.
 *
 * What this stretch produced is at hand; what an earlier one produced is loaded when an expression reads it. Invariant:
 * only values that some expression of the plan reads are kept, a finished pass is forgotten, and what stays is bounded
 * by {@link KEEP_BYTES}; the rest can be loaded again. (A Convex action has 64 MB.)
 */
import type { LoopNode, Plan, PlanNode, Reads } from "../engine/plan.js";
import { loopOf, passLevels, runKey, type Position } from "../engine/position.js";
import { shardflowError } from "../shared/errors.js";
import { fromStoredText, isJsonObject, type Json, type JsonObject } from "../shared/json.js";
import type { StoredNodeError } from "../shared/values.js";
import type { StretchPorts } from "./ports.js";

const KEEP_BYTES = 16 * 1024 * 1024;

export type ExecutionInfo = {
  id: string;
  scope: string;
  definition: string;
  version: number;
  shardIndex: number;
  startedAt: number;
};
export type RunInfo = { id: string; key: string; attempt: number; idempotencyKey: string };
export type Scope = { [name: string]: Json };

type Known = { value: Json; bytes: number };

export class Memory {
  readonly #plan: Plan;
  readonly #ports: StretchPorts;
  readonly #execution: ExecutionInfo;
  readonly #readNodes: Set<string>;
  /** Run key -> {output} or {error}, as expressions see it. */
  readonly #runs = new Map<string, Known>();
  readonly #items = new Map<string, Json[]>();
  #bytes = 0;
  #input: Json | undefined;
  #context: Json | undefined;
  variables: JsonObject;

  constructor(plan: Plan, ports: StretchPorts, execution: ExecutionInfo, variables: JsonObject) {
    this.#plan = plan;
    this.#ports = ports;
    this.#execution = execution;
    this.variables = variables;
    this.#readNodes = nodesRead(plan);
  }

  /** Keeps the result of a run if anything may read it. */
  keepRun(key: string, node: string, result: { output: Json; text: string } | { error: StoredNodeError }): void {
    if (!this.#readNodes.has(node)) return;
    const value: Json = "output" in result ? { output: result.output } : { error: errorForExpressions(result.error) };
    const bytes = "output" in result ? result.text.length : 512;
    this.#keep(key, { value, bytes });
  }

  /** Forgets the largest values until the rest fits. Call only when everything is durable. */
  trim(): void {
    if (this.#bytes <= KEEP_BYTES) return;
    for (const [key, known] of [...this.#runs].sort((a, b) => b[1].bytes - a[1].bytes)) {
      if (this.#bytes <= KEEP_BYTES / 2) return;
      this.#runs.delete(key);
      this.#bytes -= known.bytes;
    }
  }

  forgetPass(pass: string): void {
    for (const [key, known] of this.#runs) {
      if (!key.startsWith(`${pass}/`)) continue;
      this.#runs.delete(key);
      this.#bytes -= known.bytes;
    }
  }

  keepItems(loopKey: string, items: Json[]): void {
    this.#items.set(loopKey, items);
  }

  forgetItems(loopKey: string): void {
    this.#items.delete(loopKey);
  }

  /** The output of a run that has ended, loading it if another stretch made it. */
  async outputOf(key: string): Promise<Json> {
    const [run] = await this.#loadRuns([key]);
    return isJsonObject(run) && run.output !== undefined ? run.output : null;
  }

  /** Builds what the expressions of a node may name: only what `reads` says. */
  async scopeAt(position: Position, pass: string, reads: Reads, run: RunInfo | null): Promise<Scope> {
    const { id, scope, definition, version, shardIndex, startedAt } = this.#execution;
    const names: Scope = { execution: { id, scope, definition, version, shardIndex, startedAt } };
    if (run !== null) names.node = { ...run };
    await this.#addLoops(names, position, pass);
    if (reads.input) names.input = await this.#loadInput();
    if (reads.vars) names.vars = this.variables;
    if (reads.context) names.context = await this.#loadContext();
    names.nodes = await this.#nodesAt(pass, reads.nodes);
    return names;
  }

  async #loadInput(): Promise<Json> {
    return (this.#input ??= fromStoredText(await this.#ports.loadInput(), "the input"));
  }

  async #loadContext(): Promise<Json> {
    if (this.#context === undefined) {
      const text = await this.#ports.loadContext();
      this.#context = text === null ? null : fromStoredText(text, "the context");
    }
    return this.#context;
  }

  async #nodesAt(pass: string, ids: string[]): Promise<JsonObject> {
    const { entry } = this.#plan;
    const others = ids.filter((id) => id !== entry);
    const runs = await this.#loadRuns(others.map((id) => runKey(this.#passOf(id, pass), id)));
    const nodes: JsonObject = {};
    // The output of the trigger is the input, which is not stored a second time.
    if (others.length < ids.length) nodes[entry] = { output: await this.#loadInput() };
    others.forEach((id, i) => {
      const run = runs[i];
      if (run !== undefined && run !== null) nodes[id] = run;
    });
    return nodes;
  }

  /** The pass in which a node that is visible from `pass` has run. */
  #passOf(id: string, pass: string): string {
    const loop = this.#plan.nodes[id]?.loop ?? null;
    if (loop === null) return "";
    const level = passLevels(pass).find((l) => l.node === loop);
    if (level === undefined)
      throw shardflowError("INTERNAL", { message: `Node "${id}" is not visible from pass "${pass}".` });
    return level.pass;
  }

  async #loadRuns(keys: string[]): Promise<Array<Json | null>> {
    // Taken before anything is awaited: what is at hand now may be forgotten meanwhile, and not be durable yet.
    const found = new Map(keys.map((key) => [key, this.#runs.get(key)?.value]));
    const missing = keys.filter((key) => found.get(key) === undefined);
    if (missing.length > 0) {
      for (const prior of await this.#ports.loadRuns(missing)) {
        const text = prior.output ?? "null";
        const value: Json =
          prior.error === null
            ? { output: fromStoredText(text, `the output of ${prior.key}`) }
            : { error: errorForExpressions(prior.error) };
        found.set(prior.key, value);
        this.#keep(prior.key, { value, bytes: text.length });
      }
    }
    return keys.map((key) => found.get(key) ?? null);
  }

  #keep(key: string, known: Known): void {
    this.#bytes += known.bytes - (this.#runs.get(key)?.bytes ?? 0);
    this.#runs.set(key, known);
  }

  async #addLoops(names: Scope, position: Position, pass: string): Promise<void> {
    const loops: JsonObject = {};
    let innermost: JsonObject | null = null;
    // As in #loadRuns: a loop that is left while this waits takes its items along.
    const levels = passLevels(pass).map((level) => ({ level, known: this.#items.get(level.loopKey) }));
    for (const { level, known } of levels) {
      const node = this.#plan.nodes[level.node] as LoopNode;
      const state = loopOf(position, level.loopKey);
      const items = state.total === null ? null : (known ?? (await this.#loadItems(level.loopKey)));
      const item = items?.[level.index] ?? null;
      innermost = { index: level.index, count: state.total, item, carry: state.carry ?? {} };
      loops[level.node] = innermost;
      // Without items there is no item, and its default name may be the one of a loop around.
      if (node.items !== null) names[node.itemName] = item;
      names[node.indexName] = level.index;
    }
    names.loops = loops;
    if (innermost !== null) names.loop = innermost;
  }

  async #loadItems(loopKey: string): Promise<Json[]> {
    const text = await this.#ports.loadPayload(itemsName(loopKey));
    const items = text === null ? null : fromStoredText(text, `the items of ${loopKey}`);
    if (!Array.isArray(items))
      throw shardflowError("CORRUPT_ROW", { message: `The items of loop "${loopKey}" are missing.` });
    this.#items.set(loopKey, items);
    return items;
  }
}

/** Name in `payloads` of the items of a loop. */
export const itemsName = (loopKey: string) => `items:${loopKey}`;
export const resultsName = (loopKey: string, saved: number) => `results:${saved}:${loopKey}`;

function errorForExpressions(error: StoredNodeError): JsonObject {
  const cause = error.cause === undefined ? {} : { cause: fromStoredText(error.cause, "the cause of an error") };
  return { code: error.code, class: error.class, message: error.message, ...cause };
}

function nodesRead(plan: Plan): Set<string> {
  const read = new Set<string>();
  const add = (reads: Reads) => reads.nodes.forEach((id) => read.add(id));
  for (const node of Object.values<PlanNode>(plan.nodes)) {
    add(node.reads);
    if (node.type === "loop") add(node.passReads);
    // The output of the execution, should the stretch end between the output node and the finish.
    if (node.type === "output") read.add(node.id);
  }
  return read;
}
