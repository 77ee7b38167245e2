/**
 * Whether a queued task may be claimed now.
 *
 * Owns: the one admission decision, whose refusal is a recorded reason. Invariant: a bad task fails alone: the decision
 * reads nothing but its own task and execution and the numbers of the shard, and never throws.
 *
 * Order of the checks. First what is wrong with the task itself, so that a task that can never run leaves the queue
 * even while the shard is paused or full; then what only delays it, the operator's word first:
 * 1. EXECUTION_MISSING (drop), 2. EXECUTION_ENDED (drop), 3. CORRUPT (fail), 4. VERSION_MISSING (fail),
 * 5. PAUSED (keep), 6. NOT_BEFORE (keep), 7. CAPACITY (keep).
 * Ended comes before corrupt: an outcome that was reported never changes, so there is nothing left to fail.
 */
import { EXECUTION_STATUSES, type ExecutionStatus } from "../shared/status.js";
import { EXECUTION_MACHINE } from "./machine/execution.js";
import { isTerminal } from "./machine/machine.js";

export type AdmitTask = {
  executionId: string;
  /** Not to be claimed before this time (ms since the epoch); null: at once. */
  notBefore: number | null;
};

export type AdmitState = {
  /** The time of the decision, ms since the epoch. */
  now: number;
  /** Stretches of the shard under way, and how many there may be. */
  inFlight: number;
  capacity: number;
  paused: boolean;
  /** Null when the row is gone. `status` is as stored, so it may be any text; `corrupt` says what cannot be read. */
  execution: null | { status: string; corrupt?: string };
  /** Whether the version that the execution is pinned to can be loaded. */
  versionExists: boolean;
};

export type AdmitRefusalCode =
  "EXECUTION_MISSING" | "EXECUTION_ENDED" | "CORRUPT" | "VERSION_MISSING" | "PAUSED" | "NOT_BEFORE" | "CAPACITY";

/** What is done with a task that is refused. */
export type AdmitAction =
  /** It stays queued and is decided again later. */
  | "keep"
  /** It is removed; its execution needs nothing. */
  | "drop"
  /** It is removed and its execution fails with the reason. */
  | "fail";

export type Admission =
  { admit: true } | { admit: false; reason: { code: AdmitRefusalCode; detail: string }; action: AdmitAction };

export function admit(task: AdmitTask, state: AdmitState): Admission {
  const { execution } = state;
  if (execution === null) return refuse("drop", "EXECUTION_MISSING", `There is no execution ${task.executionId}.`);
  const status = knownStatus(execution.status);
  if (status !== null && isTerminal(EXECUTION_MACHINE, status)) {
    return refuse("drop", "EXECUTION_ENDED", `Execution ${task.executionId} has ended (${status}).`);
  }
  const damage = execution.corrupt ?? damageOf(task, status, execution.status);
  if (damage !== null) {
    return refuse("fail", "CORRUPT", `Execution ${task.executionId} cannot be read: ${damage}. Start it again.`);
  }
  if (!state.versionExists) {
    const detail = `The version of execution ${task.executionId} is gone. Publish the definition and start it again.`;
    return refuse("fail", "VERSION_MISSING", detail);
  }
  if (state.paused) return refuse("keep", "PAUSED", "The shard is paused. Resume it to go on.");
  if (task.notBefore !== null && state.now < task.notBefore) {
    return refuse("keep", "NOT_BEFORE", `It is not due for another ${task.notBefore - state.now} ms.`);
  }
  // Written so that a capacity that is no number admits nothing.
  if (!(state.inFlight < state.capacity)) {
    return refuse("keep", "CAPACITY", `${state.inFlight} of ${state.capacity} stretches of the shard are under way.`);
  }
  return { admit: true };
}

function refuse(action: AdmitAction, code: AdmitRefusalCode, detail: string): Admission {
  return { admit: false, reason: { code, detail }, action };
}

function knownStatus(stored: string): ExecutionStatus | null {
  return EXECUTION_STATUSES.find((status) => status === stored) ?? null;
}

function damageOf(task: AdmitTask, status: ExecutionStatus | null, stored: string): string | null {
  if (status === null) return `its status is "${stored}"`;
  if (task.notBefore !== null && !Number.isFinite(task.notBefore)) return `its task is due at ${task.notBefore}`;
  return null;
}
