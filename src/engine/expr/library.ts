/**
 * The two things that this folder takes from cel-js: its parser, and its timestamps and durations.
 *
 * Expressions are not evaluated by the library, because its evaluator cannot be bounded (`||`, `all` and `exists`
 * swallow any error, also one that a fuel counter throws), refuses mixed numbers and mixed branches while checking
 * types, and drops or misreads keys such as `constructor`. Its parser is strict and its scalar functions are sound, so
 * those are used: {@link callLibrary} evaluates one fixed operation on scalars, never text of a user.
 */
import { Environment, ParseError, EvaluationError, type ParseResult } from "@marcbachmann/cel-js";
import type { ASTNode } from "@marcbachmann/cel-js";
import { MAX_EXPRESSION_AST_NODES, MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_LITERAL_ITEMS } from "../../shared/limits.js";
import { failed } from "./error.js";
import { Duration, type Value } from "./values.js";

export type { ASTNode };

const parser = new Environment({
  unlistedVariablesAreDyn: true,
  // Parsed so that the builder can say what to use instead.
  enableOptionalTypes: true,
  limits: {
    maxAstNodes: MAX_EXPRESSION_AST_NODES,
    maxDepth: MAX_EXPRESSION_DEPTH,
    maxListElements: MAX_EXPRESSION_LITERAL_ITEMS,
    maxMapEntries: MAX_EXPRESSION_LITERAL_ITEMS,
  },
});

/** Where and why a text is not an expression. */
export type SyntaxProblem = { message: string; position: number | null };

/** Parses an expression; the caller has bounded its length. */
export function parseSyntax(source: string): ASTNode | SyntaxProblem {
  try {
    return parser.parse(source).ast;
  } catch (error) {
    if (error instanceof ParseError) {
      return { message: explain(error.summary), position: error.range?.start ?? null };
    }
    // The parser recurses over prefix operators without a bound of its own.
    if (error instanceof RangeError) return { message: "it is nested too deep", position: null };
    throw error;
  }
}

const SYMBOLS: Readonly<Record<string, string>> = {
  EOF: "the end",
  NUMBER: "a number",
  STRING: "a string",
  BOOLEAN: "true or false",
  NULL: "null",
  IDENTIFIER: "a name",
  BYTES: "a bytes literal",
  IN: "`in`",
  PLUS: "`+`",
  MINUS: "`-`",
  MULTIPLY: "`*`",
  DIVIDE: "`/`",
  MODULO: "`%`",
  EQ: "`==`",
  NE: "`!=`",
  LT: "`<`",
  LE: "`<=`",
  GT: "`>`",
  GE: "`>=`",
  AND: "`&&`",
  OR: "`||`",
  NOT: "`!`",
  LPAREN: "`(`",
  RPAREN: "`)`",
  LBRACKET: "`[`",
  RBRACKET: "`]`",
  LBRACE: "`{`",
  RBRACE: "`}`",
  DOT: "`.`",
  COMMA: "`,`",
  COLON: "`:`",
  QUESTION: "`?`",
};

const LIMITS: Readonly<Record<string, string>> = {
  maxAstNodes: `it has more than ${MAX_EXPRESSION_AST_NODES} parts`,
  maxDepth: `it is nested deeper than ${MAX_EXPRESSION_DEPTH} levels`,
  maxListElements: `a list literal has more than ${MAX_EXPRESSION_LITERAL_ITEMS} items`,
  maxMapEntries: `a map literal has more than ${MAX_EXPRESSION_LITERAL_ITEMS} entries`,
};

/** Puts the library's summary into words of the language. */
function explain(summary: string): string {
  const limit = /^Exceeded (\w+)/.exec(summary);
  if (limit?.[1] !== undefined) return LIMITS[limit[1]] ?? summary;
  const text = summary.replace(/\b[A-Z]{2,}\b/g, (token) => SYMBOLS[token] ?? token);
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** Price of a call with a time zone, which goes through Intl and takes some 20 microseconds. */
export const TIME_ZONE_STEPS = 200;

const calculator = new Environment({ unlistedVariablesAreDyn: true });
const programs = new Map<string, ParseResult>();

/**
 * Evaluates one operation of the library on scalars; undefined when it has none for operands of these types.
 * @param operation - a fixed text in which `a` and `b` stand for the operands.
 */
export function callLibrary(operation: string, a: Value, b: Value = null): Value | undefined {
  let program = programs.get(operation);
  if (program === undefined) {
    program = calculator.parse(operation);
    programs.set(operation, program);
  }
  try {
    return checked(program({ a, b }));
  } catch (error) {
    if (error instanceof EvaluationError && /^no_(such|matching)_overload$/.test(error.code)) return undefined;
    if (error instanceof EvaluationError) throw failed(`${error.summary}.`);
    // Date and Intl refuse an unknown time zone with a RangeError.
    if (error instanceof RangeError) throw failed(`${error.message}.`);
    throw error;
  }
}

/** The library is untyped here: its result is one of the scalars that the operation is known to give. */
function checked(result: unknown): Value {
  if (result instanceof Date) {
    if (Number.isNaN(result.getTime())) throw failed("The timestamp is out of range.");
    return result;
  }
  if (result instanceof Duration || typeof result === "bigint") return result;
  throw failed(`The operation gave a ${typeof result}, which expressions do not know.`);
}
