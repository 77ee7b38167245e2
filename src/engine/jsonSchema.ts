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
  try {
    const size = measure(value);
    if (size.longestList > MAX_UNIQUE_ITEMS && usesUniqueItems(schema)) {
      const message = `A list has ${size.longestList} items; where the schema has "uniqueItems", at most ${MAX_UNIQUE_ITEMS} can be checked.`;
      return [{ path: "$", message }];
    }
    const stopsEarly = size.parts > SMALL_VALUE_PARTS;
    const { valid, errors } = new Validator(meteredCopy(schema), DRAFT, stopsEarly).validate(value);
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

function measure(value: Json): { parts: number; longestList: number } {
  let parts = 0;
  let longestList = 0;
  const pending: Json[] = [value];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    parts++;
    if (Array.isArray(next)) longestList = Math.max(longestList, next.length);
    if (typeof next === "object" && next !== null) for (const member of Object.values(next)) pending.push(member);
  }
  return { parts, longestList };
}

function usesUniqueItems(schema: Json): boolean {
  if (!isJsonObject(schema)) return false;
  return schema.uniqueItems === true || schemaParts(schema).some((part) => usesUniqueItems(part.schema));
}

/** A schema within the schema; `true` and `false` stand as an empty one. */
type Place = { path: string; schema: JsonObject };
/** By JSON Pointer, which is empty or begins with a slash, and again by anchor. */
type Places = Map<string, Place>;
type Complain = (path: string, what: string) => void;

/**
 * Checks that a schema can be used: keywords hold what they must, patterns are harmless, every `$ref` stays inside and
 * resolves, and nothing refers to itself without going into a property or an item.
 *
 * @param checkPattern - says what is wrong with a regular expression, or null.
 * @returns the problems, each with its place, at most 20; none when the schema is usable.
 */
export function checkJsonSchema(schema: Json, checkPattern: PatternCheck = refuseHostilePattern): string[] {
  const problems: string[] = [];
  const complain: Complain = (path, what) => {
    const text = `${truncateText(path, MAX_PROBLEM_CHARS)} ${truncateText(what, MAX_PROBLEM_CHARS)}`;
    if (problems.length < MAX_PROBLEMS) problems.push(text);
  };
  const places: Places = new Map();
  collect({ path: "$", schema }, "", 0, places, complain);
  for (const [pointer, place] of places) {
    if (pointer === "" || pointer.startsWith("/")) checkPlace(place, places, checkPattern, complain);
  }
  if (problems.length === 0) checkLoops(places, complain);
  return problems;
}

type Found = { path: string; schema: Json };

function collect({ path, schema }: Found, pointer: string, depth: number, places: Places, complain: Complain): void {
  if (typeof schema === "boolean") return void places.set(pointer, { path, schema: {} });
  if (!isJsonObject(schema)) return complain(path, "must be a schema (an object, true or false)");
  if (depth > MAX_JSON_DEPTH) return complain(path, `is nested deeper than ${MAX_JSON_DEPTH} levels`);
  places.set(pointer, { path, schema });
  if (typeof schema.$anchor === "string") places.set(schema.$anchor, { path, schema });
  for (const part of schemaParts(schema)) {
    const found = { path: `${path}.${part.keyword}${memberPath(part.member)}`, schema: part.schema };
    collect(found, partPointer(pointer, part), depth + 1, places, complain);
  }
}

function memberPath(member: string | number | null): string {
  if (member === null) return "";
  return typeof member === "number" ? `[${member}]` : `.${member}`;
}

function checkPlace({ path, schema }: Place, places: Places, checkPattern: PatternCheck, complain: Complain): void {
  for (const [keyword, value] of Object.entries(schema)) {
    const problem = KEYWORD_RULES.get(keyword)?.(value, checkPattern) ?? null;
    if (problem !== null) complain(`${path}.${keyword}`, problem);
    else if (keyword === "$ref" && typeof value === "string" && !places.has(refTarget(value))) {
      complain(
        `${path}.$ref`,
        `points at ${JSON.stringify(value)}, where no schema is; put shared schemas under "$defs"`,
      );
    } else if (keyword === "$id" && path !== "$") {
      complain(`${path}.$id`, 'is not supported below the root; refer to schemas with "#/$defs/name"');
    }
  }
}

/** Keywords whose schemas apply to the same value as the schema that holds them. */
const IN_PLACE = new Set(["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"]);

function checkLoops(places: Places, complain: Complain): void {
  const done = new Set<JsonObject>();
  const entered = new Set<JsonObject>();
  const visit = ({ path, schema }: Place, depth: number): void => {
    if (done.has(schema)) return;
    if (entered.has(schema)) return complain(path, "refers to itself without going into a property or an item");
    if (depth > MAX_JSON_DEPTH) return complain(path, `is reached by more than ${MAX_JSON_DEPTH} references in a row`);
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
