/**
 * The stored lifecycles: statuses of an execution, of a node run and of a task.
 *
 * Owns: the three lists and the validators built from them. The legal moves between the statuses are the tables in
 * src/engine/machine; a type test keeps lists and tables equal. docs/state-machines.md prints the comments below.
 */
import { v } from "convex/values";

export const EXECUTION_STATUSES = [
  /** Entered at start. Left when its first task is claimed, when it is canceled, or when it cannot be run at all. */
  "pending",
  /** Entered when a task of it is claimed. Left when its stretch waits, or ends it one way or the other. */
  "running",
  /** Entered when a stretch ends at a wait or a long backoff. Left when the wake's task is claimed, or by cancel. */
  "waiting",
  /** Entered when the last node has run. Never left. */
  "succeeded",
  /** Entered when a node fails without a failure port, or the execution cannot be run. Never left. */
  "failed",
  /** Entered by cancel, from any status that has not ended. Never left. */
  "canceled",
] as const;
export type ExecutionStatus = (typeof EXECUTION_STATUSES)[number];
export const vExecutionStatus = vOneOf(EXECUTION_STATUSES);

export const NODE_RUN_STATUSES = [
  /** Entered when the walk reaches the node, and again when its owner is lost. Left when an attempt starts. */
  "ready",
  /** Entered when an attempt starts. Left when the attempt ends, is canceled, or its owner is lost. */
  "running",
  /** Entered when a failed attempt is to be tried again. Left when the delay is over, or by cancel. */
  "backoff",
  /** Entered when an attempt gives an output. Never left. */
  "succeeded",
  /** Entered when the last attempt failed. Never left. */
  "failed",
  /** Entered when the execution or the loop around the node ended first. Never left. */
  "canceled",
] as const;
export type NodeRunStatus = (typeof NODE_RUN_STATUSES)[number];
export const vNodeRunStatus = vOneOf(NODE_RUN_STATUSES);

export const TASK_STATES = [
  /** Entered by start and wake, when a stretch gives way, and when an owner is lost. Left when claimed or dropped. */
  "queued",
  /** Entered when an owner takes the task under a lease. Left when the stretch ends or the owner is lost. */
  "claimed",
  /** Entered when the stretch has ended, or there is nothing left to run. Never left; the row is deleted. */
  "done",
] as const;
export type TaskState = (typeof TASK_STATES)[number];
export const vTaskState = vOneOf(TASK_STATES);

function vOneOf<Status extends string>(statuses: readonly Status[]) {
  return v.union(...statuses.map((status) => v.literal(status)));
}
