/**
 * JSON Schema: is a schema usable, and does a value match it.
 *
 * Owns: the two questions and the wording of their answers; @cfworker/json-schema interprets the schema (2020-12, with
 * the older `definitions`, `dependencies` and lists in `items`). Invariants: pure and total (nothing is thrown,
 * nothing is fetched), the number of problems is bounded, and neither schema nor value is changed.
 * Imported by the hot entry that starts executions: imports the validator and shared code only.
 */
import { Validator, type OutputUnit } from "@cfworker/json-schema";
import { shardflowErrorData } from "../shared/errors.js";
import { isJsonObject, type Json, type JsonObject } from "../shared/json.js";
import { MAX_JSON_DEPTH } from "../shared/limits.js";
import { truncateText } from "../shared/nodeError.js";
import { meteredCopy, partPointer, refTarget, schemaParts } from "./jsonSchemaParts.js";
import { KEYWORD_RULES, refuseHostilePattern, type PatternCheck } from "./jsonSchemaRules.js";

export type SchemaProblem = { path: string; message: string };

const MAX_PROBLEMS = 20;
const MAX_PROBLEM_CHARS = 300;
/** Of values up to this many parts all problems are collected; of larger ones the first in each branch. */
const SMALL_VALUE_PARTS = 2_000;
/** `uniqueItems` compares each item with each other one. */
const MAX_UNIQUE_ITEMS = 5_000;
const DRAFT = "2020-12";

/** Errors of the validator that only say that something below has errors of its own. */
const WRAPPERS = new Set([
  ...["$ref", "properties", "patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames"],
  ...["items", "prefixItems", "additionalItems", "unevaluatedItems", "allOf", "if", "dependentSchemas"],
]);

/**
 * Checks a value against a schema that {@link checkJsonSchema} found usable.
 * @returns the problems, at most 20; none when the value matches.
 */
export function validateJson(schema: Json, value: Json): SchemaProblem[] {
  const size = measure(value, SMALL_VALUE_PARTS);
  const copy = meteredCopy(schema);
  if (size.longestList > MAX_UNIQUE_ITEMS && usesUniqueItems(schema)) {
    const message = `A list has ${size.longestList} items; with "uniqueItems" in the schema ${MAX_UNIQUE_ITEMS} can be checked.`;
    return [{ path: "$", message }];
  }
  try {
    const { valid, errors } = new Validator(copy.schema, DRAFT, !size.isSmall).validate(value);
    if (valid) return [];
    const leaves = errors.filter((error) => !WRAPPERS.has(error.keyword));
    return (leaves.length > 0 ? leaves : errors).slice(0, MAX_PROBLEMS).map((error) => toProblem(error, value));
  } catch (error) {
    return [{ path: "$", message: `The value cannot be checked against the schema. ${reason(error)}` }];
  }
}

function toProblem(error: OutputUnit, value: Json): SchemaProblem {
  const forbidden = error.keyword === "enum" && error.error.endsWith(" [].");
  const message = forbidden ? "Not allowed by the schema." : truncateText(error.error, MAX_PROBLEM_CHARS);
  return { path: truncateText(readablePath(error.instanceLocation, value), MAX_PROBLEM_CHARS), message };
}

/** `#/items/0/a~1b` as `$.items[0].a/b`, the form of every path in the product. */
function readablePath(location: string, value: Json): string {
  let path = "$";
  let current: Json | undefined = value;
  for (const encoded of location.split("/").slice(1)) {
    const key = decodeURIComponent(encoded).replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(current)) {
      path += `[${key}]`;
      current = current[Number(key)];
    } else {
      path += `.${key}`;
      current = isJsonObject(current ?? null) ? (current as JsonObject)[key] : undefined;
    }
  }
  return path;
}

function reason(error: unknown): string {
  if (error instanceof RangeError) return "It has too many problems, or the schema refers to itself without end.";
  const text = shardflowErrorData(error)?.message ?? (error instanceof Error ? error.message : String(error));
  return truncateText(text.split("\n", 1)[0] ?? "", MAX_PROBLEM_CHARS);
}

function measure(value: Json, smallParts: number): { isSmall: boolean; longestList: number } {
  let parts = 0;
  let longestList = 0;
  const pending: Json[] = [value];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    parts++;
    if (Array.isArray(next)) longestList = Math.max(longestList, next.length);
    if (typeof next === "object" && next !== null) for (const member of Object.values(next)) pending.push(member);
  }
  return { isSmall: parts <= smallParts, longestList };
}

