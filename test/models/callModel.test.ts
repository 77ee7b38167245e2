/** Text answers, usage, and every way in which a provider can fail, over all protocols. */
import { getEventListeners } from "node:events";
import { describe, expect, it, vi } from "vitest";
import { readModelConfig } from "../../src/models/callModel.js";
import { startModelServer, type ModelServerAnswer } from "../support/modelServer.js";
import {
  call,
  COMPATIBLE_KEY,
  envFor,
  errorOf,
  HEADER_TOKEN,
  KINDS,
  NOW,
  OPENAI_KEY,
  ANTHROPIC_KEY,
  outputOf,
  serve,
} from "./harness.js";

describe.each(KINDS)("$kind", ({ kind, model }) => {
  const modelName = model.slice(model.indexOf(":") + 1);

  it("answers with text, its usage and why it ended", async () => {
    const server = await serve({ text: "Hello\n  there ", usage: { inputTokens: 12, outputTokens: 5 } });
    let clock = 1_000;
    const now = (): number => (clock += 250);
    const result = await call(server.url, { model }, { now });
    expect(result).toEqual({
      ok: true,
      output: "Hello\n  there ",
      usage: { inputTokens: 12, outputTokens: 5, totalTokens: 17, calls: 1, latencyMs: 250 },
      finishReason: "stop",
    });
  });

  it("sends what was asked, with the key of its provider", async () => {
    const server = await serve({ text: "fine" });
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Привет 👋" },
      { role: "assistant", content: "Hello." },
      { role: "user", content: "And now?" },
    ] as const;
    await call(server.url, { model, messages: [...messages], maxOutputTokens: 77, temperature: 0.5 });
    const [request] = server.requests;
    expect(request).toMatchObject({ model: modelName, messages, schema: null });
    expect(request?.body).toMatchObject({ max_tokens: 77, temperature: 0.5 });
    const { headers } = request!;
    if (kind === "openai") expect(headers.authorization).toBe(`Bearer ${OPENAI_KEY}`);
    else if (kind === "anthropic") expect(headers["x-api-key"]).toBe(ANTHROPIC_KEY);
    else expect(headers).toMatchObject({ authorization: `Bearer ${COMPATIBLE_KEY}`, "x-auth-token": HEADER_TOKEN });
  });

  it("leaves temperature out when it is not set", async () => {
    const server = await serve({ text: "fine" });
    await call(server.url, { model });
    expect(server.requests[0]?.body).not.toHaveProperty("temperature");
  });

  it.each([
    [400, "MODEL_REQUEST_INVALID", "input", false],
    [413, "MODEL_REQUEST_INVALID", "input", false],
    [422, "MODEL_REQUEST_INVALID", "input", false],
    [401, "MODEL_KEY_INVALID", "input", false],
    [402, "MODEL_KEY_INVALID", "input", false],
    [403, "MODEL_KEY_INVALID", "input", false],
    [404, "MODEL_NOT_FOUND", "input", false],
    [408, "MODEL_UNAVAILABLE", "unavailable", true],
    [409, "MODEL_UNAVAILABLE", "unavailable", true],
    [429, "MODEL_RATE_LIMITED", "rateLimit", true],
    [500, "MODEL_UNAVAILABLE", "unavailable", true],
    [503, "MODEL_UNAVAILABLE", "unavailable", true],
    [529, "MODEL_UNAVAILABLE", "unavailable", true],
  ])("HTTP %i is %s, after one request", async (status, code, errorClass, retryable) => {
    const server = await serve({ status });
    const result = await call(server.url, { model, repairAttempts: 3, schema: { type: "object" } });
    expect(errorOf(result)).toMatchObject({ code, class: errorClass, retryable });
    expect(errorOf(result).message).toContain(String(status));
    expect(errorOf(result).cause).toEqual({ message: `The server was told to answer ${status}.`, code: "scripted" });
    expect(result.usage).toMatchObject({ calls: 1, totalTokens: 0 });
    expect(server.calls).toBe(1);
  });

  it.each([
    ["a gateway's page", "<html>Bad gateway</html>", { message: "<html>Bad gateway</html>" }],
    ["an empty body", "", { message: "" }],
    ["an error as text", { error: "no luck" }, { message: "no luck" }],
    ["a detail", { detail: "no luck" }, { message: "no luck" }],
    ["a list", ["odd"], { message: '["odd"]' }],
    [
      "a code like a property of every object",
      { error: { message: "m", code: "constructor" } },
      { message: "m", code: "constructor" },
    ],
  ])("reads an error body that is %s", async (_name, body, cause) => {
    const server = await serve({ status: 502, body });
    expect(errorOf(await call(server.url, { model }))).toMatchObject({ code: "MODEL_UNAVAILABLE", cause });
  });

  it.each([
    ["seconds", { "retry-after": "7" }, 7_000],
    ["parts of seconds", { "retry-after": "0.25" }, 250],
    ["a date", { "retry-after": new Date(NOW + 90_000).toUTCString() }, 90_000],
    ["a date that has passed", { "retry-after": new Date(NOW - 90_000).toUTCString() }, 0],
    ["milliseconds, before seconds", { "retry-after-ms": "1500", "retry-after": "9" }, 1_500],
    ["more than a day", { "retry-after": "999999" }, 86_400_000],
    ["nonsense", { "retry-after": "soon" }, undefined],
    ["nothing", {}, undefined],
  ])("obeys a Retry-After of %s", async (_form, headers, expected) => {
    const server = await serve({ status: 429, headers }, { status: 503, headers });
    for (const code of ["MODEL_RATE_LIMITED", "MODEL_UNAVAILABLE"]) {
      const error = errorOf(await call(server.url, { model }));
      expect(error.code).toBe(code);
      expect(error.retryAfterMs).toBe(expected);
    }
  });

  it("gives no wait for an error that waiting does not cure", async () => {
    const server = await serve({ status: 400, headers: { "retry-after": "7" } });
    expect(errorOf(await call(server.url, { model }))).not.toHaveProperty("retryAfterMs");
  });

  it.each([
    ["insufficient_quota", 429, "MODEL_RATE_LIMITED", false],
    ["model_not_found", 403, "MODEL_NOT_FOUND", false],
    ["content_filter", 400, "MODEL_REFUSED", false],
  ])("knows the provider's code %s", async (providerCode, status, code, retryable) => {
    const server = await serve({ status, body: { error: { message: "no", code: providerCode } } });
    expect(errorOf(await call(server.url, { model }))).toMatchObject({
      code,
      retryable,
      cause: { code: providerCode },
    });
  });

  it("tells a refusal, a cut answer and an empty one apart, and counts their tokens", async () => {
    const server = await serve({ refusal: "I will not." }, { length: "It was a dark and" }, { text: " \n" });
    const refused = await call(server.url, { model });
    expect(errorOf(refused)).toMatchObject({
      code: "MODEL_REFUSED",
      retryable: false,
      cause: { message: "I will not." },
    });
    expect(refused.usage).toMatchObject({ inputTokens: 2, outputTokens: 3, totalTokens: 5, calls: 1 });
    expect(errorOf(await call(server.url, { model }))).toMatchObject({ code: "MODEL_LENGTH", retryable: false });
    expect(errorOf(await call(server.url, { model }))).toMatchObject({ code: "MODEL_EMPTY", retryable: true });
  });

  it.each<[string, ModelServerAnswer]>([
    ["not JSON", { status: 200, body: "plainly not JSON" }],
    ["JSON of another kind", { status: 200, body: { error: { message: "overloaded" } } }],
    ["empty", { status: 200, body: "" }],
    ["no content", { status: 204, body: "" }],
  ])("an answer that is %s is the provider's trouble", async (_name, answer) => {
    const server = await serve(answer);
    expect(errorOf(await call(server.url, { model }))).toMatchObject({ code: "MODEL_UNAVAILABLE", retryable: true });
  });

  it("a connection that is refused or breaks is the provider's trouble", async () => {
    const server = await serve({ drop: true }, { drop: "body" });
    for (const _ of [1, 2]) {
      const result = await call(server.url, { model });
      expect(errorOf(result)).toMatchObject({ code: "MODEL_UNAVAILABLE", class: "unavailable", retryable: true });
      expect(result.usage.calls).toBe(1);
    }
    const closed = await startModelServer({ answer: () => ({ text: "never" }) });
    await closed.close();
    expect(errorOf(await call(closed.url, { model })).cause?.message).toContain("ECONNREFUSED");
  });

  it("does not follow a redirect, which would carry the key along", async () => {
    const other = await serve({ text: "stolen" });
    const server = await serve({ status: 307, headers: { location: `${other.url}/chat/completions` } });
    expect(errorOf(await call(server.url, { model }))).toMatchObject({
      code: "MODEL_CONFIG_INVALID",
      retryable: false,
    });
    expect(other.calls).toBe(0);
  });

  it.each<[string, ModelServerAnswer, boolean]>([
    ["before the headers", { hang: true }, false],
    ["within the body", { hang: "body" }, true],
    ["while an answer is on its way", { delayMs: 60_000, then: { text: "late" } }, false],
  ])("an abort %s ends the request itself and leaves nothing", async (_when, answer, awaitsHeaders) => {
    const server = await serve(answer);
    const controller = new AbortController();
    let hasHeaders = false;
    const watchedFetch: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      hasHeaders = true;
      return response;
    };
    const pending = call(server.url, { model }, { signal: controller.signal, fetch: watchedFetch });
    await vi.waitFor(() => expect(server.calls).toBe(1));
    if (awaitsHeaders) await vi.waitFor(() => expect(hasHeaders).toBe(true));
    expect(getEventListeners(controller.signal, "abort").length).toBeGreaterThan(0);
    expect(server.openRequests).toBe(1);
    controller.abort();
    const result = await pending;
    expect(errorOf(result)).toMatchObject({ code: "NODE_CANCELED", class: "conflict", retryable: false });
    expect(result.usage.calls).toBe(1);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    await vi.waitFor(() => expect(server).toMatchObject({ openRequests: 0, openConnections: 0, abortedRequests: 1 }));
  });

  it("an abort before the call sends nothing", async () => {
    const server = await serve({ text: "never" });
    const result = await call(server.url, { model }, { signal: AbortSignal.abort() });
    expect(errorOf(result).code).toBe("NODE_CANCELED");
    expect(result.usage).toEqual({ inputTokens: 0, outputTokens: 0, totalTokens: 0, calls: 0, latencyMs: 0 });
    expect(server.openConnections).toBe(0);
  });

  it("leaves no listener on the signal after an answer or an error", async () => {
    const server = await serve({ text: "fine" }, { status: 500 }, { status: 302 }, { drop: "body" });
    const { signal } = new AbortController();
    for (let i = 0; i < 4; i++) await call(server.url, { model }, { signal });
    expect(server.calls).toBe(4);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    await vi.waitFor(() => expect(server.openRequests).toBe(0));
  });

  it("keeps calls that run at once apart, and aborts only the one it is told to", async () => {
    const calls = 20;
    let arrived = 0;
    let openGate: () => void = () => undefined;
    const allArrived = new Promise<void>((resolve) => (openGate = resolve));
    const server = await startModelServer({
      answer: async ({ messages }) => {
        if (++arrived === calls) openGate();
        await allArrived;
        const content = messages.at(-1)?.content ?? "";
        return content === "task 7" ? { hang: true } : { text: `done: ${content}` };
      },
    });
    const controllers = Array.from({ length: calls }, () => new AbortController());
    const pending = controllers.map(({ signal }, i) =>
      call(server.url, { model, messages: [{ role: "user", content: `task ${i}` }] }, { signal }),
    );
    await allArrived;
    expect(server.maxOpenRequests).toBe(calls);
    controllers[7]!.abort();
    const results = await Promise.all(pending);
    results.forEach((result, i) => {
      if (i === 7) expect(errorOf(result).code).toBe("NODE_CANCELED");
      else expect(outputOf(result)).toBe(`done: task ${i}`);
    });
    await vi.waitFor(() => expect(server).toMatchObject({ openRequests: 0, abortedRequests: 1 }));
    await server.close();
  });
});

