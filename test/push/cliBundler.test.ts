/** Loading the Convex CLI's bundler: what happens when a new version of it is not what it was. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";
import { loadCliBundler, type CliBundler } from "../../scripts/push/cliBundler.js";

let packageRoot: string;

const FILES = {
  "bundler/index.js": "export const entryPointsByEnvironment = 1, nodeFs = 1;",
  "bundler/debugBundle.js": `import esbuild from "esbuild"; export const innerEsbuild = (options) => esbuild.build(options);`,
  "cli/lib/components/definition/directoryStructure.js":
    "export const isComponentDirectory = 1, toComponentDefinitionPath = 1;",
  "cli/lib/components/definition/bundle.js": `
    import ora from "ora";
    import { chalkStderr } from "chalk";
    import * as Sentry from "@sentry/node";
    import { z } from "zod";
    const atTopLevel = z.object({ a: z.string().optional() });
    export const componentGraph = () => chalkStderr.bold.red("red");
    export const bundleDefinitions = () => ora("spinning");
    export const bundleImplementations = () => Sentry.captureMessage("hello");`,
};

function put(files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    const full = path.join(packageRoot, "dist/esm", file);
    mkdirSync(path.dirname(full), { recursive: true });
    writeFileSync(full, text);
  }
}

/** Functions of the made-up bundler take nothing. */
type MadeUp = Record<keyof CliBundler, () => unknown>;
const load = async (): Promise<MadeUp> => (await loadCliBundler(packageRoot)) as unknown as MadeUp;

beforeEach(() => {
  packageRoot = mkdtempSync(path.join(tmpdir(), "shardflow-cli-test-"));
  symlinkSync(path.join(REPO_ROOT, "node_modules"), path.join(packageRoot, "node_modules"), "dir");
  writeFileSync(path.join(packageRoot, "package.json"), `{ "type": "module" }`);
  put(FILES);
});
afterEach(() => rmSync(packageRoot, { recursive: true }));

describe("the Convex CLI's bundler", () => {
  it("loads from the installed package", async () => {
    const cli = await loadCliBundler();
    for (const name of ["componentGraph", "bundleDefinitions", "bundleImplementations", "innerEsbuild"] as const) {
      expect(cli[name]).toBeTypeOf("function");
    }
  });

  it("does not load when it lacks a file, or an export, and the message names it", async () => {
    put({ "bundler/index.js": "export const nodeFs = 1;" });
    await expect(load()).rejects.toThrow(/did not load: .*entryPointsByEnvironment.*cliBundler\.ts/s);
    put(FILES);
    rmSync(path.join(packageRoot, "dist/esm/bundler/debugBundle.js"));
    await expect(load()).rejects.toThrow(/debugBundle\.js/);
  });

  it("gets colours that return their text, and packages that name themselves when they are called", async () => {
    const cli = await load();
    expect(cli.componentGraph()).toBe("red");
    expect(() => cli.bundleDefinitions()).toThrow(/used "ora"/);
    expect(() => cli.bundleImplementations()).toThrow(/used "@sentry\/node"/);
  });

  it("has its own esbuild, whose builds can be looked at", async () => {
    const { esbuildSession, innerEsbuild } = await loadCliBundler(packageRoot);
    const seen: unknown[] = [];
    esbuildSession.build = async (options) => {
      seen.push(options);
      return { errors: [], warnings: [], outputFiles: [], metafile: { inputs: {}, outputs: {} }, mangleCache: {} };
    };
    await innerEsbuild({ entryPoints: ["x"] } as unknown as Parameters<typeof innerEsbuild>[0]);
    expect(seen).toEqual([{ entryPoints: ["x"] }]);
  });
});
