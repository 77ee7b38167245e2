/** Answers with a schema: how they are asked for, checked, and repaired. */
import { describe, expect, it } from "vitest";
import type { Json } from "../../src/shared/json.js";
import { MAX_JSON_DEPTH } from "../../src/shared/limits.js";
import { startModelServer, type ModelServerAnswer } from "../support/modelServer.js";
import { call, errorOf, KINDS, outputOf, serve } from "./harness.js";

const PERSON = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer", minimum: 0 } },
  required: ["name", "age"],
  additionalProperties: false,
} satisfies Json;
const ADA = { name: "Ada", age: 36 };
const usage = (inputTokens: number, outputTokens: number) => ({ usage: { inputTokens, outputTokens } });

describe.each(KINDS)("$kind", ({ kind, model }) => {
  const takesSchemas = kind !== "compatible";

  it("gives JSON that matches the schema", async () => {
    const server = await serve({ json: ADA });
    expect(outputOf(await call(server.url, { model, schema: PERSON }))).toEqual(ADA);
    const [request] = server.requests;
    if (takesSchemas) {
      // Anthropic's form has no bounds; the library puts them into descriptions.
      const age =
        kind === "anthropic" ? { type: "integer", description: "minimum: 0." } : { type: "integer", minimum: 0 };
      expect(request?.schema).toEqual({ ...PERSON, properties: { name: { type: "string" }, age } });
      expect(request?.messages).toEqual([{ role: "user", content: "Say hello" }]);
    } else {
      expect(request?.schema).toBeNull();
      expect(request?.messages[0]).toMatchObject({ role: "system" });
      expect(request?.messages[0]?.content).toContain(JSON.stringify(PERSON));
    }
  });

  it("takes JSON as text, in a fenced block, and with words around it", async () => {
    const text = JSON.stringify(ADA, null, 2);
    const fenced = [
      text,
      `  ${text}\n`,
      `\`\`\`json\n${text}\n\`\`\``,
      `\`\`\`\n${text}\n\`\`\``,
      `Sure:\n\`\`\`JSON\n${text}\n\`\`\`\nDone.`,
    ];
    const server = await serve(...fenced.map((answer) => ({ text: answer })));
    for (const _ of fenced) expect(outputOf(await call(server.url, { model, schema: PERSON }))).toEqual(ADA);
    const withFence = { name: "```", age: 1 };
    const nested = await serve({ text: `\`\`\`json\n${JSON.stringify(withFence)}\n\`\`\`` });
    expect(outputOf(await call(nested.url, { model, schema: PERSON }))).toEqual(withFence);
  });

  it("never trusts the provider: an answer that does not match fails", async () => {
    const server = await serve({ json: { name: "Ada", age: -1 }, ...usage(20, 4) });
    const result = await call(server.url, { model, schema: PERSON });
    expect(errorOf(result)).toMatchObject({ code: "MODEL_OUTPUT_INVALID", class: "model", retryable: true });
    expect(errorOf(result).message).toContain("$.age");
    expect(result.usage).toMatchObject({ inputTokens: 20, outputTokens: 4, totalTokens: 24, calls: 1 });
  });

  it("sends a wrong answer back with its problems, and sums the usage", async () => {
    const server = await serve(
      { text: "Ada is 36.", ...usage(10, 3) },
      { text: JSON.stringify({ name: "Ada", age: "36", extra: true }), ...usage(30, 8) },
      { text: JSON.stringify(ADA), ...usage(50, 6) },
    );
    const messages = [
      { role: "system" as const, content: "Extract." },
      { role: "user" as const, content: "Ada, 36" },
    ];
    let clock = 0;
    const result = await call(
      server.url,
      { model, schema: PERSON, repairAttempts: 2, messages },
      { now: () => (clock += 10) },
    );
    expect(outputOf(result)).toEqual(ADA);
    expect(result.usage).toEqual({ inputTokens: 90, outputTokens: 17, totalTokens: 107, calls: 3, latencyMs: 30 });

    const [first, second, third] = server.requests.map((request) => request.messages);
    expect(first).toHaveLength(2);
    expect(second?.slice(0, 2)).toEqual(first);
    expect(second?.slice(2)).toEqual([
      { role: "assistant", content: "Ada is 36." },
      { role: "user", content: expect.stringContaining("$: The answer is not JSON.") as string },
    ]);
    // Only the latest answer goes back, so that the conversation does not grow with each repair.
    expect(third?.slice(0, 2)).toEqual(first);
    expect(third).toHaveLength(4);
    expect(third?.[3]?.content).toContain('$.age: Instance type "string" is invalid. Expected "integer".');
    expect(third?.[3]?.content).toContain("$.extra: Not allowed by the schema.");
  });

  it.each([
    [0, 1],
    [2, 3],
    [99, 6],
  ])("%i repair attempts make at most %i requests", async (repairAttempts, requests) => {
    const server = await serve({ text: "no" });
    const result = await call(server.url, { model, schema: PERSON, repairAttempts });
    expect(errorOf(result).code).toBe("MODEL_OUTPUT_INVALID");
    expect(server.calls).toBe(requests);
    expect(result.usage.calls).toBe(requests);
  });

  it.each<[string, ModelServerAnswer, string]>([
    ["a rate limit", { status: 429, headers: { "retry-after": "3" } }, "MODEL_RATE_LIMITED"],
    ["a cut answer", { length: '{"name":"Ad' }, "MODEL_LENGTH"],
    ["a refusal", { refusal: "No." }, "MODEL_REFUSED"],
    ["an empty answer", { text: "" }, "MODEL_EMPTY"],
  ])("%s during the repair ends the call, with the tokens of both requests", async (_name, answer, code) => {
    const server = await serve({ text: "no", ...usage(7, 1) }, answer, { json: ADA });
    const result = await call(server.url, { model, schema: PERSON, repairAttempts: 3 });
    expect(errorOf(result).code).toBe(code);
    expect(result.usage.calls).toBe(2);
    expect(result.usage.inputTokens).toBeGreaterThanOrEqual(7);
    expect(server.calls).toBe(2);
  });

  it("an abort between two requests of a repair ends the call", async () => {
    const controller = new AbortController();
    const server = await startModelServer({
      answer: ({ callNumber }) => {
        if (callNumber === 1) return { text: "no" };
        controller.abort();
        return { hang: true };
      },
    });
    const result = await call(server.url, { model, schema: PERSON, repairAttempts: 3 }, { signal: controller.signal });
    expect(errorOf(result).code).toBe("NODE_CANCELED");
    expect(server.calls).toBe(2);
    await server.close();
  });

  it.each<[string, Json, Json]>([
    ["a list", { type: "array", items: { type: "number" }, minItems: 1 }, [1, 2.5]],
    ["a text", { type: "string", enum: ["yes", "no"] }, "yes"],
    ["null", { type: "null" }, null],
    ["one of several", { type: "object", anyOf: [{ required: ["a"] }, { required: ["b"] }] }, { b: 1 }],
    [
      "an object with names in Unicode",
      { type: "object", properties: { имя: { type: "string" } }, required: ["имя"] },
      { имя: "Ада" },
    ],
    ["an object with $ names", { type: "object", properties: { $price: { type: "number" } } }, { $price: 3 }],
    [
      "a tree",
      {
        type: "object",
        properties: { root: { $ref: "#/$defs/node" } },
        required: ["root"],
        $defs: {
          node: { type: "object", properties: { children: { type: "array", items: { $ref: "#/$defs/node" } } } },
        },
      },
      { root: { children: [{ children: [] }, {}] } },
    ],
    ["a schema that allows everything", {}, { any: ["thing"] }],
  ])("takes %s", async (_name, schema, value) => {
    const server = await serve({ json: value });
    expect(outputOf(await call(server.url, { model, schema }))).toEqual(value);
    const [request] = server.requests;
    const isInPrompt = request?.messages.some(({ content }) => content.includes(JSON.stringify(schema)));
    // The model is always shown the whole schema, in one form or the other.
    if (!isInPrompt)
      expect(Object.keys(request?.schema as object)).toEqual(expect.arrayContaining(Object.keys(schema as object)));
  });

  it.each<[string, Json]>([
    ["an unknown type", { type: "strng" }],
    ["no schema at all", "object"],
    ["a reference to somewhere else", { $ref: "https://example.com/schema.json" }],
    ["a reference to nowhere", { $ref: "#/$defs/missing" }],
    ["a schema that is only itself", { $ref: "#" }],
    ["a pattern that can run for ever", { type: "string", pattern: "^(a+)+$" }],
  ])("refuses %s before anything is sent", async (_name, schema) => {
    const server = await serve({ json: {} });
    const result = await call(server.url, { model, schema });
    expect(errorOf(result)).toMatchObject({ code: "MODEL_REQUEST_INVALID", retryable: false });
    expect(result.usage.calls).toBe(0);
    expect(server.calls).toBe(0);
  });

  it("refuses answers that cannot be stored", async () => {
    const tooDeep = "[".repeat(MAX_JSON_DEPTH + 1) + "]".repeat(MAX_JSON_DEPTH + 1);
    const server = await serve({ text: tooDeep }, { text: "[1e999]" });
    for (const reason of ["nesting deeper", "Infinity"]) {
      const error = errorOf(await call(server.url, { model, schema: { type: "array" } }));
      expect(error.code).toBe("MODEL_OUTPUT_INVALID");
      expect(error.message).toContain(reason);
    }
  });
});

