/**
 * The environment of the component: unset, valid and malformed. And that no secret of it is ever stored, returned,
 * handed to a callback or logged.
 */
import { beforeAll, describe, expect, test, vi } from "vitest";
import { api } from "../../support/harness.js";
import {
  containing,
  echo,
  preload,
  refusedWithoutATrace,
  startWorld,
  type World,
} from "../../support/hosts/api/world.js";

beforeAll(preload);

const SECRET = "s3cr3t/+value=0123456789";
const OTHER = "an0ther-secret-nobody-uses";
const MODEL_KEY = "sk-planted-0123456789abcdef";
const SECRETS = JSON.stringify({
  CRM: { value: SECRET, hosts: ["app"] },
  SPARE: { value: OTHER, hosts: ["api.example.com"] },
});

const leaking = (fail: boolean, name = "leaking") => ({
  name,
  nodes: {
    start: { type: "trigger", next: { success: "call" } },
    call: {
      type: "action",
      action: "app.leak",
      args: { key: '{{ secret("CRM") }}', fail },
      retry: { maxAttempts: 2, initialMs: 0 },
      next: { success: "keep", failure: "keep" },
    },
    keep: {
      type: "set",
      values: { seen: fail ? "{{ nodes.call.error }}" : "{{ nodes.call.output }}" },
      next: { success: "note" },
    },
    note: {
      type: "action",
      action: "app.note",
      args: { text: '{{ "noted " + secret("CRM") }}' },
      next: { success: "end" },
    },
    end: { type: "output", value: "{{ vars.seen }}" },
  },
});

const asking = {
  name: "asking",
  nodes: {
    start: { type: "trigger", next: { success: "ask" } },
    ask: { type: "llm", model: "openai:gpt-test", prompt: "Say something", next: { success: "end" } },
    end: { type: "output", value: "{{ nodes.ask.output }}" },
  },
};

const noting = {
  name: "noting",
  nodes: {
    start: { type: "trigger", next: { success: "note" } },
    note: { type: "action", action: "app.note", args: { text: "plain" }, next: { success: "end" } },
    end: { type: "output", value: "{{ nodes.note.output }}" },
  },
};

/** The forms in which a value can leave. */
function formsOf(value: string): string[] {
  const json = JSON.stringify(value).slice(1, -1);
  return [value, json, encodeURIComponent(value), btoa(value), btoa(value).replaceAll("=", "")];
}

/** Everything that anybody can get to see of a world. */
async function everythingSeen(world: World, ids: string[]): Promise<string> {
  const { t } = world;
  const seen: unknown[] = [
    await t.query(api.admin.getConfig, {}),
    await t.query(api.admin.countsPerShard, {}),
    await t.query(api.health.check, {}),
    await t.query(api.admin.listFailedCallbacks, {}),
    await t.query(api.bindings.list, {}),
    await t.query(api.definitions.list, {}),
    await t.query(api.history.list, {}),
    await world.tables(),
    await world.jobs(),
    await world.completions(),
    world.logged,
  ];
  for (const name of ["leaking", "failing", "asking"]) {
    seen.push(await t.query(api.definitions.get, { name }));
    seen.push(await t.query(api.definitions.export, { name }));
  }
  for (const executionId of ids) {
    seen.push(await t.query(api.history.getSummary, { executionId }), await world.status(executionId));
    seen.push(await world.describe(executionId));
    const runs = await t.query(api.history.listNodeRuns, { executionId });
    seen.push(runs);
    for (const { key } of runs.page) seen.push(await t.query(api.history.getNodeOutput, { executionId, key }));
  }
  return JSON.stringify(seen, (_, value: unknown) => (typeof value === "bigint" ? `${value}` : value));
}

