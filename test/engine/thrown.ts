import { shardflowErrorData, type ShardflowErrorData } from "../../src/shared/errors.js";

/**
 * The data of the Shardflow error that a call threw. Throws itself when the call returned or threw anything else, so
 * that an assertion on the error can never be skipped.
 */
export function thrownBy(call: () => unknown): ShardflowErrorData {
  let thrown: unknown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  const data = shardflowErrorData(thrown);
  if (data === null) throw new Error(`expected a Shardflow error, got ${String(thrown)}`);
  return data;
}
