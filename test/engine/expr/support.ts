import { fileURLToPath } from "node:url";
import { readFileSync } from "node:fs";
import { ExpressionError } from "../../../src/engine/expr/error.js";
import type { ScopeNames } from "../../../src/engine/expr/analyze.js";

/** The expression error that a call threw. Throws itself when there was none, so that no assertion is skipped. */
export function errorOf(call: () => unknown): ExpressionError {
  let thrown: unknown = "nothing";
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  if (thrown instanceof ExpressionError) return thrown;
  throw new Error(`expected an ExpressionError, got ${String(thrown)}`, { cause: thrown });
}

export function names(some: Partial<ScopeNames> = {}): ScopeNames {
  return { nodes: new Set(), locals: new Set(), inLoop: false, loops: new Set(), secrets: false, ...some };
}

export const DOC = readFileSync(fileURLToPath(new URL("../../../docs/expressions.md", import.meta.url)), "utf8");

/** The fenced blocks of the page that are marked with the given words. */
export function blocks(info: string): string[] {
  return [...DOC.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)]
    .filter(([, found]) => found === info)
    .map(([, , text]) => text ?? "");
}
