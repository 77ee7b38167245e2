/** Rules of schemas: evaluates `schema` without any environment, and checks its tables and indexes as a push does. */
import type { ValidatorJson } from "../codegen/analysis.js";
import { labelOf, type BundledDirectory } from "./bundle.js";
import { reportEffects, reportFailure } from "./importRules.js";
import { BundledModules } from "./modules.js";
import { faultOfStoredName } from "./names.js";
import type { Findings } from "./problems.js";

const MAX_INDEX_FIELDS = 15;
/** The documented limit, and that of the server's source. */
const DOCUMENTED_INDEXES = 32;
const MAX_INDEXES = 64;
const SYSTEM_FIELDS = new Set(["_id", "_creationTime"]);
const RESERVED_INDEXES = new Set(["by_id", "by_creation_time"]);

type Index = { indexDescriptor: string; fields: string[] };
type Table = {
  tableName: string;
  indexes: Index[];
  stagedDbIndexes?: Index[];
  searchIndexes: Array<{ indexDescriptor: string }>;
  vectorIndexes: Array<{ indexDescriptor: string }>;
  documentType: ValidatorJson;
};

/** Names of the tables. */
export async function checkSchema(
  { schema, label, dir }: BundledDirectory,
  root: string,
  sourceRoot: string,
  findings: Findings,
): Promise<string[]> {
  if (schema === null) return [];
  const modules = new BundledModules([schema], sourceRoot);
  const loaded = await modules.import(schema.path);
  const where = labelOf(root, `${dir}/schema`);
  reportEffects(modules.effects, { root, where, isEnvGiven: false }, findings);
  if (!loaded.ok) {
    reportFailure(loaded, modules.effects, { root, where }, findings);
    return [];
  }
  const exported = loaded.exports["default"] as { export?: () => string } | undefined;
  try {
    if (typeof exported?.export !== "function") throw new Error("Its default export is not a schema.");
    const { tables } = JSON.parse(exported.export()) as { tables: Table[] };
    for (const table of tables) checkTable(table, label, findings);
    return tables.map(({ tableName }) => tableName);
  } catch (error) {
    findings.problem(
      "SCHEMA",
      where,
      (error as Error).message,
      "Export `defineSchema({...})` as default, of tables by `defineTable`.",
    );
    return [];
  }
}

function checkTable(table: Table, label: string, findings: Findings): void {
  const where = `${label}: table "${table.tableName}"`;
  const fault = faultOfStoredName(table.tableName);
  if (fault !== null) findings.problem("TABLE_NAME", where, `Its name ${fault}.`, "Rename the table.");

  const indexes = [...table.indexes, ...(table.stagedDbIndexes ?? [])];
  if (indexes.length > MAX_INDEXES) {
    findings.problem(
      "INDEX_COUNT",
      where,
      `It has ${indexes.length} indexes; ${MAX_INDEXES} are allowed.`,
      "Drop some.",
    );
  } else if (indexes.length > DOCUMENTED_INDEXES) {
    const message = `It has ${indexes.length} indexes; the documentation allows ${DOCUMENTED_INDEXES}, the server ${MAX_INDEXES}.`;
    findings.note("INDEX_COUNT", where, message);
  }
  const names = new Set<string>();
  for (const { indexDescriptor: name } of [...indexes, ...table.searchIndexes, ...table.vectorIndexes]) {
    checkIndexName(name, names, `${where}, index "${name}"`, findings);
    names.add(name);
  }
  const byFields = new Map<string, string>();
  for (const { indexDescriptor: name, fields } of indexes) {
    const at = `${where}, index "${name}"`;
    checkFields(fields, table.documentType, at, findings);
    const other = byFields.get(JSON.stringify(fields));
    if (other !== undefined) {
      findings.problem("INDEX_DUPLICATE", at, `It has the same fields as the index "${other}".`, "Drop one of them.");
    }
    byFields.set(JSON.stringify(fields), name);
  }
}

function checkIndexName(name: string, taken: Set<string>, where: string, findings: Findings): void {
  const fault = RESERVED_INDEXES.has(name) ? "is that of an index that every table has" : faultOfStoredName(name);
  if (fault !== null) findings.problem("INDEX_NAME", where, `Its name ${fault}.`, "Rename the index.");
  if (taken.has(name))
    findings.problem("INDEX_NAME", where, "Another index of the table has this name.", "Rename one.");
}

function checkFields(fields: string[], documentType: ValidatorJson, where: string, findings: Findings): void {
  const bad = (message: string, fix: string): void => findings.problem("INDEX_FIELDS", where, message, fix);
  if (fields.length === 0)
    bad("It has no field.", "Name at least one; by_creation_time is there without being declared.");
  if (fields.length > MAX_INDEX_FIELDS)
    bad(`It has ${fields.length} fields; ${MAX_INDEX_FIELDS} are allowed.`, "Drop some.");
  for (const [position, field] of fields.entries()) {
    if (SYSTEM_FIELDS.has(field)) {
      bad(
        `It names "${field}".`,
        "Leave it out: every index ends in _creationTime, and documents are found by _id anyway.",
      );
    } else if (fields.indexOf(field) !== position) {
      bad(`It names "${field}" twice.`, "Name each field once.");
    } else if (!hasField(documentType, field.split("."))) {
      bad(`It names "${field}", which the table's documents do not have.`, "Correct the name, or declare the field.");
    }
  }
}

function hasField(type: ValidatorJson, [first, ...rest]: string[]): boolean {
  if (first === undefined || type.type === "any") return true;
  if (type.type === "union") return type.value.some((member) => hasField(member, [first, ...rest]));
  if (type.type === "record") return hasField(type.values.fieldType, rest);
  if (type.type !== "object") return false;
  const field = type.value[first];
  return field !== undefined && hasField(field.fieldType, rest);
}
