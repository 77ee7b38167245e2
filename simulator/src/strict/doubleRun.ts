/**
 * Two executions of one call on the same snapshot (traps 2 and 3).
 *
 * Owns: what an execution came to, and how two differ. Invariant: with the same snapshot, arguments, clock and seed only
 * something that outlives a call (state of a module, of the process) can make a difference, so there are no false alarms.
 */
import type { JSONValue } from "convex/values";
import type { Transaction } from "../transaction/transaction.js";

export type Outcome = {
  readonly result: string;
  readonly writes: readonly string[];
  readonly reads: readonly string[];
};

export function outcomeOf(transaction: Transaction, result: JSONValue | Error): Outcome {
  return {
    result: result instanceof Error ? `error ${result.name}: ${result.message}` : `result ${JSON.stringify(result)}`,
    writes: transaction.changes().map(({ table, id, after }) => `${table.path} ${id} ${after?.json ?? "deleted"}`),
    reads: [...transaction.reads].map(([index, intervals]) => `${index} ${JSON.stringify([...intervals])}`).sort(),
  };
}

/** Null when both came to the same. */
export function differenceOf(first: Outcome, second: Outcome): string | null {
  if (first.result !== second.result) {
    return `the first run came to ${shorten(first.result)}, the second to ${shorten(second.result)}`;
  }
  const what = first.writes.join("\n") !== second.writes.join("\n") ? "writes" : "reads";
  const [a, b] = [first[what], second[what]];
  const at = Array.from({ length: Math.max(a.length, b.length) }, (_, i) => i).find((i) => a[i] !== b[i]);
  if (at === undefined) return null;
  return `of the ${what} of both runs, number ${at + 1} was ${shorten(a[at])} in the first and ${shorten(b[at])} in the second`;
}

function shorten(text: string | undefined): string {
  if (text === undefined) return "missing";
  return text.length > 300 ? `${text.slice(0, 300)}...` : text;
}
