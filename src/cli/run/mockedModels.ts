/**
 * How the models of mocked nodes take the place of the real ones: a provider for each, and the definition that names it.
 *
 * Invariant: of the definition nothing changes but the `model` of mocked nodes, and that only gets a prefix: a template
 * in it is still rendered. The user's own providers stay. Secrets may be sent to the mocks, which are part of this process.
 */
import type { Definition } from "../../engine/definition/schema.js";
import { isJsonObject, type JsonObject } from "../../shared/json.js";
import type { Environment } from "./environment.js";

/** Longest name of a provider. */
const MAX_NAME_LENGTH = 64;

export type MockedModels = { definition: Definition; env: Environment };

export function useMockedModels(
  definition: Definition,
  env: Environment,
  nodes: Iterable<string>,
  baseUrlOf: (node: string) => string,
): MockedModels {
  const configured = readObject(env.SHARDFLOW_PROVIDERS);
  // What is malformed is left as it is: the engine says so where it is needed.
  if (configured === null) return { definition, env };
  const providers: JsonObject = { ...configured };
  const patched = { ...definition.nodes };
  for (const id of nodes) {
    const node = patched[id];
    if (node?.type !== "llm") continue;
    const name = freeName(id, providers);
    providers[name] = { baseUrl: baseUrlOf(id), structuredOutputs: true };
    patched[id] = { ...node, model: `${name}:${node.model}` };
  }
  return {
    definition: { ...definition, nodes: patched },
    env: {
      ...env,
      SHARDFLOW_PROVIDERS: JSON.stringify(providers),
      SHARDFLOW_SECRETS: withHost(env.SHARDFLOW_SECRETS, new URL(baseUrlOf("")).host),
    },
  };
}

/** `mock-classify`; a name that is taken or too long gets a number instead of its end. */
function freeName(id: string, taken: JsonObject): string {
  const wanted = `mock-${id}`;
  let name = wanted.slice(0, MAX_NAME_LENGTH);
  for (let i = 1; Object.hasOwn(taken, name); i++) {
    const suffix = `-${i}`;
    name = wanted.slice(0, MAX_NAME_LENGTH - suffix.length) + suffix;
  }
  return name;
}

/** The secrets with one more host each. A prompt with a secret would not reach its mock otherwise. */
function withHost(text: string | undefined, host: string): string | undefined {
  const secrets = readObject(text);
  if (secrets === null) return text;
  const entries = Object.entries(secrets).map(([name, secret]) => {
    const hosts = isJsonObject(secret) ? secret.hosts : undefined;
    return [name, isJsonObject(secret) && Array.isArray(hosts) ? { ...secret, hosts: [...hosts, host] } : secret];
  });
  return JSON.stringify(Object.fromEntries(entries));
}

/** The object in a variable, empty when there is none; null when it is malformed. */
function readObject(text = ""): JsonObject | null {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}
