/**
 * Finding strings and comments in the text of an expression, by the rules of CEL's lexer.
 * Used wherever braces or words must be told from the same characters inside of a string.
 */

/**
 * The position after the string literal or comment that begins at `at`; `at` itself when none begins there; null when
 * one begins but does not end. Raw and bytes prefixes need no care: what follows them ends by the same rules.
 */
export function skipQuoted(text: string, at: number): number | null {
  const char = text[at];
  if (char === "/" && text[at + 1] === "/") {
    const newline = text.indexOf("\n", at);
    return newline < 0 ? text.length : newline;
  }
  if (char !== '"' && char !== "'") return at;
  const isTriple = text[at + 1] === char && text[at + 2] === char;
  const quote = isTriple ? char.repeat(3) : char;
  for (let i = at + quote.length; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text.startsWith(quote, i)) return i + quote.length;
    else if (!isTriple && (text[i] === "\n" || text[i] === "\r")) return null;
  }
  return null;
}
