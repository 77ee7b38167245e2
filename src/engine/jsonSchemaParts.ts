/**
 * Where the schemas inside a JSON Schema are, and the copy of it that may be applied to data.
 *
 * Owns: the walk over subschemas and the metered copy. Invariants: only what the walk visits is ever applied (a `$ref`
 * into anything else does not resolve), and applying a copy ends: every step spends from one budget, so neither branches
 * that double nor a schema that refers to itself can run on.
 */
import {
  escapePointer,
  ignoredKeyword,
  schemaArrayKeyword,
  schemaKeyword,
  schemaMapKeyword,
} from "@cfworker/json-schema";
import type { Schema } from "@cfworker/json-schema";
import { shardflowError } from "../shared/errors.js";
import { isJsonObject, type Json, type JsonObject } from "../shared/json.js";

/** What one answer holds at most, of problems and of characters in each text. */
export const MAX_PROBLEMS = 20;
export const MAX_PROBLEM_CHARS = 300;
/** Steps that one validation may take. A list of 4 MiB holds fewer items. */
const STEP_BUDGET = 1_000_000;
/** Where a failure does not end the validator's loop, each step can leave an error behind, so it costs more. */
const LOOPING_STEP_COST = 10;
const ENDING_KEYWORDS = new Set(["$defs", "definitions", "properties", "items", "prefixItems"]);

/** Formats of the validator that take linear time; its `url` does not. Unknown formats are annotations by the standard. */
export const FORMATS: ReadonlySet<string> = new Set([
  ...["date", "time", "date-time", "duration", "uri", "uri-reference", "uri-template", "email", "hostname", "ipv4"],
  ...["ipv6", "uuid", "regex", "json-pointer", "relative-json-pointer"],
]);

/** What the validator reads that is not a subschema. Annotations, identifiers and unknown keywords are left out. */
const PLAIN_KEYWORDS = new Set([
  ...["$anchor", "type", "enum", "const", "required", "pattern", "multipleOf"],
  ...["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems"],
  ...["uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties"],
]);

/** Stands for the schema `false`, which the validator applies without reading anything that could be metered. */
const NOTHING: JsonObject = { enum: [] };

export type SchemaPart = {
  /** The keyword that holds it; for members of maps and lists, the keyword of the map or list. */
  keyword: string;
  /** Its key in the map or index in the list. */
  member: string | number | null;
  schema: Json;
};

/** The direct subschemas of a schema. */
export function schemaParts(schema: JsonObject): SchemaPart[] {
  const parts: SchemaPart[] = [];
  for (const [keyword, value] of Object.entries(schema)) {
    if (Object.hasOwn(ignoredKeyword, keyword)) continue;
    if (Array.isArray(value)) {
      if (!Object.hasOwn(schemaArrayKeyword, keyword)) continue;
      value.forEach((item, index) => parts.push({ keyword, member: index, schema: item }));
    } else if (isSchemaMap(keyword)) {
      if (!isJsonObject(value)) continue;
      for (const [member, item] of Object.entries(value)) {
        // `dependencies` also holds lists of names.
        if (!(keyword === "dependencies" && Array.isArray(item))) parts.push({ keyword, member, schema: item });
      }
    } else if (Object.hasOwn(schemaKeyword, keyword)) parts.push({ keyword, member: null, schema: value });
  }
  return parts;
}

export function isSchemaMap(keyword: string): boolean {
  return Object.hasOwn(schemaMapKeyword, keyword) || keyword === "dependencies";
}

/** The JSON Pointer of a part, below that of its schema. */
export function partPointer(parent: string, part: SchemaPart): string {
  const pointer = `${parent}/${escapePointer(part.keyword)}`;
  return part.member === null ? pointer : `${pointer}/${escapePointer(String(part.member))}`;
}

/** The pointer or anchor that a `$ref` within the schema names. */
export function refTarget(ref: string): string {
  try {
    return decodeURIComponent(ref.slice(1));
  } catch {
    return ref.slice(1);
  }
}

type Budget = { left: number };

/** A copy of a schema with a budget: when the validator has applied parts of it too often, the next one throws. */
export function meteredCopy(schema: Json): Schema {
  return copyPart(schema, 1, { left: STEP_BUDGET });
}

function copyPart(part: Json, cost: number, budget: Budget): Schema {
  const copy: Schema = {};
  const source: JsonObject = isJsonObject(part) ? part : part === false ? NOTHING : {};
  for (const [keyword, value] of Object.entries(source)) {
    if (PLAIN_KEYWORDS.has(keyword)) copy[keyword] = value;
    else if (keyword === "$ref" && typeof value === "string") copy.$ref = `#${encodePointer(refTarget(value))}`;
    else if (keyword === "format" && typeof value === "string" && FORMATS.has(value)) copy.format = value;
    else if ((keyword === "dependentRequired" || keyword === "dependencies") && isJsonObject(value)) {
      copyNameLists(value, copy);
    }
  }
  for (const { keyword, member, schema } of schemaParts(source)) {
    const partCopy = copyPart(schema, ENDING_KEYWORDS.has(keyword) ? 1 : LOOPING_STEP_COST, budget);
    // The two forms of `dependencies` have names of their own, which the validator reads the same way.
    const target = keyword === "dependencies" ? "dependentSchemas" : keyword;
    if (member === null) copy[target] = partCopy;
    else if (typeof member === "number") ((copy[target] ??= []) as Schema[]).push(partCopy);
    else ((copy[target] ??= namedMap()) as Record<string, Schema>)[member] = partCopy;
  }
  meter(copy, cost, budget);
  return copy;
}

/** Without a prototype a member named `__proto__` is a member like any other. */
function namedMap<T>(): Record<string, T> {
  return Object.create(null) as Record<string, T>;
}

/** The validator writes pointers with `encodeURI`; this is the same form without escaping `/` again. */
function encodePointer(pointer: string): string {
  return encodeURI(pointer).replaceAll("#", "%23");
}

function copyNameLists(dependencies: JsonObject, copy: Schema): void {
  for (const [name, names] of Object.entries(dependencies)) {
    if (!Array.isArray(names)) continue;
    const lists = (copy.dependentRequired ??= namedMap<string[]>());
    lists[name] = names.filter((other) => typeof other === "string");
  }
}

/** The validator reads `type` once each time it applies a schema, so its getter is where a step is counted. */
function meter(copy: Schema, cost: number, budget: Budget): void {
  const type = copy.type;
  Object.defineProperty(copy, "type", {
    get: () => {
      budget.left -= cost;
      if (budget.left >= 0) return type;
      throw shardflowError("VALUE_TOO_LARGE", { message: `Applying the schema takes more than ${STEP_BUDGET} steps.` });
    },
  });
}
