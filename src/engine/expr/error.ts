/**
 * What is wrong with an expression, before it runs and when it does.
 *
 * Owns: the problems that publishing reports, and the one error that this folder throws. Invariant: the message names the expression, never the data as a whole
 * and never a secret; the walker turns code and message into a node error.
 */
import { truncateText } from "../../shared/nodeError.js";

export type ExpressionErrorCode =
  /** It failed on this data: missing key, wrong type, division by zero. */
  | "EXPRESSION_FAILED"
  /** A condition gave something else than true or false. */
  | "EXPRESSION_NOT_BOOLEAN"
  /** It took more steps, built more text or gave a larger value than allowed. */
  | "EXPRESSION_LIMIT"
  /** It does not parse or is over a bound; publishing refuses such an expression. */
  | "EXPRESSION_INVALID";

/** What publishing reports about an expression. */
export type ExpressionProblem = {
  code: "EXPRESSION_INVALID";
  message: string;
  /** The expression. */
  source: string;
  /** What to write instead, where that can be told. */
  suggestion?: string;
};

/** Longest part of an expression that a message repeats. */
const SHOWN_SOURCE_CHARS = 200;

export class ExpressionError extends Error {
  readonly code: ExpressionErrorCode;
  /** The expression; empty until {@link ExpressionError.in} names it. */
  readonly source: string;
  readonly #what: string;

  constructor(code: ExpressionErrorCode, what: string, source = "") {
    super(source === "" ? what : `${what} (in \`${truncateText(source, SHOWN_SOURCE_CHARS)}\`)`);
    this.name = "ExpressionError";
    this.code = code;
    this.source = source;
    this.#what = what;
  }

  /** The same error, naming the expression in which it happened. */
  in(source: string): ExpressionError {
    return new ExpressionError(this.code, this.#what, source);
  }
}

/** The expression failed on this data. */
export function failed(what: string): ExpressionError {
  return new ExpressionError("EXPRESSION_FAILED", what);
}

/** The expression went over a bound. */
export function limited(what: string): ExpressionError {
  return new ExpressionError("EXPRESSION_LIMIT", what);
}

/** The text is not an expression that can run. */
export function invalid(what: string): ExpressionError {
  return new ExpressionError("EXPRESSION_INVALID", what);
}

/** A condition gave something else than true or false. */
export function notBoolean(found: string): ExpressionError {
  return new ExpressionError("EXPRESSION_NOT_BOOLEAN", `The condition must give true or false, but gave ${found}.`);
}

/** True for an error that `||`, `&&`, `all` and `exists` may outvote, as CEL defines; limits never are. */
export function isFailure(error: unknown): error is ExpressionError {
  return error instanceof ExpressionError && error.code === "EXPRESSION_FAILED";
}
