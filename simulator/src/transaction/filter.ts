/**
 * Filter expressions, evaluated on a document. Comparisons use the order of index keys, across all types (section 7).
 */
import type { JSONValue, Value } from "convex/values";
import { encodeKeyPart } from "../values/keys.js";
import { valueAt, type Fields } from "../store/table.js";
import { queryValue } from "./range.js";
import { textOf } from "../runtime/text.js";

export type FilterExpression = JSONValue;

const ARITHMETIC: Record<string, (a: number, b: number) => number> = {
  $add: (a, b) => a + b,
  $sub: (a, b) => a - b,
  $mul: (a, b) => a * b,
  $div: (a, b) => a / b,
  $mod: (a, b) => a % b,
};
const BIG_ARITHMETIC: Record<string, (a: bigint, b: bigint) => bigint> = {
  $add: (a, b) => a + b,
  $sub: (a, b) => a - b,
  $mul: (a, b) => a * b,
  $div: (a, b) => a / b,
  $mod: (a, b) => a % b,
};
const COMPARISONS: Record<string, (a: string, b: string) => boolean> = {
  $eq: (a, b) => a === b,
  $neq: (a, b) => a !== b,
  $lt: (a, b) => a < b,
  $lte: (a, b) => a <= b,
  $gt: (a, b) => a > b,
  $gte: (a, b) => a >= b,
};

export function evaluateFilter(expression: FilterExpression, document: Fields): Value | undefined {
  if (typeof expression !== "object" || expression === null || Array.isArray(expression)) {
    throw new Error(`A filter holds ${JSON.stringify(expression)}, which is no expression.`);
  }
  const [operator, operand] = Object.entries(expression)[0] ?? [];
  if (operator === undefined || operand === undefined) throw new Error("A filter holds an empty expression.");
  if (operator === "$literal") return queryValue(operand);
  if (operator === "$field") return valueAt(document, textOf(operand).split("."));
  const operands = Array.isArray(operand) ? operand : [operand];
  if (operator === "$and") return operands.every((one) => evaluateFilter(one, document) === true);
  if (operator === "$or") return operands.some((one) => evaluateFilter(one, document) === true);
  const values = operands.map((one) => evaluateFilter(one, document));
  if (operator === "$not") return values[0] !== true;
  if (operator === "$neg") return negate(values[0]);
  const compare = COMPARISONS[operator];
  if (compare !== undefined) return compare(encodeKeyPart(values[0]), encodeKeyPart(values[1]));
  return calculate(operator, values[0], values[1]);
}

function negate(value: Value | undefined): Value {
  if (typeof value === "number" || typeof value === "bigint") return -value;
  throw new Error("A filter negates what is no number.");
}

function calculate(operator: string, a: Value | undefined, b: Value | undefined): Value {
  const plain = ARITHMETIC[operator];
  const big = BIG_ARITHMETIC[operator];
  if (plain === undefined || big === undefined) throw new Error(`A filter holds the unknown operator ${operator}.`);
  if (typeof a === "number" && typeof b === "number") return plain(a, b);
  if (typeof a === "bigint" && typeof b === "bigint") return big(a, b);
  throw new Error(`A filter calculates ${operator} of a ${typeof a} and a ${typeof b}.`);
}
