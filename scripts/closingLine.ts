/**
 * A vitest reporter that ends a run with `N passed, N failed` on a line of its own, which CI reads.
 *
 * Counts what vitest reported and nothing else. Whatever kept tests from running (a file that does not load, a failing
 * hook, an error outside of any test) counts as a failure, so the line never looks better than the exit code.
 */
import type { Reporter, SerializedError, TestModule } from "vitest/node";

export type Counts = { passed: number; failed: number };

export function countResults(modules: ReadonlyArray<TestModule>, unhandled: ReadonlyArray<SerializedError>): Counts {
  const counts: Counts = { passed: 0, failed: unhandled.length };
  for (const module of modules) {
    let failedHere = 0;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === "passed") counts.passed++;
      else if (state !== "skipped") failedHere++;
    }
    counts.failed += module.ok() ? failedHere : Math.max(failedHere, 1);
  }
  return counts;
}

export default class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, unhandled: ReadonlyArray<SerializedError>): void {
    const { passed, failed } = countResults(modules, unhandled);
    console.log(`${passed} passed, ${failed} failed`);
  }
}
