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
import type { Transaction } from "../transaction/transaction.js";
import { checkValue } from "../values/check.js";
import { validate } from "../values/validate.js";
import type { Component, ConvexFunction, Kind, RegisteredFunction } from "./component.js";
import { resolver } from "./database.js";
import { withAmbientGlobals } from "./ambientGlobals.js";
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

const KIND_NAMES = { query: "Query", mutation: "Mutation", action: "Action" } as const satisfies Record<Kind, string>;

/** In the words of Convex: libraries tell this error by them. */
export function wrongKind({ name, kind }: ConvexFunction, called: Kind): Error {
  const as = `as ${KIND_NAMES[called]}, but it is defined as ${KIND_NAMES[kind]}`;
  return new Error(`Trying to execute ${name.replace(":", ".js:")} ${as}.`);
}

export function checkReturns(fn: ConvexFunction, result: JSONValue): void {
  const value = jsonToConvex(result);
  checkValue(value, `The result of ${fn.name}`);
  if (fn.returns === null) return;
  const problem = validate(fn.returns, value, resolver(fn));
  if (problem !== null) throw new Error(`ReturnsValidationError: ${problem}`);
}

/** The function's code, from the modules of this attempt where it has its own. */
export function codeOf({ fresh }: Pick<TransactionFrame, "fresh">, fn: ConvexFunction): RegisteredFunction {
  return fresh?.get(fn.component.path)?.find(fn.name)?.code ?? fn.code;
}

/** Runs the code of one call to its end, with all that it did not wait for. */
export async function invoke(
  frame: TransactionFrame,
  code: RegisteredFunction,
  args: JSONValue,
  loop: Loop,
): Promise<JSONValue> {
  const text = JSON.stringify([args]);
  const work = () => {
    const running = frame.kind === "query" ? code.invokeQuery(text) : code.invokeMutation(text);
    return new Promise<string>((resolve, reject) => {
      frame.fail = reject;
      neverEnding(running, frame, loop)
        .then(async (result) => {
          await drained(frame, loop);
          resolve(result);
        })
        .catch(reject);
    });
  };
  if (loop.mode === "virtual" && frame.depth === 0 && frames.mayBeAlone()) {
    return JSON.parse(await alone(frame, loop, work)) as JSONValue;
  }
  const result = await frames.run(frame, () =>
    loop.mode === "ambient" ? withAmbientGlobals(frame, work) : withTransactionGlobals(frame, loop, work),
  );
  return JSON.parse(result) as JSONValue;
}

/** With a turn of its own before and after it, so that no other code runs between the two. */
async function alone(frame: TransactionFrame, loop: Loop, work: () => Promise<string>): Promise<string> {
  await loop.turn();
  if (!frames.enterAlone(frame)) return await frames.run(frame, () => withTransactionGlobals(frame, loop, work));
  try {
    return await withTransactionGlobals(frame, loop, work);
  } catch (error) {
    // What it did not wait for goes on. After a success that is over already.
    await loop.turn();
    throw error;
  } finally {
    frames.leaveAlone();
  }
}

/** What nobody waited for is done all the same, and what it led to; by then every rejection has come to light. */
async function drained(frame: TransactionFrame, loop: Loop): Promise<void> {
  let seen: number;
  do {
    seen = frame.operations;
    if (loop.mode === "virtual") await loop.turn();
    else await inOrder(frame, () => undefined);
  } while (frame.operations !== seen || frame.busy);
}

/** A promise that waits for nothing that can happen is an error, and not a hang (section 1.7). */
function neverEnding(running: Promise<string>, frame: TransactionFrame, loop: Loop): Promise<string> {
  if (loop.mode !== "virtual" || frame.depth > 0) return running;
  return new Promise((resolve, reject) => {
    const look = () => {
      if (loop.hasRealOperations) timer = loop.after(0, look);
      else reject(new Error("Returned promise will never resolve"));
    };
    let timer = loop.after(0, look);
    const cancel = () => timer.cancel();
    running.then(cancel, cancel);
    running.then(resolve, reject);
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
    throw wrongKind(fn, kind);
  }
  if (parent.depth + 1 > MAX_DEPTH) {
    throw new Error("Cross component call depth limit exceeded. Do you have an infinite loop in your app?");
  }
  checkArgs(fn, args, true);
  const stale = udfType === "snapshotQuery";
  const transaction = stale ? deployment.transactions.staleCopy(parent.transaction) : parent.transaction;
  const { meter } = transaction;
  const frame = nestedFrame(parent, fn, kind, transaction);
  const ceilings = meter.narrow(budgets ?? {}, budgets === undefined ? UNLIMITED : TRANSACTION_LIMITS);
  const savepoint = transaction.savepoint();
  let result: JSONValue;
  try {
    result = await invoke(frame, codeOf(frame, fn), args, deployment.loop);
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
  return newFrame({
    component: fn.component,
    fn,
    kind,
    transaction,
    frozenNow: parent.frozenNow,
    rng: parent.rng.fork(),
    // Identity does not go into components.
    identity: fn.component === parent.component ? parent.identity : null,
    request: parent.request,
    depth: parent.depth + 1,
    fresh: parent.fresh,
  });
}

type Given =
  "component" | "fn" | "kind" | "transaction" | "frozenNow" | "rng" | "identity" | "request" | "depth" | "fresh";

/** Field by field: spreading objects is a good part of the time that a small call takes. */
export function newFrame(given: Pick<TransactionFrame, Given>): TransactionFrame {
  return {
    component: given.component,
    fn: given.fn,
    kind: given.kind,
    transaction: given.transaction,
    frozenNow: given.frozenNow,
    rng: given.rng,
    identity: given.identity,
    request: given.request,
    depth: given.depth,
    fresh: given.fresh,
    ended: false,
    streams: new Map<number, QueryStream>(),
    nextStream: 1,
    paginated: false,
    busy: false,
    waiting: [],
    fail: noFailure,
    operations: 0,
    settling: null,
  };
}

const noFailure = (): void => undefined;

export type { Frame, Value };
