/**
 * Many runs of one scenario with faults, and what came of them.
 *
 * Owns: the runs, what they hit, and a report for each that failed. Invariants: a run is a function of its seed; what was
 * thrown, what an invariant found and what was swallowed by the scenario all fail a run; nothing of a run outlives it.
 */
import { Deployment, type DeploymentOptions } from "../engine/deployment.js";
import { Rng } from "../engine/rng.js";
import type { Coverage, FaultOptions, InjectedFault, PlannedFault } from "../faults/faults.js";
import { FAULT_POINTS, kindOfPoint, type FaultKind, type FaultPoint } from "../faults/points.js";
import { InvariantError, type InvariantChecks } from "./invariants.js";
import { minimize } from "./minimize.js";
import { commandOf, type Report } from "./report.js";

export type ScenarioContext<Step> = {
  readonly seed: number;
  /** What the driver does, in this order; fewer when a failure is made smaller. */
  readonly steps: readonly Step[];
  /** Chance for the driver: of the seed, and nothing else. */
  readonly random: () => number;
  /** A deployment with the seed, the faults and the invariants of this run. Once per run. */
  readonly start: (options?: DeploymentOptions) => Deployment;
};

export type Scenario<Step = unknown> = {
  readonly name: string;
  /** Plain data: a report repeats them as JSON. */
  readonly steps?: (random: () => number) => readonly Step[];
  /** Drives the deployment; what it throws fails the run. */
  readonly run: (context: ScenarioContext<Step>) => Promise<void>;
};

export type CampaignOptions<Step> = {
  readonly scenario: Scenario<Step>;
  /** How many, from 1; or which. */
  readonly seeds: number | readonly number[];
  readonly faults?: FaultOptions;
  readonly invariants?: InvariantChecks;
  /** Points or kinds that must have been hit at least once over all runs. */
  readonly mustHit?: ReadonlyArray<FaultPoint | FaultKind>;
  /** With {seed}, {plan} and {steps}: what repeats a failure. */
  readonly command?: string;
  /** Runs for one failure, to make it smaller; 0 for none. */
  readonly maxReruns?: number;
  /** After so many failures the rest is not run. */
  readonly maxFailures?: number;
  /** A run that is not over after this long, of its own time, has failed. */
  readonly timeLimitMs?: number;
  readonly onRun?: (seed: number, failure: Report | null) => void;
};

export type CampaignSummary = {
  readonly scenario: string;
  readonly runs: number;
  readonly faultsPerKind: Readonly<Record<FaultKind, number>>;
  /** Every point: how often it was reached, and how often a fault struck there. */
  readonly pointsHit: Readonly<Record<FaultPoint, Coverage>>;
  /** Of `mustHit`: where nothing struck. */
  readonly missed: readonly string[];
  readonly commits: number;
  readonly invariantChecks: number;
  readonly failures: readonly Report[];
};

export type RunResult = {
  readonly failure: { readonly key: string; readonly message: string } | null;
  readonly deployment: Deployment | null;
};

const DAY_MS = 86_400_000;
const SHOWN_EVENTS = 60;

/** One run of a scenario: with faults as the options say. */
export async function runScenario<Step>(
  { scenario, invariants, timeLimitMs = 30 * DAY_MS }: CampaignOptions<Step>,
  seed: number,
  faults: FaultOptions | undefined,
  steps: readonly Step[],
): Promise<RunResult> {
  let deployment: Deployment | null = null;
  const driver = new Rng(seed ^ 0x2545f491);
  const start = (options: DeploymentOptions = {}): Deployment => {
    if (deployment !== null) throw new Error("A scenario starts one deployment in each run.");
    const started = new Deployment({ ...options, seed, ...(faults === undefined ? {} : { faults }) });
    started.history.keep = 2_000;
    started.invariants.addAll(invariants ?? {});
    const { loop } = started;
    loop.after(timeLimitMs, () =>
      loop.stop(new Error(`The run was not over after ${timeLimitMs} ms of its own time.`)),
    );
    deployment = started;
    return started;
  };
  let thrown: unknown = null;
  try {
    await scenario.run({ seed, steps, random: () => driver.next(), start });
  } catch (error) {
    thrown = error ?? new Error("The scenario threw nothing.");
  }
  // A scenario that expects errors of calls may have swallowed this one.
  // What it did not wait for must not go on into the next run.
  await (deployment as Deployment | null)?.loop.end();
  const violation = (deployment as Deployment | null)?.invariants.violation ?? null;
  return { deployment, failure: failureOf(violation ?? thrown) };
}

