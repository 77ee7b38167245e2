/**
 * Values on their way to and from storage and the app's functions.
 *
 * Owns: the chunks of a large value, the size check, and the crossing between JSON and Convex values. Invariants:
 * (V1) the chunks of a text join to the same text and none is over its bound in UTF-8 bytes; (V2) a value that Convex
 * would refuse, or lose, is refused here with the path to it, before anything is called.
 */
import { shardflowError } from "../shared/errors.js";
import { isJsonObject, toJsonText, utf8Bytes, type Json } from "../shared/json.js";
import {
  MAX_CONVEX_ARGS_DEPTH,
  MAX_CONVEX_FIELD_NAME_LENGTH,
  MAX_CONVEX_LIST_ITEMS,
  MAX_CONVEX_OBJECT_FIELDS,
  MAX_JSON_DEPTH,
} from "../shared/limits.js";

/** UTF-8 takes up to this many bytes for one character. */
const MAX_CHARACTER_BYTES = 4;

/**
 * Cuts a text into chunks of at most `maxBytes` UTF-8 bytes. Never between the halves of a surrogate pair, which
 * would each be stored as a replacement character. An empty text has no chunks.
 */
export function splitChunks(text: string, maxBytes: number): string[] {
  if (!(maxBytes >= MAX_CHARACTER_BYTES)) {
    throw shardflowError("ARGUMENT_INVALID", {
      message: `Chunks of ${maxBytes} bytes cannot hold every character; use at least ${MAX_CHARACTER_BYTES}.`,
    });
  }
  const chunks: string[] = [];
  let start = 0;
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const codePoint = text.codePointAt(i) ?? 0;
    const size = codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
    if (bytes + size > maxBytes) {
      chunks.push(text.slice(start, i));
      start = i;
      bytes = 0;
    }
    bytes += size;
    if (size === 4) i++;
  }
  if (start < text.length) chunks.push(text.slice(start));
  return chunks;
}

export function joinChunks(chunks: readonly string[]): string {
  return chunks.join("");
}

/**
 * The size of a text in UTF-8 bytes, when it is within its limit.
 * @param what - what the value is, for the error text ("input", "output of node x").
 * @throws {VALUE_TOO_LARGE} with `actual` and `limit`.
 */
export function checkValueSize(text: string, what: string, maxBytes: number): number {
  const actual = utf8Bytes(text);
  if (actual <= maxBytes) return actual;
  throw shardflowError("VALUE_TOO_LARGE", {
    message: `${what} is ${actual} bytes of JSON; the limit is ${maxBytes}. Store the data elsewhere and pass its id.`,
    actual,
    limit: maxBytes,
  });
}

/**
 * The arguments of an app function, as the object that Convex takes.
 * @throws {VALUE_NOT_CONVEX} when they are not an object, or hold something that Convex refuses.
 */
export function toConvexArgs(args: Json): Record<string, Json> {
  if (!isJsonObject(args)) throw notConvex(`they are ${typeName(args)}, not an object`);
  const problem = checkConvexValue(args);
  if (problem !== null) throw notConvex(problem);
  return args;
}

function notConvex(problem: string): Error {
  return shardflowError("VALUE_NOT_CONVEX", {
    message: `The arguments cannot be passed to a Convex function: ${problem}. Pass that part as JSON text instead.`,
  });
}

/**
 * What Convex refuses in the arguments of a function: the first offending path with the reason, or null. Checks field
 * names, list and object sizes, nesting, and broken Unicode, as the client library and the backend do; also
 * `__proto__`, which the client library drops silently. Names that start with `_` are allowed: only documents refuse them.
 */
export function checkConvexValue(value: Json): string | null {
  return findRefused(value, "$", 1);
}