describe("the provider's structured output", () => {
  const format = (body: Record<string, unknown> | undefined) =>
    body?.response_format as { type: string; json_schema: { strict: boolean } } | undefined;

  it.each(["openai:gpt-4o-mini", "strict:org/model-1"])(
    "%s: strict where the schema fits it, as a hint elsewhere",
    async (model) => {
      const server = await serve({ json: ADA });
      const { additionalProperties: _closed, ...open } = PERSON;
      const schemas: Json[] = [PERSON, open, { ...PERSON, required: ["name"] }, { ...PERSON, minProperties: 1 }];
      for (const schema of schemas) await call(server.url, { model, schema });
      await call(server.url, { model });
      const strict = server.requests.map(({ body }) => format(body)?.json_schema.strict);
      expect(strict).toEqual([true, false, false, false, undefined]);
    },
  );

  it("strict has a bound on nesting", async () => {
    const nested = (levels: number): Json => {
      if (levels === 0) return { type: "string" };
      return { type: "object", properties: { a: nested(levels - 1) }, required: ["a"], additionalProperties: false };
    };
    const server = await serve({ json: {} });
    for (const levels of [10, 11]) await call(server.url, { model: "openai:gpt-4o-mini", schema: nested(levels) });
    expect(server.requests.map(({ body }) => format(body)?.json_schema.strict)).toEqual([true, false]);
  });

  it.each(["openai:gpt-4o-mini", "anthropic:claude-sonnet-4-5", "strict:org/model-1"])(
    "%s: schemas that providers refuse stand in the instructions",
    async (model) => {
      const server = await serve({ json: null });
      const refused: Json[] = [
        { type: "array" },
        { type: "object", properties: { имя: {} } },
        { type: "object", properties: { a: { type: "object", properties: { "a b": {} } } } },
        { type: "object", anyOf: [{ required: ["a"] }] },
        true,
      ];
      for (const schema of refused) await call(server.url, { model, schema });
      expect(server.requests).toHaveLength(refused.length);
      for (const [i, request] of server.requests.entries()) {
        expect(request.schema).toBeNull();
        expect(request.messages[0]?.content).toContain(JSON.stringify(refused[i]));
      }
    },
  );

  it("does not ask a compatible provider for a form it may not know", async () => {
    const server = await serve({ json: ADA });
    await call(server.url, { model: "local:llama3:8b", schema: PERSON });
    expect(format(server.requests[0]?.body)).toBeUndefined();
  });

  it.each([
    ["a model with a form for answers", "anthropic:claude-sonnet-4-5", "output_config"],
    ["a model with tools only", "anthropic:claude-3-haiku-20240307", "tools"],
  ])("Anthropic: %s", async (_name, model, field) => {
    const server = await serve({ json: ADA });
    expect(outputOf(await call(server.url, { model, schema: PERSON }))).toEqual(ADA);
    expect(server.requests[0]?.body).toHaveProperty(field);
    expect(server.requests[0]?.schema).toMatchObject({ required: ["name", "age"] });
  });

  it("adds instructions to the system message that is there", async () => {
    const server = await serve({ json: [1] });
    const messages = [
      { role: "system" as const, content: "Be terse." },
      { role: "user" as const, content: "Count" },
    ];
    await call(server.url, { model: "anthropic:claude-sonnet-4-5", messages, schema: { type: "array" } });
    const [system, user] = server.requests[0]?.messages ?? [];
    expect(system?.content).toMatch(/^Be terse\.\n\n.*JSON Schema/);
    expect(user).toEqual({ role: "user", content: "Count" });
  });
});
