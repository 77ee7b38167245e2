/** The package's promises to its users and to CI, as far as they are plain data. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";
import vitestConfig from "../../vitest.config.js";

const read = (file: string): string => readFileSync(path.join(REPO_ROOT, file), "utf8");
const entry = z.union([z.string(), z.object({ types: z.string(), default: z.string().optional() })]);
const manifest = z
  .object({
    name: z.string(),
    description: z.string(),
    license: z.string(),
    keywords: z.array(z.string()),
    exports: z.record(z.string(), entry),
    scripts: z.record(z.string(), z.string()),
    dependencies: z.record(z.string(), z.string()),
    peerDependencies: z.record(z.string(), z.string()),
    devDependencies: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(read("package.json")));
const { paths } = z
  .object({ compilerOptions: z.object({ paths: z.record(z.string(), z.array(z.string())) }) })
  .parse(JSON.parse(read("tsconfig.json"))).compilerOptions;

/** dist/x.d.ts and dist/x.js come from src/x.ts. */
const sourceOf = (target: string): string => target.replace(/^\.\/dist\//, "./src/").replace(/(\.d\.ts|\.js)$/, ".ts");

const codeEntries = Object.entries(manifest.exports).filter(([name]) => name !== "./package.json");

describe("entry points", () => {
  it("are those that Convex and its component directory look for", () => {
    expect(Object.keys(manifest.exports).sort()).toEqual([
      ".",
      "./_generated/component.js",
      "./convex.config",
      "./convex.config.js",
      "./package.json",
      "./test",
    ]);
  });

  it.each(codeEntries)("lead to one source file, with and without a build: %s", (name, target) => {
    const targets = typeof target === "string" ? [target] : [target.types, ...(target.default ? [target.default] : [])];
    const sources = new Set(targets.map(sourceOf));
    expect(sources.size).toBe(1);
    expect(paths[`convex-shardflow${name.slice(1)}`]).toEqual([...sources]);
  });

  it("resolve in tests as they do for the compiler, but for types", () => {
    const alias = vitestConfig.resolve?.alias as Array<{ find: RegExp; replacement: string }>;
    for (const [specifier, [source = ""]] of Object.entries(paths)) {
      if (specifier.endsWith("/_generated/component.js")) continue;
      // Types of somebody else's package, whose code is its own.
      if (!specifier.startsWith("convex-shardflow")) continue;
      const hits = alias.filter(({ find }) => find.test(specifier));
      expect(hits.map(({ replacement }) => replacement)).toEqual([path.join(REPO_ROOT, source)]);
    }
  });
});

describe("metadata", () => {
  it("is what the component directory asks for", () => {
    expect(manifest.license).toBe("Apache-2.0");
    expect(manifest.keywords).toEqual(expect.arrayContaining(["convex", "component"]));
    expect(manifest.description.length).toBeGreaterThanOrEqual(50);
    expect(read("LICENSE")).toContain("Apache License");
  });

  it("leaves convex to the app, and nothing to install scripts", () => {
    expect(manifest.dependencies).not.toHaveProperty("convex");
    expect(manifest.peerDependencies).toHaveProperty("convex");
    expect(manifest.devDependencies).toHaveProperty("convex");
    expect(Object.keys(manifest.scripts).filter((name) => /^(pre|post)?install$|^prepare$/.test(name))).toEqual([]);
  });
});

describe("CI", () => {
  it("runs verify on a clean installation, and verify ends with the tests", () => {
    expect(read(".ci/run")).toMatch(/^set -euo pipefail$/m);
    expect(read(".ci/run")).toMatch(/^npm ci .*\n(#.*\n)*npm run --silent verify\n$/m);
    const steps = (manifest.scripts["verify"] ?? "").split(" && ");
    expect(steps.at(-1)).toBe("npm run test");
    for (const name of ["format:check", "codegen:check", "typecheck", "lint", "build"]) {
      expect(steps).toContain(`npm run ${name}`);
    }
  });
});
