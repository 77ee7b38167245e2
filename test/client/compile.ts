/** Compiles pieces of code as if they were modules of the app in convex/, without writing them anywhere. */
import path from "node:path";
import ts from "typescript";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";
import { compilerOptions, exported } from "./clientDocs.js";

/** What an example takes as given, besides everything that the package exports. */
const GIVEN = `
import { mutation, query, internalMutation, internalQuery, type ActionCtx } from "./_generated/server.js";
import { api, components, internal } from "./_generated/api.js";
import type { ConvexHttpClient } from "convex/browser";
import { v } from "convex/values";
declare const shardflow: Shardflow;
declare const ctx: ActionCtx;
declare const client: ConvexHttpClient;
declare const executionId: ExecutionId;
declare const team: string, ticketId: string, textOfTheEditor: string, textOfTheFile: string;
declare const lists: string[][], pages: string[];
`;

function asModule(code: string): string {
  const imports = [...exported]
    .filter(([name]) => new RegExp(`\\b${name}\\b`).test(code + GIVEN))
    .map(([name, isTypeOnly]) => (isTypeOnly ? `type ${name}` : name));
  const body = /^export /m.test(code) ? code : `export async function example() {\n${code}\n}`;
  return `import { ${imports.join(", ")} } from "convex-shardflow";${GIVEN}${body}`;
}

/** The errors of each piece, empty when it compiles. */
export function compile(pieces: readonly string[]): string[][] {
  const modules = new Map(pieces.map((code, i) => [path.join(REPO_ROOT, `convex/example${i}.ts`), asModule(code)]));
  const options: ts.CompilerOptions = { ...compilerOptions, noUnusedLocals: false, noUnusedParameters: false };
  const host = ts.createCompilerHost(options);
  const inMemory: ts.CompilerHost = {
    ...host,
    fileExists: (file) => modules.has(file) || host.fileExists(file),
    readFile: (file) => modules.get(file) ?? host.readFile(file),
    getSourceFile: (file, language) => {
      const text = modules.get(file);
      return text === undefined ? host.getSourceFile(file, language) : ts.createSourceFile(file, text, language);
    },
  };
  const program = ts.createProgram([...modules.keys()], options, inMemory);
  return [...modules.keys()].map((file) => {
    const source = program.getSourceFile(file);
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map((found) =>
      ts.flattenDiagnosticMessageText(found.messageText, "\n"),
    );
  });
}
