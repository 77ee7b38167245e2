/**
 * Validates a definition.
 *
 * Owns: the order of the checks. Invariants: every problem is returned at once, in the order of the document; nothing
 * is thrown, whatever comes in; work is bounded by MAX_DEFINITION_BYTES and MAX_NODES. A rule is only skipped where
 * another problem makes its answer a guess: what is reached, when wiring is unreadable; what runs before a node, when
 * the graph has cycles or crossing bodies.
 */
import { isJsonObject, type Json, type JsonObject } from "../../shared/json.js";
import { MAX_NODES } from "../../shared/limits.js";
import { checkExpressions } from "./checkExpressions.js";
import { checkGraph } from "./checkGraph.js";
import { checkInputSchema, checkNodes, type Known } from "./checkNodes.js";
import { migrateDefinition, type MigratedFrom } from "./migrate.js";
import { problem, type Problem } from "./problems.js";
import type { Definition } from "./schema.js";
import { checkShape, type LooseNode } from "./shape.js";
import { readSource } from "./source.js";
import { createSuggester, type Suggester } from "./suggest.js";
import { checkWiring } from "./wiring.js";

export type Validation = {
  /** Every problem, in the order of the document. */
  problems: Problem[];
  /** The definition in the current format; null when there are problems. */
  definition: Definition | null;
  /** Present when it was written in an older format: problems and definition are about what became of it. */
  migrated?: MigratedFrom;
};

/**
 * @param source - the definition as JSON text or as a value, in any format from the first to the current one.
 * @param known - names of actions and model providers to check against; a set that is absent is not checked against.
 */
export function validateDefinition(source: Json, known: Known = {}): Validation {
  const read = readSource(source);
  if (read.problem !== null) return refused([read.problem]);
  const { json } = read;
  if (!isJsonObject(json)) return refused([problem("SCHEMA_INVALID", [], "The definition is not an object.")]);
  const current = migrateDefinition(json);
  if (current.problem !== null) return refused([current.problem]);
  const validation = validateCurrent(current.definition, known);
  return current.migrated === null ? validation : { ...validation, migrated: current.migrated };
}

function validateCurrent(json: JsonObject, known: Known): Validation {
  const { nodes } = json;
  const ids = isJsonObject(nodes) ? Object.keys(nodes) : [];
  if (ids.length > MAX_NODES) {
    const message = `The definition has ${ids.length} nodes; ${MAX_NODES} are allowed. Split it into several definitions.`;
    return refused([problem("TOO_MANY_NODES", ["nodes"], message)]);
  }

  const suggest = createSuggester();
  const shape = checkShape(json, suggest);
  const problems = [...shape.problems, ...checkInput(json, shape.problems)];
  if (isJsonObject(nodes)) problems.push(...checkParts(shape.nodes, known, suggest));
  if (problems.length > 0) return refused(inDocumentOrder(problems, ids));
  // The schema has checked it, and defaults and transforms nothing.
  return { problems: [], definition: json as Definition };
}

function checkInput({ input }: JsonObject, found: readonly Problem[]): Problem[] {
  return input === undefined || found.some(({ path }) => path === "input") ? [] : checkInputSchema(input);
}

function checkParts(nodes: readonly LooseNode[], known: Known, suggest: Suggester): Problem[] {
  const wiring = checkWiring(nodes, suggest);
  const graph = checkGraph(nodes, wiring);
  return [
    ...wiring.problems,
    ...graph.problems,
    ...checkNodes(nodes, graph.regions, known, suggest),
    ...checkExpressions(nodes, wiring.graph, graph, suggest),
  ];
}

function refused(problems: Problem[]): Validation {
  return { problems, definition: null };
}

/** What concerns the whole comes first, then node by node; within a node the order of the checks. */
function inDocumentOrder(problems: Problem[], ids: readonly string[]): Problem[] {
  const positions = new Map(ids.map((id, i) => [id, i]));
  const positionOf = ({ node }: Problem) => (node === null ? -1 : (positions.get(node) ?? ids.length));
  return problems.toSorted((a, b) => positionOf(a) - positionOf(b));
}
