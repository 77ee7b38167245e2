/**
 * `npm run simulator:peers`: the published suites of the components that this package stands on, on convex-test and on the
 * simulator, and every difference with its reason. `-- workpool` runs those whose name contains the word.
 *
 * Exits with 1 when a suite does not run, a difference is not in peerDifferences.ts, or something in there is none.
 */
import { DEPARTURES } from "./peerDifferences.js";
import { compare, render, type Comparison } from "./peersCompare.js";
import { runSuite, versionOf } from "./peersRun.js";

const PACKAGES = ["@convex-dev/workpool", "@convex-dev/workflow", "@convex-dev/batch-worker"];
const interrupted = new AbortController();

async function main(): Promise<void> {
  const words = process.argv.slice(2);
  const comparisons: Comparison[] = [];
  for (const name of PACKAGES.filter((each) => words.every((word) => each.includes(word)))) {
    const convexTest = await runSuite(name, "convex-test", interrupted.signal);
    const simulator = await runSuite(name, "simulator", interrupted.signal);
    const departures = DEPARTURES.filter((departure) => departure.package === name);
    comparisons.push(compare(`${name} ${await versionOf(name)}`, convexTest, simulator, departures));
  }
  console.log(render(comparisons));
  if (comparisons.length === 0 || comparisons.some(({ wrong }) => wrong.length > 0)) process.exitCode = 1;
}

process.once("SIGINT", () => interrupted.abort());
await main().catch((error: unknown) => {
  if (!interrupted.signal.aborted) throw error;
  process.exitCode = 130;
});
