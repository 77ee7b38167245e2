/**
 * JSON Schema: can a schema be used.
 *
 * Owns: the question and the wording of its answers. Invariants: pure and total, the number of problems is bounded. Not in
 * jsonSchema.ts, since a start only applies schemas that were checked when their version was published.
 */
import { isJsonObject, type Json, type JsonObject } from "../shared/json.js";
import { MAX_JSON_DEPTH } from "../shared/limits.js";
import { truncateText } from "../shared/nodeError.js";
import { MAX_PROBLEM_CHARS, MAX_PROBLEMS, partPointer, refTarget, schemaParts } from "./jsonSchemaParts.js";
import { KEYWORD_RULES, refuseHostilePattern, type PatternCheck } from "./jsonSchemaRules.js";

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
