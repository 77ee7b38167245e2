/**
 * Which names a definition may give to its nodes, ports, variables and locals.
 *
 * Invariant: a name that passes can be a key of a plain object (`plan.nodes[id]`, `node.next[port]`) without meeting
 * anything inherited, and, except for ports, can be written in an expression as `nodes.<id>` or `vars.<name>`.
 */
import { MAX_NODE_ID_LENGTH } from "../../shared/limits.js";
import { RESERVED_PORTS } from "./ports.js";

/** The pattern of every name, as source so that the JSON Schema can show it. */
export const NAME_PATTERN = "^[A-Za-z_][A-Za-z0-9_]*$";
const NAME = new RegExp(NAME_PATTERN);

/** Names that expressions begin with. */
export const SCOPE_NAMES: ReadonlySet<string> = new Set([
  "input",
  "vars",
  "context",
  "nodes",
  "execution",
  "node",
  "loop",
  "loops",
]);

/** Words that CEL keeps for itself (language definition, "Syntax"), and one that its parser does. */
const CEL_WORDS: ReadonlySet<string> = new Set(
  (
    "true false null in as break const continue else for function if import let loop package namespace return var " +
    "void while prototype"
  ).split(" "),
);

/** Says what is wrong with a node id, or with the name of an item or index, or null. */
export function nodeIdProblem(id: string): string | null {
  if (SCOPE_NAMES.has(id)) return "is a name that expressions begin with";
  return nameProblem(id);
}

/** Says what is wrong with the name of a variable or carried value, or null. */
export function nameProblem(name: string): string | null {
  if (CEL_WORDS.has(name)) return "is a reserved word of CEL";
  return identifierProblem(name);
}

/** Says what is wrong with the port of a switch case, or null. */
export function portNameProblem(port: string): string | null {
  if (RESERVED_PORTS.switch.includes(port)) return "is a port that every switch has";
  return identifierProblem(port);
}

function identifierProblem(name: string): string | null {
  if (name.length > MAX_NODE_ID_LENGTH) return `is longer than ${MAX_NODE_ID_LENGTH} characters`;
  if (!NAME.test(name)) return "is not an identifier: letters, digits and `_`, not beginning with a digit";
  // Also reached through `in` and plain lookups on objects that were read from JSON.
  if (name in Object.prototype) return "is a name that every JavaScript object has";
  return null;
}

/** The nearest valid name, for a suggestion; null when nothing of the name is left. */
export function suggestName(name: string): string | null {
  const cleaned = name
    .normalize("NFKD")
    .replace(/[^A-Za-z0-9_]+/g, "_")
    .replace(/^_+|_+$/g, "")
    .slice(0, MAX_NODE_ID_LENGTH);
  if (cleaned === "") return null;
  const candidate = /^\d/.test(cleaned) ? `_${cleaned}`.slice(0, MAX_NODE_ID_LENGTH) : cleaned;
  return nodeIdProblem(candidate) === null ? candidate : `${candidate.slice(0, MAX_NODE_ID_LENGTH - 1)}_`;
}