describe("which model", () => {
  it.each([
    "gpt-4o",
    ":gpt-4o",
    "openai:",
    "openai:a b",
    "openai:a\n",
    "",
    "nobody:model",
    "OpenAI:gpt",
    "__proto__:x",
  ])("refuses %j and lists the known providers", async (model) => {
    const server = await serve({ text: "never" });
    const result = await call(server.url, { model });
    expect(errorOf(result)).toMatchObject({ code: "MODEL_UNKNOWN", retryable: false });
    expect(errorOf(result).message).toContain("openai, anthropic, local, strict");
    expect(server.calls).toBe(0);
  });

  it.each([
    ["openai:gpt-4o", "OPENAI_API_KEY"],
    ["anthropic:claude-sonnet-4-5", "ANTHROPIC_API_KEY"],
  ])("%s without a key says which variable to set", async (model, variable) => {
    const server = await serve({ text: "never" });
    const config = readModelConfig({ ...envFor(server.url), [variable]: "" });
    const result = await call(server.url, { model }, { config });
    expect(errorOf(result)).toMatchObject({ code: "MODEL_KEY_MISSING", retryable: false });
    expect(errorOf(result).message).toContain(variable);
    expect(server.calls).toBe(0);
  });

  it("a compatible provider needs no key", async () => {
    const server = await serve({ text: "fine" });
    const config = readModelConfig({ SHARDFLOW_PROVIDERS: JSON.stringify({ ollama: { baseUrl: server.url } }) });
    expect(outputOf(await call(server.url, { model: "ollama:llama3" }, { config }))).toBe("fine");
    expect(server.requests[0]?.headers).not.toHaveProperty("authorization");
  });

  it("looks only at its configuration, never at the process environment", async () => {
    const server = await serve({ text: "fine" });
    const other = await serve({ text: "wrong server" });
    for (const name of ["OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"]) vi.stubEnv(name, other.url);
    for (const name of ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
      vi.stubEnv(name, "from-the-process");
    for (const { model } of KINDS) expect(outputOf(await call(server.url, { model }))).toBe("fine");
    vi.unstubAllEnvs();
    expect(other.calls).toBe(0);
    expect(JSON.stringify(server.requests)).not.toContain("from-the-process");
  });

  it.each(KINDS)("$kind: messages that no request can hold are refused, and nothing is sent", async ({ model }) => {
    const server = await serve({ text: "never" });
    const messages = [{ role: "robot" as "user", content: "beep" }];
    const result = await call(server.url, { model, messages });
    expect(errorOf(result)).toMatchObject({ code: "MODEL_REQUEST_INVALID", retryable: false });
    expect(result.usage.calls).toBe(0);
    expect(server.openConnections).toBe(0);
  });
});
