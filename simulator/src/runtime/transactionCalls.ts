/**
 * Running queries and mutations inside of one transaction: the outermost call and the nested ones (section 1.5).
 *
 * Owns: the order of validation, execution and undoing. Invariants: arguments are checked before the code runs and results
 * after it; a nested mutation that throws leaves no writes, but its reads stay; one whose result does not match its
 * validator has merged its writes already.
 */
import { jsonToConvex, type JSONValue, type Value } from "convex/values";
import type { Deployment } from "../engine/deployment.js";
import type { Loop } from "../engine/loop.js";
import { QueryStream } from "../transaction/queryStream.js";
import { TRANSACTION_LIMITS, type Usage } from "../transaction/limits.js";
import { Transaction } from "../transaction/transaction.js";
import { checkValue } from "../values/check.js";
import { validate } from "../values/validate.js";
import type { Component, ConvexFunction, Kind, RegisteredFunction } from "./component.js";
import { resolver } from "./database.js";
import { crossing } from "./errors.js";
import { frames, inOrder, type Frame, type TransactionFrame } from "./frame.js";
import { withTransactionGlobals } from "./globals.js";

/** MAX_REACTOR_CALL_DEPTH of section 1.5. */
const MAX_DEPTH = 8;

export type Target =
  { fn: ConvexFunction } | { code: RegisteredFunction; component: Component; kind: Kind; name: string };

export const componentOf = (target: Target): Component => ("fn" in target ? target.fn.component : target.component);
export const nameOf = (target: Target): string => {
  const { path } = componentOf(target);
  const name = "fn" in target ? target.fn.name : target.name;
  return path === "" ? name : `${path}/${name}`;
};

export function checkArgs(fn: ConvexFunction, args: JSONValue, mayHoldPlaceholders: boolean): void {
  const value = jsonToConvex(args);
  checkValue(value, `The arguments of ${fn.name}`);
  if (!mayHoldPlaceholders && JSON.stringify(args).includes('"$commitTs"')) {
    throw new Error(`ArgumentValidationError: the arguments of ${fn.name} hold a placeholder of the commit timestamp.`);
  }
  const problem = validate(fn.args, value, resolver(fn));
  if (problem !== null) throw new Error(`ArgumentValidationError: ${problem}`);
}

export function checkReturns(fn: ConvexFunction, result: JSONValue): void {
  const value = jsonToConvex(result);
  checkValue(value, `The result of ${fn.name}`);
  if (fn.returns === null) return;
  const problem = validate(fn.returns, value, resolver(fn));
  if (problem !== null) throw new Error(`ReturnsValidationError: ${problem}`);
}

/** Runs the code of one call to its end, with all that it did not wait for. */
export async function invoke(
  frame: TransactionFrame,
  code: RegisteredFunction,
  args: JSONValue,
  loop: Loop,
): Promise<JSONValue> {
  const text = JSON.stringify([args]);
  const result = await frames.run(
    frame,
    async () =>
      await withTransactionGlobals(frame, async () => {
        const running = frame.kind === "query" ? code.invokeQuery(text) : code.invokeMutation(text);
        return await neverEnding(running, frame, loop);
      }),
  );
  await inOrder(frame, () => undefined);
  return JSON.parse(result) as JSONValue;
}

/** A promise that waits for nothing that can happen is an error, and not a hang (section 1.7). */
function neverEnding(running: Promise<string>, frame: TransactionFrame, loop: Loop): Promise<string> {
  if (loop.mode !== "virtual" || frame.depth > 0) return running;
  return new Promise((resolve, reject) => {
    let settled = false;
    running.then(resolve, reject).finally(() => void (settled = true));
    const look = () => {
      if (settled) return;
      if (loop.hasRealOperations) loop.after(0, look);
      else reject(new Error("Returned promise will never resolve"));
    };
    loop.after(0, look);
  });
}

/** `runQuery` and `runMutation` of a query or mutation. */
export async function runNested(
  deployment: Deployment,
  parent: TransactionFrame,
  fn: ConvexFunction,
  args: JSONValue,
  udfType: "query" | "mutation" | "snapshotQuery",
  budgets: Partial<Usage> | undefined,
): Promise<JSONValue> {
  const kind = udfType === "mutation" ? "mutation" : "query";
  if (parent.kind === "query" && udfType !== "query") {
    throw new Error(`InvalidFunctionCall: a query can only call queries; ${fn.name} was called as a ${udfType}.`);
  }
  if (fn.kind !== kind) {
    throw new Error(`InvalidFunctionCall: ${fn.name} is a ${fn.kind} and was called as a ${kind}.`);
  }
  if (parent.depth + 1 > MAX_DEPTH) {
    throw new Error("Cross component call depth limit exceeded. Do you have an infinite loop in your app?");
  }
  checkArgs(fn, args, true);
  const stale = udfType === "snapshotQuery";
  const { meter } = parent.transaction;
  const transaction = stale
    ? new Transaction(parent.transaction.database, parent.transaction.begin, { creationTime: 0 })
    : parent.transaction;
  const frame = nestedFrame(parent, fn, kind, transaction);
  const ceilings = meter.narrow(budgets ?? {}, budgets === undefined ? UNLIMITED : TRANSACTION_LIMITS);
  const savepoint = transaction.savepoint();
  let result: JSONValue;
  try {
    result = await invoke(frame, fn.code, args, deployment.loop);
  } catch (error) {
    if (kind === "mutation") transaction.rollback(savepoint);
    throw crossing(error, deployment.isVerbose);
  } finally {
    frame.ended = true;
    meter.restore(ceilings);
    if (stale) deployment.transactions.addCosts(transaction);
  }
  checkReturns(fn, result);
  return result;
}

const UNLIMITED: Usage = Object.fromEntries(
  Object.keys(TRANSACTION_LIMITS).map((metric) => [metric, Infinity]),
) as Usage;

function nestedFrame(
  parent: TransactionFrame,
  fn: ConvexFunction,
  kind: "query" | "mutation",
  transaction: Transaction,
): TransactionFrame {
  const sameComponent = fn.component === parent.component;
  return {
    ...newFrame({
      component: fn.component,
      fn,
      kind,
      transaction,
      frozenNow: parent.frozenNow,
      rng: parent.rng.fork(),
    }),
    // Identity does not go into components.
    identity: sameComponent ? parent.identity : null,
    request: parent.request,
    depth: parent.depth + 1,
  };
}

export function newFrame(
  given: Pick<TransactionFrame, "component" | "fn" | "kind" | "transaction" | "frozenNow" | "rng">,
): Omit<TransactionFrame, "identity" | "request" | "depth"> {
  return {
    ...given,
    ended: false,
    streams: new Map<number, QueryStream>(),
    nextStream: 1,
    paginated: false,
    busy: false,
    waiting: [],
  };
}

export type { Frame, Value };
