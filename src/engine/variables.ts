/**
 * The variables of an execution.
 *
 * Owns: how the values that nodes set are merged into them. Invariants: (M1) nothing that is passed in is changed;
 * (M2) the result does not depend on which of two parallel writers came first: such a batch is refused; (M3) every
 * name is data, `__proto__` and `constructor` too.
 */
import { shardflowError } from "../shared/errors.js";
import { toJsonText, type Json, type JsonObject } from "../shared/json.js";
import { MAX_VALUE_BYTES } from "../shared/limits.js";
import { checkValueSize } from "./values.js";

/** What one writer set. Two patches of one writer are in order; two writers are parallel to each other. */
export type VariablePatch = { writer: string; values: JsonObject };

/**
 * Merges a batch of patches into the variables. A variable is replaced as a whole, by its top-level name; values are
 * shared with the inputs, not copied.
 *
 * @param patches - what was set since `base`, in order.
 * @throws {VARIABLE_CONFLICT} when two writers set the same name, even to equal values: the definition has a race.
 * @throws {VALUE_TOO_LARGE} when all variables together are over MAX_VALUE_BYTES as JSON.
 */
export function mergeVariables(base: JsonObject, patches: readonly VariablePatch[]): JsonObject {
  const merged = new Map<string, Json>(Object.entries(base));
  const writers = new Map<string, string>();
  for (const { writer, values } of patches) {
    for (const [name, value] of Object.entries(values)) {
      const other = writers.get(name);
      if (other !== undefined && other !== writer) throw conflict(name, other, writer);
      writers.set(name, writer);
      merged.set(name, value);
    }
  }
  // Defines each name, where an assignment to `__proto__` would set the prototype.
  const variables = Object.fromEntries(merged);
  if (writers.size > 0) checkValueSize(toJsonText(variables, "variables"), "variables", MAX_VALUE_BYTES);
  return variables;
}

function conflict(name: string, first: string, second: string): Error {
  return shardflowError("VARIABLE_CONFLICT", {
    message:
      `Variable ${JSON.stringify(name)} is set by ${first} and by ${second}, which run in parallel. ` +
      "Set it in one of them, or collect the values as outputs.",
    name,
    writers: [{ writer: first }, { writer: second }],
  });
}
