/** Keys are planted everywhere a provider, a proxy or a runtime could quote them, and looked for in all that comes out. */
import { describe, expect, it } from "vitest";
import { readModelConfig, type ModelResult } from "../../src/models/callModel.js";
import { createScrubber } from "../../src/models/scrub.js";
import type { Json } from "../../src/shared/json.js";
import type { ModelServerAnswer } from "../support/modelServer.js";
import {
  ALL_KEYS,
  ANTHROPIC_KEY,
  call,
  COMPATIBLE_KEY,
  envFor,
  errorOf,
  HEADER_TOKEN,
  KINDS,
  OPENAI_KEY,
  outputOf,
  serve,
} from "./harness.js";

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const ENCODINGS: Array<[string, (key: string) => string]> = [
  ["as it is", (key) => key],
  ["in a URL", (key) => `https://x.test/?key=${encodeURIComponent(key)}&a=b`],
  ["in a URL in lower case", (key) => encodeURIComponent(key).replace(/%../g, (escape) => escape.toLowerCase())],
  ["in a form", (key) => new URLSearchParams({ key }).toString()],
  ["in JSON", (key) => JSON.stringify({ authorization: `Bearer ${key}` })],
  ["in base64", base64],
  ["in base64 with a user name", (key) => base64(`user:${key}`)],
  ["in base64 behind a scheme", (key) => base64(`Bearer ${key} and more`)],
  ["in base64 for URLs", (key) => Buffer.from(`u:${key}`).toString("base64url")],
];

/** A key, or the inner part of one of its encodings, that a text holds. */
function leakIn(text: string): string | null {
  for (const key of ALL_KEYS) {
    const inBase64 = ["", "a", "ab"].map((before) => base64(before + key).slice(4, -4));
    const inBase64Url = inBase64.map((form) => form.replaceAll("+", "-").replaceAll("/", "_"));
    const forms = [key, encodeURIComponent(key), ...inBase64, ...inBase64Url];
    const found = forms.find((form) => text.toLowerCase().includes(form.toLowerCase()));
    if (found !== undefined) return found;
  }
  return null;
}

it("the keys are such that their forms differ", () => {
  expect(base64(ALL_KEYS.join(""))).toMatch(/\+.*\/|\/.*\+/);
});

describe.each(KINDS)("$kind", ({ model }) => {
  it.each(ENCODINGS)("a key that the provider quotes %s is not in the error", async (_name, encode) => {
    const everything = ALL_KEYS.map(encode).join(" | ");
    const answers: ModelServerAnswer[] = [
      { status: 401, body: { error: { message: `Wrong key: ${everything}`, type: everything, code: everything } } },
      { status: 500, body: `<pre>${everything}</pre>` },
      { status: 400, body: { detail: everything } },
      { refusal: `I was told ${everything}` },
    ];
    const server = await serve(...answers);
    expect(leakIn(everything)).not.toBeNull();
    for (const _ of answers) {
      const error = errorOf(await call(server.url, { model }));
      expect(leakIn(JSON.stringify(error))).toBeNull();
      expect(error.cause?.message).toContain("[secret]");
    }
  });

  it.each(ENCODINGS)("a key that the model repeats %s is not in the answer", async (_name, encode) => {
    const everything = ALL_KEYS.map(encode);
    const server = await serve(
      { text: everything.join(" ") },
      { json: { list: everything, [everything.join("")]: 1 } },
    );
    const results: ModelResult[] = [
      await call(server.url, { model }),
      await call(server.url, { model, schema: { type: "object" } }),
    ];
    for (const result of results) expect(leakIn(JSON.stringify(outputOf(result)))).toBeNull();
  });

  it("a key in an answer that does not match the schema is not in the error", async () => {
    const names = Object.fromEntries(ALL_KEYS.map((key) => [key, 1]));
    const server = await serve({ json: names });
    const schema = { type: "object", additionalProperties: { type: "string" } };
    const error = errorOf(await call(server.url, { model, schema }));
    expect(error.code).toBe("MODEL_OUTPUT_INVALID");
    expect(leakIn(JSON.stringify(error))).toBeNull();
  });

  it("a runtime that quotes the request in its error does not give the key away", async () => {
    const server = await serve();
    const talkative: typeof fetch = async (input, init) => {
      const headers = [...new Headers(init?.headers).entries()].map((entry) => entry.join(": ")).join("\n");
      throw new TypeError(`fetch failed for ${JSON.stringify(input)}`, { cause: new Error(headers) });
    };
    const error = errorOf(await call(server.url, { model }, { fetch: talkative }));
    expect(error).toMatchObject({ code: "MODEL_UNAVAILABLE", retryable: true });
    expect(error.cause?.message).toContain("[secret]");
    expect(leakIn(JSON.stringify(error))).toBeNull();
  });

  it("shows neither end of a key that the provider masks", async () => {
    const server = await serve({
      status: 401,
      body: { error: { message: "Incorrect API key: sk-op*****************6789. See the docs." } },
    });
    expect(errorOf(await call(server.url, { model })).cause?.message).toBe(
      "Incorrect API key: [secret]. See the docs.",
    );
  });
});

it("a model name that holds a key is not repeated", async () => {
  const server = await serve({ status: 404 });
  for (const model of [
    `openai:${OPENAI_KEY}`,
    OPENAI_KEY,
    `${ANTHROPIC_KEY}:x`,
    `local:${COMPATIBLE_KEY}`,
    `strict:${HEADER_TOKEN}`,
  ]) {
    expect(leakIn(JSON.stringify(await call(server.url, { model })))).toBeNull();
  }
});

describe("answers stay as they are", () => {
  const config = readModelConfig({
    OPENAI_API_KEY: "ollama",
    SHARDFLOW_PROVIDERS: JSON.stringify({
      local: {
        baseUrl: "http://localhost:1",
        headers: { "HTTP-Referer": "https://example.com", "X-Title": "Shardflow" },
      },
    }),
  });

  it("where a key is an ordinary word, or a header no key", () => {
    const scrub = createScrubber(config);
    const output = { ollama: ["I run ollama", "https://example.com"], title: "Shardflow", n: 1, no: null, yes: true };
    expect(scrub.output(output)).toEqual(output);
    // What others say in errors is not data: there everything that was configured goes.
    expect(scrub.foreign("ollama at https://example.com")).toBe("[secret] at [secret]");
  });

  it("in JSON with names that objects have", () => {
    const value = JSON.parse('{"__proto__":{"a":1},"constructor":2}') as Json;
    const scrubbed = createScrubber(readModelConfig(envFor("http://localhost:1"))).output(value);
    expect(JSON.stringify(scrubbed)).toBe('{"__proto__":{"a":1},"constructor":2}');
  });
});
