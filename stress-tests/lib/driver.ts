/**
 * Starts executions as they arrive and watches them until each has ended or is stuck.
 *
 * Owns: when something is called, and what came back. Invariants: (D1) all executions in flight are looked at every time;
 * (D2) how long one took is what the product says, never when a look happened to see it; (D3) a start that is refused or
 * never answered is an observation like any other.
 */
import type { ExecutionState, NodeRun } from "convex-shardflow";
import { startable, type Arrivals } from "./arrivals.js";
import { phaseOf, type Target } from "./target.js";

/** How often executions are looked at. No measured time depends on it, only how soon a place is found free. */
const POLL_MS = 1_000;
const POLL_WHEN_FULL_MS = 100;

export type Observation = {
  index: number;
  /** When it was due, and when it got its place, in ms since the epoch. */
  dueAt: number;
  calledAt: number;
  /** Null when the start was refused, or not answered until it was stuck. */
  acknowledgedAt: number | null;
  executionId: string | null;
  startError: string | null;
  /** As last seen; final when it has ended. */
  state: ExecutionState | null;
  nodeRuns: NodeRun[];
};

export type Drive = {
  arrivals: Arrivals;
  stuckMs: number;
  /** Starts the execution of an arrival. */
  start: (index: number) => Promise<string>;
};

export async function drive(target: Target, { arrivals, stuckMs, start }: Drive): Promise<Observation[]> {
  const beganAt = target.now();
  const all: Observation[] = [];
  let inFlight: Observation[] = [];
  for (;;) {
    const elapsedMs = target.now() - beganAt;
    for (let n = startable(arrivals, { elapsedMs, started: all.length, inFlight: inFlight.length }); n > 0; n--) {
      const dueAt = beganAt + (arrivals.dueMs[all.length] ?? 0);
      const one = begin(target, all.length, dueAt, start);
      all.push(one);
      inFlight.push(one);
    }
    const nextDueMs = arrivals.dueMs[all.length] ?? Infinity;
    if (inFlight.length === 0 && nextDueMs === Infinity) break;
    await target.wait(pause(inFlight.length, arrivals.concurrency, nextDueMs - elapsedMs));
    await Promise.all(inFlight.map((one) => look(target, one)));
    inFlight = inFlight.filter((one) => !isSettled(one, target.now(), stuckMs));
  }
  await Promise.all(all.map((one) => readNodeRuns(target, one)));
  return all;
}

function pause(inFlight: number, concurrency: number, untilDueMs: number): number {
  if (inFlight === 0) return untilDueMs;
  const isAwaited = inFlight >= concurrency && untilDueMs < Infinity;
  return isAwaited ? POLL_WHEN_FULL_MS : Math.min(POLL_MS, untilDueMs);
}

function begin(target: Target, index: number, dueAt: number, start: Drive["start"]): Observation {
  const one: Observation = {
    index,
    dueAt,
    calledAt: target.now(),
    acknowledgedAt: null,
    executionId: null,
    startError: null,
    state: null,
    nodeRuns: [],
  };
  start(index).then(
    (executionId) => {
      one.executionId = executionId;
      one.acknowledgedAt = target.now();
    },
    (error: unknown) => {
      one.startError = error instanceof Error ? error.message : String(error);
    },
  );
  return one;
}

async function look(target: Target, one: Observation): Promise<void> {
  if (one.executionId !== null) one.state = await target.statusOf(one.executionId);
}

function isSettled({ startError, state, calledAt }: Observation, now: number, stuckMs: number): boolean {
  if (startError !== null) return true;
  if (state !== null && phaseOf(state.status) !== "active") return true;
  return now - (state?.startedAt ?? calledAt) > stuckMs;
}

async function readNodeRuns(target: Target, one: Observation): Promise<void> {
  if (one.executionId !== null) one.nodeRuns = await target.listNodeRuns(one.executionId);
}
