/**
 * Runs the published suite of a package on an engine, and reads what became of each test.
 *
 * Invariant: a suite that did not run as a whole has a problem, so nothing that is missing counts as passed.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

export type Engine = "convex-test" | "simulator";
/** One test; the file is relative to the package's sources. */
export type TestResult = { file: string; name: string; status: string; message: string };
/** Tests by file and name, the files that did not load, and what else went wrong outside of every test. */
export type SuiteRun = {
  files: number;
  tests: ReadonlyMap<string, TestResult>;
  broken: ReadonlyMap<string, string>;
  problem: string | null;
};

type Report = {
  testResults: Array<{
    name: string;
    status: string;
    message: string;
    assertionResults: Array<{ fullName: string; status: string; failureMessages: string[] | null }>;
  }>;
};

export async function versionOf(name: string): Promise<string> {
  const text = await readFile(path.join(ROOT, "node_modules", name, "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

export async function runSuite(name: string, engine: Engine, signal: AbortSignal): Promise<SuiteRun> {
  const folder = await mkdtemp(path.join(tmpdir(), "peers-"));
  const report = path.join(folder, "report.json");
  try {
    const args = ["run", "--config", "scripts/simulator/peers.vitest.config.ts"];
    const env = { ...process.env, PEERS_PACKAGE: name, PEERS_ENGINE: engine };
    const { code, output } = await vitest([...args, "--reporter=json", `--outputFile=${report}`], env, signal);
    const text = await readFile(report, "utf8").catch(() => null);
    if (text === null) {
      return { files: 0, tests: new Map(), broken: new Map(), problem: `The suite did not run.\n${output}` };
    }
    const run = readReport(JSON.parse(text) as Report);
    const failed = run.broken.size > 0 || [...run.tests.values()].some(({ status }) => status === "failed");
    // Only errors outside of the tests can be left.
    return code === 0 || failed ? run : { ...run, problem: `Something failed outside of the tests.\n${output}` };
  } finally {
    await rm(folder, { recursive: true });
  }
}

export function readReport({ testResults }: Report): SuiteRun {
  const tests = new Map<string, TestResult>();
  const broken = new Map<string, string>();
  for (const { name, status, message, assertionResults } of testResults) {
    const file = name.slice(name.lastIndexOf("/src/") + "/src/".length);
    if (assertionResults.length === 0) broken.set(file, `${file} ${status}: ${message}`);
    for (const { fullName, status: outcome, failureMessages } of assertionResults) {
      // Tests of one name are told apart by their order.
      let key = `${file}: ${fullName}`;
      for (let n = 2; tests.has(key); n++) key = `${file}: ${fullName} (${n})`;
      tests.set(key, { file, name: fullName, status: outcome, message: failureMessages?.[0]?.split("\n")[0] ?? "" });
    }
  }
  return { files: testResults.length, tests, broken, problem: null };
}

async function vitest(args: string[], env: NodeJS.ProcessEnv, signal: AbortSignal) {
  const program = path.join(ROOT, "node_modules/vitest/vitest.mjs");
  const child = spawn(process.execPath, [program, ...args], { cwd: ROOT, env, signal });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return { code, output: output.slice(-4_000) };
}
