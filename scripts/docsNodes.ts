/**
 * The generated parts of the pages of docs/nodes: what the format says of a definition, of every node and of one type.
 *
 * Owns: the text between `<!-- generated: NAME -->` and `<!-- end -->`; the rest of a page is written by hand. Invariant:
 * types, bounds, defaults and ports come from the schema that validates definitions, so a page cannot contradict it.
 */
import { NODE_TYPES, portsOf } from "../src/engine/definition/ports.js";
import { definitionJsonSchema, nodeSchema } from "../src/engine/definition/schema.js";
import type { NodeType } from "../src/engine/plan.js";
import { DEFAULT_RETRY } from "../src/engine/retry.js";
import { isJsonObject, type Json, type JsonObject } from "../src/shared/json.js";
import { table } from "./docsTables.js";

const PART = /<!-- generated: (\w+) -->[\s\S]*?<!-- end -->/g;

/** Fields that every node has; docs/nodes/README.md lists them once. */
const COMMON = ["description", "next", "retry", "timeoutMs"];

/** Fields whose parts have a table of their own. */
const TOLD_ELSEWHERE = ["nodes", "defaults"];

/** The page with its generated parts as they are now. */
export function fillGenerated(page: string): string {
  return page.replace(PART, (_, name: string) => `<!-- generated: ${name} -->\n\n${generated(name)}\n\n<!-- end -->`);
}

function generated(name: string): string {
  const definition = definitionJsonSchema() as JsonObject;
  if (name === "definition") return fieldsTable(definition, Object.keys(propertiesOf(definition)));
  const nodes = nodesOf(definition);
  const [first] = nodes.values();
  if (name === "common" && first !== undefined) return fieldsTable(first, COMMON);
  if (name === "types") return typesTable();
  const node = nodes.get(name);
  if (node === undefined) throw new Error(`"${name}" is neither a node type nor definition, common or types`);
  const own = Object.keys(propertiesOf(node)).filter((field) => field !== "type" && !COMMON.includes(field));
  const fields = own.length === 0 ? "No fields of its own." : fieldsTable(node, own);
  return `${fields}\n\nPorts: ${portList(name as NodeType)}.`;
}

function portList(type: NodeType): string {
  const ports = portsOf(type)
    .map((port) => `\`${port}\``)
    .join(", ");
  return type === "switch" ? `those of the cases, ${ports}` : ports;
}

function typesTable(): string {
  return table(
    ["type", "ports", "attempts without `retry`", "errors that are tried again without `retry.on`"],
    NODE_TYPES.map((type) => {
      const { maxAttempts, on } = DEFAULT_RETRY[type];
      return [`[${type}](${type}.md)`, portList(type), String(maxAttempts), on.map((one) => `\`${one}\``).join(" ")];
    }),
  );
}

function nodesOf(definition: JsonObject): Map<string, JsonObject> {
  const { additionalProperties } = propertiesOf(definition).nodes as JsonObject;
  const variants = ((additionalProperties as JsonObject).oneOf as Json[]).filter(isJsonObject);
  // The JSON Schema keeps the order of the union.
  return new Map(nodeSchema.options.map((one, i) => [one.shape.type.value, variants[i] ?? {}]));
}

const propertiesOf = (schema: JsonObject): JsonObject => (schema.properties ?? {}) as JsonObject;

function fieldsTable(schema: JsonObject, fields: string[]): string {
  const rows = fields.flatMap((field) =>
    rowsOf(field, propertiesOf(schema)[field] as JsonObject, isRequired(schema, field)),
  );
  return table(["field", "type", "default", "meaning"], rows);
}

const isRequired = (schema: JsonObject, field: string): boolean =>
  Array.isArray(schema.required) && schema.required.includes(field);

/** The row of a field, and those of the fields in it. */
function rowsOf(field: string, schema: JsonObject, required: boolean): string[][] {
  const description = typeof schema.description === "string" ? schema.description : "";
  const [stated, value] = /[;:] default:? ([^.]+)(?=\.)/.exec(description) ?? ["", ""];
  const meaning = stated === "" ? description : description.replace(stated, "");
  const row = [`\`${field}\``, typeOf(schema), required ? "required" : value, meaning];
  const inner = TOLD_ELSEWHERE.includes(field) ? null : innerObject(field, schema);
  if (inner === null) return [row];
  const { path, of } = inner;
  return [
    row,
    ...Object.entries(propertiesOf(of)).flatMap(([name, part]) =>
      rowsOf(`${path}.${name}`, part as JsonObject, isRequired(of, name)),
    ),
  ];
}

/** The object with fields that a field is, is a list of, or holds by name. */
function innerObject(field: string, schema: JsonObject): { path: string; of: JsonObject } | null {
  if (isJsonObject(schema.properties ?? null)) return { path: field, of: schema };
  const variants = Array.isArray(schema.anyOf) ? schema.anyOf.filter(isJsonObject) : [schema];
  for (const { items = null, additionalProperties = null } of variants) {
    if (isJsonObject(items) && isJsonObject(items.properties ?? null)) return { path: `${field}[]`, of: items };
    if (isJsonObject(additionalProperties) && isJsonObject(additionalProperties.properties ?? null)) {
      return { path: `${field}.<name>`, of: additionalProperties };
    }
  }
  return null;
}

function typeOf(schema: JsonObject): string {
  const { type, anyOf } = schema;
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (Array.isArray(schema.enum))
    return texts(schema.enum)
      .map((one) => `\`${one}\``)
      .join(", ");
  if (Array.isArray(anyOf)) return anyOf.filter(isJsonObject).map(typeOf).join(", or ");
  if (Array.isArray(type)) return texts(type).join(" or ");
  switch (type) {
    case "integer":
    case "number":
      return `${type === "integer" ? "whole number" : "number"}, ${range(schema)}`;
    case "string":
      return textType(schema);
    case "array":
      return `list${bounds(schema.minItems, schema.maxItems)}`;
    case "object":
      return `object${bounds(schema.minProperties, schema.maxProperties)}`;
    default:
      return "any JSON";
  }
}

const texts = (list: readonly Json[]): string[] => list.filter((one) => typeof one === "string");

const number = (value: Json | undefined): string => Number(value).toLocaleString("en-US");

function range({ minimum, maximum }: JsonObject): string {
  return maximum === undefined || maximum === Number.MAX_SAFE_INTEGER
    ? `${number(minimum)} or more`
    : `${number(minimum)} to ${number(maximum)}`;
}

function textType({ pattern, maxLength }: JsonObject): string {
  const what = pattern === undefined || maxLength === undefined ? "text" : "name";
  return maxLength === undefined ? what : `${what}, up to ${number(maxLength)} characters`;
}

function bounds(min: Json | undefined, max: Json | undefined): string {
  if (max !== undefined) return ` of ${number(min ?? 0)} to ${number(max)}`;
  return min === undefined ? "" : ` of ${number(min)} or more`;
}
