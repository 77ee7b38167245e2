/**
 * What the Convex CLI learns about a functions directory by pushing it to a backend, learnt here from the sources alone.
 *
 * Owns: which files are entry points, and evaluating them. Each directory is bundled with esbuild under the CLI's options
 * and loaded with a stub `Convex` global, so an import that touches the database fails here as it would at push.
 * Invariant: never reads `_generated`, so missing or stale generated files cannot change the result.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as esbuild from "esbuild";

export const REPO_ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

/** JSON form of a validator, as `exportArgs()` prints it. */
export type ValidatorJson =
  | { type: "null" | "number" | "bigint" | "commitTs" | "boolean" | "string" | "bytes" | "any" }
  | { type: "id"; tableName: string }
  | { type: "literal"; value: unknown }
  | { type: "array"; value: ValidatorJson }
  | { type: "record"; keys: ValidatorJson; values: { fieldType: ValidatorJson; optional: boolean } }
  | { type: "union"; value: ValidatorJson[] }
  | { type: "object"; value: Record<string, { fieldType: ValidatorJson; optional: boolean }> };

export type PublicFunction = {
  /** Path inside the directory without its extension, with `/`. */
  module: string;
  name: string;
  kind: "query" | "mutation" | "action";
  args: ValidatorJson | null;
  returns: ValidatorJson | null;
};

/** `[name, declaration]`, as the definition's `export()` returns it; `value` is the validator as JSON text. */
export type EnvVar = [string, { type: "value"; value: string; optional?: boolean }];
export type ChildComponent = { name: string; importSpecifier: string };
export type Definition = { envVars: EnvVar[]; childComponents: ChildComponent[] };

const ENTRY_EXTENSIONS = [".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs"];

/** Files that Convex would deploy, relative to the directory, in no particular order. */
export function entryPoints(dir: string): string[] {
  const found: string[] = [];
  const walk = (relDir: string): void => {
    for (const item of readdirSync(path.join(dir, relDir), { withFileTypes: true })) {
      const rel = path.join(relDir, item.name);
      if (item.isDirectory()) {
        if (rel !== "_generated" && !existsSync(path.join(dir, rel, "convex.config.ts"))) walk(rel);
      } else if (isEntryPoint(dir, rel, item.name)) found.push(rel);
    }
  };
  walk("");
  return found;
}

function isEntryPoint(dir: string, rel: string, base: string): boolean {
  if (!ENTRY_EXTENSIONS.includes(path.extname(base))) return false;
  if (base.startsWith(".") || base.startsWith("#") || rel.includes(" ")) return false;
  // More than one dot: tests, configuration files, `x.helpers.ts`.
  if (base === "schema.ts" || base === "schema.js" || base.split(".").length > 2) return false;
  if (!/\.tsx?$/.test(base)) return true;
  return /^\s{0,100}(import|export)/m.test(readFileSync(path.join(dir, rel), "utf8"));
}

/** Evaluates `convex.config.ts`. A directory without one is a root app that uses no components. */
export async function loadDefinition(dir: string): Promise<Definition> {
  const config = path.join(dir, "convex.config.ts");
  if (!existsSync(config)) return { envVars: [], childComponents: [] };
  const [module] = await evaluate(dir, ["convex.config.ts"], [childComponentStubs(config)]);
  // `export()` is internal to convex/server; this is the part of its answer that code generation reads.
  const definition = module?.exports["default"] as {
    export(): { envVars?: EnvVar[]; childComponents: Array<{ name: string; path: string }> };
  };
  const { envVars = [], childComponents } = definition.export();
  // The backend answers with env variables sorted by code unit and child components in the order of the source.
  envVars.sort(([a], [b]) => (a < b ? -1 : 1));
  return { envVars, childComponents: childComponents.map(({ name, path }) => ({ name, importSpecifier: path })) };
}

/** Loads every entry point and describes its public functions. */
export async function loadPublicFunctions(dir: string, serverSource: string): Promise<PublicFunction[]> {
  const functions: PublicFunction[] = [];
  for (const { file, exports } of await evaluate(dir, entryPoints(dir), [generatedFiles(dir, serverSource)])) {
    const module = file
      .split(path.sep)
      .join("/")
      .replace(/\.[^.]+$/, "");
    for (const [name, value] of Object.entries(exports)) {
      const described = describeFunction(value);
      if (described !== null) functions.push({ module, name, ...described });
    }
  }
  return functions;
}

/** What a registered function carries at run time; all of it is `@internal` in convex/server. */
type Registered = {
  isPublic?: boolean;
  isQuery?: boolean;
  isMutation?: boolean;
  isAction?: boolean;
  exportArgs(): string;
  exportReturns(): string;
};

