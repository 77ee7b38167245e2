/**
 * Templates: JSON in which `{{ expr }}` stands for data.
 *
 * Owns: finding the tags and the escape. Invariant: a value without `{{` renders to itself; keys are never templated.
 *
 * A tag ends at the first `}}` outside of strings, comments and map literals. Before a tag, each pair of backslashes is
 * one backslash, and an odd one left over makes the braces text: `\{{` is `{{`.
 */
import type { Json, JsonObject } from "../../shared/json.js";
import type { Template } from "../plan.js";
import { skipQuoted } from "./scan.js";
import { setMember } from "./values.js";

export type TemplateProblem = {
  /** Place in the value: keys and indexes. */
  path: Array<string | number>;
  code: "EXPRESSION_INVALID";
  message: string;
};
export type ParsedTemplate = { template: Template; problems: TemplateProblem[] };

/** Parses a value; a string with a problem becomes a literal. The expressions themselves are checked by analyze.ts. */
export function parseTemplate(value: Json): ParsedTemplate {
  const problems: TemplateProblem[] = [];
  const template = parseValue(value, [], problems);
  return { template, problems };
}

function parseValue(value: Json, path: Array<string | number>, problems: TemplateProblem[]): Template {
  if (typeof value === "string") return parseText(value, path, problems);
  if (typeof value !== "object" || value === null) return { kind: "literal", value };
  if (Array.isArray(value)) return listOf(value.map((item, i) => parseValue(item, [...path, i], problems)));
  return objectOf(Object.entries(value).map(([key, member]) => [key, parseValue(member, [...path, key], problems)]));
}

function listOf(items: Template[]): Template {
  const values: Json[] = [];
  for (const item of items) {
    if (item.kind !== "literal") return { kind: "array", items };
    values.push(item.value);
  }
  return { kind: "literal", value: values };
}

function objectOf(entries: Array<[string, Template]>): Template {
  const value: JsonObject = {};
  for (const [key, member] of entries) {
    if (member.kind !== "literal") return { kind: "object", entries };
    setMember(value, key, member.value);
  }
  return { kind: "literal", value };
}

function parseText(text: string, path: Array<string | number>, problems: TemplateProblem[]): Template {
  const refuse = (message: string): Template => {
    problems.push({ path, code: "EXPRESSION_INVALID", message });
    return { kind: "literal", value: text };
  };
  const parts: Array<string | { source: string }> = [];
  let literal = "";
  let at = 0;
  for (let open = text.indexOf("{{"); open >= 0; open = text.indexOf("{{", at)) {
    const backslashes = countBackslashes(text, at, open);
    literal += text.slice(at, open - backslashes) + "\\".repeat(Math.floor(backslashes / 2));
    at = open + 2;
    if (backslashes % 2 === 1) {
      literal += "{{";
      continue;
    }
    const close = endOfTag(text, at);
    if (close === null) {
      return refuse(
        `The \`{{\` at character ${open + 1} has no \`}}\`. Close it, or write \`\\{{\` for the braces themselves.`,
      );
    }
    const source = text.slice(at, close).trim();
    if (source === "")
      return refuse(
        `The tag at character ${open + 1} is empty. Write an expression in it, or \`\\{{\` for the braces themselves.`,
      );
    if (literal !== "") parts.push(literal);
    parts.push({ source });
    literal = "";
    at = close + 2;
  }
  literal += text.slice(at);
  const [first] = parts;
  if (first === undefined) return { kind: "literal", value: literal };
  if (parts.length === 1 && literal === "" && typeof first === "object")
    return { kind: "expression", source: first.source };
  if (literal !== "") parts.push(literal);
  return { kind: "text", parts };
}

/** Backslashes that stand directly before `end`, not looking further back than `start`. */
function countBackslashes(text: string, start: number, end: number): number {
  let count = 0;
  while (end - count > start && text[end - count - 1] === "\\") count++;
  return count;
}

/** Position of the `}}` that ends the tag whose expression begins at `start`; null when there is none. */
function endOfTag(text: string, start: number): number | null {
  let openBraces = 0;
  for (let at = start; at < text.length;) {
    if (openBraces === 0 && text.startsWith("}}", at)) return at;
    const next = skipQuoted(text, at);
    if (next === null) return null;
    if (next === at) {
      if (text[at] === "{") openBraces++;
      else if (text[at] === "}") openBraces = Math.max(0, openBraces - 1);
    }
    at = Math.max(next, at + 1);
  }
  return null;
}
