/**
 * The binary operators and equality.
 *
 * Numbers: ints (bigint: integer literals and results such as `size(x)`) and doubles (JavaScript numbers: decimals and
 * every number of the data) mix freely. Two ints give an int, as in CEL: `7 / 2` is 3. As soon as a double takes part
 * the result is a double: `input.n / 2` is 3.5 for 7, whatever number the data happens to hold.
 * Invariant: no operation gives NaN or an infinity, and ints stay within 64 bits.
 */
import type { BinaryOperator } from "@marcbachmann/cel-js";
import type { Budget } from "./budget.js";
import { failed } from "./error.js";
import { callLibrary } from "./library.js";
import { Duration, getMember, isNumber, isObject, typeName, type Value } from "./values.js";

export type { BinaryOperator };
type Arithmetic = "+" | "-" | "*" | "/" | "%";
type Comparison = "<" | "<=" | ">" | ">=";

export const MIN_INT = -(2n ** 63n);
export const MAX_INT = 2n ** 63n - 1n;

/**
 * @param continued - the left operand is text that the same chain of `+` has just built and paid for.
 */
export function applyBinary(
  operator: BinaryOperator,
  left: Value,
  right: Value,
  budget: Budget,
  continued: boolean,
): Value {
  switch (operator) {
    case "==":
      return isEqual(left, right, budget);
    case "!=":
      return !isEqual(left, right, budget);
    case "in":
      return isMember(left, right, budget);
    case "<":
    case "<=":
    case ">":
    case ">=":
      return compares(operator, left, right, budget);
    case "+":
      if (typeof left === "string" && typeof right === "string") {
        budget.text(continued ? right.length : left.length + right.length);
        return left + right;
      }
      if (Array.isArray(left) && Array.isArray(right)) {
        budget.elements(left.length + right.length);
        return [...left, ...right];
      }
      if (left instanceof Uint8Array && right instanceof Uint8Array) return concatenated(left, right, budget);
      return calculate(operator, left, right);
    default:
      return calculate(operator, left, right);
  }
}

function concatenated(left: Uint8Array, right: Uint8Array, budget: Budget): Uint8Array {
  budget.text(left.length + right.length);
  const bytes = new Uint8Array(left.length + right.length);
  bytes.set(left);
  bytes.set(right, left.length);
  return bytes;
}

function calculate(operator: Arithmetic, left: Value, right: Value): Value {
  if (typeof left === "bigint" && typeof right === "bigint") return calculateInts(operator, left, right);
  if (isNumber(left) && isNumber(right)) return calculateDoubles(operator, Number(left), Number(right));
  if (isTime(left) && isTime(right)) {
    const result = callLibrary(`a ${operator} b`, left, right);
    if (result !== undefined) return result;
  }
  throw notApplicable(operator, left, right);
}

function calculateInts(operator: Arithmetic, left: bigint, right: bigint): bigint {
  if (right === 0n && (operator === "/" || operator === "%")) throw failed("Division by zero.");
  const result = intResult(operator, left, right);
  if (result < MIN_INT || result > MAX_INT)
    throw failed(`The result of ${left} ${operator} ${right} does not fit 64 bits.`);
  return result;
}

function intResult(operator: Arithmetic, left: bigint, right: bigint): bigint {
  switch (operator) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "/":
      return left / right;
    case "%":
      return left % right;
  }
}

function calculateDoubles(operator: Arithmetic, left: number, right: number): number {
  if (right === 0 && (operator === "/" || operator === "%")) throw failed("Division by zero.");
  const result = doubleResult(operator, left, right);
  if (!Number.isFinite(result)) throw failed(`The result of ${left} ${operator} ${right} is too large for a number.`);
  return result;
}

function doubleResult(operator: Arithmetic, left: number, right: number): number {
  switch (operator) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "/":
      return left / right;
    case "%":
      return left % right;
  }
}

function compares(operator: Comparison, left: Value, right: Value, budget: Budget): boolean {
  const order = compare(left, right, budget);
  if (order === null) throw notApplicable(operator, left, right);
  switch (operator) {
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
  }
}

/** Negative, zero or positive; null when the two have no order. Text is compared by UTF-16 units. */
export function compare(left: Value, right: Value, budget: Budget): number | null {
  if (typeof left === "string" && typeof right === "string") {
    budget.read(Math.min(left.length, right.length));
    return left < right ? -1 : left > right ? 1 : 0;
  }
  // JavaScript compares bigints and numbers with each other by value.
  if (isNumber(left) && isNumber(right)) return left < right ? -1 : left > right ? 1 : 0;
  if (typeof left === "boolean" && typeof right === "boolean") return Number(left) - Number(right);
  if (left instanceof Date && right instanceof Date) return left.getTime() - right.getTime();
  if (left instanceof Duration && right instanceof Duration) return left.valueOf() - right.valueOf();
  return null;
}

/** Deep equality. Values of different types are not equal; 1 and 1.0 are. */
export function isEqual(left: Value, right: Value, budget: Budget): boolean {
  budget.elements(1);
  if (typeof left === "string" && typeof right === "string") {
    if (left.length !== right.length) return false;
    budget.read(left.length);
    return left === right;
  }
  if (left === right) return true;
  if (isNumber(left) && isNumber(right)) return left == right;
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, i) => isEqual(item, right[i] ?? null, budget));
  }
  if (isOpaque(left) && isOpaque(right)) return isEqualOpaque(left, right, budget);
  if (!isObject(left) || !isObject(right)) return false;
  const keys = Object.keys(left);
  const rightKeys = Object.keys(right);
  budget.step(keys.length + rightKeys.length);
  if (keys.length !== rightKeys.length) return false;
  return keys.every((key) => {
    const other = getMember(right, key);
    return other !== undefined && isEqual(getMember(left, key) ?? null, other, budget);
  });
}

/** A value that the library computes with. */
export function isTime(value: Value): value is Date | Duration {
  return value instanceof Date || value instanceof Duration;
}

type Opaque = Date | Duration | Uint8Array;

function isOpaque(value: Value): value is Opaque {
  return isTime(value) || value instanceof Uint8Array;
}

function isEqualOpaque(left: Opaque, right: Opaque, budget: Budget): boolean {
  if (left instanceof Uint8Array && right instanceof Uint8Array) {
    budget.read(left.length);
    return left.length === right.length && left.every((byte, i) => byte === right[i]);
  }
  return typeName(left) === typeName(right) && left.valueOf() === right.valueOf();
}

function isMember(item: Value, container: Value, budget: Budget): boolean {
  if (Array.isArray(container)) return container.some((other) => isEqual(item, other, budget));
  if (isObject(container)) return typeof item === "string" && getMember(container, item) !== undefined;
  const hint = typeof container === "string" ? " For text use `text.contains(part)`." : "";
  throw failed(`\`in\` needs a list or an object on its right, got ${typeName(container)}.${hint}`);
}

function notApplicable(operator: string, left: Value, right: Value): Error {
  const [a, b] = [typeName(left), typeName(right)];
  const hint =
    operator === "+" && (a === "string" || b === "string")
      ? " Convert the other one with string(x) or json(x) first."
      : "";
  return failed(`\`${operator}\` cannot be applied to ${a} and ${b}.${hint}`);
}
