/** An execution and what the naive interpreter makes of it, in one form, so that they can be compared as they are. */
import type { Definition } from "../../src/engine/definition/schema.js";
import type { Json, JsonObject } from "../../src/shared/json.js";
import { referenceFunctions } from "./generatedApp.js";
import { interpret } from "./reference.js";

/** A node run as far as it is compared; output is JSON text. */
type Run = {
  key: string;
  status: string;
  port?: string | undefined;
  attempt: number;
  output?: string | undefined;
  error?: { code: string } | undefined;
};

export type Comparable = {
  status: string;
  /** Null for an execution that failed, or that ended without a result. */
  output: Json;
  /** Code of the error that failed the execution. */
  code: string | null;
  variables: Json;
  /** By key, sorted. */
  runs: JsonObject;
};

const byKey = (runs: Array<[string, JsonObject]>): JsonObject =>
  Object.fromEntries(runs.toSorted(([a], [b]) => (a < b ? -1 : 1)));

/** What was found, of an execution that has ended. */
export function comparable(found: Omit<Comparable, "runs">, runs: readonly Run[]): Comparable {
  const compared = runs.map(({ key, status, port, attempt, output, error }): [string, JsonObject] => [
    key,
    {
      status,
      attempt,
      ...(port === undefined ? {} : { port }),
      ...(output === undefined ? {} : { output: JSON.parse(output) as Json }),
      ...(error === undefined ? {} : { code: error.code }),
    },
  ]);
  return { ...found, runs: byKey(compared) };
}

/**
 * What is to be expected of a definition of the generated app.
 * @param found - The runs that it is compared with: the texts of errors are taken from them.
 */
export function expected(
  definition: Definition,
  input: Json,
  found: readonly Run[],
): Comparable & { isTimingDependent: boolean } {
  const messageOf = (loopKey: string, index: number): string => {
    const output = found.find(({ key }) => key === loopKey)?.output ?? '{"errors":[]}';
    const { errors } = JSON.parse(output) as { errors: Array<{ index: number; message: string }> };
    return errors.find((error) => error.index === index)?.message ?? "";
  };
  const { runs, ...result } = interpret(definition, input, referenceFunctions(), messageOf);
  const compared = [...runs].map(([key, { port, ...run }]): [string, JsonObject] => [
    key,
    { ...run, ...(port === undefined ? {} : { port }) },
  ]);
  return { ...result, runs: byKey(compared) };
}
