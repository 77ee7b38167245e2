/**
 * JSON values and their text form.
 *
 * Owns: what counts as JSON here, its size in bytes, and the one way it is written to and read from text.
 * Invariant: user data crosses every boundary and rests as JSON text, because Convex values refuse keys that start
 * with `$`, non-ASCII keys, long arrays and deep nesting (docs/architecture.md).
 */
import { shardflowError } from "./errors.js";
import { MAX_JSON_DEPTH } from "./limits.js";

export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json };

/** Size of a text in UTF-8 bytes. Convex counts strings in bytes, JavaScript in UTF-16 units. */
export function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text.charCodeAt(i + 1))) {
      bytes += 4;
      i++;
    } else bytes += 3;
  }
  return bytes;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}

/**
 * Writes a value as JSON text.
 *
 * `undefined` members of objects are dropped, as `JSON.stringify` does. Everything else that JSON cannot carry is
 * refused rather than changed silently.
 *
 * @param what - what the value is, for the error text ("input", "output of node x").
 * @throws {VALUE_NOT_JSON} for bigint, NaN, infinities, bytes, dates, functions, class instances, `undefined` in an
 *   array, circular references, and nesting deeper than {@link MAX_JSON_DEPTH}.
 */
export function toJsonText(value: unknown, what: string): string {
  assertJson(value, what);
  return JSON.stringify(value);
}

/** Like {@link toJsonText}, but returns the value itself, typed. */
export function assertJson(value: unknown, what: string): asserts value is Json {
  visit(value, what, "$", 0, new Set());
}

function visit(value: unknown, what: string, path: string, depth: number, open: Set<object>): void {
  if (value === null || typeof value === "string" || typeof value === "boolean") return;
  if (typeof value === "number") {
    if (Number.isFinite(value)) return;
    throw notJson(what, path, String(value));
  }
  if (typeof value !== "object") throw notJson(what, path, typeof value);
  if (open.has(value)) throw notJson(what, path, "a circular reference");
  if (depth >= MAX_JSON_DEPTH) throw notJson(what, path, `nesting deeper than ${MAX_JSON_DEPTH}`);
  open.add(value);
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) visit(value[i], what, `${path}[${i}]`, depth + 1, open);
  } else {
    const proto: unknown = Object.getPrototypeOf(value);
    // Objects from another realm (a test VM, a structured clone) have another Object.prototype; its own prototype is null.
    if (proto !== null && Object.getPrototypeOf(proto) !== null) {
      throw notJson(what, path, value.constructor?.name ?? "an object with a prototype");
    }
    for (const [key, member] of Object.entries(value)) {
      if (member !== undefined) visit(member, what, `${path}.${key}`, depth + 1, open);
    }
  }
  open.delete(value);
}

function notJson(what: string, path: string, found: string): Error {
  return shardflowError("VALUE_NOT_JSON", {
    message: `${what} cannot be stored as JSON: ${path} is ${found}. Convert it to a string, number, boolean, null, list or plain object first.`,
    path,
  });
}

/**
 * Reads JSON text.
 * @throws {VALUE_NOT_JSON} when the text is not JSON.
 */
export function fromJsonText(text: string, what: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw shardflowError("VALUE_NOT_JSON", {
      message: `${what} is not valid JSON: ${error instanceof Error ? error.message : String(error)}`,
    });
  }
}

/**
 * Reads JSON text that was stored by this component.
 * @throws {CORRUPT_ROW} when it is not JSON any more.
 */
export function fromStoredText(text: string, what: string): Json {
  try {
    return fromJsonText(text, what);
  } catch {
    throw shardflowError("CORRUPT_ROW", { message: `What is stored as ${what} is not JSON.` });
  }
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
