/**
 * A definition as a Mermaid flowchart.
 *
 * Owns: shapes, labels and quoting. Pure. Invariants: 1. The same definition gives the same text: nodes in the order of
 * the document, connections in the order of the ports. 2. Whatever a definition holds, a label stays a label: no text of
 * it is read as Mermaid or HTML. 3. A node is drawn in the box of its innermost loop; the loop itself is outside of it.
 * Only syntax of long standing is used: many sites draw with an older Mermaid.
 */
import { portsOf } from "./ports.js";
import { divideIntoRegions, type Graph } from "./regions.js";
import type { Definition, NodeSource } from "./schema.js";

export type Direction = "TD" | "LR";

type NodesById = Definition["nodes"];

/** The signs around a label, by node type. */
const SHAPES: Readonly<Record<NodeSource["type"], readonly [open: string, close: string]>> = {
  trigger: ["([", "])"],
  llm: ["(", ")"],
  condition: ["{", "}"],
  switch: ["{", "}"],
  action: ["[[", "]]"],
  loop: ["{{", "}}"],
  set: ["[", "]"],
  output: ["([", "])"],
};

const MAX_DETAIL_CHARS = 60;

/** @param definition - a valid one. */
export function toMermaid({ nodes }: Definition, direction: Direction = "TD"): string {
  const members = membersByLoop(nodes);
  const boxOf = (loop: string | null): string[] =>
    (members.get(loop) ?? []).flatMap(([id, node]) => {
      const line = `  ${nodeLine(id, node)}`;
      if (node.type !== "loop") return [line];
      const inner = boxOf(id).map((one) => `  ${one}`);
      return [line, `  subgraph body_${id}[${quoted(`body of ${id}`)}]`, ...inner, "  end"];
    });
  // Connections come last: one that is written inside of a box would pull its target into it.
  const edges = Object.entries(nodes).flatMap(([id, node]) => edgeLines(id, node).map((line) => `  ${line}`));
  return `${[`flowchart ${direction}`, ...boxOf(null), ...edges].join("\n")}\n`;
}

function membersByLoop(nodes: NodesById): Map<string | null, Array<[string, NodeSource]>> {
  const entries = Object.entries(nodes);
  const graph: Graph = new Map(
    entries.map(([id, node]) => {
      const edges = Object.entries(node.next ?? {}).map(([port, to]) => ({ port, to }));
      return [id, { edges, body: node.type === "loop" ? node.body : null }];
    }),
  );
  const triggers = entries.filter(([, { type }]) => type === "trigger").map(([id]) => id);
  const { loopOf } = divideIntoRegions(graph, triggers);
  const members = new Map<string | null, Array<[string, NodeSource]>>();
  for (const entry of entries) {
    const loop = loopOf.get(entry[0]) ?? null;
    members.set(loop, [...(members.get(loop) ?? []), entry]);
  }
  return members;
}

function nodeLine(id: string, node: NodeSource): string {
  const [open, close] = SHAPES[node.type];
  const detail = detailOf(node);
  const lines = detail === null ? [id] : [id, clip(detail)];
  return `${idOf(id)}${open}${quoted(...lines)}${close}`;
}

function edgeLines(id: string, node: NodeSource): string[] {
  const { next = {} } = node;
  const ports = portsOf(node.type, node.type === "switch" ? node.cases : []);
  const lines = ports.flatMap((port) => {
    const target = Object.hasOwn(next, port) ? next[port] : undefined;
    if (target === undefined) return [];
    const label = port === "success" ? "" : `|${quoted(port)}|`;
    return [`${idOf(id)} -->${label} ${idOf(target)}`];
  });
  return node.type === "loop" ? [`${idOf(id)} -.->|${quoted("each pass")}| ${idOf(node.body)}`, ...lines] : lines;
}

/** What a node does, in a few words of its own fields. */
function detailOf(node: NodeSource): string | null {
  switch (node.type) {
    case "trigger":
    case "output":
      return null;
    case "llm":
      return node.model;
    case "condition":
      return node.if;
    case "switch":
      return node.value === undefined ? null : textOf(node.value);
    case "action":
      return node.action;
    case "set":
      return `set ${Object.keys(node.values).join(", ")}`;
    case "loop":
      return [
        ...(node.items === undefined ? [] : [`for each of ${textOf(node.items)}`]),
        ...(node.until === undefined ? [] : [`until ${node.until}`]),
      ].join(" ");
  }
}

/** A template that is one expression, without its braces; any other as it is. */
function textOf(template: unknown): string {
  if (typeof template !== "string") return JSON.stringify(template);
  return /^\s*\{\{((?:(?!\}\}).)*)\}\}\s*$/s.exec(template)?.[1] ?? template;
}

/** Ids of nodes may be words of Mermaid, as `end` is; with something before them they are not. */
function idOf(id: string): string {
  return `node_${id}`;
}

/** By whole characters: half a surrogate pair is no text. */
function clip(text: string): string {
  const chars = [...text.replace(/\s+/g, " ").trim()];
  return chars.length <= MAX_DETAIL_CHARS ? chars.join("") : `${chars.slice(0, MAX_DETAIL_CHARS - 1).join("")}…`;
}

function quoted(...lines: string[]): string {
  return `"${lines.map(escape).join("<br/>")}"`;
}

/**
 * Leaves letters, digits and plain marks of a text, and writes the rest as Mermaid's `#code;`: quotes end a label, `<`
 * and `&` are HTML, a backtick begins Markdown, `%%{` a directive, `:fa-` an icon, `$$` a formula, `\n` is a line break,
 * and site generators put something of their own in place of braces.
 */
function escape(text: string): string {
  const isPlain = !UNSAFE.test(text);
  // Mermaid takes the last `;` off a line with `style`, a colon and a `#` after it.
  return isPlain ? text : text.replace(UNSAFE_OR_COLON, (char) => `#${char.codePointAt(0)};`);
}

const UNSAFE = /["#&<>`%$\\;{}\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]|:(?=fa-)/u;
const UNSAFE_OR_COLON = new RegExp(`${UNSAFE.source}|:`, "gu");
