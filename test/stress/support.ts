/** Targets for the tests of the stress tests: one that is nothing but a clock, and real ones that are bent. */
import type { ExecutionState, ExecutionStatus, NodeRun } from "convex-shardflow";
import type { Observation } from "../../stress-tests/lib/driver.js";
import type { OpenTarget, Target } from "../../stress-tests/lib/target.js";
import { VirtualClock } from "../support/virtualClock.js";

export const EPOCH = 1_000_000;

export type Service = {
  /** How long the execution takes; Infinity: it never ends. */
  ms: (index: number) => number;
  endsAs?: (index: number) => ExecutionStatus;
  /** What the start is answered with after so long; an error refuses it. */
  acknowledge?: (index: number) => { afterMs: number; error?: Error };
};

/** A target that ends every execution when it is told to, whatever is in its flow. */
export function plainTarget({ ms, endsAs = () => "succeeded", acknowledge }: Service): OpenTarget {
  return {
    name: "plain",
    run: async (_seed, work) => {
      const clock = new VirtualClock();
      clock.advanceTo(EPOCH);
      const startedAt: number[] = [];
      const target: Target = {
        prepare: async () => {},
        start: async () => {
          const index = startedAt.push(clock.now) - 1;
          const { afterMs = 0, error } = acknowledge?.(index) ?? {};
          if (afterMs > 0) await clock.sleep(afterMs);
          if (error !== undefined) throw error;
          return String(index);
        },
        statusOf: async (id) => {
          const index = Number(id);
          const began = startedAt[index] ?? 0;
          const end = began + ms(index);
          const state = { status: "running" as ExecutionStatus, shardIndex: index % 4, startedAt: began };
          return stateOf(clock.now < end ? state : { ...state, status: endsAs(index), endedAt: end });
        },
        listNodeRuns: async (id) => [nodeRun(`node of ${id}`)],
        now: () => clock.now,
        wait: (time) => clock.sleep(time),
      };
      return await clock.until(work(target));
    },
  };
}

/** The target with some of its functions replaced. */
export function bent(open: OpenTarget, change: (target: Target) => Partial<Target>): OpenTarget {
  return { ...open, run: (seed, work) => open.run(seed, (target) => work({ ...target, ...change(target) })) };
}

type SomeState = Partial<ExecutionState> & Pick<ExecutionState, "status">;

export function stateOf(state: SomeState): ExecutionState {
  return { executionId: "x", scope: "", definition: "d", version: 1, shardIndex: 0, startedAt: EPOCH, ...state };
}

export function nodeRun(key: string): NodeRun {
  const times = { startedAt: EPOCH, endedAt: EPOCH };
  return {
    key,
    node: key,
    type: "set",
    status: "succeeded",
    attempt: 1,
    failures: [],
    outputBytes: 0,
    seq: 1,
    ...times,
  };
}

/** One observation of an execution that was started at EPOCH. */
export function observed(state: SomeState | null, more: Partial<Observation> = {}): Observation {
  return {
    index: 0,
    dueAt: EPOCH,
    calledAt: EPOCH,
    acknowledgedAt: EPOCH,
    executionId: "x",
    startError: null,
    state: state === null ? null : stateOf(state),
    nodeRuns: [],
    ...more,
  };
}
