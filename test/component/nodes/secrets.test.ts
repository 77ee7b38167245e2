/** Secrets in arguments of app functions: sent to them, and found nowhere else, whatever the app does with them. */
import { beforeAll, describe, expect, test, vi } from "vitest";
import type { JsonObject } from "../../../src/shared/json.js";
import type { Nodes } from "../../support/flows.js";
import { api } from "../../support/harness.js";
import { preload, startWorld, type NodeWorld } from "../../support/hosts/nodes/world.js";

beforeAll(preload);

const SECRET = 'pl4nted/+secret="größe"&0123456789';
const OTHER = "an0ther-planted-secret-9876543210";

function plant(): void {
  vi.stubEnv(
    "SHARDFLOW_SECRETS",
    JSON.stringify({
      CRM: { value: SECRET, hosts: ["app"] },
      MODEL_ONLY: { value: OTHER, hosts: ["api.openai.com"] },
    }),
  );
}

const bytesOf = (text: string) => new TextEncoder().encode(text);
const base64Of = (text: string) => btoa(String.fromCharCode(...bytesOf(text)));

/** Every form in which a secret could be found; of base64 only what does not depend on what stands around it. */
function formsOf(secret: string): string[] {
  const cores = [0, 1, 2].map((offset) => {
    const encoded = btoa(String.fromCharCode(...new Uint8Array(offset), ...bytesOf(secret)));
    return encoded.slice(offset === 0 ? 0 : 4, -4);
  });
  return [
    secret,
    encodeURIComponent(secret),
    new URLSearchParams({ q: secret }).toString().slice(2),
    ...cores,
    ...cores.map((core) => core.replaceAll("+", "-").replaceAll("/", "_")),
    Array.from(bytesOf(secret), (byte) => byte.toString(16).padStart(2, "0")).join(""),
  ];
}

