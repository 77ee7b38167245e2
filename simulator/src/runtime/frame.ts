/**
 * One call of a function: what its syscalls belong to.
 *
 * Owns: which frame is running, and the order of its syscalls. Invariant: within a transaction one syscall happens at a
 * time, in the order of the calls; a nested call holds up all that its caller asks for meanwhile (section 1.5).
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Rng } from "../engine/rng.js";
import type { QueryStream } from "../transaction/queryStream.js";
import type { Transaction } from "../transaction/transaction.js";
import type { ConvexFunction, Component, Kind } from "./component.js";

export type Identity = Readonly<Record<string, unknown>> | null;

/** What all calls of one request share. */
export type Request = {
  readonly id: string;
  readonly ip: string | null;
  readonly userAgent: string | null;
  readonly authToken: string | null;
  readonly scheduledFunctionId: string | null;
  /** A job that was canceled schedules only what is canceled, too. */
  readonly isCanceled: () => boolean;
};

type FrameBase = {
  readonly component: Component;
  /** Null for a function that a test hands in. */
  readonly fn: ConvexFunction | null;
  readonly kind: Kind;
  readonly identity: Identity;
  readonly request: Request;
  readonly depth: number;
  readonly rng: Rng;
  /** Set when the call is over, or was killed: what it still asks for does not happen. */
  ended: boolean;
};

export type TransactionFrame = FrameBase & {
  readonly kind: "query" | "mutation";
  readonly transaction: Transaction;
  /** What Date.now says, all through the attempt. */
  readonly frozenNow: number;
  readonly streams: Map<number, QueryStream>;
  nextStream: number;
  paginated: boolean;
  /** A nested call is under way; what comes meanwhile waits here. */
  busy: boolean;
  readonly waiting: Array<() => void>;
};

export type ActionFrame = FrameBase & { readonly kind: "action"; readonly killed: Promise<never> };

export type Frame = TransactionFrame | ActionFrame;

export const frames = new AsyncLocalStorage<Frame>();

/** Does the work now, or after what is under way. */
export function inOrder<T>(frame: TransactionFrame, work: () => T | Promise<T>): Promise<T> {
  const start = (): Promise<T> => {
    let result: T | Promise<T>;
    try {
      result = work();
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
    if (!(result instanceof Promise)) return Promise.resolve(result);
    frame.busy = true;
    return result.finally(() => {
      frame.busy = false;
      while (!frame.busy) {
        const next = frame.waiting.shift();
        if (next === undefined) return;
        next();
      }
    });
  };
  if (!frame.busy) return start();
  return new Promise<T>((resolve, reject) => {
    frame.waiting.push(() => void start().then(resolve, reject));
  });
}
