/**
 * The table of conflicts of section 2. That table was calculated from the same rules by other means; its cells and those of
 * simulator/scripts/conflictTable.ts differ by up to 2 percentage points in long series. Here some cells are run less
 * often, so the tolerance is three standard deviations of the least certain one.
 */
import { expect, test } from "vitest";
import { CELLS, runCell } from "../../scripts/conflicts.js";

const RUNS = 20;
const TOLERANCE_PERCENT = 7;
/** The model's attempts per success among sixteen callers, by the duration of an attempt. */
const ATTEMPTS: Readonly<Record<number, number>> = { 50: 4.3, 100: 5.7 };
const SOME = ["20x32", "50x16", "100x4", "100x16"];

test.each(CELLS.filter(({ durationMs, callers }) => SOME.includes(`${durationMs}x${callers}`)))(
  "$callers increments that take $durationMs ms each: about $expectedPercent % fail",
  async ({ durationMs, callers, expectedPercent }) => {
    const { failedPercent, attemptsPerSuccess } = await runCell(durationMs, callers, RUNS);
    expect(Math.abs(failedPercent - expectedPercent)).toBeLessThanOrEqual(TOLERANCE_PERCENT);
    const attempts = callers === 16 ? ATTEMPTS[durationMs] : undefined;
    if (attempts !== undefined) expect(Math.abs(attemptsPerSuccess - attempts)).toBeLessThan(0.15 * attempts);
  },
);
