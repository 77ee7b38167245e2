/** When the helper for tests builds, and that it does so alone. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isStale, withLock } from "../support/built.js";
import { mustRun } from "./shell.js";

let root: string;
beforeEach(() => void (root = mkdtempSync(path.join(tmpdir(), "shardflow-built-"))));
afterEach(() => rmSync(root, { recursive: true }));

const put = (file: string, at: number): void => {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
  writeFileSync(path.join(root, file), "");
  utimesSync(path.join(root, file), at, at);
};

describe("a build", () => {
  beforeEach(() => {
    for (const file of ["src/index.ts", "src/engine/plan.ts", "src/test.ts", "tsconfig.json"]) put(file, 1000);
    for (const file of ["dist/index.js", "dist/index.d.ts", "dist/engine/plan.js", "dist/engine/plan.d.ts"])
      put(file, 2000);
  });

  test("is fresh when it is newer than all it is built from", () => expect(isStale(root)).toBe(false));

  test.each<[what: string, change: () => void]>([
    ["it is not there", () => rmSync(path.join(root, "dist"), { recursive: true })],
    ["a source is newer", () => put("src/engine/plan.ts", 3000)],
    ["the options are newer", () => put("tsconfig.build.json", 3000)],
    ["a module is missing", () => rmSync(path.join(root, "dist/engine/plan.js"))],
    ["a module has no source any more", () => rmSync(path.join(root, "src/engine/plan.ts"))],
  ])("is stale when %s", (_, change) => {
    change();
    expect(isStale(root)).toBe(true);
  });
});

describe("the lock", () => {
  const lock = () => path.join(root, "deep/build.lock");

  test("lets one in at a time, and lets go when one fails", async () => {
    const log: string[] = [];
    const job = (name: string) => async () => {
      log.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, 5));
      log.push(`${name} ends`);
      if (name === "a") throw new Error("a fails");
    };
    const results = await Promise.allSettled([withLock(lock(), job("a")), withLock(lock(), job("b"))]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
    expect(log).toEqual(["a begins", "a ends", "b begins", "b ends"]);
    expect(existsSync(lock())).toBe(false);
  });

  test("of a process that has died is taken over", async () => {
    const pid = await mustRun(root, process.execPath, ["-p", "process.pid"]);
    mkdirSync(path.dirname(lock()));
    writeFileSync(lock(), pid.trim());
    expect(await withLock(lock(), () => Promise.resolve("mine"))).toBe("mine");
  });
});
