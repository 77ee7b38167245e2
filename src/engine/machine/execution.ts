/** Lifecycle of an execution. Terminal statuses have no way out: an outcome that was reported never changes. */
import { defineMachine } from "./machine.js";

export const EXECUTION_MACHINE = defineMachine("execution", {
  pending: { claim: "running", cancel: "canceled", fail: "failed" },
  running: { park: "waiting", succeed: "succeeded", fail: "failed", cancel: "canceled" },
  waiting: { claim: "running", cancel: "canceled", fail: "failed" },
  succeeded: {},
  failed: {},
  canceled: {},
});
