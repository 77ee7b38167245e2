/**
 * Loops: entering, the end of a pass, and leaving.
 *
 * Invariant: what a pass came to (the output of its last run, or `passResult` and `passError`) is durable before the
 * token of the pass is gone, so a stretch that takes over in the middle of a loop can still collect all results; nothing
 * is re-sent per pass, so the cost of a pass does not grow with the list.
 */
import { ExpressionError } from "../engine/expr/error.js";
import type { Evaluator } from "../engine/expr/evaluate.js";
import type { LoopNode, Plan } from "../engine/plan.js";
import {
  countSaved,
  endPass,
  enterLoop,
  isInLoop,
  isLoopOver,
  leaveLoop,
  loopOf,
  runKey,
  splitRunKey,
  startPasses,
  type LoopState,
  type PassEnd,
  type PassLevel,
  type Position,
  type Token,
} from "../engine/position.js";
import { fromJsonText, utf8Bytes, type Json, type JsonObject } from "../shared/json.js";
import { MAX_CARRY_BYTES, MAX_VALUE_BYTES } from "../shared/limits.js";
import { nodeError, type NodeError } from "../shared/nodeError.js";
import type { StoredNodeError } from "../shared/values.js";
import type { Effects } from "./effects.js";
import type { Flusher } from "./flusher.js";
import { itemsName, resultsName, type Memory } from "./memory.js";
import type { StretchPorts } from "./ports.js";
import { canceledRun, finishedRun, toStoredError } from "./records.js";

type SavedPass = PassResult & { index: number };
type PassResult = { result: Json; error: { code: string; message: string } | null };

type Parts = {
  plan: Plan;
  ports: StretchPorts;
  flusher: Flusher;
  memory: Memory;
  effects: Effects;
  evaluator: Evaluator;
  position: () => Position;
  /** Takes a new position and starts its new tokens. */
  move: (next: Position) => void;
};

