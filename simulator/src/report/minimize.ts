/**
 * From a failure to the least that still fails.
 *
 * Owns: delta debugging over faults and steps. Invariants: what comes out failed in the same way when it was run last;
 * the number of runs is bounded; everything is a function of the seed.
 */
import type { PlannedFault } from "../faults/faults.js";

/** One run: null when nothing was wrong, else what was, in words that are equal for equal failures. */
export type Run<Step> = (given: Given<Step>) => Promise<string | null>;
export type Given<Step> = {
  readonly seed: number;
  readonly plan: readonly PlannedFault[];
  readonly steps: readonly Step[];
};
export type Minimal<Step> = Given<Step> & {
  /** How it fails; null when it did not fail when it was run again. */
  readonly failure: string | null;
  readonly reruns: number;
};

const MAX_RERUNS = 200;
/** So many items are tried in all pairs. */
const FEW = 8;

/**
 * Runs a failing scenario again and again with fewer faults and fewer steps.
 * @param failure - only runs that fail like this count; without it, the first run says.
 */
export async function minimize<Step>(
  run: Run<Step>,
  given: Given<Step>,
  { maxReruns = MAX_RERUNS, failure }: { maxReruns?: number; failure?: string } = {},
): Promise<Minimal<Step>> {
  const { seed } = given;
  let { plan, steps } = given;
  let reruns = 0;
  let wanted = failure ?? null;
  const fails = async (withPlan: readonly PlannedFault[], withSteps: readonly Step[]): Promise<boolean> => {
    if (reruns >= maxReruns) return false;
    reruns++;
    const seen = await run({ seed, plan: withPlan, steps: withSteps });
    wanted ??= seen;
    return seen !== null && seen === wanted;
  };
  if (!(await fails(plan, steps))) return { seed, plan, steps, failure: null, reruns };
  for (let before = -1; before !== plan.length + steps.length && reruns < maxReruns;) {
    before = plan.length + steps.length;
    plan = await shortest(plan, async (fewer) => await fails(fewer, steps));
    steps = await shortestPrefix(steps, async (fewer) => await fails(plan, fewer));
    steps = await shortest(steps, async (fewer) => await fails(plan, fewer));
  }
  return { seed, plan, steps, failure: wanted, reruns };
}

/** Drops what comes after the failure, by halves. */
async function shortestPrefix<T>(
  items: readonly T[],
  fails: (fewer: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  let good = 0;
  let bad = items.length;
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1;
    if (await fails(items.slice(0, middle))) bad = middle;
    else good = middle;
  }
  return items.slice(0, bad);
}

/** Delta debugging: without everything, then without ever smaller pieces, until no single item can go. */
async function shortest<T>(all: readonly T[], fails: (fewer: readonly T[]) => Promise<boolean>): Promise<readonly T[]> {
  let items = all;
  if (items.length > 0 && (await fails([]))) return [];
  for (let size = items.length >>> 1; size >= 1;) {
    let isShorter = false;
    for (let from = 0; from < items.length && items.length > 1;) {
      const fewer = [...items.slice(0, from), ...items.slice(from + size)];
      if (fewer.length > 0 && (await fails(fewer))) {
        items = fewer;
        isShorter = true;
      } else from += size;
    }
    if (size === 1 && !isShorter) break;
    size = Math.max(1, size >>> 1);
  }
  return (await oneOrTwo(items, fails)) ?? items;
}

/** Dropping one item shifts the latencies of all others, so that none of a few can go while most of them can. */
async function oneOrTwo<T>(
  items: readonly T[],
  fails: (fewer: readonly T[]) => Promise<boolean>,
): Promise<readonly T[] | null> {
  if (items.length < 3 || items.length > FEW) return null;
  for (const item of items) if (await fails([item])) return [item];
  for (const [i, first] of items.entries()) {
    for (const second of items.slice(i + 1)) if (await fails([first, second])) return [first, second];
  }
  return null;
}
