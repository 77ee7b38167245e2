/**
 * The ports of every node type: the named exits that `next` may wire.
 * Invariant: the walker leaves a node only through a port of this table or of a switch case.
 */
import type { NodeType } from "../plan.js";

export const RESERVED_PORTS: Readonly<Record<NodeType, readonly string[]>> = {
  trigger: ["success"],
  llm: ["success", "failure"],
  condition: ["true", "false", "failure"],
  switch: ["default", "failure"],
  action: ["success", "failure"],
  loop: ["done", "break", "failure"],
  set: ["success", "failure"],
  output: ["failure"],
};

export const NODE_TYPES = Object.keys(RESERVED_PORTS) as NodeType[];

/** The ports of a node; those of a switch begin with the ports of its cases, each once. */
export function portsOf(type: NodeType, cases: ReadonlyArray<{ port: string }> = []): string[] {
  if (type !== "switch") return [...RESERVED_PORTS[type]];
  return [...new Set([...cases.map((one) => one.port), ...RESERVED_PORTS.switch])];
}
