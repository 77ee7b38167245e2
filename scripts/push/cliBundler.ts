/**
 * The Convex CLI's own bundler, out of the installed `convex` package.
 *
 * Owns: loading it. Its modules are published one by one under dist/esm, but import packages that exist only inside the
 * CLI's bundle; so they are bundled here with stand-ins for those (standIns.ts), which decide nothing about bundling.
 * Invariant: no copy of the bundler's logic. A file or an export that a new CLI lacks is an error of this bundling.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as esbuild from "esbuild";
import { REPO_ROOT } from "../codegen/analysis.js";

/** What the CLI hands its bundler; the parts that are read while bundling. */
export type CliContext = {
  fs: unknown;
  crash: (args: { printedMessage: string | null }) => Promise<never>;
};

export type ComponentDirectory = {
  isRoot: boolean;
  path: string;
  definitionPath: string;
  isRootWithoutConfig: boolean;
  importSpecifier?: string;
  syntheticComponentImport?: string;
};

export type BundledModule = { path: string; source: string; sourceMap?: string; environment: "node" | "isolate" };
type DefinitionSpec = { definition: BundledModule; dependencies: string[] };

export type CliBundler = {
  nodeFs: unknown;
  isComponentDirectory: (
    ctx: CliContext,
    directory: string,
    isRoot: boolean,
  ) => { kind: "ok"; component: ComponentDirectory } | { kind: "err"; why: string };
  toComponentDefinitionPath: (root: ComponentDirectory, component: ComponentDirectory) => string;
  componentGraph: (
    ctx: CliContext,
    absWorkingDir: string,
    root: ComponentDirectory,
    liveComponentSources: boolean,
    verbose: boolean,
  ) => Promise<{
    components: Map<string, ComponentDirectory>;
    dependencyGraph: Array<[ComponentDirectory, ComponentDirectory]>;
  }>;
  bundleDefinitions: (
    ctx: CliContext,
    absWorkingDir: string,
    dependencyGraph: Array<[ComponentDirectory, ComponentDirectory]>,
    root: ComponentDirectory,
    directories: ComponentDirectory[],
    liveComponentSources: boolean,
  ) => Promise<{
    appDefinitionSpecWithoutImpls: DefinitionSpec;
    componentDefinitionSpecsWithoutImpls: Array<DefinitionSpec & { definitionPath: string }>;
  }>;
  bundleImplementations: (args: {
    ctx: CliContext;
    rootComponentDirectory: ComponentDirectory;
    componentDirectories: ComponentDirectory[];
    nodeExternalPackages: string[];
    extraConditions: string[];
    verbose: boolean;
  }) => Promise<{
    appImplementation: { schema: BundledModule | null; functions: BundledModule[] };
    componentImplementations: Array<{ schema: BundledModule | null; functions: BundledModule[] }>;
    buildDebugInfos: Array<{ kind: "convex" | "node" | "schema" | "auth"; metafile: esbuild.Metafile | null }>;
  }>;
  entryPointsByEnvironment: (ctx: CliContext, dir: string) => Promise<{ isolate: string[]; node: string[] }>;
  /** The one call of esbuild that bundles functions. */
  innerEsbuild: (args: {
    entryPoints: string[];
    platform: "browser";
    dir: string;
    extraConditions: string[];
    generateSourceMaps: boolean;
    plugins: esbuild.Plugin[];
    chunksFolder: string;
    splitting: boolean;
  }) => Promise<esbuild.BuildResult & { outputFiles: esbuild.OutputFile[] }>;
  /** Every build of the CLI goes through `build` of this object. */
  esbuildSession: { build: (options: esbuild.BuildOptions) => Promise<esbuild.BuildResult> };
};

function entry(packageRoot: string): string {
  const from = (file: string): string => JSON.stringify(path.join(packageRoot, "dist/esm", file));
  const definition = "cli/lib/components/definition";
  return `
    export { bundleDefinitions, bundleImplementations, componentGraph } from ${from(`${definition}/bundle.js`)};
    export { isComponentDirectory, toComponentDefinitionPath } from ${from(`${definition}/directoryStructure.js`)};
    export { entryPointsByEnvironment, nodeFs } from ${from("bundler/index.js")};
    export { innerEsbuild } from ${from("bundler/debugBundle.js")};
    export { esbuildSession } from "esbuild";
    export { seal } from "stand-ins";
  `;
}

/** The CLI's version of esbuild, with a door: whoever loads the bundler may look at builds and change them. */
const esbuildWithDoor = (packageRoot: string): string => `
  import { createRequire } from "node:module";
  const esbuild = createRequire(${JSON.stringify(path.join(packageRoot, "package.json"))})("esbuild");
  export const esbuildSession = { build: esbuild.build };
  export default { ...esbuild, build: (options) => esbuildSession.build(options) };
`;

function standIns(packageRoot: string): esbuild.Plugin {
  return {
    name: "stand-ins",
    setup(build) {
      build.onResolve({ filter: /^[^./]/ }, ({ path: specifier, kind }) => {
        if (kind === "entry-point") return undefined;
        if (isBuiltin(specifier)) return { path: specifier, external: true };
        if (specifier === "stand-ins") return { path: fileURLToPath(new URL("./standIns.ts", import.meta.url)) };
        return { path: specifier, namespace: specifier === "esbuild" ? "esbuild" : "stand-in" };
      });
      build.onLoad({ filter: /.*/, namespace: "esbuild" }, () => ({ contents: esbuildWithDoor(packageRoot) }));
      build.onLoad({ filter: /.*/, namespace: "stand-in" }, ({ path: name }) => ({
        contents: `module.exports = require("stand-ins").standIn(${JSON.stringify(name)});`,
        resolveDir: packageRoot,
      }));
    },
  };
}

/** `packageRoot` is where the `convex` package is installed. */
export async function loadCliBundler(packageRoot = path.join(REPO_ROOT, "node_modules/convex")): Promise<CliBundler> {
  const folder = mkdtempSync(path.join(tmpdir(), "shardflow-cli-"));
  try {
    const outfile = path.join(folder, "bundler.mjs");
    await esbuild.build({
      stdin: { contents: entry(packageRoot), resolveDir: packageRoot, sourcefile: "convex-cli-bundler.js" },
      outfile,
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node20",
      logLevel: "silent",
      plugins: [standIns(packageRoot)],
    });
    const loaded = (await import(pathToFileURL(outfile).href)) as CliBundler & { seal: () => void };
    loaded.seal();
    return loaded;
  } catch (error) {
    const message = `The bundler of the convex package did not load: ${(error as Error).message}`;
    throw new Error(`${message}. If its version is new, adapt scripts/push/cliBundler.ts.`, { cause: error });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
