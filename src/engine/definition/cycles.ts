/**
 * Cycles along `next`.
 * Invariant: one cycle is reported for each set of nodes that lead to each other, the shortest through its first node.
 */
import type { Graph } from "./regions.js";

/** Each cycle as the nodes in order; the last one leads back to the first. */
export function findCycles(graph: Graph): string[][] {
  return strongComponents(graph).flatMap((members) => {
    const [first] = [...graph.keys()].filter((id) => members.has(id));
    const cycle = first === undefined ? null : shortestCycle(graph, first);
    return cycle === null ? [] : [cycle];
  });
}

/** Tarjan's algorithm; depth of recursion is bounded by the number of nodes. */
function strongComponents(graph: Graph): Array<Set<string>> {
  const components: Array<Set<string>> = [];
  const order = new Map<string, number>();
  const stack: string[] = [];
  const onStack = new Set<string>();

  /** Returns the earliest node still open that is led back to. */
  const visit = (id: string): number => {
    const index = order.size;
    order.set(id, index);
    let lowest = index;
    stack.push(id);
    onStack.add(id);
    for (const { to } of graph.get(id)?.edges ?? []) {
      if (!order.has(to)) lowest = Math.min(lowest, visit(to));
      else if (onStack.has(to)) lowest = Math.min(lowest, order.get(to) ?? index);
    }
    if (lowest === index) {
      const members = new Set(stack.splice(stack.indexOf(id)));
      for (const member of members) onStack.delete(member);
      components.push(members);
    }
    return lowest;
  };
  for (const id of graph.keys()) if (!order.has(id)) visit(id);
  return components;
}

function shortestCycle(graph: Graph, start: string): string[] | null {
  const cameFrom = new Map<string, string>();
  const open = [start];
  for (const id of open) {
    for (const { to } of graph.get(id)?.edges ?? []) {
      if (to === start) return pathTo(id, start, cameFrom);
      if (cameFrom.has(to)) continue;
      cameFrom.set(to, id);
      open.push(to);
    }
  }
  return null;
}

function pathTo(end: string, start: string, cameFrom: ReadonlyMap<string, string>): string[] {
  const path = [end];
  for (let id = end; id !== start;) {
    id = cameFrom.get(id) ?? start;
    path.push(id);
  }
  return path.reverse();
}
