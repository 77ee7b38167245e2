/** A model server, the three kinds of providers pointed at it, and a call with defaults. */
import { onTestFinished } from "vitest";
import {
  callModel,
  readModelConfig,
  type ModelDeps,
  type ModelRequest,
  type ModelResult,
} from "../../src/models/callModel.js";
import type { NodeError } from "../../src/shared/nodeError.js";
import { startModelServer, type ModelServer, type ModelServerAnswer } from "../support/modelServer.js";

export const OPENAI_KEY = "sk-openai/Planted+Key=~~~???>>>0123456789";
export const ANTHROPIC_KEY = "sk-ant-Planted/Key+0123456789==";
export const COMPATIBLE_KEY = "local/Planted+Key?0123456789";
export const HEADER_TOKEN = "header-Token/0123456789+abc";
export const ALL_KEYS = [OPENAI_KEY, ANTHROPIC_KEY, COMPATIBLE_KEY, HEADER_TOKEN];

/** A moment that tests can compute with. */
export const NOW = Date.UTC(2026, 0, 15, 12, 0, 0);

export const KINDS = [
  { kind: "openai", model: "openai:gpt-4o-mini" },
  { kind: "anthropic", model: "anthropic:claude-sonnet-4-5" },
  { kind: "compatible", model: "local:llama3:8b" },
  { kind: "compatible with schemas", model: "strict:org/model-1" },
] as const;

/** The environment that points every provider at a server. */
export function envFor(url: string): Record<string, string> {
  const compatible = { baseUrl: `${url}/v1/`, apiKey: COMPATIBLE_KEY, headers: { "X-Auth-Token": HEADER_TOKEN } };
  return {
    OPENAI_API_KEY: OPENAI_KEY,
    OPENAI_BASE_URL: url,
    ANTHROPIC_API_KEY: ANTHROPIC_KEY,
    ANTHROPIC_BASE_URL: url,
    SHARDFLOW_PROVIDERS: JSON.stringify({ local: compatible, strict: { ...compatible, structuredOutputs: true } }),
  };
}

/** A server that gives the same answer, or one answer after another (the last one stays), until the test ends. */
export async function serve(...answers: ModelServerAnswer[]): Promise<ModelServer> {
  const server = await startModelServer({
    answer: ({ callNumber }) => answers[Math.min(callNumber, answers.length) - 1] ?? { text: "ok" },
  });
  onTestFinished(() => server.close());
  return server;
}

export async function call(
  url: string,
  request: Partial<ModelRequest> & { model: string },
  deps: Partial<ModelDeps> = {},
): Promise<ModelResult> {
  return await callModel(
    {
      messages: [{ role: "user", content: "Say hello" }],
      schema: null,
      repairAttempts: 0,
      maxOutputTokens: null,
      temperature: null,
      ...request,
    },
    { config: readModelConfig(envFor(url)), signal: new AbortController().signal, now: () => NOW, ...deps },
  );
}

/** The error of a call that must fail. */
export function errorOf(result: ModelResult): NodeError {
  if (result.ok) throw new Error(`expected a failure, got ${JSON.stringify(result.output)}`);
  return result.error;
}

/** The output of a call that must succeed. */
export function outputOf(result: ModelResult): unknown {
  if (!result.ok) throw new Error(`expected success, got ${JSON.stringify(result.error)}`);
  return result.output;
}
