/**
 * A {@link DefinitionDiff} for people.
 *
 * Owns: markers, colours, and how values are shown. Invariant: what differs is printed in full: a text that is shortened
 * could hide its only difference.
 */
import { styleText } from "node:util";
import { formatPath } from "../engine/definition/problems.js";
import type { ConnectionChange, DefinitionDiff, NodeChange, ValueChange } from "../shared/definitionDiff.js";
import { isJsonObject, type Json, type JsonObject } from "../shared/json.js";
import { count, printable } from "./text.js";

type Marker = "+" | "-" | "~";
type Line = { marker: Marker | null; indent: number; text: string };

const COLORS = { "+": "green", "-": "red", "~": "yellow" } as const;
const MARKERS = { added: "+", removed: "-", changed: "~", retargeted: "~" } as const satisfies Record<string, Marker>;

/** @param before - the definition that was compared with another one, for what did not change. */
export function formatDiff(diff: DefinitionDiff, before: JsonObject, colors: boolean): string {
  if (diff.equal) return "The definitions are equal.\n";
  const lines = [
    ...(diff.definition.length === 0 ? [] : [line("~", 0, "definition"), ...diff.definition.flatMap(valueLines)]),
    ...diff.nodes.flatMap((change) => nodeLines(change, before)),
  ];
  return `${lines.map((one) => show(one, colors)).join("\n")}\n${summaryOf(diff)}\n`;
}

function nodeLines(change: NodeChange, before: JsonObject): Line[] {
  const { kind, node } = change;
  const value = kind === "added" ? change.after : fieldOfNode(before, node);
  const type = isJsonObject(value) && typeof value.type === "string" ? ` (${value.type})` : "";
  const head = line(MARKERS[kind], 0, `node ${formatPath([node])}${type}`);
  if (kind === "changed") {
    return [head, ...change.fields.flatMap(valueLines), ...change.connections.map(connectionLine)];
  }
  const fields = isJsonObject(value) ? Object.entries(value).filter(([name]) => name !== "type") : [];
  return [head, ...fields.map(([name, field]) => line(MARKERS[kind], 1, `${formatPath([name])}: ${shown(field)}`))];
}

function fieldOfNode({ nodes }: JsonObject, id: string): Json | undefined {
  return isJsonObject(nodes) && Object.hasOwn(nodes, id) ? nodes[id] : undefined;
}

function valueLines(change: ValueChange): Line[] {
  const name = change.path.length === 0 ? "the whole node" : formatPath(change.path);
  if (change.kind === "added") return [line("+", 1, `${name}: ${shown(change.after)}`)];
  if (change.kind === "removed") return [line("-", 1, `${name}: ${shown(change.before)}`)];
  const { before, after } = change;
  if (typeof before === "string" && typeof after === "string" && `${before}${after}`.includes("\n")) {
    return [line("~", 1, `${name}:`), ...textLines(before.split("\n"), after.split("\n"))];
  }
  return [line("~", 1, `${name}: ${shown(before)} -> ${shown(after)}`)];
}

/** The lines of two texts, without those that are the same at the beginning and at the end. */
function textLines(before: readonly string[], after: readonly string[]): Line[] {
  const shared = Math.min(before.length, after.length);
  let start = 0;
  while (start < shared && before[start] === after[start]) start++;
  let end = 0;
  while (end < shared - start && before.at(-1 - end) === after.at(-1 - end)) end++;
  const middle = (lines: readonly string[], marker: Marker) =>
    lines.slice(start, lines.length - end).map((text) => line(marker, 2, printable(text)));
  const note = start === 0 ? [] : [{ marker: null, indent: 2, text: `(after line ${start})` }];
  return [...note, ...middle(before, "-"), ...middle(after, "+")];
}

function connectionLine(change: ConnectionChange): Line {
  const port = `next.${printable(change.port)}`;
  if (change.kind === "added") return line("+", 1, `${port} -> ${printable(change.after)}`);
  if (change.kind === "removed") return line("-", 1, `${port} -> ${printable(change.before)}`);
  return line("~", 1, `${port} -> ${printable(change.after)} (was ${printable(change.before)})`);
}

function summaryOf({ definition, nodes }: DefinitionDiff): string {
  const number = (kind: NodeChange["kind"]) => nodes.filter((one) => one.kind === kind).length;
  const fields = definition.length === 0 ? "" : `${count(definition.length, "field")} of the definition changed; `;
  return `${fields}nodes: ${number("added")} added, ${number("removed")} removed, ${number("changed")} changed.`;
}

function line(marker: Marker, indent: number, text: string): Line {
  return { marker, indent, text };
}

function show({ marker, indent, text }: Line, colors: boolean): string {
  const plain = `${"    ".repeat(indent)}${marker ?? " "} ${text}`;
  // Whether there are colours was decided from the stream that is written to.
  return colors && marker !== null ? styleText(COLORS[marker], plain, { validateStream: false }) : plain;
}

function shown(value: Json): string {
  return printable(JSON.stringify(value));
}
