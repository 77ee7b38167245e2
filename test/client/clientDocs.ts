/** Reads the doc comments of the client: what its entry exports, and what is said about it. */
import { readdirSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";

const CLIENT = path.join(REPO_ROOT, "src/client");
const paths = readdirSync(CLIENT).map((file) => path.join(CLIENT, file));

export const compilerOptions = ts.parseJsonConfigFileContent(
  ts.readConfigFile(path.join(REPO_ROOT, "tsconfig.json"), (file) => ts.sys.readFile(file)).config,
  ts.sys,
  REPO_ROOT,
).options;

const program = ts.createProgram(paths, compilerOptions);
const sources = paths.flatMap((file) => program.getSourceFile(file) ?? []);

/** Name of what the package's entry exports -> whether it is a type only. */
export const exported: ReadonlyMap<string, boolean> = readExports();

/** Exported functions, and the methods of classes that an app can reach, with the text of their doc comments. */
export const documented = sources.flatMap(collect);

/** Every block of code in the doc comments of the client. */
export const examples = sources.flatMap((source) =>
  [...withoutStars(source.text).matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = ""]) => ({
    file: path.basename(source.fileName),
    code,
  })),
);

function readExports(): Map<string, boolean> {
  const checker = program.getTypeChecker();
  const entry = program.getSourceFile(path.join(CLIENT, "index.ts"));
  const module = entry === undefined ? undefined : checker.getSymbolAtLocation(entry);
  const symbols = module === undefined ? [] : checker.getExportsOfModule(module);
  return new Map(
    symbols.map((one) => {
      const target = one.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(one) : one;
      const isValue = (target.flags & ts.SymbolFlags.Value) !== 0;
      return [one.name, !isValue || one.declarations?.some(ts.isTypeOnlyExportDeclaration) === true];
    }),
  );
}

function collect(source: ts.SourceFile): Array<{ name: string; text: string }> {
  return source.statements.flatMap((statement) => {
    if (!ts.isFunctionDeclaration(statement) && !ts.isClassDeclaration(statement)) return [];
    const name = statement.name?.text ?? "";
    if (!exported.has(name)) return [];
    if (ts.isFunctionDeclaration(statement)) return [{ name, text: docOf(source, statement) }];
    return statement.members
      .filter((member) => ts.isMethodDeclaration(member) && !ts.isPrivateIdentifier(member.name))
      .map((member) => ({ name: `${name}.${member.name?.getText(source)}`, text: docOf(source, member) }));
  });
}

function docOf(source: ts.SourceFile, node: ts.Node): string {
  const comments = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc);
  return comments.map((comment) => withoutStars(comment.getText(source))).join("\n");
}

function withoutStars(text: string): string {
  return text.replace(/^\s*\* ?/gm, "");
}