export async function campaign<Step>(options: CampaignOptions<Step>): Promise<CampaignSummary> {
  const { scenario, faults, mustHit = [], maxFailures = Infinity } = options;
  const seeds =
    typeof options.seeds === "number" ? Array.from({ length: options.seeds }, (_, i) => i + 1) : options.seeds;
  const pointsHit = Object.fromEntries(FAULT_POINTS.map((point) => [point, { asked: 0, injected: 0 }])) as Record<
    FaultPoint,
    Coverage
  >;
  const failures: Report[] = [];
  let runs = 0;
  let commits = 0;
  let invariantChecks = 0;
  for (const seed of seeds) {
    if (failures.length >= maxFailures) break;
    runs++;
    const steps = stepsOf(scenario, seed);
    const { failure, deployment } = await runScenario(options, seed, faults, steps);
    for (const [point, { asked, injected }] of deployment?.faults?.coverage ?? []) {
      pointsHit[point].asked += asked;
      pointsHit[point].injected += injected;
    }
    commits += deployment?.history.commits ?? 0;
    invariantChecks += deployment?.invariants.checked ?? 0;
    const report = failure === null ? null : await reportOf(options, seed, steps, deployment, failure);
    if (report !== null) failures.push(report);
    options.onRun?.(seed, report);
  }
  const faultsPerKind = {} as Record<FaultKind, number>;
  for (const point of FAULT_POINTS) {
    const kind = kindOfPoint(point);
    faultsPerKind[kind] = (faultsPerKind[kind] ?? 0) + pointsHit[point].injected;
  }
  const hits = (what: string): number =>
    what in pointsHit ? pointsHit[what as FaultPoint].injected : (faultsPerKind[what as FaultKind] ?? 0);
  const missed = mustHit.filter((what) => hits(what) === 0);
  return { scenario: scenario.name, runs, faultsPerKind, pointsHit, missed, commits, invariantChecks, failures };
}

/** Repeats one run, as the command of a report asks for. */
export async function repeat<Step>(
  options: CampaignOptions<Step>,
  seed: number,
  plan: readonly PlannedFault[],
  steps?: readonly Step[],
): Promise<Report | null> {
  const given = steps ?? stepsOf(options.scenario, seed);
  const { failure, deployment } = await runScenario(options, seed, planned(options.faults, plan), given);
  if (failure === null) return null;
  return await reportOf({ ...options, maxReruns: 0 }, seed, given, deployment, failure);
}

async function reportOf<Step>(
  options: CampaignOptions<Step>,
  seed: number,
  steps: readonly Step[],
  deployment: Deployment | null,
  failure: NonNullable<RunResult["failure"]>,
): Promise<Report> {
  const { scenario, faults, maxReruns = 100 } = options;
  const injected: readonly InjectedFault[] = deployment?.faults?.injected ?? [];
  let shown = { deployment, failure };
  const run = async (given: { plan: readonly PlannedFault[]; steps: readonly Step[] }) => {
    const result = await runScenario(options, seed, planned(faults, given.plan), given.steps);
    if (result.failure?.key === failure.key) shown = { deployment: result.deployment, failure: result.failure };
    return result.failure?.key ?? null;
  };
  const minimal =
    maxReruns === 0
      ? { plan: injected, steps, failure: failure.key, reruns: 0 }
      : await minimize(run, { seed, plan: injected, steps }, { maxReruns, failure: failure.key });
  const { history } = shown.deployment ?? {};
  return {
    scenario: scenario.name,
    seed,
    failure: shown.failure,
    isReproduced: minimal.failure !== null,
    plan: minimal.plan,
    faultsBefore: injected.length,
    steps: minimal.steps,
    stepsBefore: steps.length,
    reruns: minimal.reruns,
    setup: shown.deployment === null ? null : setupOf(shown.deployment),
    history: history?.toText(SHOWN_EVENTS) ?? "(no deployment was started)",
    events: history?.count ?? 0,
    command: commandOf(options.command, seed, minimal.plan, minimal.steps),
  };
}

function setupOf({ className, latencies, permits, seed }: Deployment): string {
  const limits = Object.fromEntries(Object.entries(permits).map(([kind, { limit }]) => [kind, limit]));
  return JSON.stringify({ seed, className, permits: limits, latencies });
}

function planned(faults: FaultOptions | undefined, plan: readonly PlannedFault[]): FaultOptions {
  const { probability: _, limit: __, where: ___, ...rest } = faults ?? {};
  return { ...rest, plan };
}

function stepsOf<Step>({ steps }: Scenario<Step>, seed: number): readonly Step[] {
  const rng = new Rng(seed ^ 0x7ed55d16);
  return steps?.(() => rng.next()) ?? [];
}

/** Failures are the same when their texts are, but for what changes from run to run: ids, numbers, what led to it. */
function failureOf(thrown: unknown): RunResult["failure"] {
  if (thrown === null) return null;
  if (thrown instanceof InvariantError) {
    return { key: `invariant ${thrown.invariant}`, message: `Invariant "${thrown.invariant}": ${thrown.problem}` };
  }
  const message = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : JSON.stringify(thrown);
  const [line = ""] = message.split("\n");
  return { key: line.replace(/[0-9a-hjkmnp-tv-z]{31,37}/g, "(id)").replace(/\d+(\.\d+)?/g, "#"), message };
}
