import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "shardflow-closing-line-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Runs vitest on these files as CI does. */
function run(files: Record<string, string>): { lastLine: string | undefined; exitCode: number | null } {
  for (const [name, source] of Object.entries(files)) writeFileSync(path.join(dir, name), source);
  const { stdout, status } = spawnSync(
    process.execPath,
    [
      path.join(REPO_ROOT, "node_modules/vitest/vitest.mjs"),
      "run",
      `--root=${dir}`,
      "--globals",
      "--reporter=default",
      `--reporter=${path.join(REPO_ROOT, "scripts/closingLine.ts")}`,
    ],
    { cwd: dir, encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } },
  );
  return { lastLine: stdout.trimEnd().split("\n").at(-1), exitCode: status };
}

it("counts tests that passed", () => {
  const two = `describe("x", () => { it("a", () => {}); it("b", () => {}); });`;
  expect(run({ "a.test.js": two })).toEqual({ lastLine: "2 passed, 0 failed", exitCode: 0 });
});

it("counts failed tests, files that do not load, failing hooks and stray errors as failures", () => {
  expect(
    run({
      "fails.test.js": `it("a", () => {}); it("b", () => expect(1).toBe(2)); it("c", () => expect(1).toBe(2));`,
      "broken.test.js": `throw new Error("does not load");`,
      "hook.test.js": `describe("x", () => { beforeAll(() => { throw new Error("no"); }); it("never runs", () => {}); });`,
      "stray.test.js": `it("d", () => { void Promise.reject(new Error("nobody waits")); });`,
    }),
  ).toEqual({ lastLine: "2 passed, 5 failed", exitCode: 1 });
});

it("says so when there is nothing to run", () => {
  expect(run({}).exitCode).toBe(1);
});
