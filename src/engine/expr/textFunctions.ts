/**
 * Functions on text.
 *
 * Positions and sizes count characters (Unicode code points), as CEL defines, not UTF-16 units. Invariant: every
 * function pays for what it reads and builds before it does so.
 */
import type { Budget } from "./budget.js";
import { failed } from "./error.js";
import { define, type FunctionTable } from "./functionTable.js";
import { occurrences } from "./textSearch.js";
import { toInteger, typeName, type Value } from "./values.js";

const SURROGATE = /[\ud800-\udfff]/;

/** Number of characters. */
export function countChars(text: string, budget: Budget): number {
  budget.read(text.length);
  if (!SURROGATE.test(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** The UTF-16 position of a character position; past the end gives the length. */
function unitAt(text: string, position: number): number {
  if (!SURROGATE.test(text)) return Math.min(position, text.length);
  let unit = 0;
  for (let i = 0; i < position && unit < text.length; i++) unit += (text.codePointAt(unit) ?? 0) > 0xffff ? 2 : 1;
  return unit;
}

/** The part from one character position to another one; positions past the end mean the end. */
export function sliceText(text: string, from: number, to: number, budget: Budget): string {
  budget.read(text.length);
  const [start, end] = [unitAt(text, from), unitAt(text, to)];
  budget.text(Math.max(0, end - start));
  return start < end ? text.slice(start, end) : "";
}

export function asText(value: Value | undefined, what: string): string {
  if (typeof value === "string") return value;
  throw failed(`${what} must be a string, got ${typeName(value ?? null)}.`);
}

function position(value: Value, name: string): number {
  const number = toInteger(value, `The position of ${name}()`);
  if (number < 0) throw failed(`The position of ${name}() must not be negative, got ${number}.`);
  return number;
}

function indexOf(args: readonly Value[], budget: Budget): bigint {
  const text = asText(args[0], "The value of indexOf()");
  const part = asText(args[1], "The text sought by indexOf()");
  const from = args[2] === undefined ? 0 : unitAt(text, position(args[2], "indexOf"));
  if (part === "") return BigInt(countChars(text.slice(0, from), budget));
  for (const at of occurrences(text, part, budget, true)) {
    if (at >= from) return BigInt(countChars(text.slice(0, at), budget));
  }
  return -1n;
}

function lastIndexOf(args: readonly Value[], budget: Budget): bigint {
  const text = asText(args[0], "The value of lastIndexOf()");
  const part = asText(args[1], "The text sought by lastIndexOf()");
  const upTo = args[2] === undefined ? text.length : unitAt(text, position(args[2], "lastIndexOf"));
  if (part === "") return BigInt(countChars(text.slice(0, upTo), budget));
  let last = -1;
  for (const at of occurrences(text, part, budget, true)) {
    if (at > upTo) break;
    last = at;
  }
  return BigInt(last < 0 ? -1 : countChars(text.slice(0, last), budget));
}

function substring(args: readonly Value[], budget: Budget): string {
  const text = asText(args[0], "The value of substring()");
  const size = countChars(text, budget);
  const from = position(args[1] ?? null, "substring");
  const to = args[2] === undefined ? size : position(args[2], "substring");
  if (from <= to && to <= size) return sliceText(text, from, to, budget);
  throw failed(`substring(${from}, ${to}) is outside of a text of ${size} characters; slice() takes what there is.`);
}

function split(args: readonly Value[], budget: Budget): Value[] {
  const text = asText(args[0], "The value of split()");
  const separator = asText(args[1], "The separator of split()");
  const limit = args[2] === undefined ? -1 : toInteger(args[2], "The limit of split()");
  if (limit === 0) return [];
  budget.text(text.length);
  const parts: Value[] = [];
  let from = 0;
  for (const [start, end] of separator === "" ? charBorders(text, budget) : partBorders(text, separator, budget)) {
    if (parts.length + 1 === limit) break;
    parts.push(text.slice(from, start));
    from = end;
  }
  return [...parts, text.slice(from)];
}

/** Between any two characters. */
function* charBorders(text: string, budget: Budget): Generator<[number, number], void> {
  budget.elements(text.length);
  let at = 0;
  for (const char of text) {
    if (at > 0) yield [at, at];
    at += char.length;
  }
}

function* partBorders(text: string, part: string, budget: Budget): Generator<[number, number], void> {
  for (const at of occurrences(text, part, budget)) yield [at, at + part.length];
}

function replace(args: readonly Value[], budget: Budget): string {
  const text = asText(args[0], "The value of replace()");
  const part = asText(args[1], "The text sought by replace()");
  const by = asText(args[2], "The replacement of replace()");
  if (part === "") throw failed("The text sought by replace() must not be empty.");
  const pieces: string[] = [];
  let from = 0;
  for (const at of occurrences(text, part, budget)) {
    budget.text(at - from + by.length);
    pieces.push(text.slice(from, at), by);
    from = at + part.length;
  }
  budget.text(text.length - from);
  return pieces.join("") + text.slice(from);
}

function contains(args: readonly Value[], budget: Budget): boolean {
  if (Array.isArray(args[0])) throw failed("contains() is for text; for lists use `item in list`.");
  const text = asText(args[0], "The value of contains()");
  const part = asText(args[1], "The text sought by contains()");
  return part === "" || occurrences(text, part, budget).next().done === false;
}

function atBorder(name: "startsWith" | "endsWith"): (args: readonly Value[], budget: Budget) => boolean {
  return (args, budget) => {
    const text = asText(args[0], `The value of ${name}()`);
    const part = asText(args[1], `The text sought by ${name}()`);
    budget.read(part.length);
    return name === "startsWith" ? text.startsWith(part) : text.endsWith(part);
  };
}

function change(name: string, apply: (text: string) => string): (args: readonly Value[], budget: Budget) => string {
  return (args, budget) => {
    const text = asText(args[0], `The value of ${name}()`);
    // One character can become three: "ΐ".upper().
    budget.text(text.length);
    return apply(text);
  };
}

export const TEXT_FUNCTIONS: FunctionTable = {
  contains: define("both", 2, 2, contains),
  startsWith: define("both", 2, 2, atBorder("startsWith")),
  endsWith: define("both", 2, 2, atBorder("endsWith")),
  indexOf: define("both", 2, 3, indexOf),
  lastIndexOf: define("both", 2, 3, lastIndexOf),
  substring: define("both", 2, 3, substring),
  lower: define(
    "both",
    1,
    1,
    change("lower", (text) => text.toLowerCase()),
  ),
  upper: define(
    "both",
    1,
    1,
    change("upper", (text) => text.toUpperCase()),
  ),
  trim: define(
    "both",
    1,
    1,
    change("trim", (text) => text.trim()),
  ),
  split: define("both", 2, 3, split),
  replace: define("both", 3, 3, replace),
};