function describeFunction(value: unknown): Pick<PublicFunction, "kind" | "args" | "returns"> | null {
  if (typeof value !== "function") return null;
  const fn = value as unknown as Registered;
  const kind = fn.isQuery ? "query" : fn.isMutation ? "mutation" : fn.isAction ? "action" : null;
  if (kind === null || fn.isPublic !== true) return null;
  return {
    kind,
    args: JSON.parse(fn.exportArgs()) as ValidatorJson | null,
    returns: JSON.parse(fn.exportReturns()) as ValidatorJson | null,
  };
}

/** Every import of another component's config becomes what the backend hands out: its name and where it came from. */
function childComponentStubs(entry: string): esbuild.Plugin {
  const namespace = "child-component";
  return {
    name: namespace,
    setup(build) {
      build.onResolve({ filter: /\/convex\.config(\.js)?$/ }, async (args) => {
        const isResolvedAlready = args.namespace === namespace || args.pluginData === namespace;
        if (args.kind === "entry-point" || isResolvedAlready) return undefined;
        const specifier = args.path.replace(/\/convex\.config(\.js)?$/, "");
        if (specifier.startsWith(".")) {
          throw new Error(
            `${entry} uses the component ${args.path} by a relative path: import it by its package name.`,
          );
        }
        const { path: real, errors } = await build.resolve(args.path, {
          kind: args.kind,
          resolveDir: args.resolveDir,
          pluginData: namespace,
        });
        if (errors.length > 0) return { errors };
        return { path: specifier, namespace, pluginData: real };
      });
      build.onLoad({ filter: /.*/, namespace }, ({ path: specifier, pluginData }) => ({
        contents: [
          `import definition from ${JSON.stringify(pluginData)};`,
          `export default { componentDefinitionPath: ${JSON.stringify(specifier)}, defaultName: definition._name };`,
        ].join("\n"),
        resolveDir: REPO_ROOT,
      }));
    },
  };
}

/** Serves `_generated/*` of the directory from memory. */
function generatedFiles(dir: string, serverSource: string): esbuild.Plugin {
  const namespace = "generated";
  const sources: Record<string, string> = {
    server: serverSource,
    api: `import { anyApi, componentsGeneric } from "convex/server";
      export const api = anyApi, internal = anyApi, components = componentsGeneric();`,
    component: "export {};",
    dataModel: "export {};",
  };
  return {
    name: namespace,
    setup(build) {
      build.onResolve({ filter: /\/_generated\/\w+(\.js|\.ts)?$/ }, (args) => {
        const target = path.resolve(args.resolveDir, args.path);
        if (path.dirname(target) !== path.join(dir, "_generated")) return undefined;
        return { path: path.basename(target).replace(/\..*$/, ""), namespace };
      });
      build.onLoad({ filter: /.*/, namespace }, ({ path: name }) => {
        const contents = sources[name];
        if (contents === undefined) throw new Error(`_generated/${name} is not a file that code generation writes.`);
        // Not `_generated` itself, which need not exist: these sources import nothing by a relative path but types.
        return { contents, loader: "ts", resolveDir: dir };
      });
    },
  };
}

type LoadedModule = { file: string; exports: Record<string, unknown> };

async function evaluate(dir: string, files: string[], plugins: esbuild.Plugin[]): Promise<LoadedModule[]> {
  const outdir = mkdtempSync(path.join(tmpdir(), "shardflow-codegen-"));
  const restore = stubConvexGlobal();
  try {
    await esbuild.build({
      absWorkingDir: REPO_ROOT,
      entryPoints: files.map((file) => path.join(dir, file)),
      outdir,
      outbase: dir,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      platform: "browser",
      format: "esm",
      target: "esnext",
      jsx: "automatic",
      splitting: true,
      chunkNames: "_deps/[hash]",
      conditions: ["convex", "module"],
      define: { "process.env.NODE_ENV": '"production"' },
      keepNames: true,
      logLevel: "silent",
      // One tsconfig for all: its `paths` let the host import this package without a build.
      tsconfig: path.join(REPO_ROOT, "tsconfig.json"),
      nodePaths: [path.join(REPO_ROOT, "node_modules")],
      plugins,
    });
    const loaded: LoadedModule[] = [];
    for (const file of files) {
      const bundled = path.join(outdir, file.replace(/\.[^.]+$/, ".mjs"));
      const exports = (await import(pathToFileURL(bundled).href)) as Record<string, unknown>;
      loaded.push({ file, exports });
    }
    return loaded;
  } finally {
    restore();
    rmSync(outdir, { recursive: true, force: true });
  }
}

/** Modules are evaluated without a transaction: a syscall at import time is an error at push, and so it is here. */
function stubConvexGlobal(): () => void {
  const scope = globalThis as { Convex?: unknown };
  const before = scope.Convex;
  const refuse = (op: string): never => {
    throw new Error(`A module used Convex while it was imported (${op}). Move the call into a handler.`);
  };
  scope.Convex = { syscall: refuse, asyncSyscall: refuse, jsSyscall: refuse, asyncJsSyscall: refuse };
  return () => {
    if (before === undefined) delete scope.Convex;
    else scope.Convex = before;
  };
}
