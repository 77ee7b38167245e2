/**
 * The values that expressions compute with.
 *
 * Owns: the types, their names in messages, safe reading and writing of members. Invariant: a member is only ever
 * read as an own property and written as one, so that `__proto__` and `constructor` are keys like any other.
 *
 * Numbers of data stay doubles (JavaScript numbers); integer literals and integer results are bigints.
 */
import { Duration } from "@marcbachmann/cel-js/evaluator";
import { failed } from "./error.js";

export type ValueObject = { [key: string]: Value };
export type Value = null | boolean | string | number | bigint | Value[] | ValueObject | Date | Duration | Uint8Array;
export { Duration };

export type TypeName = "null" | "bool" | "number" | "string" | "list" | "object" | "timestamp" | "duration" | "bytes";

const PRIMITIVE_TYPES: Readonly<Record<string, TypeName>> = {
  boolean: "bool",
  string: "string",
  number: "number",
  bigint: "number",
};

export function typeName(value: Value): TypeName {
  if (value === null) return "null";
  if (Array.isArray(value)) return "list";
  if (value instanceof Date) return "timestamp";
  if (value instanceof Duration) return "duration";
  if (value instanceof Uint8Array) return "bytes";
  return PRIMITIVE_TYPES[typeof value] ?? "object";
}

export function isObject(value: Value): value is ValueObject {
  return typeName(value) === "object";
}

export function isNumber(value: Value): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

/** Longest text of the data that a message repeats. */
const SHOWN_CHARS = 64;

/** Text of the data for a message: in quotes, cut before it is escaped, so that a message costs little. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text);
}

/** Sets an own member, also `__proto__`, which an assignment would take for the prototype. */
export function setMember<T>(target: { [key: string]: T }, key: string, value: T): void {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  } else target[key] = value;
}

/** Reads an own member; undefined when there is none. */
export function getMember<T>(target: { [key: string]: T }, key: string): T | undefined {
  return Object.hasOwn(target, key) ? target[key] : undefined;
}

/** An integer as a JavaScript number, from an int or a whole JSON number. */
export function toInteger(value: Value, what: string): number {
  const number = typeof value === "bigint" ? Number(value) : value;
  if (typeof number === "number" && Number.isSafeInteger(number)) return number;
  const found = typeof number === "number" ? String(number) : typeName(value);
  throw failed(`${what} must be a whole number, got ${found}.`);
}
