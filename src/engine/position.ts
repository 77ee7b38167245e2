/**
 * Where an execution is: its tokens and the loops they are in.
 *
 * Owns: the stored shape of a position and the only functions that change it. Pure: each returns a new position.
 * Invariants: (P1) a token stands on one node of one pass; (P2) a loop in `loops` has at least one token in one of its
 * passes, or is about to be left; (P3) a position without tokens means that the execution has ended.
 * A token that `exited` has a recorded node run and only waits for its next step to be taken, so the walker can be
 * killed between recording a result and deciding what follows from it.
 */
import { shardflowError } from "../shared/errors.js";
import type { JsonObject } from "../shared/json.js";
import type { NodeError } from "../shared/nodeError.js";
import type { Usage } from "../shared/values.js";
import { MAX_TOKENS } from "../shared/limits.js";
import type { LoopNode, Plan } from "./plan.js";

/** A try of a node that failed and was followed by another. */
export type AttemptRecord = {
  attempt: number;
  kind: AttemptKind;
  startedAt: number;
  endedAt: number;
  error: NodeError;
};
/** Why an attempt was made: the first one, or a retry by policy. */
export type AttemptKind = "initial" | "retry";

export type Token = {
  /** "" at the top, else the pass, such as `rewrite[2]` or `outer[0]/inner[3]`. */
  pass: string;
  node: string;
  /** Set when the node's run is recorded: the port it left through. */
  exited?: string;
  /** Number of the attempt to make; absent means 1. */
  attempt?: number;
  /** Failed attempts before this one. */
  failures?: AttemptRecord[];
  /** What the failed attempts used of models. */
  usage?: Usage;
  /** How often the attempt could not even be made (function missing, no room). */
  refusals?: number;
  /** The attempt must not start before this time (ms). */
  notBefore?: number;
};

export type LoopState = {
  /** Node run key of the loop node. */
  key: string;
  /** Number of items; null for a loop that only has `until`. */
  total: number | null;
  /** Index of the next pass to start. */
  next: number;
  /** Passes that failed. */
  failed: number;
  /** Set when no further pass may start; the loop is left when the passes in flight have ended. */
  exit?: "break" | "stop";
  /** Values handed from pass to pass: for the pass that is to start next, or is running. */
  carry?: JsonObject;
  startedAt: number;
  /** Payloads that hold the results of earlier stretches. */
  saved?: number;
};

export type Position = { tokens: Token[]; loops: LoopState[] };

export function initialPosition(plan: Plan): Position {
  return { tokens: [{ pass: "", node: plan.entry }], loops: [] };
}

// ── Keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Identity of a node run within its execution: the node, and the pass of each loop around it. */
export function runKey(pass: string, node: string): string {
  return pass === "" ? node : `${pass}/${node}`;
}

export function passKey(loopKey: string, index: number): string {
  return `${loopKey}[${index}]`;
}

export type PassLevel = { loopKey: string; node: string; index: number; pass: string; outer: string };

/** The passes around a place, outermost first. */
export function passLevels(pass: string): PassLevel[] {
  const levels: PassLevel[] = [];
  if (pass === "") return levels;
  let outer = "";
  for (const part of pass.split("/")) {
    const match = /^([A-Za-z_][A-Za-z0-9_]*)\[(\d+)\]$/.exec(part);
    if (match === null)
      throw shardflowError("CORRUPT_ROW", { message: `The pass "${pass}" of a position cannot be read.` });
    const node = match[1]!;
    const index = Number(match[2]);
    const loopKey = runKey(outer, node);
    const key = passKey(loopKey, index);
    levels.push({ loopKey, node, index, pass: key, outer });
    outer = key;
  }
  return levels;
}

/** The innermost pass around a place, or null at the top. */
export function innermostPass(pass: string): PassLevel | null {
  return passLevels(pass).at(-1) ?? null;
}

/** True when `pass` is a pass of the loop, or lies in one. */
export function isInLoop(pass: string, loopKey: string): boolean {
  return pass.startsWith(`${loopKey}[`);
}

// ── Changes ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const same = (a: Token, b: Token) => a.pass === b.pass && a.node === b.node;

export function replaceToken(position: Position, token: Token, next: Token): Position {
  return { ...position, tokens: position.tokens.map((t) => (same(t, token) ? next : t)) };
}

/** Records that the node's run is written and through which port it left. */
export function exitToken(position: Position, token: Token, port: string): Position {
  return replaceToken(position, token, { pass: token.pass, node: token.node, exited: port });
}

/** Moves the token to the node that its port leads to. */
export function moveToken(position: Position, token: Token, node: string): Position {
  return replaceToken(position, token, { pass: token.pass, node });
}

