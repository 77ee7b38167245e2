/**
 * The values that expressions compute with, and their way back to JSON.
 *
 * Owns: the value types, their names in messages, safe reading and writing of members. Invariant: a member is only ever
 * read as an own property and written as one, so that `__proto__` and `constructor` are keys like any other.
 *
 * Numbers of data stay doubles (JavaScript numbers); integer literals and integer results are bigints.
 */
import { Duration } from "@marcbachmann/cel-js/evaluator";
import { utf8Bytes, type Json } from "../../shared/json.js";
import { MAX_JSON_DEPTH } from "../../shared/limits.js";
import { failed, limited } from "./error.js";

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

/** Result of {@link toJson}: the value and its size as JSON text in bytes. */
export type Sized = { json: Json; bytes: number };

/**
 * Turns a result into JSON and measures it. Data that is passed through is not copied.
 * Stops as soon as the size is over `maxBytes`, so that a list of a thousand references to one large text costs little.
 */
export function toJson(value: Value, maxBytes: number): Sized {
  const sizer = new Sizer(maxBytes);
  const json = convert(value, sizer, 0);
  return { json, bytes: sizer.bytes };
}

class Sizer {
  bytes = 0;
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(bytes: number): void {
    this.bytes += bytes;
    if (this.bytes > this.#maxBytes) {
      throw limited(
        `The result is larger than the ${this.#maxBytes} bytes that are left for it. Take only the parts that are needed.`,
      );
    }
  }
}

const CONVERSIONS: Readonly<Partial<Record<TypeName, string>>> = {
  timestamp: "string(x) for text or int(x) for Unix seconds",
  duration: "string(x) for text or x.getMilliseconds() for a number",
  bytes: "x.base64(), x.hex() or string(x)",
};

function convert(value: Value, sizer: Sizer, depth: number): Json {
  if (typeof value === "string") {
    sizer.add(value.length + 2);
    sizer.add(utf8Bytes(JSON.stringify(value)) - value.length - 2);
    return value;
  }
  if (typeof value === "bigint" || typeof value === "number") return convertNumber(value, sizer);
  if (value === null || typeof value === "boolean") {
    sizer.add(value === false ? 5 : 4);
    return value;
  }
  if (depth >= MAX_JSON_DEPTH) throw limited(`The result is nested deeper than ${MAX_JSON_DEPTH} levels.`);
  if (Array.isArray(value)) return convertList(value, sizer, depth);
  if (isObject(value)) return convertObject(value, sizer, depth);
  const type = typeName(value);
  throw failed(
    `The result holds a value of type ${type}, which JSON cannot carry. Convert it: ${CONVERSIONS[type] ?? "string(x)"}.`,
  );
}

function convertNumber(value: number | bigint, sizer: Sizer): number {
  const number = Number(value);
  if (typeof value === "bigint" && !Number.isSafeInteger(number)) {
    throw failed(`The result ${value} is too large for a JSON number to be exact. Convert it with string(x).`);
  }
  // JSON text knows no negative zero; letting it through would make a value differ from its stored form.
  const json = number === 0 ? 0 : number;
  sizer.add(String(json).length);
  return json;
}

function convertList(list: Value[], sizer: Sizer, depth: number): Json[] {
  sizer.add(list.length === 0 ? 2 : list.length + 1);
  let copy: Json[] | null = null;
  for (let i = 0; i < list.length; i++) {
    const item = list[i] ?? null;
    const json = convert(item, sizer, depth + 1);
    if (copy === null && !Object.is(json, item)) copy = list.slice(0, i) as Json[];
    copy?.push(json);
  }
  // Without a copy every item was JSON already.
  return copy ?? (list as Json[]);
}

function convertObject(object: ValueObject, sizer: Sizer, depth: number): Json {
  const keys = Object.keys(object);
  sizer.add(keys.length === 0 ? 2 : keys.length * 2 + 1);
  const members: Array<[string, Json]> = [];
  let changed = false;
  for (const key of keys) {
    const member = getMember(object, key) ?? null;
    sizer.add(utf8Bytes(JSON.stringify(key)));
    const json = convert(member, sizer, depth + 1);
    if (!Object.is(json, member)) changed = true;
    members.push([key, json]);
  }
  if (!changed) return object as { [key: string]: Json };
  const copy: { [key: string]: Json } = {};
  for (const [key, json] of members) setMember(copy, key, json);
  return copy;
}
