/**
 * Conversions, rounding, and the timestamps, durations and bytes of CEL.
 *
 * Invariant: text that is parsed is bounded first; a conversion that would lose something is a failure.
 */
import type { Budget } from "./budget.js";
import { failed } from "./error.js";
import { define, type ExpressionFunction, type FunctionTable } from "./functionTable.js";
import { callLibrary, TIME_ZONE_STEPS } from "./library.js";
import { isTime, MAX_INT, MIN_INT } from "./operators.js";
import { toJson } from "./result.js";
import { asText } from "./textFunctions.js";
import { Duration, isNumber, setMember, toInteger, typeName, type Value } from "./values.js";

/** Longest text that is parsed as a number, bool or duration. */
const MAX_SCALAR_TEXT = 64;

function shortText(value: Value): string | null {
  return typeof value === "string" && value.length <= MAX_SCALAR_TEXT ? value : null;
}

function cannotConvert(name: string, value: Value, hint = ""): Error {
  const text = shortText(value);
  return failed(`${name}() cannot convert ${text === null ? typeName(value) : JSON.stringify(text)}.${hint}`);
}

function toText(args: readonly Value[], budget: Budget): Value {
  const value = args[0] ?? null;
  if (typeof value === "string") return value;
  if (typeof value === "boolean" || isNumber(value)) return paid(String(value), budget);
  if (value instanceof Date) return paid(value.toISOString().replace(".000Z", "Z"), budget);
  if (value instanceof Duration) return paid(`${value.valueOf() / 1000}s`, budget);
  if (value instanceof Uint8Array) {
    budget.text(value.length);
    return new TextDecoder().decode(value);
  }
  const hint = value === null ? ' Use default(x, "") first.' : " Use json(x) for JSON text.";
  throw cannotConvert("string", value, hint);
}

function paid(text: string, budget: Budget): string {
  budget.text(text.length);
  return text;
}

function toInt(args: readonly Value[]): bigint {
  const value = args[0] ?? null;
  if (typeof value === "bigint") return value;
  const text = shortText(value);
  let result: bigint | null = null;
  if (typeof value === "number") result = BigInt(Math.trunc(value));
  else if (value instanceof Date) result = BigInt(Math.floor(value.getTime() / 1000));
  else if (text !== null && /^[+-]?\d+$/.test(text)) result = BigInt(text.replace("+", ""));
  if (result === null) throw cannotConvert("int", value);
  if (result < MIN_INT || result > MAX_INT) throw failed(`int(): ${result} does not fit 64 bits.`);
  return result;
}

function toDouble(args: readonly Value[]): number {
  const value = args[0] ?? null;
  if (isNumber(value)) return Number(value);
  const text = shortText(value);
  const result = text !== null && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
  if (!Number.isFinite(result)) throw cannotConvert("double", value);
  return result;
}

const BOOLS: ReadonlyMap<Value, boolean> = new Map<Value, boolean>([
  ...["true", "TRUE", "True", "t", "1"].map((text): [string, boolean] => [text, true]),
  ...["false", "FALSE", "False", "f", "0"].map((text): [string, boolean] => [text, false]),
  [true, true],
  [false, false],
]);

function toBool(args: readonly Value[]): boolean {
  const value = args[0] ?? null;
  const result = BOOLS.get(typeof value === "string" ? shortText(value) : value);
  if (result === undefined)
    throw cannotConvert("bool", value, ' It takes "true" and "false"; compare numbers with `!= 0`.');
  return result;
}

function toJsonText(args: readonly Value[], budget: Budget): string {
  // The text has at least a character per visited value, so that paying for it also bounds the work.
  return JSON.stringify(toJson(args[0] ?? null, Infinity, budget).json);
}

function rounding(name: string, round: (number: number) => number): ExpressionFunction {
  return define("function", 1, 1, (args) => {
    const value = args[0] ?? null;
    if (typeof value === "bigint") return name === "abs" && value < 0n ? -value : value;
    if (typeof value === "number") return round(value);
    throw failed(`${name}() needs a number, got ${typeName(value)}.`);
  });
}

