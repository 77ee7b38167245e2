/**
 * The stored form of a plan.
 *
 * Owns: how a plan is written next to the version it was compiled from, and when it is compiled again. Invariant: a
 * plan is a cache of its source. One of another format, or one that cannot be read, costs time but is never an error.
 */
import { shardflowError } from "../../shared/errors.js";
import { isJsonObject, type Json } from "../../shared/json.js";
import { PLAN_FORMAT, type Plan } from "../plan.js";
import { compileDefinition } from "./compile.js";
import { migrateDefinition } from "./migrate.js";
import type { Definition } from "./schema.js";

/** Writes a plan. Templates nest deeper than the JSON they stand for, so the bound on user JSON does not apply. */
export function writePlan(plan: Plan): string {
  return JSON.stringify(plan);
}

/** Whether a stored plan can be used as it is, so that its source need not be loaded. */
export function isCurrentPlan(planText: string): boolean {
  return asPlan(parse(planText)) !== null;
}

/**
 * Reads a stored plan, or compiles it again from the source of its version.
 * @throws {CORRUPT_ROW} when the source cannot be compiled either.
 */
export function readPlan(planText: string, source: string): { plan: Plan; recompiled: boolean } {
  const stored = asPlan(parse(planText));
  if (stored !== null) return { plan: stored, recompiled: false };
  const compiled = compileStored(source);
  if (typeof compiled !== "string") return { plan: compiled, recompiled: true };
  throw shardflowError("CORRUPT_ROW", {
    message: `The plan of the version is not of format ${PLAN_FORMAT}, and its source cannot be compiled: ${compiled}`,
  });
}

/** The plan, or why there is none. Only sources without problems are published, but perhaps in an older format. */
function compileStored(source: string): Plan | string {
  try {
    const json = JSON.parse(source) as Json;
    const { definition, problem } = migrateDefinition(isJsonObject(json) ? json : {});
    return problem === null ? compileDefinition(definition as Definition) : problem.message;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}

function asPlan(value: Json): Plan | null {
  if (!isJsonObject(value) || value.format !== PLAN_FORMAT) return null;
  const { entry, nodes } = value;
  const isWhole = typeof entry === "string" && isJsonObject(nodes) && Object.hasOwn(nodes, entry);
  // Written by writePlan for this very format.
  return isWhole ? (value as unknown as Plan) : null;
}
