/**
 * Errors as they cross from one call to another (section 6.4): class and properties are lost, but for the data of a
 * ConvexError.
 */
import { ConvexError, jsonToConvex, type JSONValue, type Value } from "convex/values";

/** An error of the deployment that no code of the app can catch: it ends the whole request. */
export class SystemError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(`${code}: ${message}`);
    this.name = "SystemError";
    this.code = code;
  }
}

/** The deployment had no room for a call: its class of permits was used up. Catchable in an action. */
export class OverloadError extends Error {}

/** A transaction that lost too often. Ordinary and catchable where a mutation was called from an action. */
export class ConflictError extends Error {
  readonly table: string;
  readonly documentId: string;

  /** @param by - what it lost to; null for another call of the same function. */
  constructor(table: string, documentId: string, by: string | null) {
    super(
      table.startsWith("_")
        ? "OptimisticConcurrencyControlFailure: Data read or written in this mutation changed while it was being run. " +
            "Consider reducing the amount of data read by using indexed queries with selective index range expressions " +
            "(https://docs.convex.dev/database/indexes/)."
        : `OptimisticConcurrencyControlFailure: Documents read from or written to the "${table}" table changed while this ` +
            `mutation was being run and on every subsequent retry. ${by === null ? "Another call to this mutation" : `A call to "${by}"`} ` +
            `changed the document with ID "${documentId}". See https://docs.convex.dev/error#1`,
    );
    this.name = "ConflictError";
    this.table = table;
    this.documentId = documentId;
  }
}

type WithData = { data?: unknown; ConvexErrorSymbol?: symbol };

/** What a syscall rejects with: `data` as JSON, as the convex package expects it. */
export type CrossingError = Error & { data?: JSONValue };

/** Errors that are as their caller sees them: their data is JSON, and their symbol is gone. */
const crossed = new WeakSet<Error>();

/** From what a handler threw to what its caller sees. `isVerbose` adds what a deployment adds to the message. */
export function crossing(thrown: unknown, isVerbose: boolean): CrossingError {
  if (thrown instanceof SystemError) return thrown;
  if (thrown instanceof Error && crossed.has(thrown)) return thrown;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const text = isVerbose ? `Uncaught ${error.name}: ${error.message}\n    at <simulated>` : error.message;
  const seen: CrossingError = new Error(text);
  seen.name = error.name;
  if (!isVerbose && error.stack !== undefined) seen.stack = error.stack;
  const { data, ConvexErrorSymbol } = error as WithData;
  if (ConvexErrorSymbol !== undefined || Symbol.for("ConvexError") in error) seen.data = readData(data);
  crossed.add(seen);
  return seen;
}

/** The invoke wrappers of the convex package leave the data as a text. */
function readData(data: unknown): JSONValue {
  return typeof data === "string" ? (JSON.parse(data) as JSONValue) : (data as JSONValue);
}

/** What the client of a deployment gets. */
export function forClient(error: CrossingError): Error {
  if (error.data === undefined) return error;
  const data: Value = jsonToConvex(error.data);
  const convexError = new ConvexError(data);
  if (error.stack !== undefined) convexError.stack = error.stack;
  convexError.message = error.message;
  return convexError;
}
