/**
 * Evaluating a tree.
 *
 * Owns: the meaning of every kind of expression. Invariants: each visited part costs a step, so that the time is
 * bounded by the budget; names are read only from the variables of macros and from the scope's own properties; an error
 * over a limit is never swallowed.
 */
import { pathText, type Expr } from "./ast.js";
import type { Budget } from "./budget.js";
import { failed, isFailure, type ExpressionError } from "./error.js";
import { applyBinary, MIN_INT } from "./operators.js";
import { matchesRegex } from "./regexMatch.js";
import {
  getMember,
  isNumber,
  isObject,
  quoted,
  setMember,
  toInteger,
  typeName,
  type Value,
  type ValueObject,
} from "./values.js";

type Of<K extends Expr["kind"]> = Extract<Expr, { kind: K }>;
/** A variable of a macro, with the ones around it. */
type Frame = { readonly name: string; readonly value: Value; readonly outer: Frame | null };

export type Surroundings = {
  readonly scope: ValueObject;
  readonly budget: Budget;
  readonly secretMarker: ((name: string) => string) | undefined;
};

/** Price of a failure that is not the end: making an error is slow. */
const FAILURE_STEPS = 8;

export function interpret(expr: Expr, surroundings: Surroundings): Value {
  return new Interpreter(surroundings).run(expr, null);
}

class Interpreter {
  readonly #scope: ValueObject;
  readonly #budget: Budget;
  readonly #secretMarker: Surroundings["secretMarker"];

  constructor({ scope, budget, secretMarker }: Surroundings) {
    this.#scope = scope;
    this.#budget = budget;
    this.#secretMarker = secretMarker;
  }

  run(expr: Expr, frame: Frame | null): Value {
    this.#budget.step();
    switch (expr.kind) {
      case "literal":
        return expr.value;
      case "name":
        return this.#name(expr.name, frame);
      case "select":
        return this.#member(this.run(expr.target, frame), expr.key, expr);
      case "index":
        return this.#member(this.run(expr.target, frame), this.run(expr.key, frame), expr);
      case "list":
        return expr.items.map((item) => this.run(item, frame));
      case "map":
        return this.#map(expr, frame);
      case "not":
        return !asBool(this.run(expr.operand, frame), "The operand of `!`");
      case "negate":
        return negate(this.run(expr.operand, frame));
      case "chain":
        return this.#chain(expr, frame);
      case "and":
        return this.#logic(expr, false, frame);
      case "or":
        return this.#logic(expr, true, frame);
      case "conditional":
        return this.run(asBool(this.run(expr.condition, frame), "The condition of `? :`") ? expr.yes : expr.no, frame);
      case "call":
        return expr.fn.call(
          expr.args.map((arg) => this.run(arg, frame)),
          this.#budget,
        );
      case "matches":
        return this.#matches(expr, frame);
      case "has":
        return this.#locate(expr.path, frame) !== undefined;
      case "default":
        return this.#locate(expr.value, frame) ?? this.run(expr.fallback, frame);
      case "secret":
        return this.#secret(expr.name);
      case "bind":
        return this.run(expr.body, { name: expr.variable, value: this.run(expr.value, frame), outer: frame });
      case "macro":
        return this.#macro(expr, frame);
    }
  }

  #lookUp(name: string, frame: Frame | null): Value | undefined {
    for (let at = frame; at !== null; at = at.outer) if (at.name === name) return at.value;
    return getMember(this.#scope, name);
  }

