/**
 * Functions on lists, and `size` and `slice`, which also take text.
 *
 * Invariant: every function pays for the elements it touches before it touches them. An empty list has no first, last,
 * smallest or largest item: these functions then give null, which `default()` replaces.
 */
import type { Budget } from "./budget.js";
import { failed } from "./error.js";
import { define, type FunctionTable } from "./functionTable.js";
import { applyBinary, compare, isEqual } from "./operators.js";
import { asText, countChars, sliceText } from "./textFunctions.js";
import { isNumber, isObject, toInteger, typeName, type Value } from "./values.js";

function asList(value: Value | undefined, name: string): Value[] {
  if (Array.isArray(value)) return value;
  throw failed(`${name}() needs a list, got ${typeName(value ?? null)}.`);
}

function size(args: readonly Value[], budget: Budget): bigint {
  const value = args[0] ?? null;
  if (typeof value === "string") return BigInt(countChars(value, budget));
  if (Array.isArray(value) || value instanceof Uint8Array) return BigInt(value.length);
  if (!isObject(value)) throw failed(`size() needs a string, list, object or bytes, got ${typeName(value)}.`);
  const keys = Object.keys(value);
  budget.step(keys.length);
  return BigInt(keys.length);
}

function slice(args: readonly Value[], budget: Budget): Value {
  const value = args[0] ?? null;
  const from = sliceBound(args[1] ?? null);
  const to = args[2] === undefined ? Infinity : sliceBound(args[2]);
  if (typeof value === "string") return sliceText(value, from, to, budget);
  const list = asList(value, "slice");
  budget.elements(Math.max(0, Math.min(to, list.length) - from));
  return list.slice(from, to);
}

function sliceBound(value: Value): number {
  const bound = toInteger(value, "The bound of slice()");
  if (bound < 0) throw failed(`The bound of slice() must not be negative, got ${bound}.`);
  return bound;
}

function join(args: readonly Value[], budget: Budget): string {
  const list = asList(args[0], "join");
  const separator = args[1] === undefined ? "" : asText(args[1], "The separator of join()");
  budget.elements(list.length);
  const parts: string[] = [];
  for (const item of list) {
    if (typeof item !== "string" && typeof item !== "boolean" && !isNumber(item)) {
      throw failed(`join() needs strings, numbers or bools, got ${typeName(item)}. Convert with list.map(x, json(x)).`);
    }
    const part = String(item);
    budget.text(part.length + (parts.length === 0 ? 0 : separator.length));
    parts.push(part);
  }
  return parts.join(separator);
}

function sum(args: readonly Value[], budget: Budget): Value {
  const list = asList(args[0], "sum");
  budget.elements(list.length);
  let total: Value = 0n;
  for (const item of list) {
    if (!isNumber(item)) throw failed(`sum() needs numbers, got ${typeName(item)}.`);
    total = applyBinary("+", total, item, budget, false);
  }
  return total;
}

function ordered(name: string, left: Value, right: Value, budget: Budget): number {
  budget.elements(1);
  const comparable = isNumber(left) || typeof left === "string";
  const order = comparable ? compare(left, right, budget) : null;
  if (order !== null) return order;
  throw failed(`${name}() needs a list of numbers or a list of strings, got ${typeName(left)} and ${typeName(right)}.`);
}

function extreme(name: "min" | "max", sign: number): (args: readonly Value[], budget: Budget) => Value {
  return (args, budget) => {
    const list = asList(args[0], name);
    let best = list[0] ?? null;
    for (const item of list) if (ordered(name, item, best, budget) * sign > 0) best = item;
    return best;
  };
}

function sort(args: readonly Value[], budget: Budget): Value[] {
  const list = asList(args[0], "sort");
  budget.elements(list.length);
  return [...list].sort((left, right) => ordered("sort", left, right, budget));
}

function distinct(args: readonly Value[], budget: Budget): Value[] {
  const list = asList(args[0], "distinct");
  const scalars = new Set<Value>();
  const others: Value[] = [];
  return list.filter((item) => {
    budget.step();
    if (typeof item === "object" && item !== null) {
      if (others.some((other) => isEqual(item, other, budget))) return false;
      others.push(item);
      return true;
    }
    // A whole double and an int of the same value are equal; within the safe range they have one form.
    const key = typeof item === "bigint" && BigInt(Number(item)) === item ? Number(item) : item;
    if (typeof key === "string") budget.read(key.length);
    const isNew = !scalars.has(key);
    scalars.add(key);
    return isNew;
  });
}

function flatten(args: readonly Value[], budget: Budget): Value[] {
  const result: Value[] = [];
  for (const item of asList(args[0], "flatten")) {
    budget.elements(Array.isArray(item) ? item.length + 1 : 1);
    if (!Array.isArray(item)) result.push(item);
    else for (const inner of item) result.push(inner);
  }
  return result;
}

function reverse(args: readonly Value[], budget: Budget): Value[] {
  const list = asList(args[0], "reverse");
  budget.elements(list.length);
  return [...list].reverse();
}

function range(args: readonly Value[], budget: Budget): Value[] {
  const bounds = args.map((bound) => toInteger(bound, "The bound of range()"));
  const [from, to] = bounds.length === 1 ? [0, bounds[0] ?? 0] : [bounds[0] ?? 0, bounds[1] ?? 0];
  const count = Math.max(0, to - from);
  budget.step(count);
  return Array.from({ length: count }, (_, i) => BigInt(from + i));
}

export const LIST_FUNCTIONS: FunctionTable = {
  size: define("both", 1, 1, size),
  slice: define("both", 2, 3, slice),
  join: define("both", 1, 2, join),
  first: define("both", 1, 1, (args) => asList(args[0], "first")[0] ?? null),
  last: define("both", 1, 1, (args) => asList(args[0], "last").at(-1) ?? null),
  reverse: define("both", 1, 1, reverse),
  sort: define("both", 1, 1, sort),
  distinct: define("both", 1, 1, distinct),
  flatten: define("both", 1, 1, flatten),
  sum: define("both", 1, 1, sum),
  min: define("both", 1, 1, extreme("min", -1)),
  max: define("both", 1, 1, extreme("max", 1)),
  range: define("function", 1, 2, range),
};
