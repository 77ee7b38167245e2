/**
 * What is different between two definitions, as the command line and apps get it.
 *
 * Invariant: plain JSON. The changes, applied to the first definition, give one that means what the second means.
 */
import type { Json } from "./json.js";

/**
 * A value at a place: keys of objects and positions of lists. Positions are those of the first definition for what is
 * removed or changed, those of the second for what is added.
 */
export type ValueChange =
  | { kind: "added"; path: ReadonlyArray<string | number>; after: Json }
  | { kind: "removed"; path: ReadonlyArray<string | number>; before: Json }
  | { kind: "changed"; path: ReadonlyArray<string | number>; before: Json; after: Json };

/** The node that a port leads to. */
export type ConnectionChange =
  | { kind: "added"; port: string; after: string }
  | { kind: "removed"; port: string; before: string }
  | { kind: "retargeted"; port: string; before: string; after: string };

/** Nodes are matched by id. */
export type NodeChange =
  | { kind: "added"; node: string; after: Json }
  | { kind: "removed"; node: string; before: Json }
  | {
      kind: "changed";
      node: string;
      /** All but `next`. Paths begin in the node; an empty one is the whole node. */
      fields: ValueChange[];
      connections: ConnectionChange[];
    };

export type DefinitionDiff = {
  equal: boolean;
  /** All but the nodes: name, description, input, defaults. */
  definition: ValueChange[];
  /** In the order of the first definition, then what is new in that of the second. */
  nodes: NodeChange[];
};
