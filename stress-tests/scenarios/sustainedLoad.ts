/** A steady stream: as many executions arrive in every second as in the one before. */
import { completionMsOf, percentile } from "../lib/metrics.js";
import type { Check, PhaseResult, Scenario } from "../lib/scenario.js";

/** Late executions may take so much longer than early ones before a queue is said to build up. */
const GROWTH = 1.5;
const WORK_MS = 2_000;

export const sustainedLoad: Scenario = {
  name: "sustained-load",
  question: "When executions keep coming for a while, do the late ones take as long as the early ones?",
  thresholds: [`the median of the last quarter is at most ${GROWTH} times the median of the first`],
  failureMeans:
    "Work queues up, or something grows with the number of past executions: look at the pump, and at what is not deleted.",
  load: { total: 40, concurrency: 50, rampUpSeconds: 5, durationMinutes: 0.5, stuckMs: 60_000 },
  definition: {
    name: "stress-sustained-load",
    nodes: {
      start: { type: "trigger", next: { success: "isEven" } },
      isEven: { type: "condition", if: "input.n % 2 == 0", next: { true: "even", false: "odd" } },
      even: { type: "set", values: { parity: "even" }, next: { success: "work" } },
      odd: { type: "set", values: { parity: "odd" }, next: { success: "work" } },
      work: {
        type: "action",
        action: "stress.work",
        args: { ms: WORK_MS, fail: "{{ input.fail }}" },
        next: { success: "done" },
      },
      done: { type: "output", value: { parity: "{{ vars.parity }}" } },
    },
  },
  phases: [{ name: "stream", settings: { activeShards: 4, maxParallelism: 25 } }],
  input: (index) => ({ n: index }),
  output: (index) => ({ parity: index % 2 === 0 ? "even" : "odd" }),
  nodeRunKeys: (index) => ["start", "isEven", index % 2 === 0 ? "even" : "odd", "work", "done"],
  judge: (phases) => phases.map(staysSteady),
};

function staysSteady({ observations }: PhaseResult): Check {
  const succeeded = observations.filter(({ state }) => state?.status === "succeeded");
  const took = succeeded.map(completionMsOf).filter((ms) => ms !== null);
  const quarter = Math.max(1, Math.floor(took.length / 4));
  const early = percentile(took.slice(0, quarter), 50);
  const late = percentile(took.slice(-quarter), 50);
  return {
    claim: `late executions take at most ${GROWTH} times as long as early ones`,
    passed: early !== null && late !== null && late <= early * GROWTH,
    observed: early === null || late === null ? "none succeeded" : `${early} ms at first, ${late} ms at last`,
  };
}
