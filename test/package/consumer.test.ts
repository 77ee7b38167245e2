/**
 * The package as an app gets it: packed, installed from the tarball into test/fixtures/consumer, checked under that app's
 * own compiler options, run by that app's own vitest.
 *
 * The app gets the versions of our lockfile, so that a release of somebody else changes nothing here; the smoke workflow
 * installs the newest ones. Everything runs on one copy of the app, in the order of the tests.
 */
import { cp, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";
import { staleFiles, unexpectedFiles } from "../../scripts/codegen/folder.js";
import { generateHost } from "../../scripts/codegen/generate.js";
import { pack, type Packed } from "../../scripts/package/pack.js";
import { built } from "../support/built.js";
import { mustRun, run } from "./shell.js";

const TIMEOUT = 180_000;

type Lock = { packages: Record<string, { version?: string }> };
type Manifest = Record<"dependencies" | "devDependencies", Record<string, string>>;

let folder: string;
let app: string;
let packed: Packed;

beforeAll(async () => {
  // The real path: on macOS the folder for temporary files is a link, and vite compares paths.
  folder = await realpath(await mkdtemp(path.join(tmpdir(), "shardflow-consumer-")));
  app = path.join(folder, "app");
  await cp(path.join(REPO_ROOT, "test/fixtures/consumer"), app, { recursive: true });
  packed = await pack(await built(), folder);
  await pinVersions(packed.tarball);
  await mustRun(app, "npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"]);
}, TIMEOUT);

afterAll(async () => await rm(folder, { recursive: true, force: true }));

/** Writes the app's dependencies, and a lockfile with ours from which npm takes what fits. */
async function pinVersions(tarball: string): Promise<void> {
  const file = path.join(app, "package.json");
  const manifest = JSON.parse(await readFile(file, "utf8")) as Manifest;
  const { packages } = JSON.parse(await readFile(path.join(REPO_ROOT, "package-lock.json"), "utf8")) as Lock;
  for (const kind of [manifest.dependencies, manifest.devDependencies]) {
    for (const name of Object.keys(kind))
      kind[name] = packages[`node_modules/${name}`]?.version ?? "not in our lockfile";
  }
  manifest.dependencies["convex-shardflow"] = `file:${tarball}`;
  await writeFile(file, JSON.stringify(manifest));
  const lock = { lockfileVersion: 3, requires: true, packages: { ...packages, "": manifest } };
  await writeFile(path.join(app, "package-lock.json"), JSON.stringify(lock));
}

/** A program that the app has installed; never one from the registry. */
const npx = (...args: string[]) => ["--offline", "--no", "--", ...args];
const typecheck = async (...args: string[]) => await run(app, "npx", npx("tsc", "-p", ...args));

test("npm installs the tarball, with no peer missing or invalid", { timeout: TIMEOUT }, async () => {
  // Fails when anything is missing, invalid or extraneous.
  const tree = JSON.parse(await mustRun(app, "npm", ["ls", "--all", "--json"])) as {
    dependencies: Record<string, { version: string; dependencies?: Record<string, unknown> }>;
  };
  expect(tree.dependencies["convex-shardflow"]?.version).toBe(packed.manifest.version);
  expect(Object.keys(tree.dependencies["convex-shardflow"]?.dependencies ?? {})).toEqual(
    expect.arrayContaining(Object.keys(packed.manifest.dependencies)),
  );
});

test("every entry point resolves, and the client loads in plain Node", { timeout: TIMEOUT }, async () => {
  const script = `
    const resolved = {};
    for (const entry of process.argv.slice(1)) {
      resolved[entry] = import.meta.resolve(("convex-shardflow" + entry.slice(1))).split("/convex-shardflow/").at(-1);
    }
    console.log(JSON.stringify({ client: Object.keys(await import("convex-shardflow")), resolved }));`;
  const withCode = Object.keys(packed.manifest.exports).filter((entry) => entry !== "./_generated/component.js");
  const output = await mustRun(app, process.execPath, ["--input-type=module", "-e", script, ...withCode]);
  const { client, resolved } = JSON.parse(output) as { client: string[]; resolved: Record<string, string> };
  expect(client).toEqual(expect.arrayContaining(["Shardflow", "exposeApi", "vOnCompleteArgs", "parseOnComplete"]));
  expect(resolved).toEqual({
    ".": "dist/client/index.js",
    "./convex.config": "dist/component/convex.config.js",
    "./convex.config.js": "dist/component/convex.config.js",
    "./test": "src/test.ts",
    "./package.json": "package.json",
  });
});

test("the app's committed files are what code generation writes", { timeout: TIMEOUT }, async () => {
  const dir = path.join(app, "convex");
  const { declared } = await generateHost(dir);
  expect([...staleFiles(dir, declared), ...unexpectedFiles(dir, declared)]).toEqual([]);
});

test("the app type-checks under its own options", { timeout: TIMEOUT }, async () => {
  expect(await typecheck("tsconfig.app.json")).toEqual({ code: 0, stdout: "", stderr: expect.any(String) as string });
});

test("the package's declarations type-check as well", { timeout: TIMEOUT }, async () => {
  expect(await typecheck("tsconfig.libraries.json")).toMatchObject({ code: 0, stdout: "" });
});

test("the app's own test runs a flow to its end", { timeout: TIMEOUT }, async () => {
  const { code, stdout, stderr } = await run(app, "npx", npx("vitest", "run"));
  expect({ code, output: `${stdout}\n${stderr}` }).toEqual({
    code: 0,
    output: expect.stringMatching(/Tests\s+1 passed \(1\)/) as string,
  });
});

test("an entry point that is missing does not go unnoticed", { timeout: TIMEOUT }, async () => {
  const file = path.join(app, "node_modules/convex-shardflow/package.json");
  const text = await readFile(file, "utf8");
  const manifest = JSON.parse(text) as { exports: Record<string, unknown> };
  for (const entry of ["./convex.config", "./_generated/component.js"]) delete manifest.exports[entry];
  await writeFile(file, JSON.stringify(manifest));
  try {
    // Without skipLibCheck: with it, the compiler takes a missing component API for `any`, without a word.
    const { code, stdout } = await typecheck("tsconfig.libraries.json");
    expect(code).not.toBe(0);
    expect(stdout).toContain("Cannot find module 'convex-shardflow/convex.config'");
    expect(stdout).toContain("Cannot find module 'convex-shardflow/_generated/component.js'");
  } finally {
    await writeFile(file, text);
  }
});

test("the command line runs without development dependencies", { timeout: TIMEOUT }, async () => {
  await mustRun(app, "npm", ["prune", "--omit=dev", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"]);
  const shardflow = async (...args: string[]) => await mustRun(app, "npx", npx("shardflow", ...args));
  expect(await shardflow("--help")).toMatch(/validate[\s\S]*run/);
  const result = await shardflow("run", "flow.json", "--input", "input.json", "--mocks", "mocks.json", "--json");
  expect(JSON.parse(result)).toMatchObject({ status: "succeeded", output: { queue: "billing", opened: "T-1" } });
});
