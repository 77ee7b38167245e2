/** The compiler options of the host app: those that the Convex CLI expects there, and the package as everywhere else. */
import { readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";

function load(file: string): ts.CompilerOptions {
  const { config } = ts.readConfigFile(path.join(REPO_ROOT, file), (name) => readFileSync(name, "utf8")) as {
    config: unknown;
  };
  return ts.parseJsonConfigFileContent(config, ts.sys, path.dirname(path.join(REPO_ROOT, file))).options;
}

/** Where each name of the package leads, from the root. */
const paths = (file: string, { paths = {} }: ts.CompilerOptions): Record<string, string[]> =>
  Object.fromEntries(
    Object.entries(paths)
      .filter(([name]) => name.startsWith("convex-shardflow"))
      .map(([name, targets]) => [name, targets.map((target) => path.join(path.dirname(file), target))]),
  );

test("Convex's required options are set", () => {
  expect(load("convex/tsconfig.json")).toMatchObject({
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ["lib.es2023.d.ts", "lib.dom.d.ts"],
    forceConsistentCasingInFileNames: true,
    isolatedModules: true,
    noEmit: true,
    strict: true,
  });
});

test("the package's names lead where the root's do", () => {
  const [host, root] = ["convex/tsconfig.json", "tsconfig.json"].map((file) => paths(file, load(file)));
  expect(Object.keys(host ?? {}).length).toBeGreaterThan(0);
  expect(host).toEqual(root);
});