export class Loops {
  readonly #parts: Parts;
  /** Passes that ended in this stretch; earlier ones are loaded when the loop is left. */
  readonly #results = new Map<string, Map<number, PassResult>>();
  /** Loops that were entered in this stretch: all their passes are in #results. */
  readonly #complete = new Set<string>();
  /** Errors of this stretch by run key, for the port they leave through. */
  readonly lastError = new Map<string, StoredNodeError>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  enter(token: Token, key: string, items: Json[] | null, carry: JsonObject | null, startedAt: number): void {
    const { flusher, memory, move, position, plan } = this.#parts;
    const node = plan.nodes[token.node] as LoopNode;
    this.#results.set(key, new Map());
    this.#complete.add(key);
    const state = { total: items === null ? null : items.length, carry, startedAt };
    let next = enterLoop(position(), token, node, state);
    if (items !== null && items.length === 0) {
      this.#recordEnd(token, key, node, startedAt, {
        port: "done",
        output: loopOutput(new Map<number, PassResult>(), 0, "done", carry),
      });
      next = leaveLoop(next, key, "done");
    } else if (items !== null) {
      memory.keepItems(key, items);
      flusher.savePayload(itemsName(key), JSON.stringify(items));
    }
    move(next);
  }

  /** Ends the pass that the token was in; the token's drive is done. */
  async endPass(token: Token, pass: PassLevel, failed: boolean): Promise<null> {
    const { plan, flusher, memory, position, move } = this.#parts;
    const node = plan.nodes[pass.node] as LoopNode;
    const key = runKey(token.pass, token.node);
    let error = failed ? await this.errorOf(key) : null;
    let end: PassEnd = { failed: true };
    let result: Json = null;
    if (error === null) {
      const evaluated = await this.#evaluatePass(token, node, key);
      if ("error" in evaluated) error = toStoredError(evaluated.error);
      else ({ end, result } = evaluated);
      if (error !== null) flusher.endPass({ key, error: { code: error.code, message: error.message } });
    }
    // The loop may have been left while values were loaded.
    if (!position().loops.some((loop) => loop.key === pass.loopKey)) return null;
    this.#resultsOf(pass.loopKey).set(pass.index, {
      result,
      error: error === null ? null : { code: error.code, message: error.message },
    });
    memory.forgetPass(pass.pass);
    if (error !== null && node.onItemError === "fail") {
      this.#failLoop(node, pass, error);
      return null;
    }
    if (error !== null && node.onItemError === "stop") end = { failed: true, exit: "stop" };
    const ended = endPass(position(), token, pass.loopKey, end);
    const next = startPasses(ended, pass.loopKey, node);
    this.lastError.delete(key);
    // The last pass keeps its token until the loop is left, so that a crash in between ends the pass again.
    if (isLoopOver(next, pass.loopKey, node)) await this.#finishLoop(node, pass, loopOf(ended, pass.loopKey));
    else move(next);
    return null;
  }

  /** The error a run left with, from memory or from its row. */
  async errorOf(key: string): Promise<StoredNodeError> {
    const known = this.lastError.get(key);
    if (known !== undefined) return known;
    const [prior] = await this.#parts.ports.loadRuns([key]);
    return prior?.error ?? toStoredError(nodeError("INTERNAL", `The error of "${key}" is not recorded.`));
  }

  async #evaluatePass(
    token: Token,
    node: LoopNode,
    key: string,
  ): Promise<{ end: PassEnd; result: Json } | { error: NodeError }> {
    const { memory, evaluator, flusher, position } = this.#parts;
    const hasOwn = node.collect !== null || node.until !== null || node.carry.length > 0;
    if (!hasOwn) return { end: { failed: false }, result: await this.#outputOf(key) };
    const scope = await memory.scopeAt(position(), token.pass, node.passReads, null);
    try {
      const end: PassEnd = { failed: false };
      const result = node.collect === null ? await this.#outputOf(key) : evaluator.render(node.collect, scope);
      if (node.collect !== null) flusher.endPass({ key, result: JSON.stringify(result) });
      if (node.until !== null && evaluator.evaluateBoolean(node.until, scope)) end.exit = "break";
      if (node.carry.length > 0) {
        end.carry = Object.fromEntries(node.carry.map((c) => [c.name, evaluator.render(c.next, scope)]));
        const bytes = utf8Bytes(JSON.stringify(end.carry));
        if (bytes > MAX_CARRY_BYTES) {
          const message = `Loop "${node.id}" carries ${bytes} bytes from pass to pass; ${MAX_CARRY_BYTES} are allowed.`;
          return { error: nodeError("VALUE_TOO_LARGE", message) };
        }
      }
      return { end, result };
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      return { error: nodeError(error.code, `At the end of a pass of loop "${node.id}": ${error.message}`) };
    }
  }

  async #outputOf(key: string): Promise<Json> {
    const { flusher, memory } = this.#parts;
    const unsaved = flusher.unsavedOutput(key);
    return unsaved === undefined ? await memory.outputOf(key) : fromJsonText(unsaved, `the output of ${key}`);
  }

  #failLoop(node: LoopNode, pass: PassLevel, error: StoredNodeError): void {
    const { flusher, position, move } = this.#parts;
    flusher.boundary();
    this.#abandonPasses(pass.loopKey, node);
    const failure = nodeError(
      "LOOP_ITEM_FAILED",
      `Pass ${pass.index} of loop "${node.id}" failed: ${error.code}: ${error.message}`,
      {
        cause: { code: error.code, message: error.message },
      },
    );
    const stored = toStoredError(failure);
    const { startedAt } = loopOf(position(), pass.loopKey);
    this.#recordEnd(this.#loopToken(pass.loopKey), pass.loopKey, node, startedAt, { port: "failure", error: stored });
    this.#forget(pass.loopKey);
    move(leaveLoop(position(), pass.loopKey, "failure"));
  }

  async #finishLoop(node: LoopNode, pass: PassLevel, state: LoopState): Promise<void> {
    const { flusher, position, move } = this.#parts;
    const results = await this.#allResults(pass.loopKey);
    if (!position().loops.some((loop) => loop.key === pass.loopKey)) return;
    flusher.boundary();
    const broken = state.exit === "break";
    const port = broken && node.next.break !== undefined ? "break" : "done";
    const output = loopOutput(
      results,
      state.next,
      broken ? "break" : state.exit === "stop" ? "stop" : "done",
      state.carry ?? null,
    );
    const token = this.#loopToken(pass.loopKey);
    if (utf8Bytes(JSON.stringify(output)) > MAX_VALUE_BYTES) {
      const error = nodeError(
        "VALUE_TOO_LARGE",
        `The results of loop "${node.id}" are over ${MAX_VALUE_BYTES} bytes. Collect less per pass.`,
      );
      this.#recordEnd(token, pass.loopKey, node, state.startedAt, { port: "failure", error: toStoredError(error) });
      this.#forget(pass.loopKey);
      move(leaveLoop(position(), pass.loopKey, "failure"));
      return;
    }
    this.#recordEnd(token, pass.loopKey, node, state.startedAt, { port, output });
    this.#forget(pass.loopKey);
    move(leaveLoop(position(), pass.loopKey, port));
  }

  /** Gives up what is in flight in the loop. A transaction in flight records itself. */
  #abandonPasses(loopKey: string, node: LoopNode): void {
    const { effects, flusher, plan, ports, position } = this.#parts;
    const abandoned = new Set(effects.abandon((key) => isInLoop(key, loopKey)));
    const error = toStoredError(nodeError("NODE_CANCELED", `Loop "${node.id}" was left because another pass failed.`));
    for (const token of position().tokens) {
      const key = runKey(token.pass, token.node);
      if (!abandoned.has(key)) continue;
      const inner = plan.nodes[token.node];
      if (inner !== undefined) flusher.record(canceledRun(token, inner, error, ports.now()), true);
    }
  }

  #recordEnd(
    token: Token,
    key: string,
    node: LoopNode,
    startedAt: number,
    end: { port: string; output: Json } | { port: "failure"; error: StoredNodeError },
  ): void {
    const { flusher, memory, plan, ports } = this.#parts;
    if ("error" in end) {
      flusher.record(finishedRun(plan, token, node, key, startedAt, ports.now(), end), false);
      memory.keepRun(key, node.id, { error: end.error });
      this.lastError.set(key, end.error);
      return;
    }
    const text = JSON.stringify(end.output);
    flusher.record(
      finishedRun(plan, token, node, key, startedAt, ports.now(), { port: end.port, output: text }),
      false,
    );
    memory.keepRun(key, node.id, { output: end.output, text });
  }

  #loopToken(loopKey: string): Token {
    return splitRunKey(loopKey);
  }

  #resultsOf(loopKey: string): Map<number, PassResult> {
    let results = this.#results.get(loopKey);
    if (results === undefined) this.#results.set(loopKey, (results = new Map<number, PassResult>()));
    return results;
  }

  /** Keeps what the passes of this stretch came to, so that a later one need not read all their runs again. */
  saveResults(): void {
    const { flusher, move, position } = this.#parts;
    for (const { key, saved = 0 } of position().loops) {
      const own = this.#results.get(key);
      if (own === undefined || own.size === 0) continue;
      const text = JSON.stringify([...own].map(([index, pass]) => ({ index, ...pass })));
      if (utf8Bytes(text) > MAX_VALUE_BYTES) continue;
      flusher.boundary();
      flusher.savePayload(resultsName(key, saved), text);
      move(countSaved(position(), key));
    }
  }

  async #allResults(loopKey: string): Promise<Map<number, PassResult>> {
    const own = this.#resultsOf(loopKey);
    if (this.#complete.has(loopKey)) return own;
    const { next, saved = 0 } = loopOf(this.#parts.position(), loopKey);
    const all = new Map<number, PassResult>();
    for (let i = 0; i < saved; i++) {
      const text = await this.#parts.ports.loadPayload(resultsName(loopKey, i));
      // Written by saveResults only.
      const passes = (text === null ? [] : fromJsonText(text, `results of ${loopKey}`)) as unknown as SavedPass[];
      for (const { index, result, error } of passes) all.set(index, { result, error });
    }
    // A stretch that died saved nothing: what it recorded is read from the runs.
    if (all.size + own.size < next) {
      for (const [index, result] of await this.#recordedResults(loopKey)) all.set(index, result);
    }
    for (const [index, result] of own) all.set(index, result);
    return all;
  }

  async #recordedResults(loopKey: string): Promise<Map<number, PassResult>> {
    const all = new Map<number, PassResult>();
    for (const prior of await this.#parts.ports.loadPasses(loopKey)) {
      const text = prior.result ?? prior.output;
      all.set(prior.index, {
        result: text === null ? null : fromJsonText(text, `a result of ${loopKey}`),
        error: prior.error === null ? null : { code: prior.error.code, message: prior.error.message },
      });
    }
    return all;
  }

  #forget(loopKey: string): void {
    this.#results.delete(loopKey);
    this.#complete.delete(loopKey);
    this.#parts.memory.forgetItems(loopKey);
    for (const key of this.lastError.keys()) if (isInLoop(key, loopKey)) this.lastError.delete(key);
  }
}

/** What a loop hands on: results by index (null where a pass failed or never ran), and what went wrong. */
function loopOutput(
  results: Map<number, PassResult>,
  passes: number,
  exit: "done" | "break" | "stop",
  carry: JsonObject | null,
): Json {
  const list: Json[] = [];
  const errors: Json[] = [];
  for (let index = 0; index < passes; index++) {
    const pass = results.get(index);
    list.push(pass === undefined || pass.error !== null ? null : pass.result);
    if (pass !== undefined && pass.error !== null) errors.push({ index, ...pass.error });
  }
  return { results: list, passes, errors, exit, carry: carry ?? {} };
}
