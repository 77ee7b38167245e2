/**
 * JSON Schema: does a value match a schema. (Whether a schema can be used at all: jsonSchemaCheck.ts.)
 *
 * Owns: the question and the wording of its answers; @cfworker/json-schema interprets the schema (2020-12, with the
 * older `definitions`, `dependencies` and lists in `items`). Invariants: pure and total (nothing is thrown, nothing is
 * fetched), the number of problems is bounded, and neither schema nor value is changed.
 * Imported by the hot entry that starts executions: imports the validator and shared code only.
 */
import { Validator, type OutputUnit } from "@cfworker/json-schema";
import { shardflowErrorData } from "../shared/errors.js";
import { isJsonObject, type Json, type JsonObject } from "../shared/json.js";
import { truncateText } from "../shared/nodeError.js";
import { MAX_PROBLEM_CHARS, MAX_PROBLEMS, meteredCopy, schemaParts } from "./jsonSchemaParts.js";

export type SchemaProblem = { path: string; message: string };

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
