/** The docs of the client: every exported function and method has its guarantees, errors and an example that compiles. */
import { readdirSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";

const CLIENT = path.join(REPO_ROOT, "src/client");
const files = readdirSync(CLIENT).map((file) => path.join(CLIENT, file));
const config = ts.parseJsonConfigFileContent(
  ts.readConfigFile(path.join(REPO_ROOT, "tsconfig.json"), (file) => ts.sys.readFile(file)).config,
  ts.sys,
  REPO_ROOT,
);
const clientProgram = ts.createProgram(files, config.options);

type Documented = { name: string; text: string };
const documented: Documented[] = files.flatMap((file) => {
  const source = clientProgram.getSourceFile(file);
  return source === undefined ? [] : collect(source);
});

/** Exported functions, and the public methods of exported classes that an app can reach. */
function collect(source: ts.SourceFile): Documented[] {
  const found: Documented[] = [];
  const isExported = (node: ts.Declaration) => (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Export) !== 0;
  for (const statement of source.statements) {
    if (ts.isFunctionDeclaration(statement) && isExported(statement) && isPublic(statement.name?.text)) {
      found.push({ name: statement.name?.text ?? "", text: docOf(source, statement) });
    }
    if (!ts.isClassDeclaration(statement) || !isPublic(statement.name?.text)) continue;
    const className = statement.name?.text ?? "";
    for (const member of statement.members) {
      if (!ts.isMethodDeclaration(member) || ts.isPrivateIdentifier(member.name)) continue;
      found.push({ name: `${className}.${member.name.getText(source)}`, text: docOf(source, member) });
    }
  }
  return found;
}

const docOf = (source: ts.SourceFile, node: ts.Node): string =>
  ts
    .getJSDocCommentsAndTags(node)
    .filter(ts.isJSDoc)
    .map((doc) => doc.getText(source).replace(/^\s*\* ?/gm, ""))
    .join("\n");

/** What the package's entry exports, with whether it is a type only. */
const exported = (() => {
  const checker = clientProgram.getTypeChecker();
  const entry = clientProgram.getSourceFile(path.join(CLIENT, "index.ts"));
  const symbol = entry === undefined ? undefined : checker.getSymbolAtLocation(entry);
  const symbols = symbol === undefined ? [] : checker.getExportsOfModule(symbol);
  return new Map(
    symbols.map((one) => {
      const target = one.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(one) : one;
      const isTypeOnly =
        (target.flags & ts.SymbolFlags.Value) === 0 || one.declarations?.some(ts.isTypeOnlyExportDeclaration) === true;
      return [one.name, isTypeOnly];
    }),
  );
})();

function isPublic(name: string | undefined): boolean {
  return name !== undefined && exported.has(name);
}

/** What the examples take as given. */
const GIVEN = `
import { mutation, query, internalMutation, internalQuery, type ActionCtx } from "./_generated/server.js";
import { api, components, internal } from "./_generated/api.js";
import type { ConvexHttpClient } from "convex/browser";
declare const shardflow: Shardflow;
declare const ctx: ActionCtx;
declare const client: ConvexHttpClient;
declare const executionId: ExecutionId;
declare const [team, ticketId, textOfTheEditor]: string[];
declare const [lists, pages]: string[][];
`;

function asModule(example: string): string {
  const imports = [...exported]
    .filter(([name]) => new RegExp(`\\b${name}\\b`).test(example + GIVEN))
    .map(([name, isTypeOnly]) => (isTypeOnly ? `type ${name}` : name));
  const body = /^export /m.test(example) ? example : `export async function example() {\n${example}\n}`;
  return `import { ${imports.join(", ")} } from "convex-shardflow";${GIVEN}${body}`;
}

const examplesOf = ({ name, text }: Documented): Array<{ name: string; code: string }> =>
  [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = ""]) => ({ name, code }));

describe("the docs of the client", () => {
  it("are found", () => {
    const names = documented.map(({ name }) => name);
    for (const name of ["Shardflow.startWorkflow", "Definitions.publish", "Admin.configure", "exposeApi"]) {
      expect(names).toContain(name);
    }
  });

  it.each(documented)("say what $name guarantees, throws and looks like", ({ text }) => {
    expect(text).toMatch(/Guarantee: \S/);
    expect(text).toMatch(/@throws \S/);
    expect(text).toMatch(/@example\n```ts\n/);
  });

  it("have examples that compile", { timeout: 120_000 }, () => {
    const classes = files.map((file) => ({
      name: path.basename(file),
      text: clientProgram.getSourceFile(file)?.text ?? "",
    }));
    const inClasses = classes.flatMap(({ name, text }) => examplesOf({ name, text: text.replace(/^\s*\* ?/gm, "") }));
    const modules = new Map(
      inClasses.map(({ name, code }, i) => [
        path.join(REPO_ROOT, "convex", `example${i}.ts`),
        { name, code: asModule(code) },
      ]),
    );
    expect(modules.size).toBeGreaterThanOrEqual(documented.length);
    const problems = compile(modules);
    expect(problems).toEqual([]);
  });

  it("would not pass with an example that does not compile", { timeout: 120_000 }, () => {
    const wrong = path.join(REPO_ROOT, "convex/example.ts");
    const code = asModule("await shardflow.startWorkflow(ctx, { definitoin: 'x' });");
    expect(compile(new Map([[wrong, { name: "wrong", code }]]))).toHaveLength(1);
  });
});

/** Errors of modules that exist in memory only, as if they were in the app's folder. */
function compile(modules: Map<string, { name: string; code: string }>): string[] {
  const options: ts.CompilerOptions = { ...config.options, noUnusedLocals: false, noEmit: true };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (file) => modules.has(file) || fileExists(file);
  host.readFile = (file) => modules.get(file)?.code ?? readFile(file);
  host.getSourceFile = (file, languageVersion, ...rest) => {
    const module = modules.get(file);
    return module === undefined
      ? getSourceFile(file, languageVersion, ...rest)
      : ts.createSourceFile(file, module.code, languageVersion);
  };
  const program = ts.createProgram([...modules.keys()], options, host);
  return [...modules].flatMap(([file, { name, code }]) => {
    const source = program.getSourceFile(file);
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    return found.map((one) => `${name}: ${ts.flattenDiagnosticMessageText(one.messageText, "\n")}\nin\n${code}`);
  });
}
