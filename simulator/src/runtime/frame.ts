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
  readonly isCanceled: (transaction: Transaction) => boolean;
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
  /** Fails the call: something in it was rejected, and nobody handles it. */
  fail: (error: unknown) => void;
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
  /** Operations that were asked for. */
  operations: number;
  /** After a rejection answers wait until it is known whether somebody handles it. */
  settling: Promise<void> | null;
  /** Components with modules of this attempt's own. */
  readonly fresh: ReadonlyMap<string, Component> | null;
};

export type ActionFrame = FrameBase & {
  readonly kind: "action";
  readonly killed: Promise<never>;
  /** How wrong the clock of its machine is. */
  readonly clockSkewMs: number;
};

export type Frame = TransactionFrame | ActionFrame;

const storage = new AsyncLocalStorage<Frame>();
/** A transaction that has the process to itself: all code that is in no other call is its code. */
let alone: TransactionFrame | null = null;

/**
 * Which call the code that runs belongs to.
 *
 * Once anything runs in an AsyncLocalStorage, every promise of the process takes several times as long. So a transaction
 * that nobody else's code can come between is remembered beside it, and only other calls are kept in it.
 */
export const frames = {
  getStore: (): Frame | undefined => storage.getStore() ?? alone ?? undefined,
  run: <T>(frame: Frame, work: () => T): T => storage.run(frame, work),
  exit: <T>(work: () => T): T => storage.exit(work),
  /** Not when the code that asks belongs to a call itself: what it starts would be taken for a part of it. */
  mayBeAlone: (): boolean => alone === null && storage.getStore() === undefined,
  /** False when another deployment of the process was faster. */
  enterAlone(frame: TransactionFrame): boolean {
    if (alone !== null) return false;
    alone = frame;
    return true;
  },
  /** When nothing of it can go on by itself any more. */
  leaveAlone(): void {
    alone = null;
  },
};

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
