/**
 * The command line of the stress tests.
 *
 * Owns: what may be said, and the exit codes: 0 the verdict is a pass, 1 it is not, 2 the command was not understood and
 * nothing was run.
 */
import { parseArgs } from "node:util";
import { convexTestTarget } from "./lib/convexTestTarget.js";
import { allowed, LOAD_FLAGS, readNumber, SEED, type Load, type LoadFlag } from "./lib/load.js";
import { jsonReport, textReport } from "./lib/report.js";
import { BASIC_THRESHOLD, runScenario, type Scenario } from "./lib/scenario.js";
import { SCENARIOS } from "./scenarios/index.js";

export type Output = { out: (text: string) => void; err: (text: string) => void };

const FLAG_NAMES = Object.keys(LOAD_FLAGS) as LoadFlag[];
const DEFAULT_SEED = 1;

type Command =
  | { kind: "list" }
  | { kind: "help" }
  | { kind: "run"; scenario: Scenario; load: Load; seed: number; json: boolean }
  | { kind: "misunderstood"; why: string };

/** @returns The exit code. */
export async function main(args: string[], { out, err }: Output): Promise<number> {
  const command = readCommand(args);
  switch (command.kind) {
    case "list":
      out(SCENARIOS.map(describe).join("\n\n"));
      return 0;
    case "help":
      out(usage());
      return 0;
    case "misunderstood":
      err(`${command.why}\n\n${usage()}`);
      return 2;
    case "run": {
      const { scenario, load, seed, json } = command;
      const result = await runScenario(scenario, { target: convexTestTarget, load, seed });
      out(json ? jsonReport(result) : textReport(result));
      return result.passed ? 0 : 1;
    }
  }
}

function describe({ name, question, thresholds, failureMeans }: Scenario): string {
  return [
    name,
    `  asks: ${question}`,
    ...[BASIC_THRESHOLD, ...thresholds].map((threshold) => `  passes when ${threshold}`),
    `  a failure means: ${failureMeans}`,
  ].join("\n");
}

function readCommand(args: string[]): Command {
  let values: ReturnType<typeof parse>["values"];
  try {
    ({ values } = parse(args));
  } catch (error) {
    return { kind: "misunderstood", why: error instanceof Error ? error.message : String(error) };
  }
  if (values.help === true) return { kind: "help" };
  if (values.list === true) return { kind: "list" };
  const scenario = SCENARIOS.find(({ name }) => name === values.scenario);
  if (scenario === undefined) {
    const why = values.scenario === undefined ? "No scenario was named" : `There is no scenario "${values.scenario}"`;
    return { kind: "misunderstood", why: `${why}; give one of ${SCENARIOS.map(({ name }) => name).join(", ")}.` };
  }
  try {
    const load = { ...scenario.load };
    for (const flag of FLAG_NAMES) {
      const text = values[flag];
      if (text !== undefined) load[flag] = readNumber(flag, text, LOAD_FLAGS[flag]);
    }
    const seed = values.seed === undefined ? DEFAULT_SEED : readNumber("seed", values.seed, SEED);
    return { kind: "run", scenario, load, seed, json: values.json ?? false };
  } catch (error) {
    if (error instanceof RangeError) return { kind: "misunderstood", why: error.message };
    throw error;
  }
}

function parse(args: string[]) {
  return parseArgs({
    args,
    options: {
      scenario: { type: "string" },
      total: { type: "string" },
      concurrency: { type: "string" },
      rampUpSeconds: { type: "string" },
      durationMinutes: { type: "string" },
      stuckMs: { type: "string" },
      seed: { type: "string" },
      json: { type: "boolean" },
      list: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
}

function usage(): string {
  const flag = (name: string, help: string) => `  --${name.padEnd(18)}${help}`;
  return [
    "Usage: npm run stress -- --scenario NAME [flags]",
    "",
    flag("scenario NAME", SCENARIOS.map(({ name }) => name).join(", ")),
    ...FLAG_NAMES.map((name) => flag(`${name} N`, `${LOAD_FLAGS[name].help}; ${allowed(LOAD_FLAGS[name])}`)),
    flag("seed N", `${SEED.help}; ${allowed(SEED)}, default ${DEFAULT_SEED}`),
    flag("json", "prints one JSON object"),
    flag("list", "prints the scenarios: what each asks, when it passes, what a failure means"),
  ].join("\n");
}
