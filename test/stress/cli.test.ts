import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";
import { main } from "../../stress-tests/cli.js";
import { LOAD_FLAGS } from "../../stress-tests/lib/load.js";
import { SCENARIOS } from "../../stress-tests/scenarios/index.js";

/** The log of the deployment. */
beforeAll(() => {
  for (const level of ["log", "info", "warn"] as const) vi.spyOn(console, level).mockImplementation(() => {});
});
afterAll(() => void vi.restoreAllMocks());

type Ran = { code: number; out: string; err: string };

async function stress(...args: string[]): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await main(args, { out: (text) => out.push(text), err: (text) => err.push(text) });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

/** The same in a process of its own, without the wrapper of npm. */
function stressProcess(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ["--import", "tsx", "stress-tests/run.ts", ...args],
      { cwd: REPO_ROOT },
      (error, out, err) => resolve({ code: typeof error?.code === "number" ? error.code : 0, out, err }),
    );
  });
}

type Arrival = { index: number; dueAt: number; calledAt: number; executionId: string };
type Report = {
  passed: boolean;
  load: Record<string, number>;
  phases: Array<{ metrics: Record<string, unknown>; arrivals: Arrival[] }>;
};

async function reportOf(...args: string[]): Promise<Report> {
  const { out } = await stress("--scenario", "scheduler-overlap", "--json", ...args);
  return JSON.parse(out) as Report;
}

describe("the process", () => {
  it("ends with 0 when the verdict is a pass, and prints the report", async () => {
    const { code, out, err } = await stressProcess("--scenario", "concurrent-starts", "--total", "8");
    expect(out).toContain("succeeded      8, a share of 1.00");
    expect(out.trimEnd().endsWith("verdict: pass")).toBe(true);
    expect({ code, err }).toEqual({ code: 0, err: "" });
  });

  it("ends with 1 when it is not, and says what that means", async () => {
    const args = ["--scenario", "concurrent-starts", "--total", "2", "--stuckMs", "20"];
    const { code, out } = await stressProcess(...args);
    expect(out).toContain("FAIL  every execution succeeds in time: 0 of 2 succeeded, 0 failed, 2 stuck");
    expect(out).toContain("completed      mean n/a, p50 n/a, p90 n/a, p99 n/a, of 0 that succeeded");
    expect(out).toContain("verdict: FAIL. Starts are lost, run twice or pile up");
    expect(code).toBe(1);
  });

  it("ends with 2 when the command is not understood, and runs nothing", async () => {
    const { code, out, err } = await stressProcess("--scenario", "no-such");
    expect(err).toContain('There is no scenario "no-such"; give one of concurrent-starts, sustained-load,');
    expect({ code, out }).toEqual({ code: 2, out: "" });
  });
});

describe("a command that is not understood", () => {
  it.each([
    [[], "No scenario was named; give one of concurrent-starts"],
    [["--scenario", "sustained-load", "--speed", "3"], "Unknown option '--speed'"],
    [["sustained-load"], "Unexpected argument 'sustained-load'"],
    [["--scenario"], "'--scenario <value>' argument missing"],
    [["--scenario", "sustained-load", "--total", "many"], '--total is "many"; give a whole number from 1 to 100000.'],
    [["--scenario", "sustained-load", "--total", ""], '--total is ""; give a whole number'],
    [["--scenario", "sustained-load", "--total", "0"], '--total is "0"; give a whole number from 1'],
    [["--scenario", "sustained-load", "--total=-3"], '--total is "-3"; give a whole number from 1'],
    [["--scenario", "sustained-load", "--concurrency", "1.5"], '--concurrency is "1.5"; give a whole number from 1'],
    [["--scenario", "sustained-load", "--rampUpSeconds", "1e3"], '--rampUpSeconds is "1e3"; give a number from 0'],
    [["--scenario", "sustained-load", "--durationMinutes", "9999"], "give a number from 0 to 1440."],
    [["--scenario", "sustained-load", "--stuckMs", "0x10"], '--stuckMs is "0x10"; give a whole number from 1'],
    [["--scenario", "sustained-load", "--seed", "4294967296"], "give a whole number from 0 to 4294967295."],
  ])("is answered with what is allowed: %j", async (args, why) => {
    const { code, out, err } = await stress(...args);
    expect(err).toContain(why);
    expect(err).toContain("Usage: npm run stress -- --scenario NAME [flags]");
    expect({ code, out }).toEqual({ code: 2, out: "" });
  });
});

