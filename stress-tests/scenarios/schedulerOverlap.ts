/** A schedule whose ticks come faster than their executions end, delivered twice each, as schedulers do after a fault. */
import type { Check, PhaseResult, Scenario } from "../lib/scenario.js";

const WORK_MS = 8_000;
/** Above the work itself: finding the task, and recording. */
const OVERHEAD_MS = 1_000;
const LEAST_AT_ONCE = 2;

export const schedulerOverlap: Scenario = {
  name: "scheduler-overlap",
  question: "When a schedule fires while earlier executions still run, does every tick start one execution, at once?",
  thresholds: [
    "a tick that is delivered twice starts one execution",
    `at least ${LEAST_AT_ONCE} executions run at the same time`,
    `none takes longer than its work of ${WORK_MS} ms and ${OVERHEAD_MS} ms`,
  ],
  failureMeans:
    "Ticks are doubled or wait for one another: look at idempotency keys and the pump. With too little overlap the load is too thin to tell.",
  load: { total: 10, concurrency: 10, rampUpSeconds: 0, durationMinutes: 0.5, stuckMs: 60_000 },
  definition: {
    name: "stress-scheduler-overlap",
    nodes: {
      start: { type: "trigger", next: { success: "work" } },
      work: {
        type: "action",
        action: "stress.work",
        args: { ms: WORK_MS, fail: "{{ input.fail }}" },
        next: { success: "done" },
      },
      done: { type: "output", value: { tick: "{{ input.tick }}" } },
    },
  },
  phases: [{ name: "ticks", settings: { activeShards: 4, maxParallelism: 25 } }],
  input: (index) => ({ tick: index }),
  output: (index) => ({ tick: index }),
  nodeRunKeys: () => ["start", "work", "done"],
  start: async (target, request, index) => {
    const tick = { ...request, idempotencyKey: `tick ${index}` };
    const [one, other] = await Promise.all([target.start(tick), target.start(tick)]);
    if (one !== other) throw new Error(`Tick ${index} was delivered twice and started two executions.`);
    return one;
  },
  judge: (phases) => phases.flatMap((phase) => [overlaps(phase), isAtOnce(phase)]),
};

function overlaps({ metrics }: PhaseResult): Check {
  return {
    claim: `at least ${LEAST_AT_ONCE} executions run at the same time`,
    passed: metrics.maxConcurrent >= LEAST_AT_ONCE,
    observed: `at most ${metrics.maxConcurrent} did`,
  };
}

function isAtOnce({ metrics }: PhaseResult): Check {
  const longest = metrics.completionMs.p99;
  const most = WORK_MS + OVERHEAD_MS;
  return {
    claim: `99 of 100 executions take at most ${most} ms`,
    passed: longest !== null && longest <= most,
    observed: longest === null ? "none succeeded" : `${longest} ms`,
  };
}
