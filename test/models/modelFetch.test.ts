/** One exchange with a fetch that misbehaves: what a runtime other than Node's may do. */
import { getEventListeners } from "node:events";
import { expect, it, vi } from "vitest";
import { createModelFetch, HttpFailure } from "../../src/models/modelFetch.js";
import { MAX_MODEL_RESPONSE_BYTES, MB } from "../../src/shared/limits.js";
import { call, errorOf, outputOf } from "./harness.js";

const URL_ = "http://127.0.0.1:9/chat/completions";
const MODEL = "openai:gpt-4o-mini";

/** A body that gives chunks for ever, or waits for ever after the first ones, and knows whether it was canceled. */
function body(
  chunk: Uint8Array,
  limit = Infinity,
): { stream: ReadableStream<Uint8Array>; read: () => number; wasCanceled: () => boolean } {
  let read = 0;
  let canceled = false;
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => (read++ < limit ? controller.enqueue(chunk) : new Promise<void>(() => undefined)),
    cancel: () => void (canceled = true),
  });
  return { stream, read: () => read, wasCanceled: () => canceled };
}

it("an abort ends the wait for a fetch that does not heed signals, and its late body is canceled", async () => {
  const controller = new AbortController();
  let answer: (response: Response) => void = () => undefined;
  const deaf: typeof fetch = () => new Promise((resolve) => (answer = resolve));
  const pending = createModelFetch(deaf, controller.signal)(URL_);
  const settled = expect(pending).rejects.toMatchObject({ reason: "aborted" });
  controller.abort();
  await settled;
  expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  const late = body(new Uint8Array(8));
  answer(new Response(late.stream));
  await vi.waitFor(() => expect(late.wasCanceled()).toBe(true));
});

it("an abort cancels a body that does not heed signals", async () => {
  const controller = new AbortController();
  const stuck = body(new Uint8Array(8), 2);
  const pending = createModelFetch(async () => new Response(stuck.stream), controller.signal)(URL_);
  const settled = expect(pending).rejects.toMatchObject({ reason: "aborted" });
  await vi.waitFor(() => expect(stuck.read()).toBeGreaterThan(2));
  controller.abort();
  await settled;
  expect(stuck.wasCanceled()).toBe(true);
  expect(getEventListeners(controller.signal, "abort")).toEqual([]);
});

it("hands the runtime a signal of its own, which the abort reaches", async () => {
  const controller = new AbortController();
  let given: AbortSignal | null | undefined;
  const watching: typeof fetch = (_input, init) => {
    given = init?.signal;
    return new Promise(() => undefined);
  };
  const pending = createModelFetch(watching, controller.signal)(URL_);
  const settled = expect(pending).rejects.toBeInstanceOf(HttpFailure);
  expect(given).not.toBe(controller.signal);
  expect(given?.aborted).toBe(false);
  controller.abort();
  await settled;
  expect(given?.aborted).toBe(true);
});

it("reads no more than the limit of an answer, and cancels the rest", async () => {
  const endless = body(new Uint8Array(MB));
  const error = errorOf(
    await call("http://127.0.0.1:9", { model: MODEL }, { fetch: async () => new Response(endless.stream) }),
  );
  expect(error).toMatchObject({ code: "VALUE_TOO_LARGE", retryable: false });
  expect(endless.wasCanceled()).toBe(true);
  expect(endless.read()).toBeLessThanOrEqual(MAX_MODEL_RESPONSE_BYTES / MB + 2);
});

it("keeps the status of an error whose body is endless or breaks", async () => {
  const endless = body(new Uint8Array(MB));
  const endlessError = errorOf(
    await call(
      "http://127.0.0.1:9",
      { model: MODEL },
      { fetch: async () => new Response(endless.stream, { status: 429 }) },
    ),
  );
  expect(endlessError).toMatchObject({ code: "MODEL_RATE_LIMITED", cause: { message: "" } });
  expect(endless.wasCanceled()).toBe(true);
  const broken = new ReadableStream({ start: (controller) => controller.error(new Error("reset")) });
  const error = errorOf(
    await call("http://127.0.0.1:9", { model: MODEL }, { fetch: async () => new Response(broken, { status: 403 }) }),
  );
  expect(error).toMatchObject({ code: "MODEL_KEY_INVALID", cause: { message: "" } });
});

it("cancels the body of a redirect", async () => {
  const page = body(new Uint8Array(8), 1);
  const error = errorOf(
    await call(
      "http://127.0.0.1:9",
      { model: MODEL },
      { fetch: async () => new Response(page.stream, { status: 302 }) },
    ),
  );
  expect(error.code).toBe("MODEL_CONFIG_INVALID");
  expect(page.wasCanceled()).toBe(true);
});

it("puts characters together that arrive in pieces", async () => {
  const answer = {
    choices: [{ index: 0, message: { role: "assistant", content: "Привет 👋" }, finish_reason: "stop" }],
  };
  const bytes = new TextEncoder().encode(JSON.stringify(answer));
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  expect(
    outputOf(await call("http://127.0.0.1:9", { model: MODEL }, { fetch: async () => new Response(stream) })),
  ).toBe("Привет 👋");
});

it("an answer without usage counts no tokens", async () => {
  const answer = { choices: [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }] };
  const result = await call("http://127.0.0.1:9", { model: MODEL }, { fetch: async () => Response.json(answer) });
  expect(result.usage).toMatchObject({ inputTokens: 0, outputTokens: 0, totalTokens: 0, calls: 1 });
});

it("sets no timer and writes nothing to the console", async () => {
  const spies = [
    vi.spyOn(globalThis, "setTimeout"),
    vi.spyOn(globalThis, "setInterval"),
    ...(["log", "info", "warn", "error", "debug"] as const).map((name) => vi.spyOn(console, name)),
  ];
  const answer = { choices: [{ index: 0, message: { role: "assistant", content: "no JSON" }, finish_reason: "stop" }] };
  const request = { schema: { type: "object" }, repairAttempts: 1, temperature: 2 };
  for (const model of [MODEL, "openai:o3", "local:x"]) {
    await call("http://127.0.0.1:9", { model, ...request }, { fetch: async () => Response.json(answer) });
  }
  await call("http://127.0.0.1:9", { model: MODEL }, { fetch: async () => new Response("", { status: 500 }) });
  for (const spy of spies) expect(spy).not.toHaveBeenCalled();
  vi.restoreAllMocks();
});
