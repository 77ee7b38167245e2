/**
 * Which model providers there are, where they are and how they are paid: read from environment values.
 *
 * Owns: the names and forms of the variables. Invariants: pure, so that it runs inside a handler; addresses and keys
 * come from here only, never from a definition; no error text holds any part of a value.
 */
import { shardflowError } from "../shared/errors.js";
import { isJsonObject, type Json, type JsonObject } from "../shared/json.js";

/** The variables that are read. A component sees only those its app binds. */
export const MODEL_ENV_NAMES = [
  "OPENAI_API_KEY",
  "OPENAI_BASE_URL",
  "ANTHROPIC_API_KEY",
  "ANTHROPIC_BASE_URL",
  "SHARDFLOW_PROVIDERS",
] as const;
export type ModelEnvName = (typeof MODEL_ENV_NAMES)[number];

export type ProviderConfig = {
  protocol: "openai" | "anthropic" | "compatible";
  /** Without a slash at the end. */
  baseUrl: string;
  apiKey: string | null;
  /** The variable that must hold the key; null where the provider may need none. */
  keyVariable: ModelEnvName | null;
  headers: Record<string, string>;
  /** The provider takes a JSON Schema for its answer. */
  structuredOutputs: boolean;
};
export type ModelConfig = { providers: ReadonlyMap<string, ProviderConfig> };

const PROVIDER_NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/i;
const PROVIDER_FIELDS = ["baseUrl", "apiKey", "headers", "structuredOutputs"];
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i;
/** What may stand in a header, so that the runtime never refuses one with an error that quotes it. */
const HEADER_VALUE = /^[\x20-\x7e]+$/;

/**
 * Reads the configuration.
 * @param env - the variables of {@link MODEL_ENV_NAMES}; missing and blank ones are alike.
 * @throws {MODEL_CONFIG_INVALID} naming the variable that is malformed, never its value.
 */
export function readModelConfig(env: Readonly<Record<string, string | undefined>>): ModelConfig {
  const providers = new Map<string, ProviderConfig>();
  providers.set("openai", {
    protocol: "openai",
    baseUrl: readUrl(env, "OPENAI_BASE_URL") ?? "https://api.openai.com/v1",
    apiKey: readKey(env, "OPENAI_API_KEY"),
    keyVariable: "OPENAI_API_KEY",
    headers: {},
    structuredOutputs: true,
  });
  providers.set("anthropic", {
    protocol: "anthropic",
    baseUrl: readUrl(env, "ANTHROPIC_BASE_URL") ?? "https://api.anthropic.com/v1",
    apiKey: readKey(env, "ANTHROPIC_API_KEY"),
    keyVariable: "ANTHROPIC_API_KEY",
    headers: {},
    structuredOutputs: true,
  });
  for (const [name, provider] of readProviders(env)) providers.set(name, provider);
  return { providers };
}

function readText(env: Readonly<Record<string, string | undefined>>, name: ModelEnvName): string | null {
  const text = env[name]?.trim() ?? "";
  return text === "" ? null : text;
}

function readUrl(env: Readonly<Record<string, string | undefined>>, name: ModelEnvName): string | null {
  const text = readText(env, name);
  return text === null ? null : checkUrl(text, name);
}

function readKey(env: Readonly<Record<string, string | undefined>>, name: ModelEnvName): string | null {
  const key = readText(env, name);
  if (key !== null && !HEADER_VALUE.test(key)) throw invalid(name, "must be one line of printable ASCII");
  return key;
}

function readProviders(env: Readonly<Record<string, string | undefined>>): Array<[string, ProviderConfig]> {
  const text = readText(env, "SHARDFLOW_PROVIDERS");
  if (text === null) return [];
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    // The parser's own message quotes the text.
    throw invalid("SHARDFLOW_PROVIDERS", "is not valid JSON");
  }
  if (!isJsonObject(value)) throw invalid("SHARDFLOW_PROVIDERS", "must be an object of providers by name");
  return Object.entries(value).map(([name, entry]) => [name, readProvider(name, entry)]);
}

function readProvider(name: string, entry: Json): ProviderConfig {
  const variable = "SHARDFLOW_PROVIDERS";
  if (!PROVIDER_NAME.test(name)) {
    throw invalid(variable, "holds a provider name that is not 1 to 64 letters, digits, - or _");
  }
  if (name === "openai" || name === "anthropic") {
    throw invalid(
      variable,
      `names "${name}", which is built in; set ${name.toUpperCase()}_BASE_URL and _API_KEY instead`,
    );
  }
  const at = `${variable}, provider "${name}",`;
  if (!isJsonObject(entry)) throw invalid(at, 'must be an object such as {"baseUrl": "https://..."}');
  if (Object.keys(entry).some((field) => !PROVIDER_FIELDS.includes(field))) {
    throw invalid(at, `has an unknown field; known are ${PROVIDER_FIELDS.join(", ")}`);
  }
  if (typeof entry.baseUrl !== "string") throw invalid(at, "needs a baseUrl");
  const { apiKey = null, structuredOutputs = false } = entry;
  if (apiKey !== null && !isHeaderValue(apiKey)) throw invalid(at, "has an apiKey that is not printable ASCII");
  if (typeof structuredOutputs !== "boolean") throw invalid(at, "has a structuredOutputs that is not true or false");
  return {
    protocol: "compatible",
    baseUrl: checkUrl(entry.baseUrl, at),
    apiKey,
    keyVariable: null,
    headers: readHeaders(entry.headers ?? {}, at),
    structuredOutputs,
  };
}

function isHeaderValue(value: Json): value is string {
  return typeof value === "string" && HEADER_VALUE.test(value);
}

function readHeaders(value: Json, at: string): Record<string, string> {
  if (!isJsonObject(value)) throw invalid(at, "has headers that are not an object of texts");
  return Object.fromEntries(
    Object.entries(value satisfies JsonObject).map(([name, text]) => {
      if (!HEADER_NAME.test(name)) throw invalid(at, "has a header whose name is malformed");
      if (!isHeaderValue(text)) throw invalid(at, "has a header that is not a text of printable ASCII");
      return [name, text];
    }),
  );
}

function checkUrl(text: string, at: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw invalid(at, "must be an http or https address such as https://models.example.com/v1");
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw invalid(at, "must be an address without credentials, query or fragment; give keys as apiKey or headers");
  }
  return url.href.replace(/\/+$/, "");
}

function invalid(at: string, what: string): Error {
  return shardflowError("MODEL_CONFIG_INVALID", { message: `The model configuration ${at} ${what}.` });
}
