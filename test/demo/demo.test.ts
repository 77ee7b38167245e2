/** `npm run demo` as a user runs it: a process of its own, real time, a real model server on loopback. */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { z } from "zod";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";

const TSX = createRequire(import.meta.url).resolve("tsx/cli");
const TIMEOUT = { timeout: 150_000 };

const report = z.strictObject({
  executions: z.array(
    z.strictObject({
      executionId: z.string().min(1),
      flow: z.string(),
      shardIndex: z.int().min(0).max(7),
      status: z.string(),
      output: z.json(),
      asExpected: z.boolean(),
      nodes: z.int().min(1),
      tokens: z.int().min(0),
      durationMs: z.number().min(0),
    }),
  ),
});

async function runDemo(...options: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [TSX, "demo/run.ts", ...options], { cwd: REPO_ROOT, stdio: "pipe" });
  const out = { stdout: "", stderr: "" };
  child.stdout.on("data", (text) => (out.stdout += String(text)));
  child.stderr.on("data", (text) => (out.stderr += String(text)));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return { code, ...out };
}

test("all 24 executions end as expected, on three shards or more", TIMEOUT, async () => {
  const { code, stdout } = await runDemo("--json");
  const { executions } = report.parse(JSON.parse(stdout));
  expect(executions.filter(({ asExpected, status }) => !asExpected || status !== "succeeded")).toEqual([]);
  const flows = executions.map(({ flow }) => flow);
  for (const flow of ["ticket-triage", "enrich-list", "draft-and-rewrite"]) {
    expect(flows.filter((one) => one === flow)).toHaveLength(8);
  }
  expect(new Set(executions.map(({ executionId }) => executionId)).size).toBe(24);
  expect(new Set(executions.map(({ shardIndex }) => shardIndex)).size).toBeGreaterThanOrEqual(3);
  // Two of the flows ask a model; looking up a list does not.
  for (const { flow, tokens } of executions) expect(tokens > 0).toBe(flow !== "enrich-list");
  expect(code).toBe(0);
});

test("a model that answers wrongly is noticed: the table says which, and the exit code is 1", TIMEOUT, async () => {
  const { code, stdout, stderr } = await runDemo("--sabotage");
  const wrong = stdout.split("\n").filter((line) => line.endsWith("  NO"));
  expect(wrong).toHaveLength(8);
  for (const line of wrong) expect(line).toMatch(/ticket-triage .*succeeded/);
  expect(stdout).toContain("16 of 24 executions ended as expected");
  expect(stderr).toContain("8 executions did not end as expected");
  expect(code).toBe(1);
});

test("an option it does not know is refused", TIMEOUT, async () => {
  const { code, stdout } = await runDemo("--fast");
  expect(stdout).toBe("");
  expect(code).toBe(1);
});
