/**
 * Holds a definition against the schema.
 *
 * Owns: the translation of schema issues into problems, and what of each node is sound enough to be checked further:
 * one bad field hides no problem of the others. Invariant: nothing of zod gets out of here.
 */
import type { z } from "zod";
import { isJsonObject, type Json, type JsonObject } from "../../shared/json.js";
import type { NodeType } from "../plan.js";
import { NODE_TYPES } from "./ports.js";
import { problem, type Path, type Problem } from "./problems.js";
import { definitionSchema, fieldsAt, type PartialNode } from "./schema.js";
import type { Suggester } from "./suggest.js";

export type LooseNode = {
  id: string;
  /** The sound fields, or null when the node has no known type. */
  node: PartialNode | null;
  /** The wiring, as far as it can be read. */
  next: Record<string, string>;
  /** Fields that are there, or should be, but do not match the schema. */
  bad: ReadonlySet<string>;
};

export type Shape = { problems: Problem[]; nodes: LooseNode[] };

type Issue = z.core.$ZodIssue;

export function checkShape(source: JsonObject, suggest: Suggester): Shape {
  const issues = (definitionSchema.safeParse(source).error?.issues ?? []).flatMap((issue) => flatten(issue, []));
  const bad = new Map<string, Set<string>>();
  for (const { path } of issues) {
    const [root, id, field] = path;
    if (root !== "nodes" || typeof id !== "string" || typeof field !== "string") continue;
    bad.set(id, (bad.get(id) ?? new Set()).add(field));
  }
  const nodes = isJsonObject(source.nodes) ? Object.entries(source.nodes) : [];
  return {
    problems: issues.flatMap((issue) => toProblems(issue, source, suggest)),
    nodes: nodes.map(([id, node]) => readLoosely(id, node, bad.get(id) ?? new Set())),
  };
}

/** A union is reported as its one member that fits the value in kind, so that the problem is where the value is wrong. */
function flatten(issue: Issue, parents: PropertyKey[]): Issue[] {
  const path = [...parents, ...issue.path];
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const fitting = issue.errors.filter(
      (errors) => !errors.some((one) => one.code === "invalid_type" && one.path.length === 0),
    );
    const [only] = fitting;
    if (only !== undefined && fitting.length === 1) return only.flatMap((one) => flatten(one, path));
  }
  return [{ ...issue, path }];
}

function toProblems(issue: Issue, source: Json, suggest: Suggester): Problem[] {
  const path = issue.path.map((segment) => (typeof segment === "number" ? segment : String(segment)));
  if (issue.code === "unrecognized_keys") {
    const fields = fieldsAt(path, typeAt(source, path));
    return issue.keys.map((key) => unknownField([...path, key], key, fields, suggest));
  }
  const found = valueAt(source, path);
  if (path[0] === "nodes" && path.length === 3 && path[2] === "type") return [unknownType(path, found, suggest)];
  const place = path.length === 0 ? "The definition" : `\`${String(path.at(-1))}\``;
  const is = found === undefined ? "is missing" : `is ${describe(found)}`;
  const options = issue.code === "invalid_value" ? issue.values.filter((value) => typeof value === "string") : [];
  return [
    problem(
      "SCHEMA_INVALID",
      path,
      `${place} ${is}: ${expectation(issue)}.`,
      typeof found === "string" ? suggest(found, options) : null,
    ),
  ];
}

function unknownField(path: Path, key: string, fields: string[], suggest: Suggester): Problem {
  const known = fields.length === 0 ? "" : ` Known fields: ${fields.join(", ")}.`;
  return problem("FIELD_UNKNOWN", path, `There is no field ${describe(key)} here.${known}`, suggest(key, fields));
}

function unknownType(path: Path, found: Json | undefined, suggest: Suggester): Problem {
  const what = found === undefined ? "The node has no `type`" : `There is no node type ${describe(found)}`;
  const near = typeof found === "string" ? suggest(found, NODE_TYPES) : null;
  return problem("NODE_TYPE_UNKNOWN", path, `${what}. Use one of ${NODE_TYPES.join(", ")}.`, near);
}

/** What the schema wants, in the words of the format: zod says "record" and repeats what it got. */
function expectation(issue: Issue): string {
  if (issue.code === "invalid_union") return "expected text or a list";
  const wanted = issue.message
    .replace(/^(?:Invalid input|Invalid option|Too small|Too big): /, "")
    .replace(/, received .*$/, "");
  return wanted.replace("expected record", "expected object").replace(/^expected int$/, "expected an integer");
}

function describe(value: Json): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function valueAt(source: Json, path: Path): Json | undefined {
  let value: Json | undefined = source;
  for (const segment of path) {
    if (Array.isArray(value) && typeof segment === "number") value = value[segment];
    else if (isJsonObject(value) && Object.hasOwn(value, segment)) value = value[segment];
    else return undefined;
  }
  return value;
}

function typeAt(source: Json, path: Path): NodeType | null {
  return path.length < 2 ? null : asNodeType(valueAt(source, [...path.slice(0, 2), "type"]));
}

function asNodeType(value: Json | undefined): NodeType | null {
  return NODE_TYPES.find((type) => type === value) ?? null;
}

function readLoosely(id: string, source: Json, bad: ReadonlySet<string>): LooseNode {
  if (!isJsonObject(source)) return { id, node: null, next: {}, bad };
  const type = asNodeType(source.type);
  const next = isJsonObject(source.next) ? source.next : {};
  const wired = Object.entries(next).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return {
    id,
    // The fields that are left each match their schema, which is what PartialNode says.
    node: type === null ? null : { ...omit(source, bad), type },
    next: Object.fromEntries(wired),
    bad,
  };
}

function omit(source: JsonObject, fields: ReadonlySet<string>): JsonObject {
  return Object.fromEntries(Object.entries(source).filter(([field]) => !fields.has(field)));
}
