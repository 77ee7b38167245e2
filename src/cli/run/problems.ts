/**
 * What is wrong with a file of the user: a place and a message.
 *
 * Owns: the checks that every part of a MOCKS file needs. Invariant: a check adds its problem and lets the others go on,
 * so that all are told at once.
 */
import { formatPath, type Path } from "../../engine/definition/problems.js";
import { nearest } from "../../engine/definition/suggest.js";
import { isJsonObject, type Json, type JsonObject } from "../../shared/json.js";

export type Report = (path: Path, message: string) => void;

/** Collects problems as lines such as `actions["crm.lookup"].kind: ...`. */
export function collectProblems(): { lines: string[]; report: Report } {
  const lines: string[] = [];
  return {
    lines,
    report: (path, message) => lines.push(path.length === 0 ? message : `${formatPath(path)}: ${message}`),
  };
}

/** The object at a place, with no field but the known ones; null when it is none. */
export function readObject(
  value: Json,
  path: Path,
  fields: readonly string[] | null,
  report: Report,
): JsonObject | null {
  if (!isJsonObject(value)) {
    report(path, expected("an object", value));
    return null;
  }
  for (const name of fields === null ? [] : Object.keys(value)) {
    if (fields?.includes(name) === false) report([...path, name], `unknown field.${didYouMean(name, fields)}`);
  }
  return value;
}

export function didYouMean(name: string, known: Iterable<string>): string {
  const names = [...known];
  const near = nearest(name, names);
  if (near !== null) return ` Did you mean ${JSON.stringify(near)}?`;
  return names.length === 0 ? "" : ` Known: ${names.join(", ")}.`;
}

/** Says that one thing should be here, and what is. */
export function expected(what: string, found: Json | undefined): string {
  return found === undefined ? `${what} is missing.` : `expected ${what}, not ${describe(found)}.`;
}

function describe(value: Json): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `the ${typeof value} ${JSON.stringify(value).slice(0, 60)}`;
}
