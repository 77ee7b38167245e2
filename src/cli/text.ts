/**
 * Words and lines for a terminal.
 *
 * Invariant: text of a definition is shown so that it can neither end a line nor steer the terminal.
 */
import type { Problem } from "../engine/definition/problems.js";

/** How a file is called in messages. */
export function nameOfFile(file: string): string {
  return file === "-" ? "standard input" : file;
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** `nodes.a.next.done: PORT_UNKNOWN ... (suggestion: success)` */
export function problemLine({ path, code, message, suggestion }: Problem): string {
  const hint = suggestion === null ? "" : ` (suggestion: ${suggestion})`;
  return oneLine(`${path === "" ? "definition" : path}: ${code} ${message}${hint}`);
}

/** Text in one line; what would steer a terminal is written out. */
export function oneLine(text: string): string {
  return printable(text.replace(/\s*[\r\n]+\s*/g, " "));
}

/** Control characters, and those that turn the direction of text, as JSON would escape them. Line breaks too. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