/** Rounds half away from zero, on the decimal form: round(1.005, 2) is 1.01. */
function round(args: readonly Value[]): Value {
  const value = args[0] ?? null;
  const digits = args[1] === undefined ? 0 : toInteger(args[1], "The number of digits of round()");
  if (digits < 0 || digits > 15) throw failed(`round() takes 0 to 15 digits, got ${digits}.`);
  if (typeof value === "bigint") return value;
  if (typeof value !== "number") throw failed(`round() needs a number, got ${typeName(value)}.`);
  const size = Math.abs(value);
  // Beyond these sizes a number has no decimals, or is written with an exponent and rounds to nothing.
  if (size >= 1e15) return value;
  const rounded =
    size < 1e-6 ? Number(size.toFixed(digits)) : Number(`${Math.round(Number(`${size}e${digits}`))}e-${digits}`);
  return value < 0 ? -rounded : rounded;
}

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

function toTimestamp(args: readonly Value[]): Date {
  const value = args[0] ?? null;
  if (value instanceof Date) return value;
  const text = shortText(value);
  let time = NaN;
  if (isNumber(value)) time = Number(value) * 1000;
  else if (text !== null && RFC_3339.test(text)) time = Date.parse(text);
  if (!Number.isFinite(new Date(time).getTime())) {
    throw cannotConvert(
      "timestamp",
      value,
      ' It takes text such as "2026-01-31T08:00:00Z", with a time zone, or Unix seconds.',
    );
  }
  return new Date(time);
}

function toDuration(args: readonly Value[]): Value {
  const value = args[0] ?? null;
  if (value instanceof Duration) return value;
  const text = shortText(value);
  const result = text === null ? undefined : callLibrary("duration(a)", text);
  if (result === undefined) throw cannotConvert("duration", value, ' It takes text such as "1h30m" or "500ms".');
  return result;
}

function toBytes(args: readonly Value[], budget: Budget): Value {
  const value = args[0] ?? null;
  if (value instanceof Uint8Array) return value;
  const text = asText(value, "The value of bytes()");
  // A UTF-16 unit takes three bytes at most.
  budget.text(text.length * 3);
  return new TextEncoder().encode(text);
}

function encoding(name: "base64" | "hex"): ExpressionFunction {
  return define("both", 1, 1, (args, budget) => {
    const value = args[0] ?? null;
    if (!(value instanceof Uint8Array)) {
      throw failed(`${name}() needs bytes, got ${typeName(value)}. Use bytes(text).${name}().`);
    }
    budget.text(value.length * 2);
    if (name === "hex") return Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return btoa(Array.from(value, (byte) => String.fromCharCode(byte)).join(""));
  });
}

/** Parts of timestamps, in UTC or a given time zone, and of durations, in whole units. */
const TIME_PARTS = [
  "getFullYear",
  "getMonth",
  "getDate",
  "getDayOfMonth",
  "getDayOfWeek",
  "getHours",
  "getMinutes",
  "getSeconds",
  "getMilliseconds",
] as const;

function timePart(name: (typeof TIME_PARTS)[number]): ExpressionFunction {
  return define("both", 1, 2, (args, budget) => {
    const [value = null, zone] = args;
    if (zone !== undefined) budget.step(TIME_ZONE_STEPS);
    const result = isTime(value) ? partOf(value, name, zone) : undefined;
    if (result !== undefined) return result;
    throw failed(`${name}() cannot be applied to ${typeName(value)}. Convert with timestamp(x).`);
  });
}

function partOf(value: Date | Duration, name: string, zone: Value | undefined): Value | undefined {
  if (zone === undefined) return callLibrary(`a.${name}()`, value);
  const text = shortText(zone);
  if (text === null) throw failed(`The time zone must be a name such as "Europe/Berlin", got ${typeName(zone)}.`);
  return callLibrary(`a.${name}(b)`, value, text);
}

function timeParts(): FunctionTable {
  const table: Record<string, ExpressionFunction> = {};
  for (const name of TIME_PARTS) setMember(table, name, timePart(name));
  return table;
}

export const SCALAR_FUNCTIONS: FunctionTable = {
  string: define("function", 1, 1, toText),
  int: define("function", 1, 1, toInt),
  double: define("function", 1, 1, toDouble),
  bool: define("function", 1, 1, toBool),
  json: define("function", 1, 1, toJsonText),
  typeOf: define("function", 1, 1, (args) => typeName(args[0] ?? null)),
  abs: rounding("abs", Math.abs),
  floor: rounding("floor", Math.floor),
  ceil: rounding("ceil", Math.ceil),
  round: define("function", 1, 2, round),
  timestamp: define("function", 1, 1, toTimestamp),
  duration: define("function", 1, 1, toDuration),
  bytes: define("function", 1, 1, toBytes),
  base64: encoding("base64"),
  hex: encoding("hex"),
  ...timeParts(),
};
