/**
 * What the keywords of a JSON Schema may hold.
 *
 * Owns: one rule per keyword, and the default check of patterns. A rule answers with what is wrong, or null.
 */
import { isJsonObject, type Json } from "../shared/json.js";
import { MAX_REGEX_LENGTH } from "../shared/limits.js";
import { FORMATS } from "./jsonSchemaParts.js";

/** Says what is wrong with a regular expression, or null. */
export type PatternCheck = (pattern: string) => string | null;
type Rule = (value: Json, checkPattern: PatternCheck) => string | null;

const TYPES = ["array", "boolean", "integer", "null", "number", "object", "string"];

const ANCHOR = /^[A-Za-z_][-A-Za-z0-9._]*$/;

const isName = (value: Json): value is string => typeof value === "string";
const isNames = (value: Json): boolean => Array.isArray(value) && value.every(isName);
const isType = (value: Json): boolean => isName(value) && TYPES.includes(value);
const isCount = (value: Json): boolean => typeof value === "number" && Number.isInteger(value) && value >= 0;

const must =
  (holds: (value: Json) => boolean, expected: string): Rule =>
  (value) =>
    holds(value) ? null : `must be ${expected}`;
const refused =
  (advice: string): Rule =>
  () =>
    `is not supported; ${advice}`;

const count = must(isCount, "a whole number of at least 0");
const bound = must((value) => typeof value === "number", "a number");
const schemaList = must((value) => Array.isArray(value) && value.length > 0, "a list of at least one schema");
const schemaMap = must(isJsonObject, "an object whose members are schemas");
const noDynamicScope = refused('use "$ref"');

/** Rules by keyword. One without a rule holds a schema, which is checked itself, or is an annotation. */
export const KEYWORD_RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  [
    "type",
    must(
      (value) => isType(value) || (Array.isArray(value) && value.length > 0 && value.every(isType)),
      `one of ${TYPES.join(", ")}, or a list of them`,
    ),
  ],
  ["enum", must((value) => Array.isArray(value) && value.length > 0, "a list of at least one value")],
  ["required", must(isNames, "a list of property names")],
  [
    "dependentRequired",
    must((value) => isJsonObject(value) && Object.values(value).every(isNames), "an object of lists of property names"),
  ],
  ...["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"].map(
    (key) => [key, count] as const,
  ),
  ...["minContains", "maxContains"].map((key) => [key, count] as const),
  ...["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"].map((key) => [key, bound] as const),
  ["multipleOf", must((value) => typeof value === "number" && value > 0, "a number over 0")],
  ["uniqueItems", must((value) => typeof value === "boolean", "true or false")],
  ["$anchor", must((value) => isName(value) && ANCHOR.test(value), "a name of letters, digits, -, _ and .")],
  [
    "$ref",
    must((value) => isName(value) && value.startsWith("#"), 'a reference within this schema, such as "#/$defs/name"'),
  ],
  [
    "format",
    (value) =>
      !isName(value)
        ? "must be a string"
        : value === "url"
          ? `is not supported as "url"; use "uri" (known: ${[...FORMATS].join(", ")})`
          : null,
  ],
  ["pattern", (value, checkPattern) => (isName(value) ? checkPattern(value) : "must be a string")],
  ...["allOf", "anyOf", "oneOf", "prefixItems"].map((key) => [key, schemaList] as const),
  ...["properties", "$defs", "definitions", "dependentSchemas"].map((key) => [key, schemaMap] as const),
  [
    "patternProperties",
    (value, checkPattern) => {
      if (!isJsonObject(value)) return "must be an object of schemas by pattern";
      for (const pattern of Object.keys(value)) {
        const problem = checkPattern(pattern);
        if (problem !== null)
          return `has the pattern ${JSON.stringify(pattern.slice(0, MAX_REGEX_LENGTH))}, which ${problem}`;
      }
      return null;
    },
  ],
  [
    "dependencies",
    must(
      (value) => isJsonObject(value) && Object.values(value).every((item) => !Array.isArray(item) || isNames(item)),
      "an object whose members are schemas or lists of property names",
    ),
  ],
  ...["$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"].map(
    (key) => [key, noDynamicScope] as const,
  ),
]);

/**
 * The check of a pattern where no better one is given: bounded length, compiles, and no repetition directly inside
 * another one, the shape that takes exponential time.
 */
export function refuseHostilePattern(pattern: string): string | null {
  if (pattern.length > MAX_REGEX_LENGTH) return `is longer than ${MAX_REGEX_LENGTH} characters`;
  try {
    new RegExp(pattern, "u");
  } catch {
    return "is not a regular expression";
  }
  return hasNestedRepetition(pattern)
    ? "repeats a group that holds a repetition, which can take exponential time"
    : null;
}

/** A group repeated this often or less around a repetition costs at most a power of that order. */
const MAX_OUTER_REPEATS = 3;
const QUANTIFIER = /^(?:[*+]|\{(\d+)(,?)(\d*)\})/;

function hasNestedRepetition(pattern: string): boolean {
  // One entry per open group: whether it holds a repetition without an end.
  const open: boolean[] = [false];
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i];
    let holdsRepetition = false;
    if (char === "(") {
      open.push(false);
      continue;
    }
    if (char === "\\") i++;
    else if (char === "[") i = endOfClass(pattern, i);
    else if (char === ")") holdsRepetition = open.pop() ?? false;
    const quantifier = QUANTIFIER.exec(pattern.slice(i + 1));
    const repeats = quantifier === null ? 1 : maxRepeats(quantifier);
    if (holdsRepetition && repeats > MAX_OUTER_REPEATS) return true;
    if (holdsRepetition || repeats === Infinity) open[open.length - 1] = true;
    if (quantifier !== null) i += quantifier[0].length;
  }
  return false;
}

function maxRepeats([, least, comma, most]: RegExpExecArray): number {
  if (least === undefined) return Infinity;
  if (comma === "") return Number(least);
  return most === undefined || most === "" ? Infinity : Number(most);
}

function endOfClass(pattern: string, start: number): number {
  let i = start + 1;
  while (i < pattern.length && pattern[i] !== "]") i += pattern[i] === "\\" ? 2 : 1;
  return i;
}
