/** The llm node on the real component, with the network replaced at `fetch`. */
import { beforeAll, describe, expect, test, vi } from "vitest";
import type { Json } from "../../../src/shared/json.js";
import type { Nodes } from "../../support/flows.js";
import { api, runUntil } from "../../support/harness.js";
import { preload, START, startWorld } from "../../support/hosts/nodes/world.js";
import { PROTOCOLS, protocolOf } from "../../support/modelProtocols.js";
import type { ModelServerAnswer, ModelServerRequest } from "../../support/modelServer.js";

beforeAll(preload);

const KEY = "sk-planted-0123456789abcdef";
type Answer = Extract<
  ModelServerAnswer,
  { text: string } | { json: unknown } | { status: number } | { refusal: string }
>;
type Seen = { at: number; url: string; request: ModelServerRequest; signal: AbortSignal | null };

/** Answers in turn, the last one for ever; "hang" answers when it is aborted. */
function network(...answers: Array<Answer | "hang">): Seen[] {
  vi.stubEnv("OPENAI_API_KEY", KEY);
  vi.stubEnv("ANTHROPIC_API_KEY", KEY);
  const seen: Seen[] = [];
  vi.stubGlobal(
    "fetch",
    async (url: string | URL, init: { body: string; headers: HeadersInit; signal?: AbortSignal }) => {
      const provider = protocolOf(new URL(url).pathname);
      if (provider === null) return new Response(null, { status: 404 });
      const protocol = PROTOCOLS[provider];
      const body = JSON.parse(init.body) as Record<string, unknown>;
      const headers = Object.fromEntries(new Headers(init.headers));
      const request = { ...protocol.read(body), provider, callNumber: seen.length + 1, headers, body };
      seen.push({ at: Date.now() - START, url: String(url), request, signal: init.signal ?? null });
      const answer = answers[Math.min(seen.length, answers.length) - 1]!;
      if (answer === "hang") {
        return await new Promise<Response>((_resolve, reject) => {
          init.signal?.addEventListener("abort", () => reject(init.signal?.reason as Error));
        });
      }
      if ("status" in answer) {
        return Response.json(answer.body ?? protocol.error(answer.status), {
          status: answer.status,
          ...(answer.headers === undefined ? {} : { headers: answer.headers }),
        });
      }
      return Response.json(protocol.answer(request, answer));
    },
  );
  return seen;
}

const ask = (fields: object = {}): Nodes => ({
  ask: {
    type: "llm",
    model: "openai:gpt-test",
    prompt: "Name {{ input }}",
    next: { success: "end", failure: "caught" },
    ...fields,
  },
  caught: { type: "output", value: { caught: "{{ nodes.ask.error.code }}" } },
  end: { type: "output", value: "{{ nodes.ask.output }}" },
});

test.each(["openai", "anthropic"])("%s answers with text", async (provider) => {
  const seen = network({ text: "Ada", usage: { inputTokens: 11, outputTokens: 3 } });
  const world = await startWorld();
  const id = await world.run(ask({ model: `${provider}:test`, system: "Be brief." }), "a mathematician");
  expect(await world.resultOf(id)).toBe("Ada");
  expect(seen.map(({ request }) => request.messages)).toEqual([
    [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Name a mathematician" },
    ],
  ]);
  const { usage, attempt } = await world.runOf(id, "ask");
  expect(usage).toMatchObject({ inputTokens: 11, outputTokens: 3, totalTokens: 14, calls: 1 });
  expect(attempt).toBe(1);
});

test("the model may come from the data", async () => {
  const seen = network({ text: "ok" });
  const world = await startWorld();
  await world.run(ask({ model: "openai:{{ input }}" }), "tiny");
  expect(seen[0]?.request.model).toBe("tiny");
});

describe("with a schema", () => {
  const schema = {
    type: "object",
    properties: { name: { type: "string" }, born: { type: "integer" } },
    required: ["name", "born"],
    additionalProperties: false,
  };

  test("the answer is JSON that matches", async () => {
    const seen = network({ json: { name: "Ada", born: 1815 } });
    const world = await startWorld();
    const nodes = ask({ schema });
    nodes.end = { type: "output", value: "{{ nodes.ask.output.born + 1 }}" };
    const id = await world.run(nodes, "x");
    expect(await world.resultOf(id)).toBe(1816);
    expect(seen[0]?.request.schema).toMatchObject({ required: ["name", "born"] });
  });

  test("an answer that does not match is asked for again, and both are counted", async () => {
    const seen = network(
      { json: { name: "Ada" }, usage: { inputTokens: 10, outputTokens: 1 } },
      { json: { name: "Ada", born: 1815 }, usage: { inputTokens: 20, outputTokens: 2 } },
    );
    const world = await startWorld();
    const id = await world.run(ask({ schema, repairAttempts: 1 }), "x");
    expect(await world.resultOf(id)).toEqual({ name: "Ada", born: 1815 });
    expect(seen).toHaveLength(2);
    expect((await world.runOf(id, "ask")).usage).toMatchObject({ calls: 2, inputTokens: 30, outputTokens: 3 });
  });

  test("one that never matches fails the node, with what it cost", async () => {
    network({ json: { name: 7 }, usage: { inputTokens: 10, outputTokens: 1 } });
    const world = await startWorld();
    const id = await world.run(ask({ schema, repairAttempts: 2, retry: { maxAttempts: 1 } }), "x");
    expect(await world.resultOf(id)).toEqual({ caught: "MODEL_OUTPUT_INVALID" });
    expect((await world.runOf(id, "ask")).usage).toMatchObject({ calls: 3, inputTokens: 30 });
  });
});

