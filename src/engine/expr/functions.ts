/**
 * All functions of expressions, by name.
 *
 * Owns: the lookup, and which names are macros or have a form of their own. docs/expressions.md describes each; a test
 * compares the two.
 */
import type { Macro } from "./ast.js";
import type { ExpressionFunction } from "./functionTable.js";
import { LIST_FUNCTIONS } from "./listFunctions.js";
import { SCALAR_FUNCTIONS } from "./scalarFunctions.js";
import { TEXT_FUNCTIONS } from "./textFunctions.js";

const FUNCTIONS: ReadonlyMap<string, ExpressionFunction> = new Map(
  Object.entries({ ...TEXT_FUNCTIONS, ...LIST_FUNCTIONS, ...SCALAR_FUNCTIONS }),
);
const MACROS: ReadonlySet<string> = new Set<Macro>(["all", "exists", "exists_one", "filter", "map"]);
/** Functions whose arguments are not plain values. */
const FORMS = ["has", "default", "matches", "secret"] as const;
export type Form = (typeof FORMS)[number];

export const FUNCTION_NAMES: readonly string[] = [...FUNCTIONS.keys(), ...MACROS, ...FORMS, "bind"];

export function findFunction(name: string): ExpressionFunction | undefined {
  return FUNCTIONS.get(name);
}

export function isMacro(name: string): name is Macro {
  return MACROS.has(name);
}

export function isForm(name: string): name is Form {
  return (FORMS as readonly string[]).includes(name);
}