  #name(name: string, frame: Frame | null): Value {
    const value = this.#lookUp(name, frame);
    if (value === undefined) throw failed(`\`${name}\` is not available here.`);
    return value;
  }

  #member(target: Value, key: Value, expr: Of<"select"> | Of<"index">): Value {
    const value = memberOf(target, key);
    if (value !== undefined) return value;
    throw missing(target, key, expr);
  }

  /** Like `run`, but undefined where a part of a path does not exist. */
  #locate(expr: Expr, frame: Frame | null): Value | undefined {
    if (expr.kind === "name") {
      this.#budget.step();
      return this.#lookUp(expr.name, frame);
    }
    if (expr.kind !== "select" && expr.kind !== "index") return this.run(expr, frame);
    this.#budget.step();
    const target = this.#locate(expr.target, frame);
    if (target === undefined) return undefined;
    return memberOf(target, expr.kind === "select" ? expr.key : this.run(expr.key, frame));
  }

  #map(expr: Of<"map">, frame: Frame | null): Value {
    const result: ValueObject = {};
    for (const [keyExpr, valueExpr] of expr.entries) {
      const key = this.run(keyExpr, frame);
      if (typeof key !== "string")
        throw failed(`Keys of a map literal must be strings, got ${typeName(key)}. Convert with string(x).`);
      if (getMember(result, key) !== undefined) throw failed(`The map literal has the key ${quoted(key)} twice.`);
      setMember(result, key, this.run(valueExpr, frame));
    }
    return result;
  }

  #chain(expr: Of<"chain">, frame: Frame | null): Value {
    let left = this.run(expr.first, frame);
    let hasBuilt = false;
    for (const { operator, right } of expr.rest) {
      left = applyBinary(operator, left, this.run(right, frame), this.#budget, hasBuilt);
      hasBuilt = operator === "+" && typeof left === "string";
    }
    return left;
  }

  #logic(expr: Of<"and"> | Of<"or">, decisive: boolean, frame: Frame | null): boolean {
    const what = `An operand of \`${decisive ? "||" : "&&"}\``;
    return this.#decide(expr.operands, decisive, (operand) => asBool(this.run(operand, frame), what));
  }

  #matches(expr: Of<"matches">, frame: Frame | null): boolean {
    const text = this.run(expr.text, frame);
    if (typeof text !== "string") throw failed(`matches() needs a string, got ${typeName(text)}.`);
    return matchesRegex(expr.automaton, text, this.#budget);
  }

  #secret(name: string): Value {
    if (this.#secretMarker === undefined) throw failed("secret() cannot be used here.");
    return this.#secretMarker(name);
  }

  #macro(expr: Of<"macro">, frame: Frame | null): Value {
    const items = this.#items(this.run(expr.range, frame), expr.macro);
    const test = (body: Expr, value: Value): boolean =>
      asBool(this.run(body, { name: expr.variable, value, outer: frame }), `The test of ${expr.macro}()`);
    switch (expr.macro) {
      case "map":
        return this.#mapItems(expr, items, test, frame);
      case "filter":
        return items.filter((item) => test(expr.body, item));
      case "exists_one":
        return items.filter((item) => test(expr.body, item)).length === 1;
      case "all":
        return this.#decide(items, false, (item) => test(expr.body, item));
      case "exists":
        return this.#decide(items, true, (item) => test(expr.body, item));
    }
  }

  #mapItems(
    expr: Of<"macro">,
    items: Value[],
    test: (body: Expr, value: Value) => boolean,
    frame: Frame | null,
  ): Value[] {
    const { filter, body, variable } = expr;
    const chosen = filter === null ? items : items.filter((item) => test(filter, item));
    return chosen.map((value) => this.run(body, { name: variable, value, outer: frame }));
  }

  #items(range: Value, macro: string): Value[] {
    if (Array.isArray(range)) return range;
    if (!isObject(range)) throw failed(`${macro}() needs a list or an object, got ${typeName(range)}.`);
    const keys = Object.keys(range);
    this.#budget.step(keys.length);
    return keys;
  }

  /** `&&`, `||`, `all` and `exists`: a part that decides does so even if one before it failed, as CEL defines. */
  #decide<T>(parts: readonly T[], decisive: boolean, test: (part: T) => boolean): boolean {
    let failure: ExpressionError | null = null;
    for (const part of parts) {
      try {
        if (test(part) === decisive) return decisive;
      } catch (error) {
        const postponed = this.#postpone(error);
        failure ??= postponed;
      }
    }
    if (failure !== null) throw failure;
    return !decisive;
  }

  /** Keeps a failure for later; a limit and anything unexpected end the evaluation at once. */
  #postpone(error: unknown): ExpressionError {
    if (!isFailure(error)) throw error;
    this.#budget.step(FAILURE_STEPS);
    return error;
  }
}

function asBool(value: Value, what: string): boolean {
  if (typeof value === "boolean") return value;
  throw failed(`${what} must be true or false, got ${typeName(value)}.`);
}

function negate(value: Value): Value {
  if (typeof value === "number") return -value;
  if (typeof value === "bigint" && value > MIN_INT) return -value;
  if (typeof value === "bigint") throw failed(`The negative of ${value} does not fit 64 bits.`);
  throw failed(`\`-\` cannot be applied to ${typeName(value)}.`);
}

function memberOf(target: Value, key: Value): Value | undefined {
  if (Array.isArray(target)) {
    if (!isNumber(key)) return undefined;
    return target[toInteger(key, "The index of a list")];
  }
  return isObject(target) && typeof key === "string" ? getMember(target, key) : undefined;
}

/** Says which part of a path does not exist, and what to do about it. */
function missing(target: Value, key: Value, expr: Of<"select"> | Of<"index">): Error {
  const place = pathText(expr.target);
  const shown = typeof key === "string" ? quoted(key) : isNumber(key) ? String(key) : typeName(key);
  if (Array.isArray(target)) {
    if (isNumber(key)) return failed(`\`${place}\` has ${target.length} items, so there is no index ${shown}.`);
    return failed(`\`${place}\` is a list; its items are read by number, as in ${place}[0].`);
  }
  if (!isObject(target))
    return failed(`\`${place}\` is ${typeName(target)}, so it has no key ${shown}. ${advice(expr)}`);
  if (typeof key !== "string")
    return failed(`\`${place}\` is an object; its keys are strings, got ${typeName(key)}. Convert with string(x).`);
  return failed(`\`${place}\` has no key ${shown}. ${advice(expr)}`);
}

function advice(expr: Expr): string {
  const path = pathText(expr);
  return `Test with has(${path}), or use default(${path}, fallback).`;
}
