import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findCycles } from "../../../src/engine/definition/cycles.js";
import { createReach } from "../../../src/engine/definition/reach.js";
import { divideIntoRegions, loopsAround, type Graph } from "../../../src/engine/definition/regions.js";

type Sketch = Record<string, { next?: string[]; body?: string }>;

function graph(sketch: Sketch): Graph {
  return new Map(
    Object.entries(sketch).map(([id, { next = [], body = null }]) => {
      return [id, { edges: next.map((to, i) => ({ port: `p${i}`, to })), body }];
    }),
  );
}

/** Any graph, with loops, cycles, crossings and nodes that nothing leads to. */
const anyGraph: fc.Arbitrary<Graph> = fc.integer({ min: 1, max: 9 }).chain((size) => {
  const node = fc.nat({ max: size - 1 }).map((i) => `n${i}`);
  const one = fc.record({ next: fc.array(node, { maxLength: 3 }), body: fc.option(node, { nil: undefined, freq: 3 }) });
  return fc.array(one, { minLength: size, maxLength: size }).map((nodes) => {
    return graph(
      Object.fromEntries(nodes.map(({ next, body }, i) => [`n${i}`, body === undefined ? { next } : { next, body }])),
    );
  });
});

/** All that is reached from a node in one or more steps, by repeated widening. */
function reachedFrom(nodes: Graph, start: string): Set<string> {
  const found = new Set<string>();
  for (let size = -1; found.size !== size;) {
    size = found.size;
    for (const id of [start, ...found]) for (const { to } of nodes.get(id)?.edges ?? []) found.add(to);
  }
  return found;
}

describe("regions", () => {
  const nested = graph({
    start: { next: ["outer"] },
    outer: { next: ["after"], body: "a" },
    a: { next: ["inner", "c"] },
    inner: { next: ["c"], body: "b" },
    b: {},
    c: {},
    after: {},
    alone: { next: ["lost"] },
    lost: {},
  });

  test("a node belongs to the innermost loop whose body holds it", () => {
    const { loopOf, crossings } = divideIntoRegions(nested, ["start"]);
    expect(Object.fromEntries(loopOf)).toEqual({
      start: null,
      outer: null,
      after: null,
      a: "outer",
      inner: "outer",
      c: "outer",
      b: "inner",
    });
    expect(crossings).toEqual([]);
    expect(loopsAround(loopOf, "b")).toEqual(["inner", "outer"]);
    expect(loopsAround(loopOf, "start")).toEqual([]);
  });

  test("an edge out of a body and one into another body are told apart", () => {
    const { crossings } = divideIntoRegions(
      graph({
        start: { next: ["one"] },
        one: { next: ["two"], body: "a" },
        two: { next: ["end"], body: "b" },
        a: { next: ["shared", "end"] },
        b: { next: ["shared"] },
        shared: {},
        end: {},
      }),
      ["start"],
    );
    expect(crossings).toEqual([
      { from: "a", port: "p1", to: "end", loop: "one", into: null, isOutward: true },
      { from: "b", port: "p0", to: "shared", loop: "two", into: "one", isOutward: false },
    ]);
  });

  test("a loop can neither be its own body nor hold the loop that holds it", () => {
    const own = divideIntoRegions(graph({ start: { next: ["l"] }, l: { body: "l" } }), ["start"]);
    expect(own.crossings).toEqual([{ from: "l", port: null, to: "l", loop: "l", into: null, isOutward: true }]);
    const each = divideIntoRegions(graph({ start: { next: ["l"] }, l: { body: "m" }, m: { body: "l" } }), ["start"]);
    expect(each.crossings).toEqual([{ from: "m", port: null, to: "l", loop: "m", into: null, isOutward: true }]);
  });

  test("in any graph each reached node has one region, and edges that stay in it or are reported", () => {
    fc.assert(
      fc.property(anyGraph, (nodes) => {
        const { loopOf, crossings } = divideIntoRegions(nodes, ["n0"]);
        const reported = new Set(crossings.map(({ from, port }) => `${from} ${port}`));
        const seen = new Set(["n0"]);
        for (let size = 0; seen.size !== size;) {
          size = seen.size;
          for (const id of [...seen]) {
            const { edges = [], body = null } = nodes.get(id) ?? {};
            for (const to of [...edges.map((edge) => edge.to), ...(body === null ? [] : [body])]) seen.add(to);
          }
        }
        expect(new Set(loopOf.keys())).toEqual(seen);
        for (const [id, loop] of loopOf) {
          const { edges = [], body = null } = nodes.get(id) ?? {};
          for (const { port, to } of edges) expect(loopOf.get(to) === loop).toBe(!reported.has(`${id} ${port}`));
          if (body !== null) expect(loopOf.get(body) === id).toBe(!reported.has(`${id} null`));
          // The loops around a node have an end: no loop is inside of itself.
          expect(loopsAround(loopOf, id)).not.toContain(id);
        }
        // Without crossings the region of a loop is exactly what its body reaches.
        if (crossings.length === 0) {
          for (const [id, { body }] of nodes) {
            if (body === null || !loopOf.has(id)) continue;
            const members = [...loopOf].filter(([, loop]) => loop === id).map(([member]) => member);
            expect(new Set(members)).toEqual(new Set([body, ...reachedFrom(nodes, body)]));
          }
        }
      }),
      { seed: 11, numRuns: 500 },
    );
  });
});

