/**
 * The names that loops give to their item and index.
 * Invariant: a loop without items has no item name.
 */
import type { PartialNode } from "./schema.js";

export const DEFAULT_ITEM_NAME = "item";
export const DEFAULT_INDEX_NAME = "index";

export type Local = { field: "item" | "index"; name: string };

export function localsOf(node: Extract<PartialNode, { type: "loop" }>): Local[] {
  const index: Local = { field: "index", name: node.index ?? DEFAULT_INDEX_NAME };
  return node.items === undefined ? [index] : [{ field: "item", name: node.item ?? DEFAULT_ITEM_NAME }, index];
}
