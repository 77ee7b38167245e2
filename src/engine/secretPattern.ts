/**
 * How a secret can look in a text.
 *
 * Owns: the patterns that find one secret as it is, escaped for JSON (up to four times: an error text inside an error
 * text, inside a message that is stored as JSON), escaped for a URI or a form, in base64 and base64url at any alignment,
 * and in hex. Invariant: all repetition in a pattern is bounded and followed by something else, so a search is linear in
 * the text, whatever the text holds.
 */
const ALPHANUMERIC = /[A-Za-z0-9]/;
/** JSON strings inside JSON strings. A secret without quotes and the like looks the same in all of them. */
const JSON_LEVELS = [1, 2, 3, 4];
const JSON_SHORT_ESCAPES: Record<string, string> = { "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t" };
/** A percent sign, itself escaped up to twice. */
const PERCENT = "%(?:25){0,2}";
const utf8 = new TextEncoder();

/**
 * Global patterns, one for each form of the secret. Two of them can match at one place with different lengths, so
 * take all matches of all of them. For secrets longer than a few bytes only: a short one is found everywhere.
 */
export function secretPatterns(secret: string): RegExp[] {
  const bytes = utf8.encode(secret);
  const forms = new Set([
    escapedForm(secret, uriCharacter),
    ...JSON_LEVELS.map((level) => escapedForm(secret, (char) => jsonCharacter(char, level))),
    base64Form(bytes, 0),
    base64Form(bytes, 1),
    base64Form(bytes, 2),
    Array.from(bytes, hexByte).join(""),
  ]);
  return Array.from(forms, (form) => new RegExp(form, "g"));
}

/** Character by character, because encoders differ in which characters they escape. */
function escapedForm(text: string, character: (char: string) => string): string {
  return Array.from(text, character).join("");
}

function uriCharacter(char: string): string {
  if (ALPHANUMERIC.test(char)) return char;
  const escaped = Array.from(utf8.encode(char), (byte) => PERCENT + hexByte(byte)).join("");
  return `(?:${escaped}|${literal(char)}${char === " " ? "|\\+" : ""})`;
}

/** The character inside a JSON string inside as many further JSON strings as `level` says. */
function jsonCharacter(char: string, level: number): string {
  if (ALPHANUMERIC.test(char)) return char;
  const unitEscapes = Array.from({ length: char.length }, (_, i) => {
    const unit = char.charCodeAt(i);
    return `${backslashes(2 ** (level - 1))}u${hexByte(unit >> 8)}${hexByte(unit & 0xff)}`;
  }).join("");
  return `(?:${jsonSpelling(char, level)}|${unitEscapes})`;
}

function jsonSpelling(char: string, level: number): string {
  const short = JSON_SHORT_ESCAPES[char];
  if (short !== undefined) return backslashes(2 ** (level - 1)) + short;
  if (char === "\\") return backslashes(2 ** level);
  if (char === '"') return `${backslashes(2 ** level - 1)}"`;
  if (char === "/") return `(?:${backslashes(2 ** level - 1)})?/`;
  return literal(char);
}

/**
 * Base64 of the bytes after `offset` (modulo 3) other bytes. What stands before and after them shares a character
 * with them; only the characters that hold nothing else are looked for. The shared last one is taken along.
 */
function base64Form(bytes: Uint8Array, offset: 0 | 1 | 2): string {
  const binary = "\0".repeat(offset) + Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  const firstWhole = Math.ceil((offset * 8) / 6);
  const afterLastWhole = Math.floor((binary.length * 8) / 6);
  const whole = Array.from(btoa(binary).slice(firstWhole, afterLastWhole), base64Character).join("");
  const sharesLast = binary.length % 3 !== 0;
  return sharesLast ? `${whole}[A-Za-z0-9+/_-]?(?:=|${PERCENT}3[dD]){0,2}` : whole;
}

function base64Character(char: string): string {
  if (char === "+") return `(?:[+-]|${PERCENT}2[bB]|\\\\{1,2}u002[bB])`;
  if (char === "/") return `(?:_|\\\\{0,3}/|${PERCENT}2[fF])`;
  return char;
}

/** Two hex digits of either case. */
function hexByte(byte: number): string {
  return byte
    .toString(16)
    .padStart(2, "0")
    .replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);
}

function backslashes(count: number): string {
  return `\\\\{${count}}`;
}

function literal(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
}