/** Removes the token: the end of the execution, or of a pass that has no successor. */
export function removeToken(position: Position, token: Token): Position {
  return { ...position, tokens: position.tokens.filter((t) => !same(t, token)) };
}

/** Enters a loop: the token on the loop node becomes the loop's state, and its first passes start. */
export function enterLoop(
  position: Position,
  token: Token,
  node: LoopNode,
  loop: { total: number | null; carry: JsonObject | null; startedAt: number },
): Position {
  const key = runKey(token.pass, token.node);
  const state: LoopState = { key, total: loop.total, next: 0, failed: 0, startedAt: loop.startedAt };
  if (loop.carry !== null) state.carry = loop.carry;
  return startPasses({ tokens: removeToken(position, token).tokens, loops: [...position.loops, state] }, key, node);
}

/** Starts passes up to the loop's concurrency, its items, and the bound on tokens. */
export function startPasses(position: Position, loopKey: string, node: LoopNode): Position {
  const state = loopOf(position, loopKey);
  const last = Math.min(state.total ?? node.maxIterations, node.maxIterations);
  const inFlight = passesInFlight(position, loopKey);
  let room = Math.min(node.concurrency - inFlight, MAX_TOKENS - position.tokens.length);
  // A loop must be able to go on even when others hold all tokens.
  if (inFlight === 0) room = Math.max(room, 1);
  if (state.exit !== undefined) return position;
  const tokens = [...position.tokens];
  let next = state.next;
  for (; room > 0 && next < last; room--, next++) tokens.push({ pass: passKey(loopKey, next), node: node.body });
  return { tokens, loops: position.loops.map((l) => (l.key === loopKey ? { ...l, next } : l)) };
}

export type PassEnd = { failed: boolean; exit?: "break" | "stop"; carry?: JsonObject };

/** Ends a pass: its token goes, and the loop learns how it ended. */
export function endPass(position: Position, token: Token, loopKey: string, end: PassEnd): Position {
  const loops = position.loops.map((loop) => {
    if (loop.key !== loopKey) return loop;
    const next: LoopState = { ...loop, failed: loop.failed + (end.failed ? 1 : 0) };
    const exit = loop.exit ?? end.exit;
    if (exit !== undefined) next.exit = exit;
    if (end.carry !== undefined) next.carry = end.carry;
    return next;
  });
  return { tokens: removeToken(position, token).tokens, loops };
}

/** True when no pass is in flight and none may start: the loop is to be left. */
export function isLoopOver(position: Position, loopKey: string, node: LoopNode): boolean {
  const state = loopOf(position, loopKey);
  if (passesInFlight(position, loopKey) > 0) return false;
  return state.exit !== undefined || state.next >= Math.min(state.total ?? node.maxIterations, node.maxIterations);
}

/** Leaves a loop, abandoning whatever is still in it; the loop node's token stands in the enclosing pass again, exited. */
export function leaveLoop(position: Position, loopKey: string, port: string): Position {
  const { pass, node } = splitRunKey(loopKey);
  return {
    tokens: [...position.tokens.filter((t) => !isInLoop(t.pass, loopKey)), { pass, node, exited: port }],
    loops: position.loops.filter((l) => l.key !== loopKey && !isInLoop(l.key, loopKey)),
  };
}

/** Notes that the results of the loop's passes so far were saved in one more payload. */
export function countSaved(position: Position, loopKey: string): Position {
  const loops = position.loops.map((l) => (l.key === loopKey ? { ...l, saved: (l.saved ?? 0) + 1 } : l));
  return { ...position, loops };
}

export function loopOf(position: Position, loopKey: string): LoopState {
  const loop = position.loops.find((l) => l.key === loopKey);
  if (loop === undefined) throw shardflowError("CORRUPT_ROW", { message: `The position has no loop "${loopKey}".` });
  return loop;
}

export function passesInFlight(position: Position, loopKey: string): number {
  const passes = new Set<string>();
  for (const { pass } of position.tokens) if (isInLoop(pass, loopKey)) passes.add(directPass(pass, loopKey));
  for (const { key } of position.loops) if (isInLoop(key, loopKey)) passes.add(directPass(key, loopKey));
  return passes.size;
}

function directPass(place: string, loopKey: string): string {
  return place.slice(0, place.indexOf("]", loopKey.length) + 1);
}

export function splitRunKey(key: string): { pass: string; node: string } {
  const slash = key.lastIndexOf("/");
  return slash < 0 ? { pass: "", node: key } : { pass: key.slice(0, slash), node: key.slice(slash + 1) };
}
