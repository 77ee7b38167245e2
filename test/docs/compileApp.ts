/**
 * Compiles the code of a page as the functions directory of an app, without writing it anywhere.
 *
 * Owns: the app around the files: what `npx convex codegen` would generate for them, with any table and the given
 * components. The compiler's options are this repository's own.
 */
import path from "node:path";
import ts from "typescript";
import { REPO_ROOT, type ChildComponent } from "../../scripts/codegen/analysis.js";
import { hostApi, hostServer } from "../../scripts/codegen/templates.js";

/** A folder that is not there: everything in it is in memory. */
const APP = path.join(REPO_ROOT, "test/docs/app");

const COMPONENTS: ChildComponent[] = [
  { name: "shardflow", importSpecifier: "convex-shardflow" },
  { name: "workflow", importSpecifier: "@convex-dev/workflow" },
];

const ANY_TABLE = `
import type { AnyDataModel, GenericId } from "convex/server";
export type DataModel = AnyDataModel;
export type Id<TableName extends string> = string & { __tableName: TableName };
`;

/** The errors of each file: its path below the app -> messages, for those that have any. */
export function compileApp(files: Readonly<Record<string, string>>): Record<string, string[]> {
  const modules = Object.keys(files).map((file) => path.relative("convex", file).replaceAll(path.sep, "/"));
  const sources = new Map(
    Object.entries({
      ...files,
      "convex/_generated/api.d.ts": hostApi(modules, COMPONENTS).types,
      "convex/_generated/server.d.ts": hostServer([]).types,
      "convex/_generated/dataModel.d.ts": ANY_TABLE,
    }).map(([file, text]) => [path.join(APP, file), text]),
  );
  const config = ts.readConfigFile(path.join(REPO_ROOT, "tsconfig.json"), (file) => ts.sys.readFile(file));
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, REPO_ROOT);
  const program = ts.createProgram([...sources.keys()], options, inMemory(ts.createCompilerHost(options), sources));
  const errors: Record<string, string[]> = {};
  for (const file of Object.keys(files)) {
    const source = program.getSourceFile(path.join(APP, file));
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    if (found.length > 0) errors[file] = found.map((one) => ts.flattenDiagnosticMessageText(one.messageText, "\n"));
  }
  return errors;
}

function inMemory(host: ts.CompilerHost, sources: ReadonlyMap<string, string>): ts.CompilerHost {
  const folders = new Set([...sources.keys()].map((file) => path.dirname(file)));
  return {
    ...host,
    fileExists: (file) => sources.has(file) || host.fileExists(file),
    directoryExists: (folder) => folders.has(folder) || ts.sys.directoryExists(folder),
    readFile: (file) => sources.get(file) ?? host.readFile(file),
    getSourceFile: (file, language) => {
      const text = sources.get(file);
      return text === undefined ? host.getSourceFile(file, language) : ts.createSourceFile(file, text, language);
    },
  };
}
