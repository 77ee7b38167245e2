/**
 * Where a node holds expressions.
 *
 * Owns: the list of fields with expressions, when each is evaluated, and whether it may hold secrets. Validation and
 * compilation both walk this list, so that what was checked is what is read.
 */
import type { Json } from "../../shared/json.js";
import type { PathSegment } from "./problems.js";
import type { PartialNode } from "./schema.js";

export type Site = {
  /** From the node. */
  path: PathSegment[];
  /** Before the node runs, or at the end of each pass of the loop that it is. */
  moment: "before" | "pass";
  /** `secret()` may be used. */
  secrets: boolean;
} & ({ kind: "expression"; source: string } | { kind: "template"; value: Json });

/** The sites of a node, in the order of the format. */
export function sitesOf(node: PartialNode): Site[] {
  switch (node.type) {
    case "trigger":
      return [];
    case "llm":
      return [
        ...template(["model"], node.model),
        ...template(["system"], node.system, { secrets: true }),
        ...template(["prompt"], node.prompt, { secrets: true }),
        ...template(["messages"], node.messages, { secrets: true }),
      ];
    case "condition":
      return expression(["if"], node.if);
    case "switch":
      return [
        ...template(["value"], node.value),
        ...(node.cases ?? []).flatMap((one, i) => expression(["cases", i, "if"], one.if)),
      ];
    case "action":
      return template(["args"], node.args, { secrets: true });
    case "loop":
      return loopSites(node);
    case "set":
      return Object.entries(node.values ?? {}).flatMap(([name, value]) => template(["values", name], value));
    case "output":
      return template(["value"], node.value);
  }
}

function loopSites(node: Extract<PartialNode, { type: "loop" }>): Site[] {
  const carried = Object.entries(node.carry ?? {});
  return [
    ...template(["items"], node.items),
    ...carried.flatMap(([name, { initial }]) => template(["carry", name, "initial"], initial)),
    ...expression(["until"], node.until, { moment: "pass" }),
    ...carried.flatMap(([name, { next }]) => template(["carry", name, "next"], next, { moment: "pass" })),
    ...template(["collect"], node.collect, { moment: "pass" }),
  ];
}

type Traits = Partial<Pick<Site, "moment" | "secrets">>;

function expression(path: PathSegment[], source: string | undefined, traits: Traits = {}): Site[] {
  return source === undefined
    ? []
    : [{ kind: "expression", source, path, moment: "before", secrets: false, ...traits }];
}

function template(path: PathSegment[], value: Json | undefined, traits: Traits = {}): Site[] {
  return value === undefined ? [] : [{ kind: "template", value, path, moment: "before", secrets: false, ...traits }];
}
