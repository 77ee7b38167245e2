/**
 * What only the text of a file shows (traps 11 and 12): `"use node"`, built-in modules of Node, dynamic imports.
 *
 * Owns: these rules. Invariant: types are no imports; comments are not read. Packages that a file imports are not followed.
 */
import { builtinModules } from "node:module";
import type { Problem } from "./problems.js";

const BUILT_IN = new Set(builtinModules);
const USE_NODE = /^\s*(["'])use node\1/;
const IMPORT = /(?:^|[;\n])\s*(?:import|export)\s+(type\s)?[^'";]*?(?:from\s*)?["']([^"']+)["']/g;
/** Not the import of a type: `typeof import("a")`, `import("a").Name`. */
const DYNAMIC = /(?<![\w$.]|typeof\s)import\s*\((?![^)]*\)\s*\.\s*[A-Z])/;
const COMMENTS = /\/\*[\s\S]*?\*\/|(?<![:"'`])\/\/[^\n]*/g;
/** Given by the bundler instead of Node's. */
const REPLACED = new Set(["async_hooks"]);

export function sourceProblems(path: string, files: Readonly<Record<string, string>>): Problem[] {
  return Object.entries(files).flatMap(([file, text]) =>
    fileProblems(path, path === "" ? file : `${path}: ${file}`, text),
  );
}

function fileProblems(path: string, where: string, source: string): Problem[] {
  const text = source.replace(COMMENTS, "");
  if (USE_NODE.test(text)) {
    return path === "" ? [] : [{ trap: 12, where, message: 'a component cannot have files with "use node".' }];
  }
  const problems: Problem[] = [];
  for (const [, isType, specifier = ""] of text.matchAll(IMPORT)) {
    if (isType !== undefined) continue;
    const name = specifier.replace(/^node:/, "");
    const isBuiltIn = specifier.startsWith("node:") || BUILT_IN.has(specifier);
    if (!isBuiltIn || REPLACED.has(name)) continue;
    problems.push({ trap: 12, where, message: `"${specifier}" is a module of Node; this file is none of Node.` });
  }
  if (DYNAMIC.test(text) && /\b(?:internal)?(?:query|mutation)(?:Generic)?\s*\(/i.test(text)) {
    problems.push({ trap: 11, where, message: "it imports dynamically, and has queries or mutations, which cannot." });
  }
  return problems;
}
