/**
 * `npm run demo`: three flows, 24 executions, one process, no network but loopback.
 *
 * Starts a language model on this machine, a deployment beside it, runs every case of cases.ts to its end, and says
 * whether each ended as it must. Exits with 1 when one did not, or when they took longer than two minutes.
 *
 *   --json      prints {executions: [...]} and nothing else (`npm run --silent demo -- --json`)
 *   --sabotage  lets the model sort tickets wrongly, to show that the demo would notice
 */
import { parseArgs } from "node:util";
import { startModelServer } from "../test/support/modelServer.js";
import { CASES } from "./cases.js";
import { startDeployment } from "./deployment.js";
import { runCases } from "./execute.js";
import { demoModel } from "./model.js";
import { clearProgress, showProgress, table } from "./report.js";

const TIMEOUT_MS = 120_000;

const { values: options } = parseArgs({
  options: { json: { type: "boolean", default: false }, sabotage: { type: "boolean", default: false } },
});

/** What a deployment would write to its log. Shown only when something went wrong. */
const log: string[] = [];
for (const level of ["log", "info", "debug", "warn", "error"] as const) {
  console[level] = (...parts: unknown[]) => log.push(`${level}: ${parts.map(String).join(" ")}`);
}

const model = demoModel({ sabotage: options.sabotage });
const server = await startModelServer(model);
// What `npx convex env set` does for a deployment.
process.env.OPENAI_BASE_URL = server.url;
process.env.OPENAI_API_KEY = "demo-key-of-a-model-on-this-machine";

const startedAt = Date.now();
const outcomes = await runCases(await startDeployment(), CASES, { timeoutMs: TIMEOUT_MS, onProgress: showProgress });
clearProgress();
await server.close();

const wrong = outcomes.filter(({ asExpected }) => !asExpected).length;
if (options.json) process.stdout.write(`${JSON.stringify({ executions: outcomes })}\n`);
else {
  const shards = new Set(outcomes.map(({ shardIndex }) => shardIndex)).size;
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(
    `${table(outcomes)}\n\n${outcomes.length - wrong} of ${outcomes.length} executions ended as expected, ` +
      `on ${shards} shards, in ${seconds} s. The model was asked ${server.calls} times and refused ${model.refused} of them.\n`,
  );
}
if (wrong > 0) process.stderr.write(`${log.slice(-20).join("\n")}\n${wrong} executions did not end as expected.\n`);
// The shards' watchdogs are still waiting for their next look.
process.exit(wrong > 0 ? 1 : 0);