test("no secret is stored, returned, handed on or logged, whatever is done with it", async () => {
  vi.stubEnv("SHARDFLOW_SECRETS", SECRETS);
  vi.stubEnv("OPENAI_API_KEY", MODEL_KEY);
  const sent: string[] = [];
  vi.stubGlobal("fetch", async (_url: unknown, init: { headers: HeadersInit }) => {
    sent.push(new Headers(init.headers).get("authorization") ?? "");
    const error = { message: `Incorrect API key provided: ${MODEL_KEY}`, code: "invalid_api_key" };
    return new Response(JSON.stringify({ error }), { status: 401, headers: { "content-type": "application/json" } });
  });
  try {
    const world = await startWorld();
    for (const source of [leaking(false), leaking(true, "failing"), asking]) await world.publish(source);
    const onComplete = await world.handle("functions:completed");
    const ids = [];
    for (const name of ["leaking", "failing", "asking"]) ids.push(await world.start(name, null, { onComplete }));
    await world.untilEnded(...ids);
    await world.untilQuiet();

    const [leaked, failed, asked] = await Promise.all(ids.map((id) => world.status(id)));
    expect(leaked).toMatchObject({ status: "succeeded", output: '{"echoed":"Bearer [secret CRM]"}' });
    expect(failed).toMatchObject({ status: "succeeded", output: containing("[secret CRM]") });
    expect(asked).toMatchObject({ status: "failed", error: { code: "MODEL_KEY_INVALID" } });
    const note = await world.t.query(api.history.getNodeOutput, { executionId: ids[0]!, key: "note" });
    expect(note).toBe('"noted [secret CRM]"');
    expect(sent, "the key was sent to the provider").toEqual([`Bearer ${MODEL_KEY}`]);

    const seen = await everythingSeen(world, ids);
    expect(seen).toContain("[secret CRM]");
    for (const value of [SECRET, OTHER, MODEL_KEY]) for (const form of formsOf(value)) expect(seen).not.toContain(form);
  } finally {
    vi.unstubAllGlobals();
  }
});

test("health names each variable that cannot be read, and never its value", async () => {
  const world = await startWorld();
  const check = async () => await world.t.query(api.health.check, {});
  expect(await check()).toMatchObject({ ok: true, problems: [] });
  vi.stubEnv("SHARDFLOW_SECRETS", `{"CRM": "${SECRET}"`);
  vi.stubEnv("SHARDFLOW_PROVIDERS", `{"own": {"baseUrl": "no address", "apiKey": "${MODEL_KEY}"}}`);
  const health = await check();
  expect(health).toMatchObject({
    ok: false,
    problems: [
      { code: "MODEL_CONFIG_INVALID", shardIndex: null, message: containing("SHARDFLOW_PROVIDERS") },
      { code: "SECRETS_CONFIG_INVALID", shardIndex: null, message: containing("SHARDFLOW_SECRETS") },
    ],
  });
  for (const value of [SECRET, MODEL_KEY]) expect(JSON.stringify(health)).not.toContain(value);
});