describe("a provider that refuses for now", () => {
  test("is asked again after the time it names, in virtual time", async () => {
    const seen = network({ status: 429, headers: { "retry-after": "40" } }, { text: "Ada" });
    const world = await startWorld();
    const id = await world.run(ask(), "x");
    expect(await world.resultOf(id)).toBe("Ada");
    const waited = seen[1]!.at - seen[0]!.at;
    expect(waited).toBeGreaterThanOrEqual(40_000);
    expect(waited).toBeLessThan(50_000);
    const run = await world.runOf(id, "ask");
    expect(run).toMatchObject({
      attempt: 2,
      failures: [{ attempt: 1, kind: "initial", error: { code: "MODEL_RATE_LIMITED", class: "rateLimit" } }],
      usage: { calls: 2 },
    });
    // The stretch was not held: the wait was in the database.
    expect((await world.describe(id)).leaseEpoch).toBe(2);
  });

  test("with a server error is asked again soon", async () => {
    const seen = network({ status: 503 }, { status: 500 }, { text: "Ada" });
    const world = await startWorld();
    const id = await world.run(ask(), "x");
    expect(await world.resultOf(id)).toBe("Ada");
    expect(seen).toHaveLength(3);
    expect(seen[2]!.at).toBeLessThan(10_000);
    expect((await world.runOf(id, "ask")).failures.map(({ error }) => error.code)).toEqual([
      "MODEL_UNAVAILABLE",
      "MODEL_UNAVAILABLE",
    ]);
  });

  test("for ever fails the node after four attempts", async () => {
    const seen = network({ status: 429 });
    const world = await startWorld();
    const id = await world.run(ask(), "x");
    expect(await world.resultOf(id)).toEqual({ caught: "MODEL_RATE_LIMITED" });
    expect(seen).toHaveLength(4);
  });
});

test.each<[Answer, string]>([
  [{ status: 401 }, "MODEL_KEY_INVALID"],
  [{ status: 404 }, "MODEL_NOT_FOUND"],
  [{ status: 400 }, "MODEL_REQUEST_INVALID"],
  [{ refusal: "I would rather not" }, "MODEL_REFUSED"],
])("%j fails at once, and is not tried again", async (answer, code) => {
  const seen = network(answer);
  const world = await startWorld();
  const id = await world.run(ask(), "x");
  expect(await world.resultOf(id)).toEqual({ caught: code });
  expect(seen).toHaveLength(1);
});

test("a call that takes too long is aborted and made again", async () => {
  const seen = network("hang", { text: "Ada" });
  const world = await startWorld();
  const id = await world.run(ask({ timeoutMs: 3_000 }), "x");
  expect(await world.resultOf(id)).toBe("Ada");
  expect(seen[0]?.signal?.aborted).toBe(true);
  expect(seen[1]?.signal?.aborted).toBe(false);
  expect(seen[1]!.at).toBeGreaterThanOrEqual(3_000);
  expect((await world.runOf(id, "ask")).failures).toMatchObject([{ error: { code: "NODE_TIMEOUT" } }]);
});

test("a cancel aborts the call within seconds", async () => {
  const seen = network("hang");
  const world = await startWorld();
  await world.publish({ name: "flow", nodes: { start: { type: "trigger", next: { success: "ask" } }, ...ask() } });
  const id = await world.start("flow", "x");
  await runUntil(() => seen.length === 1);
  await world.t.mutation(api.cancellations.cancelWorkflow, { executionId: id });
  const canceledAt = Date.now();
  await runUntil(() => seen[0]?.signal?.aborted === true);
  expect(Date.now() - canceledAt).toBeLessThan(10_000);
  await world.untilQuiet();
  expect((await world.runsOf(id)).map(({ key }) => key)).toEqual([]);
});

test("without a key nothing is sent", async () => {
  const seen = network({ text: "Ada" });
  vi.stubEnv("OPENAI_API_KEY", "");
  const world = await startWorld();
  const id = await world.run(ask(), "x");
  expect(await world.resultOf(id)).toEqual({ caught: "MODEL_KEY_MISSING" });
  expect(seen).toEqual([]);
});

test("messages from data are what they are: braces, roles, long texts", async () => {
  const seen = network({ text: "ok" });
  const world = await startWorld();
  const messages: Json = [
    { role: "system", content: "{{ input }} is not evaluated" },
    { role: "user", content: "größe 😀 ".repeat(2_000) },
    { role: "assistant", content: "" },
  ];
  await world.run(ask({ prompt: undefined, messages: "{{ input }}" }), messages);
  expect(seen[0]?.request.messages).toEqual(messages);
});
