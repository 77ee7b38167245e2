/**
 * Answers that must match a JSON Schema.
 *
 * Owns: how a model is asked for one, how its answer is read, and how it is asked again. Invariant: a provider's
 * structured output only makes a good answer likelier; what counts is the check here.
 */
import { validateJson, type SchemaProblem } from "../engine/jsonSchema.js";
import { shardflowErrorData } from "../shared/errors.js";
import { assertJson, isJsonObject, type Json, type JsonObject } from "../shared/json.js";
import { truncateText } from "../shared/nodeError.js";
import type { ProviderConfig } from "./config.js";
import type { GenerateOptions } from "./provider.js";

export type ModelMessage = { role: "system" | "user" | "assistant"; content: string };

/**
 * How the schema is given to the provider.
 * - `strict`: it makes the answer match. - `loose`: it shows the model the schema, as far as it can.
 * - `prompt`: it does not take this schema; the instructions hold it.
 */
export type SchemaMode = "strict" | "loose" | "prompt";

/** Providers refuse other property names, and combinations at the root. */
const PROPERTY_NAME = /^[a-zA-Z0-9_.-]{1,64}$/;
const ROOT_COMBINATIONS = ["$ref", "anyOf", "oneOf", "allOf", "not", "enum", "const", "if"];
/** What OpenAI's strict mode takes. Not in it: optional and open objects, string lengths, most combinations. */
const STRICT_KEYWORDS = new Set([
  ...["type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs"],
  ...["title", "description", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  ...["minItems", "maxItems", "$schema"],
]);
const STRICT_MAX_DEPTH = 10;

export function schemaMode(schema: Json, provider: ProviderConfig): SchemaMode {
  if (!provider.structuredOutputs || !isJsonObject(schema) || schema.type !== "object") return "prompt";
  if (ROOT_COMBINATIONS.some((keyword) => Object.hasOwn(schema, keyword)) || !hasPlainNames(schema)) return "prompt";
  return isStrict(schema, 0) ? "strict" : "loose";
}

function hasPlainNames(schema: Json): boolean {
  if (Array.isArray(schema)) return schema.every(hasPlainNames);
  if (!isJsonObject(schema)) return true;
  const names = isJsonObject(schema.properties) ? Object.keys(schema.properties) : [];
  return names.every((name) => PROPERTY_NAME.test(name)) && Object.values(schema).every(hasPlainNames);
}

function isStrict(schema: Json, depth: number): boolean {
  if (!isJsonObject(schema) || depth > STRICT_MAX_DEPTH) return false;
  if (!Object.keys(schema).every((keyword) => STRICT_KEYWORDS.has(keyword))) return false;
  const { properties, required, items, anyOf, $defs } = schema;
  if (properties !== undefined || schema.type === "object") {
    if (schema.additionalProperties !== false || !isJsonObject(properties ?? null)) return false;
    const listed = new Set(Array.isArray(required) ? required : []);
    if (!Object.keys(properties as JsonObject).every((name) => listed.has(name))) return false;
  }
  const parts = [properties, $defs].flatMap((map) =>
    isJsonObject(map ?? null) ? Object.values(map as JsonObject) : [],
  );
  if (items !== undefined) parts.push(items);
  if (Array.isArray(anyOf)) parts.push(...anyOf);
  return parts.every((part) => isStrict(part, depth + 1));
}

export type JsonRequest = { messages: ModelMessage[]; options: Partial<GenerateOptions> };

/** The messages and call options that ask for an answer in the form of the schema. */
export function askForJson(
  messages: ModelMessage[],
  schema: Json,
  { provider }: { provider: ProviderConfig },
): JsonRequest {
  const mode = schemaMode(schema, provider);
  if (mode === "prompt") return { messages: withInstructions(messages, schema), options: {} };
  const strictJsonSchema = mode === "strict";
  return {
    messages,
    options: {
      responseFormat: { type: "json", schema: schema as JsonObject },
      providerOptions: { openai: { strictJsonSchema }, openaiCompatible: { strictJsonSchema } },
    },
  };
}

/** The messages with the schema among the instructions. In the first one, as not every model takes several. */
function withInstructions(messages: ModelMessage[], schema: Json): ModelMessage[] {
  const text = `Answer with one JSON value that matches this JSON Schema, and with nothing else:\n${JSON.stringify(schema)}`;
  const [first, ...rest] = messages;
  if (first?.role !== "system") return [{ role: "system", content: text }, ...messages];
  return [{ role: "system", content: `${first.content}\n\n${text}` }, ...rest];
}

export type Answer = { ok: true; value: Json } | { ok: false; problems: SchemaProblem[] };

/** Reads an answer: JSON, alone or in a fenced block, that matches the schema. */
export function readAnswer(text: string, schema: Json): Answer {
  const parsed = parseJson(text) ?? parseJson(fencedBlock(text));
  if (parsed === null) return { ok: false, problems: [{ path: "$", message: "The answer is not JSON." }] };
  try {
    assertJson(parsed.value, "The answer");
  } catch (error) {
    const message = shardflowErrorData(error)?.message ?? "The answer cannot be stored.";
    return { ok: false, problems: [{ path: "$", message }] };
  }
  const problems = validateJson(schema, parsed.value);
  return problems.length === 0 ? { ok: true, value: parsed.value } : { ok: false, problems };
}

function parseJson(text: string): { value: Json } | null {
  try {
    return { value: JSON.parse(text) as Json };
  } catch {
    return null;
  }
}

const FENCE = "```";

/** From the first fence to the last one, because texts inside the JSON may hold fences too. */
function fencedBlock(text: string): string {
  const start = text.indexOf(FENCE);
  if (start === -1) return "";
  return text
    .slice(start + FENCE.length, text.lastIndexOf(FENCE))
    .trim()
    .replace(/^json/i, "");
}

/** The conversation with which a model is asked to correct its answer. */
export function withRepair(messages: ModelMessage[], answer: string, problems: SchemaProblem[]): ModelMessage[] {
  const content = `That answer does not match the JSON Schema:\n${listProblems(problems, "\n")}\nAnswer again with the corrected JSON value, and with nothing else.`;
  return [...messages, { role: "assistant", content: answer }, { role: "user", content }];
}

export function listProblems(problems: SchemaProblem[], separator: string): string {
  return truncateText(problems.map(({ path, message }) => `${path}: ${message}`).join(separator), 1_500);
}