describe("SHARDFLOW_SECRETS", () => {
  const run = async (text: string | undefined) => {
    vi.stubEnv("SHARDFLOW_SECRETS", text);
    const world = await startWorld();
    await world.publish(leaking(false));
    await world.publish(noting);
    await world.publish(echo());
    const ids = [await world.start("leaking"), await world.start("noting"), await world.start("echo", "fine")];
    await world.untilEnded(...ids);
    // What uses no secret does not care.
    expect(await world.status(ids[1]!)).toMatchObject({ status: "succeeded", output: '"plain"' });
    expect(await world.status(ids[2]!)).toMatchObject({ status: "succeeded", output: '"fine"' });
    const { page } = await world.t.query(api.history.listNodeRuns, { executionId: ids[0]! });
    return { world, call: page.find((one) => one.node === "call"), status: await world.status(ids[0]!) };
  };

  test.each([undefined, "", "  "])("unset (%j): a node that names a secret fails", async (text) => {
    const { call } = await run(text);
    expect(call).toMatchObject({ status: "failed", error: { code: "SECRET_UNKNOWN", class: "input" } });
    expect(call?.error?.message).toContain("CRM");
  });

  test("valid: the node gets it", async () => {
    const { call, status } = await run(SECRETS);
    expect(call).toMatchObject({ status: "succeeded" });
    expect(status).toMatchObject({ status: "succeeded" });
  });

  test.each([
    ["not JSON", `{"CRM": {"value": "${SECRET}"`],
    ["a list", `["${SECRET}"]`],
    ["a bare value", JSON.stringify({ CRM: SECRET })],
    ["without hosts", JSON.stringify({ CRM: { value: SECRET } })],
  ])("malformed (%s): only nodes that name a secret fail, and the error holds no value", async (_, text) => {
    const { world, call } = await run(text);
    expect(call).toMatchObject({ status: "failed", attempt: 1, error: { code: "SECRETS_CONFIG_INVALID" } });
    expect(call?.error?.message).toContain("SHARDFLOW_SECRETS");
    const seen = JSON.stringify([await world.tables(), world.logged], (_key, value: unknown) =>
      typeof value === "bigint" ? `${value}` : value,
    );
    expect(seen).not.toContain(SECRET);
  });

  test("a secret of other hosts is not given to the app", async () => {
    const { call } = await run(JSON.stringify({ CRM: { value: SECRET, hosts: ["api.example.com"] } }));
    expect(call).toMatchObject({ status: "failed", error: { code: "SECRET_NOT_ALLOWED" } });
  });
});

describe("model providers", () => {
  test("no key: the node fails and says what to set", async () => {
    vi.stubEnv("OPENAI_API_KEY", undefined);
    const world = await startWorld();
    await world.publish(asking);
    const executionId = await world.start("asking");
    await world.untilEnded(executionId);
    const { error } = await world.status(executionId);
    expect(error).toMatchObject({ code: "MODEL_KEY_MISSING", node: "ask", retryable: false });
    expect(error?.message).toContain("OPENAI_API_KEY");
  });

  test("a provider of SHARDFLOW_PROVIDERS is known when definitions are published", async () => {
    vi.stubEnv("SHARDFLOW_PROVIDERS", JSON.stringify({ local: { baseUrl: "http://localhost:11434/v1" } }));
    const world = await startWorld();
    const using = (model: string) => ({
      name: "asking",
      nodes: { ...asking.nodes, ask: { ...asking.nodes.ask, model } },
    });
    await world.publish(using("local:tiny"));
    const call = () => world.publish(using("lokal:tiny"));
    const { problems } = await refusedWithoutATrace(world, call, "DEFINITION_INVALID");
    expect(problems).toMatchObject([{ code: "MODEL_PROVIDER_UNKNOWN", node: "ask", suggestion: "local:tiny" }]);
  });

  test.each([
    ["SHARDFLOW_PROVIDERS", `{"local": "${MODEL_KEY}"`],
    ["SHARDFLOW_PROVIDERS", JSON.stringify({ local: { apiKey: MODEL_KEY } })],
    ["OPENAI_BASE_URL", `not an address of ${MODEL_KEY}`],
    ["OPENAI_API_KEY", `${MODEL_KEY}\nset-cookie: x`],
  ])("malformed %s: the variable is named, its value is not", async (name, value) => {
    const world = await startWorld();
    await world.publish(asking);
    await world.publish(echo());
    vi.stubEnv(name, value);
    const executionId = await world.start("asking");
    const other = await world.start("echo", "fine");
    await world.untilEnded(executionId, other);
    const { error } = await world.status(executionId);
    expect(error).toMatchObject({ code: "MODEL_CONFIG_INVALID", node: "ask" });
    expect(error?.message).toContain(name);
    expect(await world.status(other)).toMatchObject({ status: "succeeded" });

    const { message } = await refusedWithoutATrace(world, () => world.publish(asking), "MODEL_CONFIG_INVALID");
    const seen = JSON.stringify([message, error, world.logged, await world.rows("nodeRuns")]);
    expect(seen).not.toContain(MODEL_KEY);
  });
});
