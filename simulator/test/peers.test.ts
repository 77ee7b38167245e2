/** What `npm run simulator:peers` makes of two runs: only a difference that is listed, and fails as listed, is right. */
import { describe, expect, it } from "vitest";
import type { Departure } from "../../scripts/simulator/peerDifferences.js";
import { compare, render } from "../../scripts/simulator/peersCompare.js";
import { readReport } from "../../scripts/simulator/peersRun.js";

type Tests = Record<string, string | null>;

/** @param tests - of each, how it failed; null when it passed. */
function run(files: Record<string, Tests>) {
  return readReport({
    testResults: Object.entries(files).map(([file, tests]) => ({
      name: `/somewhere/node_modules/@convex-dev/package/src/${file}`,
      status: "failed",
      message: "it does not load",
      assertionResults: Object.entries(tests).map(([fullName, failure]) => ({
        fullName,
        status: failure === null ? "passed" : "failed",
        failureMessages: failure === null ? null : [`${failure}\n    at somewhere`],
      })),
    })),
  });
}

const departure = (tests: string[]): Departure => ({
  package: "@convex-dev/package",
  reason: "the model says otherwise",
  message: /^Error: otherwise$/,
  tests,
});
const good = run({ "a.test.ts": { one: null, two: null } });
const compared = (simulator: typeof good, departures: Departure[] = []) =>
  compare("package", good, simulator, departures);

describe("comparing a suite's runs", () => {
  it("counts equal runs as right", () => {
    const comparison = compared(good);
    expect(comparison.wrong).toEqual([]);
    expect(render([comparison])).toMatch(/\n2 on convex-test, 2 on the simulator, 0 listed differences$/);
  });

  it("names a difference that is not listed", () => {
    const { wrong } = compared(run({ "a.test.ts": { one: null, two: "Error: otherwise" } }));
    expect(wrong).toEqual(["a.test.ts: two\n  passed on convex-test, failed on the simulator: Error: otherwise"]);
  });

  it("prints a listed difference with its reason", () => {
    const comparison = compared(run({ "a.test.ts": { one: null, two: "Error: otherwise" } }), [
      departure(["a.test.ts: two"]),
    ]);
    expect(comparison.wrong).toEqual([]);
    const text = render([comparison]);
    expect(text).toContain("package: the model says otherwise\n  a.test.ts: two");
    expect(text).toMatch(/\n2 on convex-test, 1 on the simulator, 1 listed differences$/);
  });

  it("does not take another failure for the listed one", () => {
    const failed = run({ "a.test.ts": { one: null, two: "Error: something else" } });
    const { wrong, listed } = compared(failed, [departure(["a.test.ts: two"])]);
    expect(wrong).toEqual([expect.stringContaining("not as listed: Error: something else")]);
    expect(listed.size).toBe(0);
  });

  it("refuses a list that is out of date", () => {
    const { wrong } = compared(good, [departure(["a.test.ts: two", "a.test.ts: three"])]);
    expect(wrong).toEqual([
      expect.stringMatching(/^a\.test\.ts: two\n.* and listed in/),
      expect.stringMatching(/^a\.test\.ts: three\n.* there is no such test$/),
    ]);
  });

  it("names a test that did not run, and a file that did not load once", () => {
    expect(compared(run({ "a.test.ts": { one: null } })).wrong).toEqual([
      expect.stringContaining("a.test.ts: two\n  passed on convex-test, absent on the simulator"),
    ]);
    expect(compared(run({ "a.test.ts": {} })).wrong).toEqual(["on the simulator: a.test.ts failed: it does not load"]);
  });

  it("tells tests of one name apart", () => {
    const report = readReport({
      testResults: [
        {
          name: "/node_modules/@convex-dev/package/src/a.test.ts",
          status: "failed",
          message: "",
          assertionResults: [
            { fullName: "same", status: "passed", failureMessages: null },
            { fullName: "same", status: "failed", failureMessages: ["Error: no"] },
          ],
        },
      ],
    });
    expect([...report.tests].map(([key, { status }]) => [key, status])).toEqual([
      ["a.test.ts: same", "passed"],
      ["a.test.ts: same (2)", "failed"],
    ]);
  });
});
