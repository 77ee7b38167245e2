/**
 * Rejections that nobody handles, while simulated functions run (trap 20).
 *
 * Owns: the process's event for them during a burst of events. Invariants: a rejection within a function fails that
 * function and nothing else; one of anything else goes to the listeners that were there before; these are all back, in
 * their order, when the burst is over.
 */
import { frames } from "../runtime/frame.js";

type Listener = (reason: unknown, promise: Promise<unknown>) => void;
const EVENT = "unhandledRejection";

/** @returns what puts the process's own listeners back. */
export function watchRejections(): () => void {
  if (typeof process === "undefined" || typeof process.listeners !== "function") return () => undefined;
  const others = process.listeners(EVENT) as Listener[];
  const watch: Listener = (reason, promise) => {
    // Node calls the listener in the context in which the promise was made.
    const frame = frames.getStore();
    if (frame === undefined) passOn(others, reason, promise);
    else if (!frame.ended) frame.fail(reason);
  };
  process.removeAllListeners(EVENT);
  process.on(EVENT, watch);
  return () => {
    process.removeListener(EVENT, watch);
    for (const listener of others) process.on(EVENT, listener);
  };
}

function passOn(listeners: readonly Listener[], reason: unknown, promise: Promise<unknown>): void {
  for (const listener of listeners) listener.call(process, reason, promise);
  // Without a listener such a rejection ends the process.
  if (listeners.length === 0) {
    queueMicrotask(() => {
      throw reason;
    });
  }
}