it("--list says of every scenario what it asks, when it passes and what a failure means", async () => {
  const { code, out } = await stress("--list");
  expect(code).toBe(0);
  expect(out.split("\n").filter((line) => /^\S/.test(line))).toEqual([
    "concurrent-starts",
    "sustained-load",
    "payload-pressure",
    "loop-contention",
    "scheduler-overlap",
    "shard-comparison",
  ]);
  for (const { question, thresholds, failureMeans } of SCENARIOS) {
    for (const text of [question, ...thresholds, failureMeans]) expect(out).toContain(text);
  }
});

it("README.md has every scenario with its question, and every flag", () => {
  const readme = readFileSync(path.join(REPO_ROOT, "stress-tests/README.md"), "utf8");
  for (const { name, question } of SCENARIOS)
    expect(readme).toMatch(new RegExp(`\\| \`${name}\` +\\| ${question.replace("?", "\\?")}`));
  for (const flag of Object.keys(LOAD_FLAGS)) expect(readme).toContain(`\`--${flag} N\``);
});

it("--help says what every flag means", async () => {
  const { code, out } = await stress("--help");
  expect(code).toBe(0);
  for (const flag of ["scenario", "total", "concurrency", "rampUpSeconds", "durationMinutes", "stuckMs", "seed"]) {
    expect(out).toMatch(new RegExp(`--${flag} `));
  }
});

describe("--json", () => {
  it("prints one object with numbers, and null where there is none", async () => {
    const good = await reportOf("--total", "2");
    expect(good).toMatchObject({
      scenario: "scheduler-overlap",
      target: "convex-test",
      seed: 1,
      load: { total: 2, concurrency: 10, rampUpSeconds: 0, durationMinutes: 0.5, stuckMs: 60_000 },
      phases: [{ name: "ticks", settings: { activeShards: 4, maxParallelism: 25 } }],
    });
    expect(good.phases[0]?.metrics).toMatchObject({ started: 2, succeeded: 2, successRate: 1, nodeRuns: 6 });

    const stuck = await reportOf("--total", "2", "--durationMinutes", "0", "--stuckMs", "1000");
    const { metrics } = stuck.phases[0] ?? {};
    const none = { count: 0, mean: null, p50: null, p90: null, p99: null };
    expect(metrics).toMatchObject({ stuck: 2, successRate: 0, throughputPerSecond: null, completionMs: none });
    expect(stuck.passed).toBe(false);
  });
});

describe("every flag changes the arrivals:", () => {
  const arrivalsOf = async (...args: string[]) => {
    const { phases } = await reportOf("--total", "6", "--durationMinutes", "0.1", ...args);
    const arrivals = phases[0]?.arrivals ?? [];
    return arrivals.map(({ calledAt }) => calledAt - Date.UTC(2026, 0, 1));
  };
  const last = (times: number[]) => times.at(-1) ?? NaN;
  let plain: number[];
  beforeAll(async () => {
    plain = await arrivalsOf();
  });

  it("total", async () => {
    expect(plain).toHaveLength(6);
    expect(await arrivalsOf("--total", "4")).toHaveLength(4);
  });

  it("concurrency: a place is free again after 8 s of work", async () => {
    const one = await arrivalsOf("--concurrency", "2");
    expect(one.slice(0, 2)).toEqual(plain.slice(0, 2));
    for (const [i, at] of one.slice(2).entries()) expect(at - (one[i] ?? 0)).toBeGreaterThanOrEqual(8_000);
  });

  it("rampUpSeconds", async () => {
    expect(last(await arrivalsOf("--rampUpSeconds", "10"))).toBeGreaterThan(last(plain) + 4_000);
  });

  it("durationMinutes", async () => {
    expect(last(plain)).toBeLessThan(6_000);
    expect(last(await arrivalsOf("--durationMinutes", "0.3"))).toBeGreaterThan(12_000);
  });

  it("stuckMs: a stuck execution holds no place", async () => {
    const [first = NaN, second = NaN] = await arrivalsOf("--concurrency", "1", "--stuckMs", "3000");
    expect(second - first).toBeGreaterThan(3_000);
    expect(second - first).toBeLessThan(4_000);
  });

  it("seed", async () => {
    const other = await arrivalsOf("--seed", "2");
    expect(other).toHaveLength(6);
    expect(other).not.toEqual(plain);
  });
});
