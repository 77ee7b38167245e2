/**
 * The text form of a position.
 *
 * Owns: what counts as a position that can be gone on from. Invariant: what {@link readPosition} returns keeps P1 and P2
 * of position.ts, so that the walker never meets a token outside of its loops, or a loop that nothing will ever leave.
 */
import { shardflowError } from "../shared/errors.js";
import { fromJsonText, isJsonObject, type Json, type JsonObject } from "../shared/json.js";
import type { Plan } from "./plan.js";
import { innermostPass, isInLoop, passLevels, runKey, splitRunKey, type Position } from "./position.js";

export function writePosition(position: Position): string {
  return JSON.stringify(position);
}

/**
 * Reads a stored position and checks it, also against the plan if that is given.
 * @throws {CORRUPT_ROW} when it cannot be read, or the plan has no such place.
 */
export function readPosition(text: string, plan: Plan | null): Position {
  const value = parse(text);
  if (!isJsonObject(value) || !Array.isArray(value.tokens) || !Array.isArray(value.loops))
    throw corrupt("tokens or loops are missing");
  if (!value.tokens.every(isToken)) throw corrupt("a token is malformed");
  if (!value.loops.every(isLoop)) throw corrupt("a loop is malformed");
  const position = value as unknown as Position;
  checkTokens(position);
  checkLoops(position);
  if (plan !== null) checkPlaces(position, plan);
  return position;
}

function corrupt(why: string): Error {
  return shardflowError("CORRUPT_ROW", { message: `The stored position cannot be read: ${why}.` });
}

function parse(text: string): Json {
  try {
    return fromJsonText(text, "the position");
  } catch {
    throw corrupt("it is not JSON");
  }
}

const isMissingOr = (type: "string" | "number", value: Json | undefined) =>
  value === undefined || typeof value === type;

function isToken(token: Json): boolean {
  return (
    isJsonObject(token) &&
    typeof token.pass === "string" &&
    typeof token.node === "string" &&
    isMissingOr("string", token.exited) &&
    [token.attempt, token.refusals, token.notBefore].every((value) => isMissingOr("number", value)) &&
    (token.failures === undefined || (Array.isArray(token.failures) && token.failures.every(isJsonObject))) &&
    (token.usage === undefined || isJsonObject(token.usage))
  );
}

const isCount = (value: Json | undefined) => typeof value === "number" && Number.isInteger(value) && value >= 0;

function isLoop(loop: Json): boolean {
  return isJsonObject(loop) && typeof loop.key === "string" && hasCounts(loop) && hasKnownExit(loop);
}

function hasCounts({ total, next, failed, saved = 0, startedAt }: JsonObject): boolean {
  return (total === null || isCount(total)) && [next, failed, saved].every(isCount) && typeof startedAt === "number";
}

function hasKnownExit({ exit, carry }: JsonObject): boolean {
  const isKnown = exit === undefined || exit === "break" || exit === "stop";
  return isKnown && (carry === undefined || isJsonObject(carry));
}

/** P1: each place holds one token, in passes that their loops have started. */
function checkTokens({ tokens, loops }: Position): void {
  const started = new Map(loops.map(({ key, next }) => [key, next]));
  const places = new Set<string>();
  for (const { pass, node } of tokens) {
    const place = runKey(pass, node);
    if (places.has(place)) throw corrupt(`two tokens are at ${place}`);
    places.add(place);
    for (const { loopKey, index } of passLevels(pass)) {
      if (index >= (started.get(loopKey) ?? 0)) throw corrupt(`${place} is in a pass that has not begun`);
    }
  }
}

/** P2: each loop is there once, and something in it will end it. */
function checkLoops({ tokens, loops }: Position): void {
  const keys = new Set(loops.map(({ key }) => key));
  if (keys.size < loops.length) throw corrupt("a loop is there twice");
  for (const key of keys) {
    passLevels(splitRunKey(key).pass);
    if (!tokens.some(({ pass }) => isInLoop(pass, key))) throw corrupt(`nothing is in loop ${key}`);
  }
}

/** Each token stands in the body of the loop that its pass names. */
function checkPlaces({ tokens }: Position, plan: Plan): void {
  for (const { pass, node } of tokens) {
    for (let place: { pass: string; node: string } | null = { pass, node }; place !== null;) {
      const around = innermostPass(place.pass);
      const known = Object.hasOwn(plan.nodes, place.node) ? plan.nodes[place.node] : undefined;
      if (known === undefined) throw corrupt(`node "${place.node}" is not in the plan`);
      if (known.loop !== (around?.node ?? null)) throw corrupt(`${runKey(pass, node)} is no place of the plan`);
      place = around === null ? null : { pass: around.outer, node: around.node };
    }
  }
}