function usesUniqueItems(schema: Json): boolean {
  if (!isJsonObject(schema)) return false;
  return schema.uniqueItems === true || schemaParts(schema).some((part) => usesUniqueItems(part.schema));
}

/** A schema within the schema, by where it is. */
type Place = { path: string; schema: JsonObject };
type Places = Map<string, Place>;

/**
 * Checks that a schema can be used: keywords hold what they must, patterns are harmless, every `$ref` stays inside and
 * resolves, and nothing refers to itself without going into a property or an item.
 *
 * @param checkPattern - says what is wrong with a regular expression, or null.
 * @returns the problems, each with its place, at most 20; none when the schema is usable.
 */
export function checkJsonSchema(schema: Json, checkPattern: PatternCheck = refuseHostilePattern): string[] {
  const problems: string[] = [];
  const places: Places = new Map();
  collect({ schema, path: "$", pointer: "", depth: 0 }, places, problems);
  for (const place of places.values()) checkPlace(place, places, checkPattern, problems);
  if (problems.length === 0) checkLoops(places, problems);
  return problems.slice(0, MAX_PROBLEMS).map((problem) => truncateText(problem, MAX_PROBLEM_CHARS));
}

function collect(
  at: { schema: Json; path: string; pointer: string; depth: number },
  places: Places,
  problems: string[],
): void {
  if (typeof at.schema === "boolean") return void places.set(at.pointer, { path: at.path, schema: {} });
  if (!isJsonObject(at.schema)) return void problems.push(`${at.path} must be a schema (an object, true or false)`);
  if (at.depth > MAX_JSON_DEPTH) return void problems.push(`${at.path} is nested deeper than ${MAX_JSON_DEPTH} levels`);
  places.set(at.pointer, { path: at.path, schema: at.schema });
  if (typeof at.schema.$anchor === "string") places.set(at.schema.$anchor, { path: at.path, schema: at.schema });
  for (const part of schemaParts(at.schema)) {
    const member = part.member === null ? "" : typeof part.member === "number" ? `[${part.member}]` : `.${part.member}`;
    const path = `${at.path}.${part.keyword}${member}`;
    collect(
      { schema: part.schema, path, pointer: partPointer(at.pointer, part), depth: at.depth + 1 },
      places,
      problems,
    );
  }
}

function checkPlace({ path, schema }: Place, places: Places, checkPattern: PatternCheck, problems: string[]): void {
  for (const [keyword, value] of Object.entries(schema)) {
    const problem = KEYWORD_RULES.get(keyword)?.(value, checkPattern) ?? null;
    if (problem !== null) problems.push(`${path}.${keyword} ${problem}`);
    else if (keyword === "$ref" && typeof value === "string" && !places.has(refTarget(value))) {
      problems.push(
        `${path}.$ref points at ${JSON.stringify(value)}, where no schema is; put shared schemas under "$defs"`,
      );
    } else if (keyword === "$id" && path !== "$") {
      problems.push(`${path}.$id is not supported below the root; refer to schemas with "#/$defs/name"`);
    }
  }
}

/** Keywords whose schemas apply to the same value as the schema that holds them. */
const IN_PLACE = new Set(["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"]);

function checkLoops(places: Places, problems: string[]): void {
  const done = new Set<JsonObject>();
  const entered = new Set<JsonObject>();
  const visit = ({ path, schema }: Place, depth: number): void => {
    if (done.has(schema)) return;
    if (entered.has(schema))
      return void problems.push(`${path} refers to itself without going into a property or an item`);
    if (depth > MAX_JSON_DEPTH)
      return void problems.push(`${path} is reached by more than ${MAX_JSON_DEPTH} references`);
    entered.add(schema);
    const next = typeof schema.$ref === "string" ? places.get(refTarget(schema.$ref)) : undefined;
    if (next !== undefined) visit(next, depth + 1);
    for (const part of schemaParts(schema)) {
      if (!IN_PLACE.has(part.keyword) || !isJsonObject(part.schema)) continue;
      visit({ path: `${path}.${part.keyword}`, schema: part.schema }, depth + 1);
    }
    done.add(schema);
  };
  for (const place of places.values()) visit(place, 0);
}
