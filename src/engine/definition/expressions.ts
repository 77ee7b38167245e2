/**
 * What the expressions of a node see and read.
 *
 * Owns: the scope of each site, and the walk over the expressions of a template with the place of each. Used to check
 * definitions and to compile them.
 */
import type { ScopeNames } from "../expr/analyze.js";
import type { Template } from "../plan.js";
import { DEFAULT_INDEX_NAME, DEFAULT_ITEM_NAME } from "./defaults.js";
import { localsOf } from "./locals.js";
import type { PathSegment } from "./problems.js";
import { loopsAround, type Regions } from "./regions.js";
import type { PartialNode } from "./schema.js";
import type { Site } from "./sites.js";

export type Scopes = (id: string, site: Pick<Site, "moment" | "secrets">) => ScopeNames;

/** The scopes of a definition whose regions are known. */
export function scopesOf(nodes: ReadonlyMap<string, PartialNode | null>, loopOf: Regions["loopOf"]): Scopes {
  const ids = new Set(nodes.keys());
  return (id, { moment, secrets }) => {
    const around = loopsAround(loopOf, id);
    const loops = new Set(moment === "pass" ? [id, ...around] : around);
    const locals = new Set<string>();
    for (const loop of loops) {
      const node = nodes.get(loop);
      if (node?.type === "loop") for (const { name } of localsOf(node)) locals.add(name);
    }
    return { nodes: ids, locals, loops, inLoop: loops.size > 0, secrets };
  };
}

/** Scopes that hold every name of the definition, for when it cannot be told which loops are around a node. */
export function generousScopes(nodes: ReadonlyMap<string, PartialNode | null>): Scopes {
  const loops = new Set<string>();
  const locals = new Set([DEFAULT_ITEM_NAME, DEFAULT_INDEX_NAME]);
  for (const [id, node] of nodes) {
    if (node?.type !== "loop") continue;
    loops.add(id);
    for (const { name } of localsOf(node)) locals.add(name);
    if (node.item !== undefined) locals.add(node.item);
  }
  const ids = new Set(nodes.keys());
  return (_id, { secrets }) => ({ nodes: ids, locals, loops, inLoop: true, secrets });
}

/** The expressions of a template with their places in it. */
export function expressionsIn(
  template: Template,
  path: PathSegment[] = [],
): Array<{ source: string; path: PathSegment[] }> {
  switch (template.kind) {
    case "literal":
      return [];
    case "expression":
      return [{ source: template.source, path }];
    case "text":
      return template.parts.flatMap((part) => (typeof part === "string" ? [] : [{ source: part.source, path }]));
    case "array":
      return template.items.flatMap((item, i) => expressionsIn(item, [...path, i]));
    case "object":
      return template.entries.flatMap(([key, value]) => expressionsIn(value, [...path, key]));
  }
}
