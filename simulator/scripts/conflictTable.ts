/**
 * Prints the table of conflicts of the execution model (section 2) beside what the simulator does.
 *
 * N actions each increment one document, all of them started within 5 ms. D is the time from the snapshot of an attempt to
 * its commit; 16 mutations run at a time, and a commit takes 3 ms. The figures are the share of calls that end in the
 * error of a lost transaction, and the attempts per success.
 *
 * Usage: npx tsx simulator/scripts/conflictTable.ts [runs, 300 unless told]
 */
import { CELLS, runCell } from "./conflicts.js";

const runs = Number(process.argv[2] ?? 300);
console.log(`D (ms)    N   expected   simulated   attempts per success   (${runs} runs per cell)`);
let worst = 0;
for (const { durationMs, callers, expectedPercent } of CELLS) {
  const { failedPercent, attemptsPerSuccess } = await runCell(durationMs, callers, runs);
  worst = Math.max(worst, Math.abs(failedPercent - expectedPercent));
  const row = [
    String(durationMs).padStart(6),
    String(callers).padStart(5),
    `${expectedPercent} %`.padStart(11),
    `${failedPercent.toFixed(1)} %`.padStart(12),
    attemptsPerSuccess.toFixed(1).padStart(23),
  ];
  console.log(row.join(""));
}
console.log(`Largest difference: ${worst.toFixed(1)} percentage points.`);
