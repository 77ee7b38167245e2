/**
 * The names that loops give to their item and index.
 * Invariant: a loop without items has no item name.
 */
import { DEFAULT_INDEX_NAME, DEFAULT_ITEM_NAME } from "./defaults.js";
import type { PartialNode } from "./schema.js";

export type Local = { field: "item" | "index"; name: string };

export function localsOf(node: Extract<PartialNode, { type: "loop" }>): Local[] {
  const index: Local = { field: "index", name: node.index ?? DEFAULT_INDEX_NAME };
  return node.items === undefined ? [index] : [{ field: "item", name: node.item ?? DEFAULT_ITEM_NAME }, index];
}
