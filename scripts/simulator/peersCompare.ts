/**
 * What differs between a suite's run on convex-test and its run on the simulator, and how it is told.
 *
 * Invariant: every difference has its reason in the table and fails as that says, and every row of the table is a
 * difference; anything else is wrong.
 */
import type { Departure } from "./peerDifferences.js";
import type { SuiteRun } from "./peersRun.js";

export type Comparison = {
  title: string;
  files: number;
  tests: number;
  passed: { convexTest: number; simulator: number };
  /** Differences by the departure that explains them. */
  listed: Map<Departure, string[]>;
  wrong: string[];
};

/** @param departures - of this package. */
export function compare(
  title: string,
  convexTest: SuiteRun,
  simulator: SuiteRun,
  departures: readonly Departure[],
): Comparison {
  const listed = new Map<Departure, string[]>();
  const wrong = [
    ...problemsOf(convexTest).map((problem) => `on convex-test: ${problem}`),
    ...problemsOf(simulator).map((problem) => `on the simulator: ${problem}`),
  ];
  const broken = new Set([...convexTest.broken.keys(), ...simulator.broken.keys()]);
  const tests = new Map([...simulator.tests, ...convexTest.tests]);
  for (const [key, { file }] of tests) {
    const before = convexTest.tests.get(key)?.status ?? "absent";
    const after = simulator.tests.get(key)?.status ?? "absent";
    const departure = departures.find((each) => each.tests.includes(key)) ?? null;
    if (broken.has(file) || (before === after && departure === null)) continue;
    const message = simulator.tests.get(key)?.message ?? "";
    const told = `${key}\n  ${before} on convex-test, ${after} on the simulator`;
    if (before === after) wrong.push(`${told}, and listed in peerDifferences.ts`);
    else if (departure === null) wrong.push(`${told}: ${message}`);
    else if (before !== "passed" || !departure.message.test(message)) wrong.push(`${told}, not as listed: ${message}`);
    else listed.set(departure, [...(listed.get(departure) ?? []), key]);
  }
  const unknown = departures.flatMap(({ tests: keys }) => keys).filter((key) => !tests.has(key));
  wrong.push(...unknown.map((key) => `${key}\n  listed in peerDifferences.ts, and there is no such test`));
  const passed = { convexTest: passedIn(convexTest), simulator: passedIn(simulator) };
  return { title, files: convexTest.files, tests: convexTest.tests.size, passed, listed, wrong };
}

function problemsOf({ problem, broken }: SuiteRun): string[] {
  return [...(problem === null ? [] : [problem]), ...broken.values()];
}

function passedIn({ tests }: SuiteRun): number {
  return [...tests.values()].filter(({ status }) => status === "passed").length;
}

export function render(comparisons: readonly Comparison[]): string {
  const count = ({ listed }: Comparison): number => [...listed.values()].reduce((sum, keys) => sum + keys.length, 0);
  const rows = comparisons.map((comparison) => {
    const { title, files, tests, passed } = comparison;
    return [title, files, tests, passed.convexTest, passed.simulator, count(comparison)].map(String);
  });
  const lines = table([["package", "files", "tests", "convex-test", "simulator", "listed differences"], ...rows]);
  for (const { title, listed } of comparisons) {
    for (const [{ reason }, keys] of listed) lines.push("", `${title}: ${reason}`, ...keys.map((key) => `  ${key}`));
  }
  for (const { title, wrong } of comparisons) for (const what of wrong) lines.push("", `WRONG ${title}: ${what}`);
  const sum = (of: (comparison: Comparison) => number) => comparisons.reduce((total, each) => total + of(each), 0);
  const [before, after] = [sum(({ passed }) => passed.convexTest), sum(({ passed }) => passed.simulator)];
  lines.push("", `${before} on convex-test, ${after} on the simulator, ${sum(count)} listed differences`);
  return lines.join("\n");
}

/** The first column to the left, numbers to the right. */
function table(rows: readonly string[][]): string[] {
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  "),
  );
}
