/** A burst: everything is started at the same moment. */
import type { Check, PhaseResult, Scenario } from "../lib/scenario.js";

const ACTIVE_SHARDS = 4;
/** Room for chance: a fair placement strays further than this once in 30 000 times. */
const DEVIATIONS = 4;

export const concurrentStarts: Scenario = {
  name: "concurrent-starts",
  question: "When many executions are started at the same moment, does each run once, and do all shards share them?",
  thresholds: [`no shard gets more than its fair share and ${DEVIATIONS} standard deviations`],
  failureMeans:
    "Starts are lost, run twice or pile up: look at startWorkflow and kick, and for an uneven share at the placement.",
  load: { total: 40, concurrency: 40, rampUpSeconds: 0, durationMinutes: 0, stuckMs: 30_000 },
  definition: {
    name: "stress-concurrent-starts",
    nodes: {
      start: { type: "trigger", next: { success: "work" } },
      work: {
        type: "action",
        action: "stress.work",
        args: { ms: 200, fail: "{{ input.fail }}" },
        next: { success: "square" },
      },
      square: { type: "action", action: "stress.square", args: { n: "{{ input.n }}" }, next: { success: "done" } },
      done: { type: "output", value: { square: "{{ nodes.square.output }}" } },
    },
  },
  phases: [{ name: "burst", settings: { activeShards: ACTIVE_SHARDS, maxParallelism: 25 } }],
  input: (index) => ({ n: index }),
  output: (index) => ({ square: index * index }),
  nodeRunKeys: () => ["start", "work", "square", "done"],
  judge: (phases) => phases.map(sharesFairly),
};

function sharesFairly({ metrics }: PhaseResult): Check {
  const started = metrics.perShard.reduce((sum, shard) => sum + shard.started, 0);
  const busiest = Math.max(0, ...metrics.perShard.map((shard) => shard.started));
  const share = 1 / ACTIVE_SHARDS;
  const most = Math.ceil(started * share + DEVIATIONS * Math.sqrt(started * share * (1 - share)));
  return {
    claim: `no shard gets more than ${most} of ${started}`,
    passed: busiest <= most,
    observed: `the busiest of ${metrics.perShard.length} got ${busiest}`,
  };
}
