/** `shardflow run`: llm nodes with scripted answers, and those whose model is really called. */
import { describe, expect, test } from "vitest";
import { startModelServer, type ModelServerRequest } from "../support/modelServer.js";
import { run, sequence, steps } from "./runSupport.js";

const RETRY = { maxAttempts: 2, initialMs: 0 };
const ask = (fields: object = {}) => ({
  type: "llm",
  model: "openai:gpt-5-mini",
  prompt: "Say {{ input.word }}",
  retry: RETRY,
  ...fields,
});
const one = (fields?: object) => sequence({ ask: ask(fields) }, "{{ nodes.ask.output }}");
const input = { word: "hello world" };
const TICKET = {
  type: "object",
  properties: { kind: { enum: ["bug", "other"] } },
  required: ["kind"],
  additionalProperties: false,
};

describe("a list of answers", () => {
  test("is given in order, and the last one again and again", async () => {
    const flow = sequence(
      { each: { type: "loop", items: [1, 2, 3], body: "ask", next: { done: "end" } }, ask: { ...ask(), next: {} } },
      "{{ nodes.each.output }}",
    );
    const { code, report } = await run({ flow, input, mocks: { llm: { ask: ["first", "then the last"] } } });
    expect(code).toBe(0);
    expect(report.nodeRuns.filter(({ node }) => node === "ask").map(({ output }) => output)).toEqual([
      "first",
      "then the last",
      "then the last",
    ]);
    // "Say hello world" three times, and the words of the answers.
    expect(report.usage).toEqual({ inputTokens: 9, outputTokens: 7, totalTokens: 16, calls: 3 });
  });

  test.each([
    ["JSON for a node with a schema", { kind: "bug" }, TICKET, { kind: "bug" }],
    ["JSON in its explicit form", { $json: { $ref: "x" } }, { type: "object" }, { $ref: "x" }],
    ["JSON as the text that it is", '{"kind":"other"}', TICKET, { kind: "other" }],
    ["text in its explicit form", { $text: "hi" }, undefined, "hi"],
    ["a number", 42, { type: "integer" }, 42],
  ])("may hold %s", async (_, answer, schema, expected) => {
    const { report } = await run({
      flow: one(schema === undefined ? {} : { schema }),
      input,
      mocks: { llm: { ask: [answer] } },
    });
    expect(report.output).toEqual(expected);
  });

  test("may hold errors of the provider, which are tried again", async () => {
    const mocks = { llm: { ask: [{ $error: { status: 429, message: "slow down", retryAfter: 0 } }, "there"] } };
    const { report } = await run({ flow: one(), input, mocks });
    expect(report.output).toBe("there");
    expect(steps(report)).toEqual(["start 1 succeeded", "ask 2 succeeded", "end 1 succeeded"]);
    expect(report.usage.calls).toBe(2);
  });

  test("may hold an answer that does not match, which is repaired", async () => {
    const mocks = { llm: { ask: [{ kind: "?" }, { kind: "bug" }] } };
    const { report } = await run({ flow: one({ schema: TICKET }), input, mocks });
    expect({ output: report.output, calls: report.usage.calls }).toEqual({ output: { kind: "bug" }, calls: 2 });
    expect(steps(report)).toContain("ask 1 succeeded");
  });

  test("that ends in an error fails the node with what the provider said", async () => {
    const mocks = { llm: { ask: [{ $error: { status: 401, message: "no such key", code: "invalid_api_key" } }] } };
    const { code, report } = await run({ flow: one(), input, mocks });
    expect({ code, error: report.error }).toMatchObject({ code: 1, error: { code: "MODEL_KEY_INVALID", node: "ask" } });
    expect(report.nodeRuns[1]?.error?.cause).toEqual({ code: "invalid_api_key", message: "no such key" });
    expect((await run({ flow: one(), input, mocks }, [])).out).toContain("\n  cause: no such key\n");
  });
});

