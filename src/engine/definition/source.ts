/**
 * From what a caller handed in to plain JSON data.
 *
 * Owns: the size bound, and that nothing but JSON gets further. Invariant: work is bounded by MAX_DEFINITION_BYTES for
 * any input, and nothing is thrown.
 */
import { assertJson, utf8Bytes, type Json } from "../../shared/json.js";
import { shardflowErrorData } from "../../shared/errors.js";
import { MAX_DEFINITION_BYTES, MAX_JSON_DEPTH } from "../../shared/limits.js";
import { problem, type Problem } from "./problems.js";

export type SourceResult = { json: Json; problem: null } | { json: null; problem: Problem };

/** Reads a definition given as JSON text or as a value; a value is copied, so that it cannot change afterwards. */
export function readSource(source: unknown): SourceResult {
  try {
    if (typeof source !== "string" && isLargerThan(source, MAX_DEFINITION_BYTES)) return refused(tooLarge());
    let text = source;
    if (typeof text !== "string") {
      assertJson(text, "The definition");
      text = JSON.stringify(text);
    }
    if (typeof text !== "string") return refused(problem("NOT_JSON", [], "The definition is not JSON."));
    if (utf8Bytes(text) > MAX_DEFINITION_BYTES) return refused(tooLarge());
    const json: unknown = JSON.parse(text);
    assertJson(json, "The definition");
    return { json, problem: null };
  } catch (error) {
    const reason = shardflowErrorData(error)?.message ?? `The definition is not valid JSON: ${messageOf(error)}.`;
    return refused(problem("NOT_JSON", [], reason));
  }
}

function refused(found: Problem): SourceResult {
  return { json: null, problem: found };
}

function tooLarge(): Problem {
  return problem(
    "TOO_LARGE",
    [],
    `The definition is larger than ${MAX_DEFINITION_BYTES} bytes. Move large texts into the input or into functions of the app.`,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : "it cannot be read";
}

/**
 * True when the value has surely more JSON bytes than `limit`. A value may hold the same object in many places, so the
 * walk counts every visit and stops at the limit; what is deeper than allowed is left to the check of the depth.
 */
function isLargerThan(source: unknown, limit: number): boolean {
  let bytes = 0;
  const open: Array<{ value: unknown; depth: number }> = [{ value: source, depth: 0 }];
  for (let next = open.pop(); next !== undefined && bytes <= limit; next = open.pop()) {
    const { value, depth } = next;
    bytes += typeof value === "string" ? value.length + 2 : 1;
    if (typeof value !== "object" || value === null || depth > MAX_JSON_DEPTH) continue;
    for (const [key, member] of Object.entries(value)) {
      if (member === undefined) continue;
      bytes += Array.isArray(value) ? 1 : key.length + 4;
      open.push({ value: member, depth: depth + 1 });
    }
  }
  return bytes > limit;
}
