/**
 * Rules of functions: imports every module of a directory as a push does, and checks what it registers.
 *
 * A registered function tells about itself by properties that convex/server marks as internal: `isQuery`, `exportArgs`
 * and so on. The backend reads the same ones.
 */
import path from "node:path";
import type { Metafile } from "esbuild";
import type { ValidatorJson } from "../codegen/analysis.js";
import { labelOf, type BundledDirectory } from "./bundle.js";
import { reportEffects, reportFailure } from "./importRules.js";
import { BundledModules } from "./modules.js";
import { faultOfIdentifier, faultOfPathPart } from "./names.js";
import type { Findings } from "./problems.js";

export type FunctionKind = "query" | "mutation" | "action" | "httpAction";
export type RegisteredFunction = { module: string; name: string; kind: FunctionKind; isPublic: boolean };

/** What was imported, by path without `.js`. */
export type Analysis = { functions: RegisteredFunction[]; exports: Map<string, Record<string, unknown>> };

type Registered = {
  isPublic?: boolean;
  isQuery?: boolean;
  isMutation?: boolean;
  isAction?: boolean;
  isHttp?: boolean;
  exportArgs?(): string;
  exportReturns?(): string;
};

const isChunk = (modulePath: string): boolean => modulePath.startsWith("_deps/");
const isAuthConfig = (modulePath: string): boolean => modulePath === "auth.config.js";

export async function checkFunctions(
  directory: BundledDirectory,
  root: string,
  sourceRoot: string,
  findings: Findings,
): Promise<Analysis> {
  const modules = new BundledModules(directory.functions, sourceRoot);
  const analysis: Analysis = { functions: [], exports: new Map() };
  for (const bundled of directory.functions) {
    if (isChunk(bundled.path) || isAuthConfig(bundled.path)) continue;
    const where = labelOf(root, path.join(directory.dir, bundled.path.replace(/\.js$/, "")));
    checkPath(bundled.path, where, findings);
    const before = modules.effects.length;
    const loaded = await modules.import(bundled.path);
    const effects = modules.effects.slice(before);
    reportEffects(effects, { root, where, isEnvGiven: directory.isRoot }, findings);
    if (!loaded.ok) {
      reportFailure(loaded, modules.effects, { root, where }, findings);
      continue;
    }
    const module = bundled.path.replace(/\.js$/, "");
    analysis.exports.set(module, loaded.exports);
    for (const [name, value] of Object.entries(loaded.exports)) {
      const kind = kindOf(value);
      if (kind === null) continue;
      analysis.functions.push({ module, name, kind, isPublic: (value as Registered).isPublic === true });
      checkFunction(
        value as Registered,
        kind,
        { name, where: `${where}:${name}`, isNode: bundled.environment === "node" },
        findings,
      );
    }
  }
  checkConflicts(analysis.functions, directory, root, findings);
  checkDynamicImports(analysis.functions, directory, root, findings);
  return analysis;
}

function checkPath(modulePath: string, where: string, findings: Findings): void {
  for (const part of modulePath.split("/")) {
    const fault = faultOfPathPart(part);
    if (fault !== null)
      findings.problem("MODULE_PATH", where, `The part "${part}" of its path ${fault}.`, "Rename it.");
  }
}

function kindOf(value: unknown): FunctionKind | null {
  if (typeof value !== "function" && (typeof value !== "object" || value === null)) return null;
  const fn = value as Registered;
  if (fn.isHttp === true) return "httpAction";
  return fn.isQuery === true ? "query" : fn.isMutation === true ? "mutation" : fn.isAction === true ? "action" : null;
}

