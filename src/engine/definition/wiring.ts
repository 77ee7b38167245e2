/**
 * The edges of a definition: whether they leave through ports that exist and lead to nodes that exist.
 *
 * Owns: the graph that the other checks work on. Invariant: its edges lead to nodes of the definition that are no
 * triggers. An unknown target is followed to the node it was probably meant to be, so that one typing error does not
 * make half of the definition unreachable.
 */
import { MAX_NODE_ID_LENGTH } from "../../shared/limits.js";
import { nodeIdProblem, portNameProblem, suggestName } from "./names.js";
import { portsOf } from "./ports.js";
import { problem, type Path, type Problem } from "./problems.js";
import type { Edge, Graph, GraphNode } from "./regions.js";
import type { LooseNode } from "./shape.js";
import type { Suggester } from "./suggest.js";

export type Wiring = { problems: Problem[]; graph: Graph; triggers: string[] };

export function checkWiring(nodes: readonly LooseNode[], suggest: Suggester): Wiring {
  const problems = nodes.flatMap((node) => [...checkId(node.id), ...checkPorts(node, suggest)]);
  const ids = new Set(nodes.map((node) => node.id));
  const triggers = nodes.filter((one) => one.node?.type === "trigger").map((one) => one.id);
  const graph = new Map<string, GraphNode>();

  const resolve = (path: Path, to: string): string | null => {
    if (triggers.includes(to)) {
      const message = `Nothing can lead to the trigger \`${to}\`: it is where executions begin. To repeat nodes, use a loop node.`;
      problems.push(problem("TARGET_IS_TRIGGER", path, message));
      return null;
    }
    if (ids.has(to)) return to;
    const near = suggest(to, ids);
    problems.push(
      problem("TARGET_UNKNOWN", path, `There is no node \`${clip(to)}\`. Add it, or lead to another one.`, near),
    );
    return near !== null && !triggers.includes(near) ? near : null;
  };

  for (const { id, node, next } of nodes) {
    const edges: Edge[] = [];
    for (const [port, target] of Object.entries(next)) {
      const to = resolve(["nodes", id, "next", port], target);
      if (to !== null) edges.push({ port, to });
    }
    const body = node?.type === "loop" && node.body !== undefined ? resolve(["nodes", id, "body"], node.body) : null;
    graph.set(id, { edges, body });
  }
  return { problems, graph, triggers };
}

function checkId(id: string): Problem[] {
  const wrong = nodeIdProblem(id);
  if (wrong === null) return [];
  return [
    problem(
      "NODE_ID_INVALID",
      ["nodes", id],
      `The node id \`${clip(id)}\` ${wrong}. Choose another one.`,
      suggestName(id),
    ),
  ];
}

function checkPorts({ id, node, next }: LooseNode, suggest: Suggester): Problem[] {
  if (node === null) return [];
  const problems: Problem[] = [];
  const cases = node.type === "switch" ? node.cases : [];
  cases?.forEach(({ port }, i) => {
    const wrong = portNameProblem(port);
    if (wrong === null) return;
    const message = `The port \`${clip(port)}\` ${wrong}. Choose another one.`;
    problems.push(problem("PORT_NAME_INVALID", ["nodes", id, "cases", i, "port"], message, suggestName(port)));
  });
  // Without its cases a switch cannot tell which ports it has.
  if (cases === undefined) return problems;
  const ports = portsOf(node.type, cases);
  for (const port of Object.keys(next)) {
    if (ports.includes(port)) continue;
    const message = `A node of type ${node.type} has no port \`${clip(port)}\`. Its ports: ${ports.join(", ")}.`;
    problems.push(problem("PORT_UNKNOWN", ["nodes", id, "next", port], message, suggest(port, ports)));
  }
  return problems;
}

function clip(text: string): string {
  return text.length <= MAX_NODE_ID_LENGTH ? text : `${text.slice(0, MAX_NODE_ID_LENGTH)}…`;
}