describe("patterns", () => {
  const mocks = {
    llm: {
      ask: {
        patterns: [
          { match: "^say HELLO", flags: "i", answer: "greeting" },
          { match: "bye|ciao", answer: "parting" },
        ],
      },
    },
  };

  test("are tried on the prompt in order", async () => {
    // The instructions are no part of the prompt.
    const flow = one({ system: "Recognise hello and bye." });
    expect((await run({ flow, input, mocks })).report.output).toBe("greeting");
    expect((await run({ flow, input: { word: "ciao" }, mocks })).report.output).toBe("parting");
  });

  test("of which none matches fail the node, without another try and without the prompt", async () => {
    const { code, report, out } = await run({ flow: one(), input: { word: "confidential" }, mocks });
    expect({ code, error: report.error?.code }).toEqual({ code: 1, error: "MODEL_REQUEST_INVALID" });
    expect(report.nodeRuns[1]?.attempt).toBe(1);
    expect(report.nodeRuns[1]?.error?.cause).toMatchObject({
      message: "No pattern of llm.ask in the mocks matches the prompt.",
    });
    expect(out.match(/confidential/g)).toHaveLength(1); // the input, as output of the trigger
  });
});

describe("a model that is not mocked", () => {
  const server = async (answer: (request: ModelServerRequest) => string) =>
    await startModelServer({ answer: (request) => ({ text: answer(request) }) });

  test("is called at the configured base URL, beside those that are mocked", async () => {
    const models = await server(({ model }) => `from ${model}`);
    const flow = sequence({ ask: ask(), mocked: ask(), other: ask({ model: "mock-mocked:tiny" }) }, [
      "{{ nodes.ask.output }}",
      "{{ nodes.mocked.output }}",
      "{{ nodes.other.output }}",
    ]);
    const env = {
      OPENAI_API_KEY: "the-key-of-this-test",
      OPENAI_BASE_URL: models.url,
      // Takes the name that the mock would have.
      SHARDFLOW_PROVIDERS: JSON.stringify({ "mock-mocked": { baseUrl: models.url } }),
    };
    const { code, report, out, err } = await run(
      { flow, input, mocks: { llm: { mocked: ["from the mock"] } } },
      ["--json"],
      env,
    );
    await models.close();
    expect({ code, output: report.output }).toEqual({
      code: 0,
      output: ["from gpt-5-mini", "from the mock", "from tiny"],
    });
    expect(models.requests.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer the-key-of-this-test",
      undefined,
    ]);
    expect(out + err).not.toContain("the-key-of-this-test");
  });

  test("takes its configuration from --env-file, as far as the environment does not say otherwise", async () => {
    const models = await server(({ headers }) => String(headers.authorization));
    const file = `OPENAI_BASE_URL=${models.url}\nOPENAI_API_KEY=of-the-file\n`;
    const { report } = await run({ flow: one(), input, "env-file": file }, ["--json"], { OPENAI_API_KEY: "k1" });
    await models.close();
    expect(report.output).toBe("Bearer k1");
  });

  test("without a key fails with advice", async () => {
    const { code, report, err } = await run({ flow: one(), input });
    expect({ code, error: report.error?.code }).toEqual({ code: 1, error: "MODEL_KEY_MISSING" });
    expect(err).toMatch(/--env-file.*--mocks/);
  });
});

test("a secret in the prompt of a mocked node reaches its mock, and no output", async () => {
  const secret = "s3cret-value-of-this-test";
  const env = { SHARDFLOW_SECRETS: JSON.stringify({ TOKEN: { value: secret, hosts: ["api.openai.com"] } }) };
  const mocks = { llm: { ask: { patterns: [{ match: `use ${secret}$`, answer: `I got ${secret}` }] } } };
  const { code, report, out, err } = await run(
    { flow: one({ prompt: "use {{ secret('TOKEN') }}" }), mocks },
    ["--json"],
    env,
  );
  expect({ code, output: report.output }).toEqual({ code: 0, output: "I got [secret TOKEN]" });
  expect(out + err).not.toContain(secret);
});

test("the model of a mocked node is still rendered", async () => {
  const flow = one({ model: "{{ input.nothing }}" });
  const { code, report } = await run({ flow, input, mocks: { llm: { ask: ["never"] } } });
  expect({ code, error: report.error?.code }).toEqual({ code: 1, error: "EXPRESSION_FAILED" });
});
