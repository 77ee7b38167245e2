/**
 * Lifecycle of a node run. `crash` takes it back to `ready`: the owner was lost before the checkpoint, so the attempt
 * left no record and is made again under the same idempotency key.
 */
import { defineMachine } from "./machine.js";

export const NODE_RUN_MACHINE = defineMachine("nodeRun", {
  ready: { start: "running", cancel: "canceled" },
  running: { succeed: "succeeded", fail: "failed", retry: "backoff", cancel: "canceled", crash: "ready" },
  backoff: { start: "running", cancel: "canceled" },
  succeeded: {},
  failed: {},
  canceled: {},
});
