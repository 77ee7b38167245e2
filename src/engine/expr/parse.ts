/**
 * From text to a checked tree.
 *
 * Owns: the bounds on the text and the tree, and what can be told without knowing the names in scope. Invariant: a tree
 * without problems can be evaluated; its depth is at most {@link MAX_EXPRESSION_DEPTH}.
 */
import { MAX_EXPRESSION_LENGTH } from "../../shared/limits.js";
import type { Expr } from "./ast.js";
import { Builder } from "./build.js";
import type { ExpressionProblem } from "./error.js";
import { parseSyntax } from "./library.js";
import { skipQuoted } from "./scan.js";

/** `expr` is null when the text does not parse at all. */
export type Parsed = { expr: Expr | null; problems: ExpressionProblem[] };

export function parseExpression(source: string): Parsed {
  const refuse = (message: string): Parsed => ({
    expr: null,
    problems: [{ code: "EXPRESSION_INVALID", message, source }],
  });
  if (source.length > MAX_EXPRESSION_LENGTH) {
    return refuse(`The expression has ${source.length} characters; at most ${MAX_EXPRESSION_LENGTH} are allowed.`);
  }
  if (source.trim() === "") return refuse("The expression is empty.");
  const { text, alias } = withoutReservedLoop(source);
  const syntax = parseSyntax(text);
  if ("message" in syntax) {
    const place = syntax.position === null ? "" : `at character ${syntax.position + 1}, `;
    return refuse(`The expression cannot be parsed: ${place}${syntax.message.replaceAll(alias, "loop")}.`);
  }
  const builder = new Builder(source, alias);
  return { expr: builder.build(syntax, 1), problems: builder.problems };
}

/**
 * CEL reserves the word `loop`, which expressions here may use as a name. It is parsed as an alias of the same length
 * (so that positions stay right) that does not occur in the text (so that it can be told apart).
 */
function withoutReservedLoop(source: string): { text: string; alias: string } {
  let alias = "loop";
  for (let i = 0; alias === "loop" || source.includes(alias); i++) alias = `L${i.toString(36).padStart(3, "0")}`;
  let text = "";
  for (let at = 0; at < source.length;) {
    const end = skipQuoted(source, at);
    const word = /^\w+/.exec(source.slice(at))?.[0];
    if (end === null) return { text: text + source.slice(at), alias };
    const next = end > at ? end : at + (word?.length ?? 1);
    text += word === "loop" ? alias : source.slice(at, next);
    at = next;
  }
  return { text, alias };
}
