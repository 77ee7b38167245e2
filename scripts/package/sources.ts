/**
 * What the Convex component directory reads of a component, parsed: the files at the top of src/component, the entries of
 * client and tests, package.json. It looks into no other folder, so neither does this.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";

/** Text by path from the package's root. */
export type Sources = Record<string, string>;

const SINGLE_FILES = ["package.json", "src/client/index.ts", "src/react.ts", "src/test.ts"];

export function readSources(root: string): Sources {
  const component = readdirSync(path.join(root, "src/component"), { withFileTypes: true });
  const names = component.filter((entry) => entry.isFile() && entry.name.endsWith(".ts"));
  const files = [...names.map(({ name }) => `src/component/${name}`), ...SINGLE_FILES];
  return Object.fromEntries(
    files
      .filter((file) => existsSync(path.join(root, file)))
      .map((file) => [file, readFileSync(path.join(root, file), "utf8")]),
  );
}

export type Parsed = { file: string; source: ts.SourceFile };

export function parse(sources: Sources): Parsed[] {
  return Object.entries(sources)
    .filter(([file]) => file.endsWith(".ts"))
    .map(([file, text]) => ({ file, source: ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true) }));
}

/** Files whose exports are Convex functions. */
export function functionFiles(parsed: Parsed[]): Parsed[] {
  return parsed.filter(({ file }) => /^src\/component\/[^/.]+\.ts$/.test(file) && !file.endsWith("/schema.ts"));
}

export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

/** Local names of a file's imports, with the module and the name there. */
export function importsOf(source: ts.SourceFile): Map<string, { module: string; name: string }> {
  const imports = new Map<string, { module: string; name: string }>();
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) continue;
    const module = statement.moduleSpecifier.text;
    const { name, namedBindings } = statement.importClause ?? {};
    if (name !== undefined) imports.set(name.text, { module, name: "default" });
    if (namedBindings === undefined || ts.isNamespaceImport(namedBindings)) continue;
    for (const one of namedBindings.elements) {
      imports.set(one.name.text, { module, name: (one.propertyName ?? one.name).text });
    }
  }
  return imports;
}

export type Registration = {
  file: string;
  /** `module.name`, as in `internal.module.name`. */
  path: string;
  /** The name of what it is registered with, and where that is imported from. */
  builder: string;
  builderModule: string | undefined;
  /** Null when it is registered with a bare function. */
  config: ts.ObjectLiteralExpression | null;
};

const BUILDERS = new Set(["query", "mutation", "action", "internalQuery", "internalMutation", "internalAction"]);

/** Exported constants that are made by a builder, or by something that is called like one. */
export function registrationsOf({ file, source }: Parsed): Registration[] {
  const imports = importsOf(source);
  const found: Registration[] = [];
  for (const statement of source.statements) {
    const isExported = ts.canHaveModifiers(statement) && ts.getModifiers(statement)?.some(isExport);
    if (!isExported || !ts.isVariableStatement(statement)) continue;
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (initializer === undefined || !ts.isCallExpression(initializer) || !ts.isIdentifier(name)) continue;
      const [argument] = initializer.arguments;
      const config = argument !== undefined && ts.isObjectLiteralExpression(argument) ? argument : null;
      const isBare = argument !== undefined && (ts.isArrowFunction(argument) || ts.isFunctionExpression(argument));
      const callee = initializer.expression.getText(source);
      if (!isBare && !BUILDERS.has(callee) && (config === null || propertyOf(config, "handler") === undefined))
        continue;
      const { module, name: imported = callee } = imports.get(callee) ?? {};
      const path = `${file.replace(/^.*\/|\.ts$/g, "")}.${name.text}`;
      found.push({ file, path, builder: imported, builderModule: module, config });
    }
  }
  return found;
}

const isExport = ({ kind }: ts.Node): boolean => kind === ts.SyntaxKind.ExportKeyword;

export function propertyOf(object: ts.ObjectLiteralExpression, name: string): ts.Expression | undefined {
  for (const property of object.properties) {
    if (property.name?.getText() !== name) continue;
    if (ts.isPropertyAssignment(property)) return property.initializer;
    if (ts.isShorthandPropertyAssignment(property)) return property.name;
  }
  return undefined;
}
