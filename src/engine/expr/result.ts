/**
 * From values back to JSON.
 *
 * Owns: what a result may be, and its size. Invariants: the size is known before anything is copied, and measuring stops
 * as soon as it is too large, so that a list of a thousand references to one long text costs little; data that is passed
 * through is shared, not copied.
 */
import { utf8Bytes, type Json } from "../../shared/json.js";
import { MAX_JSON_DEPTH } from "../../shared/limits.js";
import type { Budget } from "./budget.js";
import { failed, limited } from "./error.js";
import { getMember, isObject, setMember, typeName, type TypeName, type Value, type ValueObject } from "./values.js";

/** A value and its size as JSON text in bytes. */
export type Sized = { json: Json; bytes: number };

/** @param budget - pays for what is looked at, where an expression goes on with the result. */
export function toJson(value: Value, maxBytes: number, budget?: Budget): Sized {
  const measure = new Measure(maxBytes, budget);
  measure.visit(value, 0);
  return { json: measure.isJson ? (value as Json) : converted(value), bytes: measure.bytes };
}

const CONVERSIONS: Readonly<Partial<Record<TypeName, string>>> = {
  timestamp: "string(x) for text or int(x) for Unix seconds",
  duration: "string(x) for text or x.getMilliseconds() for a number",
  bytes: "x.base64(), x.hex() or string(x)",
};

class Measure {
  bytes = 0;
  /** False when the value holds ints or negative zeros, which have to be converted. */
  isJson = true;
  readonly #maxBytes: number;
  readonly #budget: Budget | undefined;

  constructor(maxBytes: number, budget: Budget | undefined) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
  }

  visit(value: Value, depth: number): void {
    if (typeof value === "string") this.#text(value);
    else if (typeof value === "bigint" || typeof value === "number") this.#number(value);
    else if (value === null || typeof value === "boolean") this.#add(value === false ? 5 : 4);
    else if (depth >= MAX_JSON_DEPTH) throw limited(`The result is nested deeper than ${MAX_JSON_DEPTH} levels.`);
    else if (Array.isArray(value)) {
      this.#add(value.length === 0 ? 2 : value.length + 1);
      for (const item of value) this.visit(item, depth + 1);
    } else if (isObject(value)) {
      const keys = Object.keys(value);
      this.#add(keys.length === 0 ? 2 : keys.length * 2 + 1);
      for (const key of keys) {
        this.#text(key);
        this.visit(getMember(value, key) ?? null, depth + 1);
      }
    } else throw notJson(typeName(value));
  }

  #text(text: string): void {
    // First without looking at it: that may be enough to refuse it.
    this.#add(text.length + 2);
    this.#add(utf8Bytes(JSON.stringify(text)) - text.length - 2);
  }

  #number(value: number | bigint): void {
    const json = plainNumber(value);
    this.isJson &&= Object.is(json, value);
    this.#add(String(json).length);
  }

  #add(bytes: number): void {
    this.#budget?.text(bytes);
    this.bytes += bytes;
    if (this.bytes > this.#maxBytes) {
      throw limited(
        `The result is larger than the ${this.#maxBytes} bytes that are left for it. Take only the parts that are needed.`,
      );
    }
  }
}

function notJson(type: TypeName): Error {
  const how = CONVERSIONS[type] ?? "string(x)";
  return failed(`The result holds a value of type ${type}, which JSON cannot carry. Convert it: ${how}.`);
}

function plainNumber(value: number | bigint): number {
  const number = Number(value);
  if (typeof value === "bigint" && !Number.isSafeInteger(number)) {
    throw failed(`The result ${value} is too large for a JSON number to be exact. Convert it with string(x).`);
  }
  // JSON text knows no negative zero; letting it through would make a value differ from its stored form.
  return number === 0 ? 0 : number;
}

/** Converts the numbers of a value that has been measured; parts that need no conversion stay as they are. */
function converted(value: Value): Json {
  if (typeof value === "bigint" || typeof value === "number") return plainNumber(value);
  if (Array.isArray(value)) {
    const copy = value.map(converted);
    return copy.every((item, i) => Object.is(item, value[i])) ? (value as Json[]) : copy;
  }
  return isObject(value) ? convertedObject(value) : (value as Json);
}

function convertedObject(object: ValueObject): Json {
  const copy: { [key: string]: Json } = {};
  let isSame = true;
  for (const key of Object.keys(object)) {
    const member = getMember(object, key) ?? null;
    const json = converted(member);
    isSame &&= Object.is(json, member);
    setMember(copy, key, json);
  }
  return isSame ? (object as { [key: string]: Json }) : copy;
}
