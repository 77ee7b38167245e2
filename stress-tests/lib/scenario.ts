/**
 * What a scenario is, and how one is run.
 *
 * Owns: the order of things, the same for every scenario: a fresh target for each phase, the same arrivals in each, then
 * numbers, then the verdict. A scenario says what it asks and judges; it starts and measures nothing itself.
 */
import { isDeepStrictEqual } from "node:util";
import type { DefinitionSource, Json, JsonObject } from "convex-shardflow";
import { planArrivals } from "./arrivals.js";
import { drive, type Observation } from "./driver.js";
import type { Load } from "./load.js";
import { measure, type Metrics } from "./metrics.js";
import type { OpenTarget, Setup, StartRequest, Target } from "./target.js";

export type Phase = { name: string; settings: Omit<Setup, "definition"> };

export type PhaseResult = { name: string; settings: Phase["settings"]; metrics: Metrics; observations: Observation[] };

/** One condition of a verdict: what must hold, and what was seen. */
export type Check = { claim: string; passed: boolean; observed: string };

/** What every scenario asks of every phase; see `basicChecks`. */
export const BASIC_THRESHOLD =
  "every execution succeeds in time, with the right result and each node run recorded once";

export type Scenario = {
  name: string;
  /** What a run answers. */
  question: string;
  /** What the verdict asks for beyond {@link BASIC_THRESHOLD}, in words. */
  thresholds: readonly string[];
  /** What to look at when the verdict is no. */
  failureMeans: string;
  /** The load when the command line says nothing: small, and enough to answer the question. */
  load: Load;
  /** Its action `stress.work` gets `fail: "{{ input.fail }}"`, so that a run can be made to fail. */
  definition: DefinitionSource;
  phases: readonly [Phase, ...Phase[]];
  input: (index: number) => JsonObject;
  /** The result that the execution of an arrival must have. */
  output: (index: number) => Json;
  /** The keys of the node runs that it must have, each once. */
  nodeRunKeys: (index: number) => readonly string[];
  /** How an arrival is started; default: one call. */
  start?: (target: Target, request: StartRequest, index: number) => Promise<string>;
  /** The checks behind its own thresholds. */
  judge: (phases: readonly PhaseResult[], load: Load) => Check[];
};

export type RunOptions = {
  target: OpenTarget;
  load: Load;
  seed: number;
  /** Lets every n-th execution fail, to show that the verdict notices. */
  failEvery?: number;
};

export type ScenarioResult = {
  scenario: Scenario;
  target: string;
  load: Load;
  seed: number;
  phases: PhaseResult[];
  checks: Check[];
  passed: boolean;
};

export async function runScenario(scenario: Scenario, options: RunOptions): Promise<ScenarioResult> {
  const { target, load, seed } = options;
  const phases: PhaseResult[] = [];
  for (const phase of scenario.phases) {
    const observations = await target.run(seed, (opened) => runPhase(opened, scenario, phase, options));
    phases.push({ ...phase, metrics: measure(observations, load.stuckMs), observations });
  }
  const checks = [
    ...phases.flatMap((phase) => basicChecks(scenario, phase, phases.length > 1)),
    ...scenario.judge(phases, load),
  ];
  const passed = checks.every((check) => check.passed);
  return { scenario, target: target.name, load, seed, phases, checks, passed };
}

async function runPhase(
  target: Target,
  { definition, input, start = (to, request) => to.start(request) }: Scenario,
  { settings }: Phase,
  { load, seed, failEvery = Infinity }: RunOptions,
): Promise<Observation[]> {
  await target.prepare({ definition, ...settings });
  return await drive(target, {
    arrivals: planArrivals(load, seed),
    stuckMs: load.stuckMs,
    start: (index) => {
      const fail = (index + 1) % failEvery === 0;
      return start(target, { definition: definition.name, input: { ...input(index), fail } }, index);
    },
  });
}

function basicChecks(scenario: Scenario, { name, metrics, observations }: PhaseResult, isOneOfMany: boolean): Check[] {
  const { arrivals, succeeded, refused, failed, canceled, stuck } = metrics;
  const where = isOneOfMany ? ` (${name})` : "";
  const ended = observations.filter(({ state }) => state?.status === "succeeded");
  const wrong = ended.filter(({ index, state }) => !isDeepStrictEqual(state?.output, scenario.output(index)));
  const misrecorded = ended.filter(({ index, nodeRuns }) => {
    const keys = nodeRuns.map(({ key }) => key);
    return !isDeepStrictEqual(keys.sort(), [...scenario.nodeRunKeys(index)].sort());
  });
  return [
    {
      claim: `every execution succeeds in time${where}`,
      passed: succeeded === arrivals,
      observed:
        `${succeeded} of ${arrivals} succeeded, ${failed} failed, ${stuck} stuck, ` +
        `${canceled} canceled, ${refused} refused`,
    },
    {
      claim: `every result is right${where}`,
      passed: wrong.length === 0,
      observed: `${wrong.length} of ${ended.length} are wrong${first(wrong)}`,
    },
    {
      claim: `every node run is recorded, and recorded once${where}`,
      passed: misrecorded.length === 0,
      observed: `${misrecorded.length} of ${ended.length} executions have other node runs${first(misrecorded)}`,
    },
  ];
}

function first([one]: Observation[]): string {
  return one === undefined ? "" : `, the first is ${one.executionId ?? "unknown"}`;
}
