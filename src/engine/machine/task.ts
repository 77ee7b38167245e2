/**
 * Lifecycle of a task. `yield`: the stretch ran out of time and goes on later. `park`: it ended at a wait; the wake
 * inserts a new task. `reclaim`: the lease ran out. `drop`: there is nothing to run any more.
 */
import { defineMachine } from "./machine.js";

export const TASK_MACHINE = defineMachine("task", {
  queued: { claim: "claimed", drop: "done" },
  claimed: { finish: "done", yield: "queued", park: "done", reclaim: "queued", drop: "done" },
  done: {},
});
