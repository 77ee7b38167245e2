/**
 * Which nodes can have run before another one.
 *
 * Invariant: a node is readable only if its output, where it exists at all, belongs to the same pass as the reader or
 * to an enclosing scope before the loop. Whether the node did run on the branch taken is not asked.
 */
import { loopsAround, type Graph, type Regions } from "./regions.js";

export type Reach = {
  /** What the expressions of a node may read. */
  before(id: string): ReadonlySet<string>;
  /** What is evaluated at the end of a pass of a loop may read. */
  inPassOf(loop: string): ReadonlySet<string>;
};

/** Only for regions without crossings: an edge then stays in its pass. */
export function createReach(graph: Graph, { loopOf }: Regions): Reach {
  const predecessors = new Map<string, string[]>();
  const membersOf = new Map<string, string[]>();
  for (const [id, loop] of loopOf) {
    if (loop !== null) append(membersOf, loop, id);
    for (const to of new Set(graph.get(id)?.edges.map((edge) => edge.to))) append(predecessors, to, id);
  }

  const ancestors = memoize((id: string) => {
    const found = new Set<string>();
    const open = [id];
    for (const current of open) {
      for (const from of predecessors.get(current) ?? []) {
        if (found.has(from)) continue;
        found.add(from);
        open.push(from);
      }
    }
    return found;
  });
  const before = memoize(
    (id: string) => new Set([id, ...loopsAround(loopOf, id)].flatMap((one) => [...ancestors(one)])),
  );
  const inPassOf = memoize((loop: string) => new Set([...before(loop), ...(membersOf.get(loop) ?? [])]));
  return { before, inPassOf };
}

function append(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

function memoize<V>(compute: (key: string) => V): (key: string) => V {
  const known = new Map<string, V>();
  return (key) => {
    const stored = known.get(key);
    if (stored !== undefined) return stored;
    const value = compute(key);
    known.set(key, value);
    return value;
  };
}
