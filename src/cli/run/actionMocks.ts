/**
 * The `actions` of a MOCKS file: what stands for the app's functions.
 *
 * Owns: their format. Invariant: what is accepted is something that a Convex function could really return or throw.
 */
import { checkConvexValue } from "../../engine/values.js";
import type { Path } from "../../engine/definition/problems.js";
import { isJsonObject, type Json, type JsonObject } from "../../shared/json.js";
import { didYouMean, expected, readObject, type Report } from "./problems.js";

const KINDS = ["query", "mutation", "action"] as const;
type Kind = (typeof KINDS)[number];

export type ActionMock = { kind: Kind; behaviour: Behaviour };
export type Behaviour =
  | { returns: Json }
  /** A text is thrown as an Error, an object as the data of a ConvexError; after `times` calls `then` is returned. */
  | { throws: string | JsonObject; times: number; then: Json };

export function readActionMock(value: Json, path: Path, report: Report): ActionMock | null {
  const mock = readObject(value, path, ["kind", "returns", "throws", "times", "then"], report);
  if (mock === null) return null;
  const kind = readKind(mock.kind, [...path, "kind"], report);
  const behaviour = readBehaviour(mock, path, report);
  return kind === null || behaviour === null ? null : { kind, behaviour };
}

function readKind(value: Json | undefined, path: Path, report: Report): Kind | null {
  const kind = KINDS.find((one) => one === value);
  if (kind !== undefined) return kind;
  const suggestion = typeof value === "string" ? didYouMean(value, KINDS) : "";
  report(path, `${expected('"query", "mutation" or "action"', value)}${suggestion}`);
  return null;
}

function readBehaviour({ returns, throws, times, then }: JsonObject, path: Path, report: Report): Behaviour | null {
  if ((returns === undefined) === (throws === undefined)) {
    const what = returns === undefined ? "Neither `returns` nor `throws` is" : "Both `returns` and `throws` are";
    report(path, `${what} given; exactly one is needed.`);
    return null;
  }
  if (throws === undefined) {
    for (const [field, given] of Object.entries({ times, then })) {
      if (given !== undefined) report([...path, field], "it has no effect without `throws`.");
    }
    checkReturned(returns, [...path, "returns"], report);
    return { returns: returns ?? null };
  }
  const isCount = typeof times === "number" && Number.isInteger(times) && times >= 1;
  if (times !== undefined && !isCount) report([...path, "times"], expected("1, 2, 3, ...", times));
  if (then !== undefined && times === undefined) {
    report([...path, "then"], "it has no effect without `times`: how many calls throw before.");
  }
  checkReturned(then, [...path, "then"], report);
  const thrown = readThrown(throws, [...path, "throws"], report);
  return thrown === null ? null : { throws: thrown, times: isCount ? times : Infinity, then: then ?? null };
}

function checkReturned(value: Json | undefined, path: Path, report: Report): void {
  const refused = value === undefined ? null : checkConvexValue(value);
  if (refused !== null) report(path, `a Convex function cannot return this: ${refused}.`);
}

/** What the engine reads of a thrown object: `retryable: false` ends the retries, `retryAfterMs` puts the next one off. */
function readThrown(value: Json, path: Path, report: Report): string | JsonObject | null {
  if (typeof value === "string") return value;
  if (!isJsonObject(value)) {
    report(path, expected("a message, or an object {message, code, retryable, retryAfterMs}", value));
    return null;
  }
  const check = (field: string, isRight: boolean, what: string) => {
    if (!isRight) report([...path, field], expected(what, value[field]));
  };
  const { message, code, retryable, retryAfterMs } = value;
  check("message", typeof message === "string", "a text");
  check("code", code === undefined || typeof code === "string", "a text");
  check("retryable", retryable === undefined || typeof retryable === "boolean", "true or false");
  const isWait = typeof retryAfterMs === "number" && retryAfterMs >= 0;
  check("retryAfterMs", retryAfterMs === undefined || isWait, "a number of milliseconds");
  const refused = checkConvexValue(value);
  if (refused !== null) report(path, `a Convex function cannot throw this: ${refused}.`);
  return value;
}
