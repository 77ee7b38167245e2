/**
 * From the parser's tree to ours.
 *
 * Owns: resolving macros, functions and regular expressions, with a problem for each that does not exist or is used
 * wrongly. A part with a problem becomes a null literal, so that the rest is still checked.
 */
import { MAX_EXPRESSION_DEPTH } from "../../shared/limits.js";
import { nearest } from "../definition/suggest.js";
import type { Expr, Macro } from "./ast.js";
import type { ExpressionProblem } from "./error.js";
import { findFunction, FUNCTION_NAMES, isForm, isMacro, type Form } from "./functions.js";
import type { ASTNode } from "./library.js";
import { MAX_INT, MIN_INT, type BinaryOperator } from "./operators.js";
import { compileRegex } from "./regex.js";

type Node<K extends ASTNode["op"]> = Extract<ASTNode, { op: K }>;
type Call = { name: string; receiver: ASTNode | null; args: readonly ASTNode[]; depth: number };

const NOTHING: Expr = { kind: "literal", value: null };

export class Builder {
  readonly problems: ExpressionProblem[] = [];
  readonly #source: string;
  readonly #alias: string;

  /** @param alias - what stands for the name `loop` in the tree. */
  constructor(source: string, alias: string) {
    this.#source = source;
    this.#alias = alias;
  }

  build(node: ASTNode, depth: number): Expr {
    if (depth > MAX_EXPRESSION_DEPTH)
      return this.#refuse(`The expression is nested deeper than ${MAX_EXPRESSION_DEPTH} levels.`);
    const inner = (child: ASTNode): Expr => this.build(child, depth + 1);
    switch (node.op) {
      case "value":
        return this.#literal(node.args);
      case "id":
        return { kind: "name", name: this.#word(node.args) };
      case ".":
        return { kind: "select", target: inner(node.args[0]), key: this.#word(node.args[1]) };
      case "[]":
        return { kind: "index", target: inner(node.args[0]), key: inner(node.args[1]) };
      case "list":
        return { kind: "list", items: node.args.map(inner) };
      case "map":
        return { kind: "map", entries: node.args.map(([key, value]) => [this.#mapKey(key, depth), inner(value)]) };
      case "?:":
        return {
          kind: "conditional",
          condition: inner(node.args[0]),
          yes: inner(node.args[1]),
          no: inner(node.args[2]),
        };
      case "!_":
        return { kind: "not", operand: inner(node.args) };
      case "-_":
        return this.#negation(node, depth);
      case "&&":
      case "||":
        return { kind: node.op === "&&" ? "and" : "or", operands: spine(node, node.op).map(inner) };
      case "call":
        return this.#call({ name: this.#word(node.args[0]), receiver: null, args: node.args[1], depth });
      case "rcall":
        return this.#call({ name: this.#word(node.args[0]), receiver: node.args[1], args: node.args[2], depth });
      case ".?":
      case "[?]":
        return this.#refuse("Optional access (`.?`) is not supported; use has(path) or default(path, fallback).");
      default:
        return this.#chain(node, depth);
    }
  }

  #word(word: string): string {
    return word === this.#alias ? "loop" : word;
  }

  #refuse(message: string, suggestion?: string | null): Expr {
    const problem: ExpressionProblem = { code: "EXPRESSION_INVALID", message, source: this.#source };
    if (suggestion !== undefined && suggestion !== null) problem.suggestion = suggestion;
    this.problems.push(problem);
    return NOTHING;
  }

  #literal(value: Node<"value">["args"]): Expr {
    if (typeof value === "bigint" && (value < MIN_INT || value > MAX_INT)) {
      return this.#refuse(`The integer ${value} does not fit 64 bits.`, `${value}.0`);
    }
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return { kind: "literal", value };
    return this.#refuse(`Unsigned integers such as ${String(value)}u are not supported.`, String(value));
  }

  #negation(node: Node<"-_">, depth: number): Expr {
    // So that the smallest integer can be written: its positive counterpart does not fit.
    if (node.args.op === "value" && typeof node.args.args === "bigint") return this.#literal(-node.args.args);
    return { kind: "negate", operand: this.build(node.args, depth + 1) };
  }

  #mapKey(key: ASTNode, depth: number): Expr {
    if (key.op === "value" && typeof key.args !== "string")
      return this.#refuse("Keys of a map literal must be strings.");
    return this.build(key, depth + 1);
  }

  #chain(node: Node<BinaryOperator>, depth: number): Expr {
    const rest: Array<{ operator: BinaryOperator; right: Expr }> = [];
    let first: ASTNode = node;
    while (isBinary(first)) {
      rest.unshift({ operator: first.op, right: this.build(first.args[1], depth + 1) });
      first = first.args[0];
    }
    return { kind: "chain", first: this.build(first, depth + 1), rest };
  }

