/**
 * What is said about a run that failed, and about a campaign.
 *
 * Invariant: a report alone is enough to see the failure again: the seed, the faults, the steps and the command.
 */
import { FAULT_KINDS, FAULT_POINTS, kindOfPoint } from "../faults/points.js";
import type { PlannedFault } from "../faults/faults.js";
import type { CampaignSummary } from "./campaign.js";

export type Report = {
  readonly scenario: string;
  readonly seed: number;
  readonly failure: { readonly key: string; readonly message: string };
  /** False when it did not fail again with the same faults: chance that is not of the seed. */
  readonly isReproduced: boolean;
  /** The least that was found to fail; of the last run that failed are setup and history, too. */
  readonly plan: readonly PlannedFault[];
  readonly faultsBefore: number;
  readonly steps: readonly unknown[];
  readonly stepsBefore: number;
  readonly reruns: number;
  /** Class, latencies and the like of the deployment. */
  readonly setup: string | null;
  /** What happened around the failure: it is the last thing that did. */
  readonly history: string;
  readonly events: number;
  readonly command: string;
};

export function reportText(report: Report): string {
  const { scenario, seed, failure, plan, steps, faultsBefore, stepsBefore, reruns, setup, history, command } = report;
  const of = (now: number, before: number) => `${now}${now < before ? ` of ${before}` : ""}`;
  const lines = [
    `Scenario "${scenario}" failed with seed ${seed}: ${failure.message}`,
    ...(setup === null ? [] : [`Deployment: ${setup}`]),
    `Faults: ${of(plan.length, faultsBefore)}`,
    ...plan.map((fault) => `  ${faultText(fault)}`),
    ...(stepsBefore === 0 ? [] : [`Steps: ${of(steps.length, stepsBefore)}`]),
    ...steps.map((step) => `  ${JSON.stringify(step)}`),
    ...(report.isReproduced
      ? []
      : ["It did NOT fail again with the same seed and faults: something is not of the seed."]),
    ...(reruns === 0 ? [] : [`Found in ${reruns} more runs.`]),
    "What happened last:",
    history,
    ...(command === "" ? [] : ["To see it again:", command]),
  ];
  return lines.join("\n");
}

function faultText({ kind, point, source, nth, atMs, ms }: PlannedFault): string {
  const where = [
    ...(point === undefined ? [] : [point]),
    ...(source === undefined || source === "" ? [] : [`in ${source}`]),
    ...(nth === undefined ? [] : [`number ${nth}`]),
    ...(atMs === undefined ? [] : [`at ${atMs} ms`]),
    ...(ms === undefined || ms === 0 ? [] : [`for ${ms.toFixed(3)} ms`]),
  ];
  return `${kind} ${where.join(" ")}`;
}

/** @param template - with {seed}, {plan} and {steps}, which are filled in as words of a shell. */
export function commandOf(
  template: string | undefined,
  seed: number,
  plan: readonly PlannedFault[],
  steps: readonly unknown[],
): string {
  const word = (value: unknown) => `'${JSON.stringify(value).replaceAll("'", "'\\''")}'`;
  return (template ?? "")
    .replaceAll("{seed}", String(seed))
    .replaceAll("{plan}", () => word(plan))
    .replaceAll("{steps}", () => word(steps));
}

export function campaignText(summary: CampaignSummary): string {
  const { scenario, runs, faultsPerKind, pointsHit, missed, commits, invariantChecks, failures } = summary;
  const lines = [
    `Scenario "${scenario}": ${runs} runs, ${commits} commits, ${invariantChecks} invariant checks, ${failures.length} failed`,
  ];
  for (const kind of FAULT_KINDS) {
    const points = FAULT_POINTS.filter((point) => kindOfPoint(point) === kind && pointsHit[point].asked > 0);
    lines.push(`  ${kind.padEnd(14)} ${String(faultsPerKind[kind]).padStart(6)}`);
    for (const point of points) {
      const { asked, injected } = pointsHit[point];
      lines.push(`    ${point.slice(kind.length + 1).padEnd(18)} ${String(injected).padStart(6)} of ${asked}`);
    }
  }
  if (missed.length > 0) lines.push(`NOT HIT: ${missed.join(", ")}`);
  for (const failure of failures) lines.push("", reportText(failure));
  return lines.join("\n");
}
