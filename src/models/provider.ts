/**
 * From `provider:name` to a model that can be called.
 *
 * Owns: the form of a model reference and which library speaks to which provider. Invariant: keys, addresses and fetch
 * are always given, so the libraries never look into the environment or at the global fetch.
 */
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI, type OpenAIProvider } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { nodeError, truncateText, type NodeError } from "../shared/nodeError.js";
import type { ModelConfig, ProviderConfig } from "./config.js";

/**
 * The provider-level interface of the AI SDK: one `doGenerate` is one request, without the retries, telemetry, prompt
 * rewriting and warnings on the console of the level above it.
 */
export type LanguageModel = ReturnType<OpenAIProvider["chat"]>;
export type GenerateOptions = Parameters<LanguageModel["doGenerate"]>[0];
export type GenerateResult = Awaited<ReturnType<LanguageModel["doGenerate"]>>;

export type ModelTarget = {
  /** The reference as it was given, cut for messages. */
  label: string;
  providerName: string;
  modelName: string;
  provider: ProviderConfig;
};

/** No spaces or control characters; the rest is between the definition and the provider. */
const MODEL_NAME = /^[^\s\p{Cc}]{1,200}$/u;

/** Finds the provider of a model reference; MODEL_UNKNOWN or MODEL_KEY_MISSING when it cannot be called. */
export function findModel(reference: string, config: ModelConfig): ModelTarget | NodeError {
  const label = truncateText(reference, 200);
  const colon = reference.indexOf(":");
  const modelName = reference.slice(colon + 1);
  const known = [...config.providers.keys()].join(", ");
  if (colon < 1 || !MODEL_NAME.test(modelName)) {
    const message = `"${label}" is not a model; write "provider:name", with one of the providers ${known}.`;
    return nodeError("MODEL_UNKNOWN", message);
  }
  const providerName = reference.slice(0, colon);
  const provider = config.providers.get(providerName);
  if (provider === undefined) {
    const message = `The model "${label}" names an unknown provider. Known are ${known}; SHARDFLOW_PROVIDERS adds others.`;
    return nodeError("MODEL_UNKNOWN", message);
  }
  if (provider.apiKey === null && provider.keyVariable !== null) {
    const message = `The model "${label}" needs an API key: set ${provider.keyVariable} in the deployment's environment.`;
    return nodeError("MODEL_KEY_MISSING", message);
  }
  return { label, providerName, modelName, provider };
}

/** The host, as `new URL(url).host`, that requests for a model go to; null when its provider is not known. */
export function hostOfModel(reference: string, config: ModelConfig): string | null {
  const provider = config.providers.get(reference.slice(0, Math.max(0, reference.indexOf(":"))));
  return provider === undefined ? null : new URL(provider.baseUrl).host;
}

/** The library's model behind a target. Chat completions for OpenAI: stateless, and what its proxies speak too. */
export function connect(target: ModelTarget, fetchFn: typeof fetch): LanguageModel {
  const { baseUrl: baseURL, apiKey, headers, protocol, structuredOutputs } = target.provider;
  switch (protocol) {
    case "openai":
      return createOpenAI({ baseURL, apiKey: apiKey ?? "", headers, fetch: fetchFn }).chat(target.modelName);
    case "anthropic":
      return createAnthropic({ baseURL, apiKey: apiKey ?? "", headers, fetch: fetchFn }).chat(target.modelName);
    case "compatible":
      return createOpenAICompatible({
        name: target.providerName,
        baseURL,
        ...(apiKey === null ? {} : { apiKey }),
        headers,
        fetch: fetchFn,
        supportsStructuredOutputs: structuredOutputs,
      })(target.modelName);
  }
}
