/**
 * What can go wrong, and where.
 *
 * Owns: the names of faults and of the points at which each may strike. A campaign names its coverage by them, so a point
 * that the deployment asks about is in this list, and every one in the list is asked about somewhere.
 */

/** Points of an action at which it can die: every await that the simulation answers, its first line and its end. */
const KILL_POINTS = [
  "killAction:start",
  "killAction:beforeQuery",
  "killAction:afterQuery",
  "killAction:beforeMutation",
  // The mutation has committed, or failed; the action never hears of it.
  "killAction:afterMutation",
  "killAction:beforeAction",
  "killAction:afterAction",
  "killAction:beforeSchedule",
  "killAction:afterSchedule",
  "killAction:beforeCancel",
  "killAction:afterCancel",
  "killAction:beforeStorage",
  "killAction:afterStorage",
  // Any other operation: handles and metadata.
  "killAction:beforeOther",
  "killAction:afterOther",
  "killAction:beforeFetch",
  // The request is on its way; its effects happen.
  "killAction:duringFetch",
  "killAction:afterFetch",
  // Instead of the callback of a timer.
  "killAction:timer",
  // All of its code has run; its result is never delivered.
  "killAction:end",
  // Wherever it is, at a time that the plan names.
  "killAction:time",
] as const;

export const FAULT_POINTS = [
  ...KILL_POINTS,
  // Of a client's call that succeeded.
  "loseReply:mutation",
  "loseReply:action",
  // Of a mutation that an action called: reply and action are lost together.
  "loseReply:inAction",
  "delayJob:pending",
  "reorderJobs:pass",
  // An attempt that has something to commit: of a client's or an action's mutation, of a job, of what an action schedules
  // or stores, of the scheduler's own bookkeeping.
  "forceConflict:mutation",
  "forceConflict:job",
  "forceConflict:operation",
  "forceConflict:scheduler",
  "exhaustPermits:query",
  "exhaustPermits:mutation",
  "exhaustPermits:action",
  "exhaustPermits:slot",
  "exhaustPermits:time",
  // A mutation's code has run; a commit has its timestamp and is not published; a commit is published.
  "restart:execute",
  "restart:assign",
  "restart:publish",
  "restart:time",
  "deploy:execute",
  "deploy:assign",
  "deploy:publish",
  "deploy:time",
  "skewClock:transaction",
  "skewClock:action",
  "dropHandle:resolve",
  "collectJobs:finished",
] as const;

export type FaultPoint = (typeof FAULT_POINTS)[number];
export type FaultKind = FaultPoint extends `${infer Kind}:${string}` ? Kind : never;

export const kindOfPoint = (point: FaultPoint): FaultKind => point.slice(0, point.indexOf(":")) as FaultKind;
export const FAULT_KINDS: readonly FaultKind[] = [...new Set(FAULT_POINTS.map(kindOfPoint))];

/** Syscalls of an action by the word that its points have for them. */
export function operationOf(op: string): "Schedule" | "Cancel" | "Storage" | "Other" {
  if (op === "1.0/actions/schedule") return "Schedule";
  if (op === "1.0/actions/cancel_job") return "Cancel";
  return /^(1\.0\/)?storage/.test(op) ? "Storage" : "Other";
}