function findRefused(value: Json, path: string, depth: number): string | null {
  if (typeof value === "string") {
    return hasLoneSurrogate(value) ? `${path} holds half of a surrogate pair, which is not valid Unicode` : null;
  }
  if (typeof value !== "object" || value === null) return null;
  if (depth > MAX_CONVEX_ARGS_DEPTH) return `${path} is nested deeper than ${MAX_CONVEX_ARGS_DEPTH}`;
  return Array.isArray(value) ? findInList(value, path, depth) : findInObject(value, path, depth);
}

function findInList(list: Json[], path: string, depth: number): string | null {
  if (list.length > MAX_CONVEX_LIST_ITEMS) {
    return `${path} is a list of ${list.length} items; Convex takes ${MAX_CONVEX_LIST_ITEMS}`;
  }
  for (const [i, item] of list.entries()) {
    const problem = findRefused(item, `${path}[${i}]`, depth + 1);
    if (problem !== null) return problem;
  }
  return null;
}

function findInObject(object: { [key: string]: Json }, path: string, depth: number): string | null {
  const entries = Object.entries(object);
  if (entries.length > MAX_CONVEX_OBJECT_FIELDS) {
    return `${path} is an object of ${entries.length} fields; Convex takes ${MAX_CONVEX_OBJECT_FIELDS}`;
  }
  for (const [key, member] of entries) {
    const refusal = refusedName(key);
    if (refusal !== null) return `${path} has the field ${JSON.stringify(key.slice(0, 100))}, ${refusal}`;
    const problem = findRefused(member, `${path}.${key}`, depth + 1);
    if (problem !== null) return problem;
  }
  return null;
}

function refusedName(name: string): string | null {
  if (name === "") return "which is empty";
  if (name.startsWith("$")) return "which starts with `$`";
  if (name === "__proto__") return "which JavaScript reserves";
  if (!/^[\x20-\x7e]*$/.test(name)) return "which is not printable ASCII";
  if (name.length > MAX_CONVEX_FIELD_NAME_LENGTH) {
    return `which is ${name.length} characters long; Convex takes ${MAX_CONVEX_FIELD_NAME_LENGTH}`;
  }
  return null;
}

function hasLoneSurrogate(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}

/**
 * The JSON text of what an app function returned. A function that returns nothing gives null; members that are
 * undefined are left out, as Convex leaves them out.
 * @param what - what the value is, for the error text ("output of node x").
 * @throws {VALUE_NOT_JSON} for what JSON cannot carry, with the way to convert it.
 */
export function fromConvexResult(value: unknown, what: string): string {
  if (value === undefined) return "null";
  try {
    return toJsonText(value, what);
  } catch (error) {
    const found = findUnjson(value, "$", []);
    if (found === null) throw error;
    throw shardflowError("VALUE_NOT_JSON", {
      message: `${what} cannot be stored as JSON: ${found.path} is ${found.kind}. ${found.advice}`,
      path: found.path,
    });
  }
}

type Unjson = { path: string; kind: string; advice: string };

/** The first Convex value that has no JSON form. Anything else that is wrong keeps the error it has. */
function findUnjson(value: unknown, path: string, open: readonly object[]): Unjson | null {
  if (typeof value === "bigint") {
    return { path, kind: `the bigint ${value}`, advice: "Return it as a string, or as a number if it is small." };
  }
  if (typeof value === "number" && !Number.isFinite(value)) {
    return { path, kind: String(value), advice: "Return null or a string in its place." };
  }
  if (typeof value !== "object" || value === null) return null;
  if (Object.prototype.toString.call(value) === "[object ArrayBuffer]") {
    return { path, kind: "bytes", advice: "Return base64 text, or store them as a file and return its id." };
  }
  if (open.includes(value) || open.length >= MAX_JSON_DEPTH) return null;
  const within = [...open, value];
  for (const [key, member] of Object.entries(value)) {
    const found = findUnjson(member, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`, within);
    if (found !== null) return found;
  }
  return null;
}

function typeName(value: Json): string {
  return value === null ? "null" : Array.isArray(value) ? "a list" : `a ${typeof value}`;
}