  #call(call: Call): Expr {
    const { name, receiver, args } = call;
    if (isMacro(name)) return this.#macro(name, call);
    if (name === "bind" && receiver?.op === "id" && receiver.args === "cel") return this.#bind(call);
    if (isForm(name)) return this.#form(name, call);
    const fn = findFunction(name);
    if (fn === undefined) {
      return this.#refuse(`There is no function \`${name}\`.`, nearest(name, FUNCTION_NAMES));
    }
    const all = receiver === null ? args : [receiver, ...args];
    if (receiver !== null && fn.form === "function") {
      return this.#refuse(`\`${name}\` is not called on a value: write ${name}(x), not x.${name}().`);
    }
    if (all.length < fn.min || all.length > fn.max) return this.#wrongCount(name, fn.min, fn.max, all.length);
    return { kind: "call", name, fn, args: all.map((arg) => this.build(arg, call.depth + 1)) };
  }

  #wrongCount(name: string, min: number, max: number, found: number): Expr {
    const expected = `${min === max ? min : `${min} to ${max}`} argument${max === 1 ? "" : "s"}`;
    return this.#refuse(`${name}() takes ${expected}, counting the value before the dot, but got ${found}.`);
  }

  #macro(macro: Macro, { receiver, args, depth }: Call): Expr {
    const [first, ...exprs] = args;
    const most = macro === "map" ? 2 : 1;
    if (receiver === null || first?.op !== "id" || exprs.length < 1 || exprs.length > most) {
      return this.#refuse(`\`${macro}\` is written list.${macro}(x, expression), where x is a new name for each item.`);
    }
    const [body, filter = null] = exprs.map((expr) => this.build(expr, depth + 1)).reverse();
    if (body === undefined) return NOTHING;
    return {
      kind: "macro",
      macro,
      range: this.build(receiver, depth + 1),
      variable: this.#word(first.args),
      filter,
      body,
    };
  }

  #bind({ args, depth }: Call): Expr {
    const [variable, value, body] = args;
    if (variable?.op !== "id" || value === undefined || body === undefined || args.length !== 3) {
      return this.#refuse("`bind` is written cel.bind(name, value, expression).");
    }
    const inner = (node: ASTNode): Expr => this.build(node, depth + 1);
    return { kind: "bind", variable: this.#word(variable.args), value: inner(value), body: inner(body) };
  }

  #form(form: Form, { receiver, args, depth }: Call): Expr {
    const all = receiver === null ? args : [receiver, ...args];
    const count = form === "default" || form === "matches" ? 2 : 1;
    const [first, second] = all;
    if (first === undefined || all.length !== count) return this.#wrongCount(form, count, count, all.length);
    switch (form) {
      case "default":
        return second === undefined
          ? NOTHING
          : { kind: "default", value: this.build(first, depth + 1), fallback: this.build(second, depth + 1) };
      case "matches":
        return this.#matches(this.build(first, depth + 1), second);
      case "has": {
        const path = this.build(first, depth + 1);
        if (path.kind === "select" || path.kind === "index") return { kind: "has", path };
        return this.#refuse("has() takes a path such as has(input.user.name).");
      }
      case "secret":
        if (receiver === null && first.op === "value" && typeof first.args === "string")
          return { kind: "secret", name: first.args };
        return this.#refuse('secret() takes the name of a secret as a string: secret("NAME").');
    }
  }

  #matches(text: Expr, pattern: ASTNode | undefined): Expr {
    if (pattern?.op !== "value" || typeof pattern.args !== "string") {
      return this.#refuse(
        "The regular expression of matches() must be a string literal, so that it can be checked before it runs.",
      );
    }
    const regex = compileRegex(pattern.args);
    return regex.ok ? { kind: "matches", text, automaton: regex.automaton } : this.#refuse(regex.message);
  }
}

const BINARY: ReadonlySet<string> = new Set<BinaryOperator>([
  "!=",
  "==",
  "in",
  "+",
  "-",
  "*",
  "/",
  "%",
  "<",
  "<=",
  ">",
  ">=",
]);

function isBinary(node: ASTNode): node is Node<BinaryOperator> {
  return BINARY.has(node.op);
}

/** The operands of `a && b && c`, which the parser nests to the left. */
function spine(node: ASTNode, operator: "&&" | "||"): ASTNode[] {
  const operands: ASTNode[] = [];
  let left = node;
  while (left.op === operator) {
    operands.unshift(left.args[1]);
    left = left.args[0];
  }
  return [left, ...operands];
}
