/** Reading the configuration: defaults, forms, and refusals that never quote a value. */
import { describe, expect, it } from "vitest";
import { hostOfModel, MODEL_ENV_NAMES, readModelConfig } from "../../src/models/callModel.js";
import { shardflowErrorData } from "../../src/shared/errors.js";

const PLANTED = "sk-Planted-0123456789";
const providers = (value: unknown) => ({ SHARDFLOW_PROVIDERS: JSON.stringify(value) });

function refusal(env: Record<string, string>): string {
  try {
    readModelConfig(env);
  } catch (error) {
    const data = shardflowErrorData(error);
    expect(data).toMatchObject({ code: "MODEL_CONFIG_INVALID", retryable: false });
    return data!.message;
  }
  throw new Error("the configuration was taken");
}

describe("what is taken", () => {
  it("nothing set: the two built-in providers, without keys", () => {
    for (const env of [
      {},
      Object.fromEntries(MODEL_ENV_NAMES.map((name) => [name, undefined])),
      Object.fromEntries(MODEL_ENV_NAMES.map((name) => [name, "  "])),
    ]) {
      const { providers } = readModelConfig(env);
      expect([...providers.keys()]).toEqual(["openai", "anthropic"]);
      expect(providers.get("openai")).toMatchObject({ apiKey: null, baseUrl: "https://api.openai.com/v1" });
      expect(providers.get("anthropic")).toMatchObject({ apiKey: null, baseUrl: "https://api.anthropic.com/v1" });
    }
  });

  it("keys and addresses, without the blanks and slashes around them", () => {
    const { providers } = readModelConfig({
      OPENAI_API_KEY: ` ${PLANTED}\n`,
      OPENAI_BASE_URL: "http://127.0.0.1:8080/proxy/v1//",
    });
    expect(providers.get("openai")).toMatchObject({ apiKey: PLANTED, baseUrl: "http://127.0.0.1:8080/proxy/v1" });
  });

  it("other providers by name", () => {
    const env = providers({
      "my_proxy-2": {
        baseUrl: "https://models.example.com/v1",
        apiKey: PLANTED,
        headers: { "X-Org": "42" },
        structuredOutputs: true,
      },
      bare: { baseUrl: "http://localhost:11434/v1" },
    });
    const config = readModelConfig(env);
    expect(config.providers.get("my_proxy-2")).toEqual({
      protocol: "compatible",
      baseUrl: "https://models.example.com/v1",
      apiKey: PLANTED,
      keyVariable: null,
      headers: { "X-Org": "42" },
      structuredOutputs: true,
    });
    expect(config.providers.get("bare")).toMatchObject({ apiKey: null, headers: {}, structuredOutputs: false });
  });

  it("changes nothing and remembers nothing", () => {
    const env = Object.freeze({ OPENAI_API_KEY: PLANTED });
    expect(readModelConfig(env)).toEqual(readModelConfig(env));
    expect(readModelConfig({}).providers.get("openai")?.apiKey).toBeNull();
  });
});

describe("what is refused", () => {
  it.each([
    ["no address", PLANTED],
    ["another scheme", `ftp://${PLANTED}.test`],
    ["a user name", `https://${PLANTED}@models.test/v1`],
    ["a password", `https://u:${PLANTED}@models.test/v1`],
    ["a query", `https://models.test/v1?key=${PLANTED}`],
    ["a fragment", `https://models.test/v1#${PLANTED}`],
  ])("a base URL that is or has %s", (_name, url) => {
    for (const name of ["OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"]) {
      const message = refusal({ [name]: url });
      expect(message).toContain(name);
      expect(message).not.toContain(PLANTED);
    }
    const message = refusal(providers({ mine: { baseUrl: url } }));
    expect(message).toContain('SHARDFLOW_PROVIDERS, provider "mine"');
    expect(message).not.toContain(PLANTED);
  });

  it.each(["OPENAI_API_KEY", "ANTHROPIC_API_KEY"])("a %s that no header can hold", (name) => {
    for (const key of [`${PLANTED}\nX-Evil: 1`, `${PLANTED}é`, `${PLANTED}\u0000`]) {
      const message = refusal({ [name]: key });
      expect(message).toContain(name);
      expect(message).not.toContain(PLANTED);
    }
  });

  it.each([
    ["no JSON", `{"mine": ${PLANTED}`],
    ["a list", JSON.stringify([PLANTED])],
    ["a text", JSON.stringify(PLANTED)],
    ["a malformed name", JSON.stringify({ [`${PLANTED} !`]: { baseUrl: "https://m.test" } })],
    ["an entry that is a text", JSON.stringify({ mine: PLANTED })],
    ["an entry without an address", JSON.stringify({ mine: { apiKey: PLANTED } })],
    ["an unknown field", JSON.stringify({ mine: { baseUrl: "https://m.test", [PLANTED]: PLANTED } })],
    ["a key that is a number", JSON.stringify({ mine: { baseUrl: "https://m.test", apiKey: 5 } })],
    ["an empty key", JSON.stringify({ mine: { baseUrl: "https://m.test", apiKey: "" } })],
    ["a key with a line break", JSON.stringify({ mine: { baseUrl: "https://m.test", apiKey: `${PLANTED}\n` } })],
    ["headers that are a list", JSON.stringify({ mine: { baseUrl: "https://m.test", headers: [PLANTED] } })],
    ["a header with a bad name", JSON.stringify({ mine: { baseUrl: "https://m.test", headers: { "a b": PLANTED } } })],
    [
      "a header with a bad value",
      JSON.stringify({ mine: { baseUrl: "https://m.test", headers: { a: `${PLANTED}\r\n` } } }),
    ],
    [
      "structuredOutputs that is a text",
      JSON.stringify({ mine: { baseUrl: "https://m.test", structuredOutputs: PLANTED } }),
    ],
    ["a built-in name", JSON.stringify({ openai: { baseUrl: "https://m.test", apiKey: PLANTED } })],
  ])("SHARDFLOW_PROVIDERS with %s", (_name, text) => {
    const message = refusal({ SHARDFLOW_PROVIDERS: text });
    expect(message).toContain("SHARDFLOW_PROVIDERS");
    expect(message).not.toContain(PLANTED);
  });
});

it("tells the host that a model's requests go to", () => {
  const config = readModelConfig({
    OPENAI_BASE_URL: "http://127.0.0.1:8080/v1",
    ...providers({ mine: { baseUrl: "https://Models.Example.com/v1" } }),
  });
  expect(hostOfModel("openai:gpt-4o", config)).toBe("127.0.0.1:8080");
  expect(hostOfModel("anthropic:claude", config)).toBe("api.anthropic.com");
  expect(hostOfModel("mine:a:b", config)).toBe("models.example.com");
  for (const unknown of ["nobody:x", "openai", "openai_", "", ":x"]) expect(hostOfModel(unknown, config)).toBeNull();
});
