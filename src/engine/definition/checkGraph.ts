/**
 * The rules about the graph as a whole: where executions begin, that they end, and that each node has one loop.
 *
 * Invariant: a path that cannot be known (a node whose wiring is unreadable) makes no other node unreachable.
 */
import { MAX_LOOP_DEPTH, MAX_TOKENS } from "../../shared/limits.js";
import { findCycles } from "./cycles.js";
import { problem, type Path, type Problem } from "./problems.js";
import { divideIntoRegions, loopsAround, type Crossing, type Graph, type Regions } from "./regions.js";
import type { PartialNode } from "./schema.js";
import type { LooseNode } from "./shape.js";
import type { Wiring } from "./wiring.js";

export type GraphCheck = {
  problems: Problem[];
  regions: Regions;
  /** True when the loops around each node, and what runs before it, can be relied on. */
  isSound: boolean;
};

export function checkGraph(nodes: readonly LooseNode[], { graph, triggers, problems: wiring }: Wiring): GraphCheck {
  const regions = divideIntoRegions(graph, triggers);
  const isKnown = triggers.length > 0 && nodes.every(isWiringKnown);
  const cycles = findCycles(graph).map((cycle) => cycleProblem(graph, cycle));
  const crossings = regions.crossings.map((crossing) => crossingProblem(graph, crossing));
  const isDivided = cycles.length === 0 && crossings.length === 0;
  const isWired = !wiring.some(({ code }) => code === "TARGET_UNKNOWN" || code === "TARGET_IS_TRIGGER");
  const problems = [
    ...checkTriggers(nodes, triggers),
    ...cycles,
    ...crossings,
    ...(isKnown ? nodes.filter((one) => !regions.loopOf.has(one.id)).map((one) => unreachable(one.id)) : []),
    ...checkPlaces(nodes, regions),
  ];
  return { problems, regions, isSound: isKnown && isDivided && isWired };
}

function isWiringKnown({ node, bad }: LooseNode): boolean {
  return node !== null && !bad.has("next") && !bad.has("body");
}

function checkTriggers(nodes: readonly LooseNode[], triggers: readonly string[]): Problem[] {
  const [first, ...others] = triggers;
  if (first !== undefined) {
    return others.map((id) => {
      const message = `\`${first}\` is a trigger already; a definition has exactly one.`;
      return problem("TRIGGER_MULTIPLE", ["nodes", id], message);
    });
  }
  // A node whose type cannot be read may be the trigger.
  if (nodes.some((one) => one.node === null)) return [];
  const message = "No node is a trigger. Add one, and lead from it to the first node.";
  return [
    problem(
      "TRIGGER_MISSING",
      ["nodes"],
      message,
      '"start": { "type": "trigger", "next": { "success": "<node id>" } }',
    ),
  ];
}

function cycleProblem(graph: Graph, cycle: readonly string[]): Problem {
  const [first = "", last = ""] = [cycle[0], cycle.at(-1)];
  const port = graph.get(last)?.edges.find((edge) => edge.to === first)?.port ?? "";
  const way = [...cycle, first].map((id) => `\`${id}\``).join(" → ");
  const message = `The nodes lead back to themselves: ${way}. Only loop nodes repeat.`;
  const suggestion = `Use a loop node with "body": ${JSON.stringify(first)} and an "until" expression, and leave out the port ${port} of ${last}.`;
  return problem("GRAPH_CYCLE", ["nodes", last, "next", port], message, suggestion);
}

function crossingProblem(graph: Graph, { from, port, to, loop, into, isOutward }: Crossing): Problem {
  const path: Path = port === null ? ["nodes", from, "body"] : ["nodes", from, "next", port];
  const where = `\`${to}\`, reached from ${from === loop ? "" : `\`${from}\` in `}the body of loop \`${loop}\``;
  if (!isOutward) {
    const message = `${where}, is also in the body of loop \`${into}\`. A node belongs to one loop: give each loop nodes of its own.`;
    return problem("LOOP_BODY_SHARED", path, message);
  }
  if (to === loop) {
    const message = `${where}, is the loop itself. A pass ends where a port has no target; the loop then goes on by itself.`;
    return problem("LOOP_BODY_LEAK", path, message, port === null ? null : `Leave out the port ${port}.`);
  }
  const outside = graph.get(loop)?.edges.find((edge) => edge.to === to);
  const also = outside === undefined ? "from outside of it" : `from the port ${outside.port} of the loop itself`;
  const message = `${where}, is also reached ${also}. A node belongs to one loop: end the pass by leaving out the port, and lead on from the port done of \`${loop}\`.`;
  return problem("LOOP_BODY_LEAK", path, message);
}

function unreachable(id: string): Problem {
  return problem(
    "NODE_UNREACHABLE",
    ["nodes", id],
    `No path leads from the trigger to \`${id}\`. Lead to it from a port, or remove it.`,
  );
}

/** The rules that depend on the loops around a node. */
function checkPlaces(nodes: readonly LooseNode[], { loopOf }: Regions): Problem[] {
  const byId = new Map(nodes.map((one) => [one.id, one.node]));
  const concurrencyOf = (id: string): number => {
    const node = byId.get(id);
    return node?.type === "loop" ? (node.concurrency ?? 1) : 1;
  };
  return nodes.flatMap(({ id, node }) => {
    const around = loopsAround(loopOf, id);
    const [innermost] = around;
    if (node === null || innermost === undefined) return [];
    if (node.type === "output") {
      const message = `\`${id}\` would end the whole execution in the middle of loop \`${innermost}\`. Lead to it from a port of the loop; what a pass gives is its \`collect\`.`;
      return [problem("OUTPUT_IN_LOOP", ["nodes", id], message)];
    }
    if (node.type === "set")
      return setInParallel(
        id,
        around.find((loop) => concurrencyOf(loop) > 1),
      );
    return node.type === "loop" ? checkNesting(id, node, around, concurrencyOf) : [];
  });
}

function setInParallel(id: string, loop: string | undefined): Problem[] {
  if (loop === undefined) return [];
  const message = `\`${id}\` sets variables in the body of loop \`${loop}\`, whose passes run at once: parallel writers are refused. Collect values with \`collect\`, or give the loop a concurrency of 1.`;
  return [problem("SET_IN_PARALLEL", ["nodes", id], message)];
}

function checkNesting(
  id: string,
  node: Extract<PartialNode, { type: "loop" }>,
  around: readonly string[],
  concurrencyOf: (id: string) => number,
): Problem[] {
  const problems: Problem[] = [];
  // Only the first loop that is too deep is named, not those in it.
  if (around.length === MAX_LOOP_DEPTH) {
    const message = `\`${id}\` is inside of ${around.length} loops; ${MAX_LOOP_DEPTH} levels are allowed. Move the inner loops to a function of the app.`;
    problems.push(problem("LOOP_TOO_DEEP", ["nodes", id], message));
  }
  const outside = around.reduce((product, loop) => product * concurrencyOf(loop), 1);
  const passes = outside * (node.concurrency ?? 1);
  if (passes > MAX_TOKENS && outside <= MAX_TOKENS) {
    const message = `\`${id}\` and the loops around it run up to ${passes} passes at once; ${MAX_TOKENS} are allowed. Lower a concurrency.`;
    problems.push(problem("LOOP_TOO_PARALLEL", ["nodes", id, "concurrency"], message));
  }
  return problems;
}