function checkFunction(
  fn: Registered,
  kind: FunctionKind,
  { name, where, isNode }: { name: string; where: string; isNode: boolean },
  findings: Findings,
): void {
  const fault = faultOfIdentifier(name);
  if (fault !== null) findings.problem("FUNCTION_NAME", where, `The name "${name}" ${fault}.`, "Rename the export.");
  if (isNode && kind !== "action") {
    const message = `It is a ${kind}; a file with "use node" may have actions only.`;
    findings.problem("NODE_FUNCTION", where, message, `Move it to a file without "use node".`);
  }
  try {
    const args = JSON.parse(fn.exportArgs?.() ?? "null") as ValidatorJson | null;
    if (args !== null && args.type !== "object" && args.type !== "any") {
      const message = `Its args validator is of type ${args.type}; it must be an object or v.any().`;
      findings.problem("ARGS_VALIDATOR", where, message, "Put the value into a field: `args: { value: ... }`.");
    }
  } catch (error) {
    reportValidator("ARGS_VALIDATOR", "args", error, where, findings);
  }
  try {
    fn.exportReturns?.();
  } catch (error) {
    reportValidator("RETURNS_VALIDATOR", "returns", error, where, findings);
  }
}

function reportValidator(code: string, which: string, error: unknown, where: string, findings: Findings): void {
  const message = `Its ${which} validator cannot be read: ${(error as Error).message}`;
  const fix = "If a part of it is undefined, two modules import each other: move the shared validators into a third.";
  findings.problem(code, where, message, fix);
}

/** `a.ts` exporting `b`, next to a module `a/b.ts`: both would be `a.b` to the parent. */
function checkConflicts(
  functions: RegisteredFunction[],
  { dir }: BundledDirectory,
  root: string,
  findings: Findings,
): void {
  const visible = functions.filter(({ isPublic }) => isPublic);
  const modules = visible.map(({ module }) => module);
  for (const { module, name } of visible) {
    const inner = `${module}/${name}`;
    const other = modules.find((one) => one === inner || one.startsWith(`${inner}/`));
    if (other === undefined) continue;
    findings.problem(
      "EXPORT_CONFLICT",
      `${labelOf(root, path.join(dir, module))}:${name}`,
      `The function has the same path as the module "${other}".`,
      "Rename one of them.",
    );
  }
}

/** Only actions can `import()`. Told by module, not by call: a module with actions and others is noted only. */
function checkDynamicImports(
  functions: RegisteredFunction[],
  { dir, metafile }: BundledDirectory,
  root: string,
  findings: Findings,
): void {
  if (metafile === null) return;
  const sources = outputsByModule(metafile);
  for (const [module, inputs] of sources) {
    const kinds = new Set(functions.filter((fn) => fn.module === module).map(({ kind }) => kind));
    if (!kinds.has("query") && !kinds.has("mutation")) continue;
    for (const input of inputs) {
      const dynamic = metafile.inputs[input]?.imports.find(({ kind }) => kind === "dynamic-import");
      if (dynamic === undefined) continue;
      const where = labelOf(root, path.resolve(root, input));
      const message = `It has import("${dynamic.original ?? dynamic.path}") and is part of ${labelOf(root, path.join(dir, module))}`;
      if (kinds.has("action") || where !== path.relative(root, path.resolve(root, input))) {
        findings.note("DYNAMIC_IMPORT", where, `${message}, which has queries or mutations; only actions can do this.`);
      } else {
        const fix = "Import it statically, or move it to a module of actions.";
        findings.problem("DYNAMIC_IMPORT", where, `${message}, which has no actions; only actions can do this.`, fix);
      }
    }
  }
}

/** Input files of each entry module and of the chunks it imports statically. */
function outputsByModule(metafile: Metafile): Map<string, Set<string>> {
  const byModule = new Map<string, Set<string>>();
  for (const [output, { entryPoint }] of Object.entries(metafile.outputs)) {
    if (entryPoint === undefined || output.includes("_deps/")) continue;
    const inputs = closure(metafile, output).flatMap((one) => Object.keys(metafile.outputs[one]?.inputs ?? {}));
    byModule.set(output.replace(/^out\//, "").replace(/\.js$/, ""), new Set(inputs));
  }
  return byModule;
}

/** An output and what it imports statically. */
export function closure(metafile: Metafile, output: string, seen: string[] = []): string[] {
  if (seen.includes(output)) return seen;
  seen.push(output);
  for (const { path: imported, kind } of metafile.outputs[output]?.imports ?? []) {
    if (kind === "import-statement") closure(metafile, imported, seen);
  }
  return seen;
}