/** Everything that is stored or was logged, and everything that can be asked for. */
async function everything(world: NodeWorld, ids: string[]): Promise<string> {
  const seen: unknown[] = [await world.tables(), await world.jobs(), world.logged];
  for (const executionId of ids) {
    seen.push(await world.status(executionId), await world.describe(executionId), await world.runsOf(executionId));
    for (const { key } of await world.runsOf(executionId)) seen.push(await world.outputOf(executionId, key));
    seen.push(await world.t.query(api.history.list, {}));
  }
  return JSON.stringify(seen, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
}

function expectNowhere(seen: string, secret: string): void {
  // Rows hold JSON text that holds JSON text: without its backslashes it is the same at every depth.
  const text = seen.replaceAll("\\", "");
  for (const form of formsOf(secret)) expect(text.includes(form.replaceAll("\\", "")), form).toBe(false);
}

/** In a loop, tried twice, its result kept in a variable, its error caught: everywhere where values go. */
const leaking = (action: string, how: string): Nodes => ({
  each: {
    type: "loop",
    items: [1, 2],
    carry: { last: { initial: "", next: "{{ vars.seen }}" } },
    body: "call",
    next: { done: "end", failure: "end" },
  },
  call: {
    type: "action",
    action,
    args: { secret: '{{ secret("CRM") }}', inText: 'Bearer {{ secret("CRM") }}', how },
    retry: { maxAttempts: 2, initialMs: 0 },
    next: { success: "keep", failure: "keepError" },
  },
  keep: { type: "set", values: { seen: "{{ nodes.call.output }}" } },
  keepError: { type: "set", values: { seen: "{{ nodes.call.error }}" } },
  end: { type: "output", value: "{{ vars.seen }}" },
});

describe.each(["readLeak", "writeLeak", "actLeak"])("a secret that is given to %s", (action) => {
  test.each(["result", "error", "data"])("and comes back as %s is found nowhere", async (how) => {
    plant();
    const world = await startWorld();
    const id = await world.run(leaking(action, how));
    await world.untilQuiet();
    const seen = await everything(world, [id]);
    expect(seen).toContain("[secret CRM]");
    expectNowhere(seen, SECRET);
    const result = (await world.resultOf(id)) as JsonObject;
    if (how === "result") expect(result.plain).toBe("Bearer [secret CRM]!");
    else expect(result.code).toBe("ACTION_FAILED");
  });
});

test("the app's function really is given it", async () => {
  plant();
  const world = await startWorld();
  const id = await world.run({
    call: {
      type: "action",
      action: "actLength",
      args: { text: '<{{ secret("CRM") }}>', list: ['{{ secret("CRM") }}'] },
      next: { success: "end" },
    },
    end: { type: "output", value: "{{ nodes.call.output }}" },
  });
  expect(await world.resultOf(id)).toEqual({ text: SECRET.length + 2, list: SECRET.length });
});

test("a secret is not sent where it may not go, and names that are unknown are an error", async () => {
  plant();
  const world = await startWorld();
  for (const [name, code] of [
    ["MODEL_ONLY", "SECRET_NOT_ALLOWED"],
    ["GONE", "SECRET_UNKNOWN"],
  ] as const) {
    for (const action of ["readEcho", "writeEcho", "actEcho"]) {
      const id = await world.run({
        call: { type: "action", action, args: { secret: `{{ secret("${name}") }}` }, next: { failure: "end" } },
        end: { type: "output", value: "{{ nodes.call.error.code }}" },
      });
      expect([action, await world.resultOf(id)]).toEqual([action, code]);
    }
  }
  expect(await world.calls()).toEqual([]);
});

test("data cannot ask for a secret: what looks like a template or a marker is text", async () => {
  plant();
  const world = await startWorld();
  const input = ['{{ secret("CRM") }}', 'secret("CRM")', "secret.0000000000000000000000000.CRM."];
  const id = await world.run(
    {
      call: {
        type: "action",
        action: "actEcho",
        args: { mine: '{{ secret("CRM") }}', theirs: "{{ input }}" },
        next: { success: "end" },
      },
      end: { type: "output", value: "{{ nodes.call.output.theirs }}" },
    },
    input,
  );
  expect(await world.resultOf(id)).toEqual(input);
  expectNowhere(await everything(world, [id]), SECRET);
});

test("a secret in a prompt goes to the model's host only, and does not come back", async () => {
  plant();
  vi.stubEnv("OPENAI_API_KEY", "sk-of-the-tests-0123456789");
  const sent: string[] = [];
  vi.stubGlobal("fetch", async (url: string | URL, { body }: { body: string }) => {
    sent.push(`${new URL(url).host} ${body}`);
    const { messages } = JSON.parse(body) as { messages: Array<{ content: string }> };
    const content = `You said: ${messages.at(-1)?.content} and ${base64Of(OTHER)}`;
    const choices = [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }];
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    return Response.json({ id: "1", object: "chat.completion", created: 0, model: "m", choices, usage });
  });
  const world = await startWorld();
  const ask = (name: string): Nodes => ({
    ask: {
      type: "llm",
      model: "openai:gpt-test",
      prompt: `My key is {{ secret("${name}") }}`,
      next: { success: "end", failure: "caught" },
    },
    caught: { type: "output", value: "{{ nodes.ask.error.code }}" },
    end: { type: "output", value: "{{ nodes.ask.output }}" },
  });
  const id = await world.run(ask("MODEL_ONLY"));
  expect(await world.resultOf(id)).toBe("You said: My key is [secret MODEL_ONLY] and [secret MODEL_ONLY]");
  expect(sent).toHaveLength(1);
  expect(sent[0]).toMatch(/^api\.openai\.com /);
  expect(sent[0]).toContain(OTHER);
  const refused = await world.run(ask("CRM"));
  expect(await world.resultOf(refused)).toBe("SECRET_NOT_ALLOWED");
  expect(sent).toHaveLength(1);
  await world.untilQuiet();
  const seen = await everything(world, [id, refused]);
  for (const secret of [SECRET, OTHER]) expectNowhere(seen, secret);
});
