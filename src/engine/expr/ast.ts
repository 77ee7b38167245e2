/**
 * Expressions as trees, in the form in which they are checked and evaluated.
 *
 * Owns: the shape. It differs from the parser's tree in that macros, regular expressions and functions are resolved and
 * chains of operators are flat, so that the depth of a tree is what a reader would call its nesting.
 */
import type { ExpressionFunction } from "./functionTable.js";
import type { BinaryOperator } from "./operators.js";
import type { Automaton } from "./regexMatch.js";

export type Macro = "all" | "exists" | "exists_one" | "filter" | "map";

export type Expr =
  | { kind: "literal"; value: null | boolean | string | number | bigint | Uint8Array }
  | { kind: "name"; name: string }
  | { kind: "select"; target: Expr; key: string }
  | { kind: "index"; target: Expr; key: Expr }
  | { kind: "list"; items: Expr[] }
  | { kind: "map"; entries: Array<[Expr, Expr]> }
  | { kind: "not"; operand: Expr }
  | { kind: "negate"; operand: Expr }
  /** `first op right op right ...`, from left to right. */
  | { kind: "chain"; first: Expr; rest: Array<{ operator: BinaryOperator; right: Expr }> }
  | { kind: "and"; operands: Expr[] }
  | { kind: "or"; operands: Expr[] }
  | { kind: "conditional"; condition: Expr; yes: Expr; no: Expr }
  | { kind: "call"; name: string; fn: ExpressionFunction; args: Expr[] }
  | { kind: "matches"; text: Expr; automaton: Automaton }
  | { kind: "has"; path: Expr }
  | { kind: "default"; value: Expr; fallback: Expr }
  | { kind: "secret"; name: string }
  | { kind: "bind"; variable: string; value: Expr; body: Expr }
  /** `range.macro(variable, body)`, for `map` also `range.map(variable, filter, body)`. */
  | { kind: "macro"; macro: Macro; range: Expr; variable: string; filter: Expr | null; body: Expr };

/** An expression as a user would write it, if it is a path such as `input.user["first name"]`; else a stand-in. */
export function pathText(expr: Expr): string {
  switch (expr.kind) {
    case "name":
      return expr.name;
    case "select":
      return `${pathText(expr.target)}.${expr.key}`;
    case "index":
      return `${pathText(expr.target)}[${pathText(expr.key)}]`;
    case "literal":
      return typeof expr.value === "string" ? JSON.stringify(expr.value) : String(expr.value);
    default:
      return "(...)";
  }
}

/** The expressions directly below one, without the bodies that see a further variable. */
export function operandsOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case "literal":
    case "name":
    case "secret":
      return [];
    case "select":
      return [expr.target];
    case "index":
      return [expr.target, expr.key];
    case "list":
      return expr.items;
    case "map":
      return expr.entries.flat();
    case "not":
    case "negate":
      return [expr.operand];
    case "chain":
      return [expr.first, ...expr.rest.map((link) => link.right)];
    case "and":
    case "or":
      return expr.operands;
    case "conditional":
      return [expr.condition, expr.yes, expr.no];
    case "call":
      return expr.args;
    case "matches":
      return [expr.text];
    case "has":
      return [expr.path];
    case "default":
      return [expr.value, expr.fallback];
    case "bind":
      return [expr.value];
    case "macro":
      return [expr.range];
  }
}

/** The expressions below one that also see its variable. */
export function bodiesOf(expr: Expr): readonly Expr[] {
  if (expr.kind === "bind") return [expr.body];
  if (expr.kind !== "macro") return [];
  return expr.filter === null ? [expr.body] : [expr.filter, expr.body];
}
