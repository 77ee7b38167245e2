/**
 * Which loop each node belongs to.
 *
 * Owns: the division of a graph into regions: what is reached from the roots, and, for each loop, what is reached from
 * the entry of its body, always along `next`. Pure; a few passes over the edges.
 * Invariants: 1. A node belongs to one region. 2. An outer region is filled before the bodies of its loops, so of two
 * claims the outer one wins and the edge out of the body is the one that crosses. 3. Nodes that are not in `loopOf` are
 * not reached.
 */

export type Edge = { port: string; to: string };
export type GraphNode = {
  edges: readonly Edge[];
  /** Entry of the body, for a loop. */
  body: string | null;
};
/** Every edge leads to a node of the graph. */
export type Graph = ReadonlyMap<string, GraphNode>;

/** An edge between regions; a `port` of null is the way from a loop into its body. */
export type Crossing = {
  from: string;
  port: string | null;
  to: string;
  /** The loop whose body the edge leaves. */
  loop: string;
  /** The loop whose body the edge leads into, or null. */
  into: string | null;
  /** True when the target is in a region around the body, false when it is in the body of an unrelated loop. */
  isOutward: boolean;
};

export type Regions = {
  /** Reached node -> the innermost loop whose body holds it, or null. */
  loopOf: ReadonlyMap<string, string | null>;
  crossings: Crossing[];
};

export function divideIntoRegions(graph: Graph, roots: readonly string[]): Regions {
  const loopOf = new Map<string, string | null>();
  const crossings: Crossing[] = [];
  const loops: string[] = [];

  const claim = (start: string, loop: string | null): void => {
    loopOf.set(start, loop);
    const open = [start];
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      const node = graph.get(id);
      if (node === undefined) continue;
      if (node.body !== null) loops.push(id);
      for (const { port, to } of node.edges) {
        const owner = loopOf.get(to);
        if (owner === undefined) {
          loopOf.set(to, loop);
          open.push(to);
        } else if (owner !== loop && loop !== null) crossings.push(crossing({ from: id, port, to }, loop, owner));
      }
    }
  };
  const crossing = (edge: Pick<Crossing, "from" | "port" | "to">, loop: string, into: string | null): Crossing => ({
    ...edge,
    loop,
    into,
    isOutward: into === null || loopsAround(loopOf, loop).includes(into),
  });

  for (const root of roots) if (!loopOf.has(root)) claim(root, null);
  // Loops are queued as their region is filled: all bodies of one depth come before those of the next.
  for (let i = 0; i < loops.length; i++) {
    const loop = loops[i];
    const body = loop === undefined ? null : graph.get(loop)?.body;
    if (loop === undefined || body === null || body === undefined) continue;
    const owner = loopOf.get(body);
    if (owner === undefined) claim(body, loop);
    else crossings.push(crossing({ from: loop, port: null, to: body }, loop, owner));
  }
  return { loopOf, crossings };
}

/** The loops around a node, the innermost first. */
export function loopsAround(loopOf: Regions["loopOf"], id: string): string[] {
  const around: string[] = [];
  for (let loop = loopOf.get(id) ?? null; loop !== null; loop = loopOf.get(loop) ?? null) around.push(loop);
  return around;
}
