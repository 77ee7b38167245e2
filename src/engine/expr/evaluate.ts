/**
 * Evaluating expressions and rendering templates over JSON.
 *
 * Owns: the bounds of one evaluation and of one template, and the way from results to JSON. Invariants: rendering is
 * single-pass, since templates are parsed before any data is seen and data is never parsed; the same expression over
 * the same scope gives the same result, whatever was evaluated before.
 */
import type { Json, JsonObject } from "../../shared/json.js";
import {
  MAX_DEFINITION_BYTES,
  MAX_EXPRESSION_STEPS,
  MAX_TEMPLATE_STEPS,
  MAX_VALUE_BYTES,
} from "../../shared/limits.js";
import type { Template } from "../plan.js";
import type { Expr } from "./ast.js";
import { Budget } from "./budget.js";
import { ExpressionError, invalid, notBoolean } from "./error.js";
import { interpret } from "./interpret.js";
import { parseExpression } from "./parse.js";
import { toJson } from "./result.js";
import { setMember, typeName, type Value } from "./values.js";

/** What an expression may name: `input`, `vars`, `nodes`, ... and the locals of loops. A name not given is absent. */
export type Scope = { [name: string]: Json };

export type EvaluatorOptions = {
  /** Gives the text that stands for a secret until the arguments are sent. Without it `secret()` fails. */
  secretMarker?: (name: string) => string;
};

export type Evaluator = {
  /** @throws {ExpressionError} */
  evaluate(source: string, scope: Scope): Json;
  /** @throws {ExpressionError} with EXPRESSION_NOT_BOOLEAN when the result is not true or false. */
  evaluateBoolean(source: string, scope: Scope): boolean;
  /** @throws {ExpressionError} */
  render(template: Template, scope: Scope): Json;
};

/**
 * Parsed expressions, shared by all evaluators: they depend on the text alone, and hosts make an evaluator per node run.
 * Emptied when they amount to more text than one definition can hold.
 */
const programs = new Map<string, Expr>();
let programChars = 0;

function programOf(source: string): Expr {
  const known = programs.get(source);
  if (known !== undefined) return known;
  const { expr, problems } = parseExpression(source);
  if (expr === null || problems.length > 0) {
    throw invalid(problems[0]?.message ?? "The expression cannot be parsed.");
  }
  if (programChars + source.length > MAX_DEFINITION_BYTES) {
    programs.clear();
    programChars = 0;
  }
  programs.set(source, expr);
  programChars += source.length;
  return expr;
}

export function createEvaluator(options: EvaluatorOptions = {}): Evaluator {
  return new CelEvaluator(options);
}

class CelEvaluator implements Evaluator {
  readonly #secretMarker: EvaluatorOptions["secretMarker"];

  constructor({ secretMarker }: EvaluatorOptions) {
    this.#secretMarker = secretMarker;
  }

  evaluate(source: string, scope: Scope): Json {
    return named(source, () => toJson(this.#run(source, scope, new Budget()), MAX_VALUE_BYTES).json);
  }

  evaluateBoolean(source: string, scope: Scope): boolean {
    return named(source, () => {
      const value = this.#run(source, scope, new Budget());
      if (typeof value === "boolean") return value;
      throw notBoolean(typeName(value));
    });
  }

  render(template: Template, scope: Scope): Json {
    return new Rendering((source, budget) => this.#run(source, scope, budget)).whole(template);
  }

  #run(source: string, scope: Scope, budget: Budget): Value {
    return interpret(programOf(source), { scope, budget, secretMarker: this.#secretMarker });
  }
}

/** Lets errors name the expression they happened in. */
function named<T>(source: string, evaluate: () => T): T {
  try {
    return evaluate();
  } catch (error) {
    throw error instanceof ExpressionError ? error.in(source) : error;
  }
}

/** One pass over a template. Its expressions share the bounds on steps and size. */
class Rendering {
  readonly #run: (source: string, budget: Budget) => Value;
  #stepsLeft = MAX_TEMPLATE_STEPS;
  #bytesLeft = MAX_VALUE_BYTES;

  constructor(run: (source: string, budget: Budget) => Value) {
    this.#run = run;
  }

  whole(template: Template): Json {
    const json = this.#render(template);
    // Expressions were measured one by one; the text between them was not.
    if (template.kind !== "literal" && template.kind !== "expression") toJson(json, MAX_VALUE_BYTES);
    return json;
  }

  #render(template: Template): Json {
    switch (template.kind) {
      case "literal":
        return template.value;
      case "expression":
        return this.#evaluate(template.source);
      case "text":
        return template.parts
          .map((part) => (typeof part === "string" ? part : toText(this.#evaluate(part.source))))
          .join("");
      case "array":
        return template.items.map((item) => this.#render(item));
      case "object": {
        const object: JsonObject = {};
        for (const [key, member] of template.entries) setMember(object, key, this.#render(member));
        return object;
      }
    }
  }

  #evaluate(source: string): Json {
    return named(source, () => {
      const steps = Math.min(this.#stepsLeft, MAX_EXPRESSION_STEPS);
      const what =
        steps < MAX_EXPRESSION_STEPS
          ? `${MAX_TEMPLATE_STEPS} steps together with the others of its template`
          : undefined;
      const budget = new Budget(steps, what);
      const { json, bytes } = toJson(this.#run(source, budget), this.#bytesLeft);
      this.#stepsLeft -= steps - budget.stepsLeft;
      this.#bytesLeft -= bytes;
      return json;
    });
  }
}

/** How a value appears within text: null as nothing, lists and objects as JSON. */
function toText(value: Json): string {
  if (value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
