/** Loops with passes at the same time: they share one position, one lease and the places of their shard. */
import type { Check, PhaseResult, Scenario } from "../lib/scenario.js";

const PASSES = 20;
const AT_ONCE = 4;
const WORK_MS = 100;
/** Above what the passes take one after the other: finding the task, and recording. */
const OVERHEAD_MS = 1_000;
const ITEMS = Array.from({ length: PASSES }, (_, index) => index);

export const loopContention: Scenario = {
  name: "loop-contention",
  question:
    "When several loops with passes at the same time run beside each other, is every pass run and recorded once?",
  thresholds: [`an execution takes no longer than its ${PASSES} passes one after the other, and ${OVERHEAD_MS} ms`],
  failureMeans:
    "Passes are lost, doubled or mixed up, or wait for those of others: look at the walker's loops and the checkpoints.",
  load: { total: 8, concurrency: 8, rampUpSeconds: 0, durationMinutes: 0, stuckMs: 60_000 },
  definition: {
    name: "stress-loop-contention",
    nodes: {
      start: { type: "trigger", next: { success: "each" } },
      each: {
        type: "loop",
        items: "{{ input.items }}",
        concurrency: AT_ONCE,
        body: "work",
        collect: "{{ nodes.square.output + input.n }}",
        next: { done: "done" },
      },
      work: {
        type: "action",
        action: "stress.work",
        args: { ms: WORK_MS, fail: "{{ input.fail }}" },
        next: { success: "square" },
      },
      square: { type: "action", action: "stress.square", args: { n: "{{ item }}" } },
      done: { type: "output", value: { sums: "{{ nodes.each.output.results }}" } },
    },
  },
  phases: [{ name: "loops", settings: { activeShards: 2, maxParallelism: 25 } }],
  input: (index) => ({ n: index, items: ITEMS }),
  output: (index) => ({ sums: ITEMS.map((item) => item * item + index) }),
  nodeRunKeys: () => ["start", "each", ...ITEMS.flatMap((i) => [`each[${i}]/work`, `each[${i}]/square`]), "done"],
  judge: (phases) => phases.map(isNotHeldUp),
};

function isNotHeldUp({ metrics }: PhaseResult): Check {
  const longest = metrics.completionMs.p99;
  const most = PASSES * WORK_MS + OVERHEAD_MS;
  return {
    claim: `99 of 100 executions take at most ${most} ms`,
    passed: longest !== null && longest <= most,
    observed: longest === null ? "none succeeded" : `${longest} ms`,
  };
}
