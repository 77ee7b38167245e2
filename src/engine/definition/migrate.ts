/**
 * Brings a definition of an older format to the current one.
 *
 * Owns: how the format of a definition is told, the walk along the steps, and when two definitions are the same one.
 * Invariants: a definition of the current format comes back as it is; nothing is thrown; the result of a step is JSON
 * within the bounds of every definition, whatever the step did. Imports no zod: the walker's bundle migrates too.
 */
import { isJsonObject, type JsonObject } from "../../shared/json.js";
import { CURRENT_DEFINITION_FORMAT, MIGRATIONS, UNMARKED_FORMAT, type Migration } from "./migrations.js";
import { problem, type Problem } from "./problems.js";
import { readSource } from "./source.js";
import { isSameJson } from "./valueDiff.js";

/** That a definition was of an older format. */
export type MigratedFrom = {
  from: number;
  to: number;
  /** What each step did, for people. */
  changes: string[];
};

export type MigrationResult =
  | {
      definition: JsonObject;
      /** Null when it was of the current format. */
      migrated: MigratedFrom | null;
      problem: null;
    }
  | { definition: null; migrated: null; problem: Problem };

/**
 * @param source - a definition as plain JSON; it need not be valid, and is not changed.
 * @param migrations - the steps, each from its format to the next.
 */
export function migrateDefinition(source: JsonObject, migrations: readonly Migration[] = MIGRATIONS): MigrationResult {
  const from = formatOf(source);
  // What is no format number at all is left to the schema, which says what it must be.
  if (from === null || from === CURRENT_DEFINITION_FORMAT) {
    return { definition: source, migrated: null, problem: null };
  }
  if (from > CURRENT_DEFINITION_FORMAT) {
    return refused(
      `The definition is of format ${from}, and this version of Shardflow reads up to ${CURRENT_DEFINITION_FORMAT}. ` +
        "It was made by a newer version: upgrade.",
    );
  }
  let definition = source;
  const changes: string[] = [];
  for (let format = from; format < CURRENT_DEFINITION_FORMAT; format++) {
    const step = migrations.find((one) => one.from === format);
    if (step === undefined) {
      return refused(`The definition is of format ${from}, and there is no way from format ${format} to a newer one.`);
    }
    const next = take(step, definition);
    if (next.problem !== null) return next;
    definition = next.definition;
    changes.push(step.describe);
  }
  return { definition, migrated: { from, to: CURRENT_DEFINITION_FORMAT, changes }, problem: null };
}

function take(step: Migration, definition: JsonObject): MigrationResult {
  const what = `The definition is of the older format ${step.from} and cannot be brought to format ${step.from + 1}`;
  try {
    const { format: _, ...rest } = step.migrate(definition);
    const { json, problem } = readSource({ format: step.from + 1, ...rest });
    if (problem !== null) return { definition: null, migrated: null, problem };
    if (isJsonObject(json)) return { definition: json, migrated: null, problem: null };
    return refused(`${what}: the step gave no object.`);
  } catch (error) {
    return refused(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function refused(message: string): MigrationResult {
  return { definition: null, migrated: null, problem: problem("FORMAT_UNSUPPORTED", ["format"], message) };
}

function formatOf(definition: JsonObject): number | null {
  if (!Object.hasOwn(definition, "format")) return UNMARKED_FORMAT;
  const { format } = definition;
  return typeof format === "number" && Number.isInteger(format) ? format : null;
}

/**
 * Whether two definitions of the current format say the same: the order of fields does not count, nor whether the
 * format is named.
 */
export function isSameDefinition(a: JsonObject, b: JsonObject): boolean {
  return isSameJson({ ...a, format: CURRENT_DEFINITION_FORMAT }, { ...b, format: CURRENT_DEFINITION_FORMAT });
}