describe("cycles", () => {
  test("one cycle for each set of nodes that lead to each other", () => {
    const cycles = findCycles(
      graph({ a: { next: ["b"] }, b: { next: ["c", "d"] }, c: { next: ["a"] }, d: { next: ["d", "e"] }, e: {} }),
    );
    expect(cycles.toSorted()).toEqual([["a", "b", "c"], ["d"]]);
  });

  test("of several ways round the shortest is named", () => {
    expect(findCycles(graph({ a: { next: ["b", "c"] }, b: { next: ["c"] }, c: { next: ["a"] } }))).toEqual([
      ["a", "c"],
    ]);
  });

  test("in any graph a cycle is found where one is, and what is found is one", () => {
    fc.assert(
      fc.property(anyGraph, (nodes) => {
        const cycles = findCycles(nodes);
        const onCycle = [...nodes.keys()].filter((id) => reachedFrom(nodes, id).has(id));
        const groups = new Set(
          onCycle.map((id) =>
            onCycle
              .filter((one) => one === id || (reachedFrom(nodes, id).has(one) && reachedFrom(nodes, one).has(id)))
              .join(),
          ),
        );
        expect(cycles.length).toBe(groups.size);
        for (const cycle of cycles) {
          cycle.forEach((id, i) => {
            const to = cycle[(i + 1) % cycle.length];
            expect(nodes.get(id)?.edges.map((edge) => edge.to)).toContain(to);
          });
          expect(new Set(cycle).size).toBe(cycle.length);
        }
      }),
      { seed: 12, numRuns: 500 },
    );
  });

  test("long chains do not exhaust the stack", () => {
    const ids = Array.from({ length: 500 }, (_, i) => `n${i}`);
    const ring = graph(Object.fromEntries(ids.map((id, i) => [id, { next: [ids[(i + 1) % 500] ?? ""] }])));
    expect(findCycles(ring)).toEqual([ids]);
  });
});

describe("reach", () => {
  const nodes = graph({
    start: { next: ["left", "right"] },
    left: { next: ["loop"] },
    right: { next: ["loop"] },
    loop: { next: ["after"], body: "a" },
    a: { next: ["inner"] },
    inner: { next: ["z"], body: "b" },
    b: { next: ["c"] },
    c: {},
    z: {},
    after: {},
  });
  const reach = createReach(nodes, divideIntoRegions(nodes, ["start"]));
  const before = (id: string) => [...reach.before(id)].sort();

  test("branches before a join are readable, the other branch is not", () => {
    expect(before("start")).toEqual([]);
    expect(before("right")).toEqual(["start"]);
    expect(before("loop")).toEqual(["left", "right", "start"]);
  });

  test("in a body: earlier nodes of the pass, and what came before the loops around", () => {
    expect(before("c")).toEqual(["a", "b", "left", "right", "start"]);
    expect(before("z")).toEqual(["a", "inner", "left", "right", "start"]);
  });

  test("a body is not readable from outside", () => {
    expect(before("after")).toEqual(["left", "loop", "right", "start"]);
  });

  test("at the end of a pass all of its own nodes are readable, those of inner passes are not", () => {
    expect([...reach.inPassOf("loop")].sort()).toEqual(["a", "inner", "left", "right", "start", "z"]);
    expect([...reach.inPassOf("inner")].sort()).toEqual(["a", "b", "c", "left", "right", "start"]);
  });
});
