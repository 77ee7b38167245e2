import { beforeAll, test } from "vitest";
import { chain, loop, prepare, runShardflow, runVanilla, startBench, type Bench } from "./bench.js";
import { preload } from "../support/harness.js";
import type { Tally } from "../support/counters.js";

beforeAll(preload);
const per = (t: Tally, n: number) => Object.fromEntries(Object.entries(t).map(([k, v]) => [k, Math.round((v / n) * 100) / 100]));
const slope = (a: Tally, b: Tally, n: number) => Object.fromEntries(Object.entries(a).map(([k, v]) => [k, Math.round(((b[k as keyof Tally] - v) / n) * 1000) / 1000]));
function show(bench: Bench, n: number) {
  const rows = bench.counters.byFunction.map((f) => ({ fn: f.component + " " + f.name, ...per(f.tally, n) }));
  const groups = new Map<string, Record<string, number>>();
  for (const f of bench.counters.byFunction) {
    const key = f.component.replace(/shard\d/, "shardK") + " " + f.name.replace(/:shard\d/, ":shardK");
    const g = groups.get(key) ?? {};
    for (const [k, v] of Object.entries(f.tally)) g[k] = (g[k] ?? 0) + v / n;
    groups.set(key, g);
  }
  void rows;
  for (const [k, g] of [...groups].sort((a, b) => b[1].reads! - a[1].reads!)) {
    const f = (x?: number) => (x ?? 0).toFixed(2).padStart(8);
    console.log(`${f(g.transactions)}${f(g.nestedMutations)}${f(g.queries)}${f(g.actions)}${f(g.jobs)}${f(g.reads)}${f(g.snapshotReads)}${f(g.writes)}  ${k}`);
  }
}
const N = 50;

test("vanilla", { timeout: 600_000 }, async () => {
  const out = [];
  for (const nodes of [5, 20]) {
    const bench = startBench();
    const t0 = performance.now();
    const tally = await runVanilla(bench, N, nodes, 400);
    console.log("vanilla", nodes, per(tally, N), "scheduled", bench.counters.scheduled, bench.counters.canceled, "jobs", tally.jobs, "ms", performance.now() - t0);
    show(bench, N);
    out.push(tally);
  }
  console.log("slope", slope(out[0]!, out[1]!, 15 * N));
  console.log("fixed", Object.fromEntries(Object.entries(out[0]!).map(([k, v]) => [k, (v - (out[1]![k as keyof Tally] - v) / 3) / N])));
});
