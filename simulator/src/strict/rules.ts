/**
 * What a push refuses (sections 4 and 10.2): names, indexes and validators of a component.
 *
 * Owns: these rules. Invariant: everything found here fails on a deployment, whatever the code does at run time.
 */
import { kindOf, type RegisteredFunction, type Schema } from "../runtime/component.js";
import type { Problem } from "./problems.js";

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const MODULE_PART = /^[A-Za-z0-9_.]{1,64}$/;
const MAX_INDEX_FIELDS = 15;
const MAX_INDEXES = 64;
const RESERVED_FIELDS = new Set(["_id", "_creationTime"]);
const RESERVED_INDEXES = new Set(["by_id", "by_creation_time"]);

type ModuleExports = Readonly<Record<string, unknown>>;
type ExportedTable = {
  readonly tableName: string;
  readonly indexes: ReadonlyArray<{ readonly indexDescriptor: string; readonly fields: readonly string[] }>;
};

/** Files that a push takes for modules: others may be in a folder and are never deployed. */
function isEntry(module: string): boolean {
  const file = module.slice(module.lastIndexOf("/") + 1);
  return !/[.# ]/.test(file) && module !== "schema" && !module.endsWith("/schema");
}

/** Of a component's name, its tables and their indexes: at registration. */
export function schemaProblems(path: string, schema: Schema | null): Problem[] {
  const problems: Problem[] = [];
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (path !== "" && !NAME.test(name)) {
    problems.push({ trap: 42, where: path, message: `"${name}" is no name of a component: ${NAME.source}.` });
  }
  if (schema === null) return problems;
  const { tables } = JSON.parse((schema as unknown as { export(): string }).export()) as { tables: ExportedTable[] };
  for (const { tableName, indexes } of tables) {
    const where = path === "" ? tableName : `${path}/${tableName}`;
    if (!NAME.test(tableName) || tableName.startsWith("_")) {
      problems.push({ trap: 42, where, message: `"${tableName}" is no name of a table: ${NAME.source}, without _.` });
    }
    if (indexes.length > MAX_INDEXES) {
      problems.push({ trap: 43, where, message: `${indexes.length} indexes, ${MAX_INDEXES} are allowed.` });
    }
    const seen = new Map<string, string>();
    for (const index of indexes) problems.push(...indexProblems(where, index, seen));
  }
  return problems;
}

function indexProblems(
  table: string,
  { indexDescriptor: name, fields }: ExportedTable["indexes"][number],
  seen: Map<string, string>,
): Problem[] {
  const where = `${table}.${name}`;
  const problem = (message: string): Problem => ({ trap: 43, where, message });
  const problems: Problem[] = [];
  if (!NAME.test(name) || name.startsWith("_") || RESERVED_INDEXES.has(name)) {
    problems.push({ trap: 42, where, message: `"${name}" is no name of an index: ${NAME.source}, without _.` });
  }
  if (fields.length > MAX_INDEX_FIELDS) problems.push(problem(`${fields.length} fields, at most ${MAX_INDEX_FIELDS}.`));
  if (fields.length === 0) problems.push(problem("an index has at least one field."));
  for (const field of fields) {
    if (RESERVED_FIELDS.has(field)) problems.push(problem(`${field} cannot be declared; it ends every index anyway.`));
  }
  if (new Set(fields).size !== fields.length) problems.push(problem("a field is in it twice."));
  const key = JSON.stringify(fields);
  const same = seen.get(key);
  if (same !== undefined) problems.push(problem(`it has the fields of ${same}.`));
  seen.set(key, name);
  return problems;
}

/** Of a component's modules and functions: once they are imported. */
export function moduleProblems(path: string, modules: Iterable<readonly [string, ModuleExports]>): Problem[] {
  const entries = [...modules].filter(([module]) => isEntry(module));
  const functions = entries.map(([module, exported]) => ({
    module,
    names: Object.keys(exported).filter((name) => kindOf(exported[name]) !== null),
    exported,
  }));
  const folders = new Set(functions.filter(({ names }) => names.length > 0).map(({ module }) => module));
  const problems: Problem[] = [];
  for (const { module, names, exported } of functions) {
    const where = path === "" ? module : `${path}/${module}`;
    const parts = `${module}.js`.split("/");
    const bad = parts.find((part) => !MODULE_PART.test(part));
    if (bad !== undefined) {
      problems.push({ trap: 42, where, message: `"${bad}" is no part of a module's path: ${MODULE_PART.source}.` });
    }
    // Only files with "use node" may be in that folder, and a component has none.
    if (path !== "" && parts.length > 1 && parts[0] === "actions") {
      problems.push({ trap: 42, where, message: 'the folder actions/ is for files with "use node".' });
    }
    for (const name of names) {
      problems.push(...functionProblems(`${where}:${name}`, name, exported[name] as RegisteredFunction));
      if (path !== "" && folders.has(`${module}/${name}`)) {
        problems.push({ trap: 42, where: `${where}:${name}`, message: `there is a module ${module}/${name}, too.` });
      }
    }
  }
  return problems;
}

function functionProblems(where: string, name: string, code: RegisteredFunction): Problem[] {
  if (!NAME.test(name)) return [{ trap: 42, where, message: `"${name}" is no name of a function: ${NAME.source}.` }];
  try {
    const { type } = JSON.parse(code.exportArgs()) as { type: string };
    code.exportReturns();
    if (type === "object" || type === "any") return [];
    return [{ trap: 45, where, message: `args are an object or any, and not ${type}.` }];
  } catch (error) {
    return [{ trap: 45, where, message: error instanceof Error ? error.message : String(error) }];
  }
}

/** Handlers that import while they run, as far as their own text shows it (trap 11). */
export function dynamicImportProblems(path: string, modules: Iterable<readonly [string, ModuleExports]>): Problem[] {
  const problems: Problem[] = [];
  for (const [module, exported] of modules) {
    for (const [name, value] of Object.entries(exported)) {
      const kind = kindOf(value);
      if (kind !== "query" && kind !== "mutation") continue;
      const { _handler: handler } = value as { _handler?: unknown };
      if (typeof handler !== "function" || !DYNAMIC_IMPORT.test(Function.prototype.toString.call(handler))) continue;
      const where = `${path === "" ? "" : `${path}/`}${module}:${name}`;
      problems.push({ trap: 11, where, message: `a ${kind} cannot import while it runs; only actions can.` });
    }
  }
  return problems;
}

/** As it is written, and as bundlers of test runners write it. */
const DYNAMIC_IMPORT = /(?<![\w$.])(?:import|__vi_import__|__vi_ssr_dynamic_import__|__vite_ssr_dynamic_import__)\s*\(/;
