import { beforeAll, test } from "vitest";
import { combine, type Tally } from "../support/counters.js";
import { preload } from "../support/harness.js";
import { byFunction, chain, idlePollsOf, lineThrough, perExecution, runShardflow, totalOf, workOf, type Run } from "./runs.js";
beforeAll(preload);
const f = (t: Tally) => JSON.stringify(combine([t], (v) => Math.round(v * 1000) / 1000)).replaceAll('"', "");
for (const [name, config, maxMs] of [["4 shards", undefined, 400], ["1 shard", { activeShards: 1, maxParallelism: 50 }, 400], ["4 shards, 0 ms", undefined, 0]] as const) {
  test(name, { timeout: 600_000 }, async () => {
    const runs: Run[] = [];
    for (const nodes of [5, 20]) runs.push(await runShardflow({ definition: chain(nodes, maxMs), nodes, executions: 50, ...(config ? { config } : {}) }));
    for (const [what, of] of [["total", totalOf], ["work", workOf], ["polls", idlePollsOf]] as const) {
      const [a, b] = runs.map((r) => ({ nodes: r.nodes, tally: perExecution(r, of(r)) }));
      const line = lineThrough(a!, b!);
      console.log(name, what, "\n 5:    ", f(a!.tally), "\n 20:   ", f(b!.tally), "\n node: ", f(line.perNode), "\n fixed:", f(line.fixed));
    }
    void byFunction;
  });
}
