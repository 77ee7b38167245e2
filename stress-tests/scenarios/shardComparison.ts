/** The same load twice: on one shard, then spread over four. */
import { ratio } from "../lib/metrics.js";
import { formatRatio } from "../lib/report.js";
import type { Check, Scenario } from "../lib/scenario.js";

const SHARDS = 4;
/** Small, so that a small load fills it: what four shards add is room. */
const PER_SHARD = 4;
const FASTER = 1.5;

export const shardComparison: Scenario = {
  name: "shard-comparison",
  question: "When one shard has more to run than it runs at once, do four get through it faster?",
  thresholds: [
    "the first phase uses one shard, the second all four",
    `four shards have at least ${FASTER} times the throughput of one`,
  ],
  failureMeans:
    "Executions of one shard wait for another, or are not spread: look at the placement and at maxParallelism. A load of fewer executions than one shard runs at once shows no difference.",
  load: { total: 40, concurrency: 40, rampUpSeconds: 0, durationMinutes: 0, stuckMs: 60_000 },
  definition: {
    name: "stress-shard-comparison",
    nodes: {
      start: { type: "trigger", next: { success: "work" } },
      work: {
        type: "action",
        action: "stress.work",
        args: { ms: 1_000, fail: "{{ input.fail }}" },
        next: { success: "done" },
      },
      done: { type: "output", value: { n: "{{ input.n }}" } },
    },
  },
  phases: [
    { name: "one shard", settings: { activeShards: 1, maxParallelism: PER_SHARD } },
    { name: "four shards", settings: { activeShards: SHARDS, maxParallelism: PER_SHARD } },
  ],
  input: (index) => ({ n: index }),
  output: (index) => ({ n: index }),
  nodeRunKeys: () => ["start", "work", "done"],
  judge: (phases) => {
    const used = phases.map(({ metrics }) => metrics.perShard.length);
    const [one = 0, four = 0] = phases.map(({ metrics }) => metrics.throughputPerSecond ?? 0);
    const gain = ratio(four, one);
    const spread: Check = {
      claim: `the executions are on 1 shard, then on ${SHARDS}`,
      passed: used[0] === 1 && used[1] === SHARDS,
      observed: `on ${used.join(", then on ")}`,
    };
    const faster: Check = {
      claim: `four shards have at least ${FASTER} times the throughput of one`,
      passed: gain !== null && gain >= FASTER,
      observed: formatRatio(gain),
    };
    return [spread, faster];
  },
};
