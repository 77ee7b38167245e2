/**
 * Removes each guard of scripts/guards/list.ts in turn and expects its test to fail: `npm run guards`, and
 * `npm run guards -- cancel` for those whose name, file or test contains the word. `--write` only writes docs/guards.md.
 *
 * Exits with 1 when a guard is not found, its test is not, or passes without it.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import prettier from "prettier";
import { GUARDS, renderGuards, testFile, type Guard } from "./guards/list.js";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const PAGE = path.join(ROOT, "docs/guards.md");
const AT_ONCE = 2;
/** Ends the tests that run; nothing else is left to undo. */
const interrupted = new AbortController();

type Report = { testResults: Array<{ assertionResults: Array<{ fullName: string; status: string }> }> };
type Verdict = "fails" | "passes" | "not found";

/** The outcome of the guard's test, with the guard removed or in place. */
async function runTest(guard: Guard, removed: boolean): Promise<Verdict | "no such test"> {
  const folder = await mkdtemp(path.join(tmpdir(), "guards-"));
  const report = path.join(folder, "report.json");
  const [, name] = guard.test;
  const config = removed ? ["--config", "scripts/guards/vitest.config.ts"] : [];
  const pattern = `^${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`;
  try {
    const options = ["--project", "convex", "-t", pattern, "--reporter=json", `--outputFile=${report}`];
    await run(["run", ...config, ...options, testFile(guard.test)], { GUARD: String(GUARDS.indexOf(guard)) });
    const text = await readFile(report, "utf8").catch(() => '{"testResults":[]}');
    const { testResults } = JSON.parse(text) as Report;
    const outcomes = testResults.flatMap(({ assertionResults }) => assertionResults);
    const status = outcomes.find(({ fullName }) => fullName === name)?.status;
    if (status === undefined || status === "skipped") return "no such test";
    return status === "passed" ? "passes" : "fails";
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function run(args: string[], env: Record<string, string>): Promise<void> {
  const vitest = path.join(ROOT, "node_modules/vitest/vitest.mjs");
  const options = { cwd: ROOT, stdio: "ignore", env: { ...process.env, ...env }, signal: interrupted.signal } as const;
  const child = spawn(process.execPath, [vitest, ...args], options);
  await new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", () => resolve());
  });
}

async function judge(guard: Guard): Promise<{ ok: boolean; line: string }> {
  const source = await readFile(path.join(ROOT, guard.file), "utf8");
  const found = source.split(guard.find).length - 1;
  const line = (what: string) => `${guard.name} (${guard.file}): ${what}`;
  if (found !== 1) return { ok: false, line: line(`its text is there ${found} times`) };
  const [file, name] = guard.test;
  const test = `"${file}: ${name}"`;
  const removed = await runTest(guard, true);
  if (removed !== "fails")
    return { ok: false, line: line(removed === "passes" ? `SURVIVED, ${test} passes without it` : `no test ${test}`) };
  // Only now: a test that fails anyway proves nothing.
  const inPlace = await runTest(guard, false);
  if (inPlace !== "passes") return { ok: false, line: line(`${test} fails with it, too`) };
  return { ok: true, line: line(`${test} fails without it`) };
}

async function writePage(): Promise<void> {
  const config = await prettier.resolveConfig(PAGE);
  await writeFile(PAGE, await prettier.format(renderGuards(), { ...config, parser: "markdown" }));
}

async function main(): Promise<void> {
  await writePage();
  if (process.argv.includes("--write")) return;
  const words = process.argv.slice(2);
  const wanted = GUARDS.filter(({ name, file, test }) =>
    words.every((word) => `${name} ${file} ${test.join(" ")}`.includes(word)),
  );
  const queue = [...wanted];
  let bad = 0;
  const work = async () => {
    for (let guard = queue.shift(); guard !== undefined; guard = queue.shift()) {
      const { ok, line } = await judge(guard);
      if (!ok) bad++;
      console.log(`${ok ? "ok " : "BAD"} ${line}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  console.log(`${wanted.length - bad} of ${wanted.length} guards are proven`);
  if (bad > 0) process.exitCode = 1;
}

process.once("SIGINT", () => interrupted.abort());
await main().catch((error: unknown) => {
  if (!interrupted.signal.aborted) throw error;
  process.exitCode = 130;
});
