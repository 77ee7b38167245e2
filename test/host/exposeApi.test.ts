/** What an app's clients can do with exposed functions, and what they can find out. */
import { exposeApi, Shardflow, type Authorize, type AuthorizeRequest, type DefinitionSource } from "convex-shardflow";
import { convexTest, type TestConvex } from "convex-test";
import { defineSchema, defineTable, makeFunctionReference } from "convex/server";
import { v } from "convex/values";
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { components } from "../../convex/_generated/api.js";
import component from "../../src/test.js";
import { preload } from "../support/harness.js";

beforeAll(preload);

const shardflow = new Shardflow(components.shardflow, { defaults: { scope: "a" } });
/** Decides for the test that is running. */
let authorize: Authorize = () => true;
const asked: AuthorizeRequest[] = [];
const exposed = exposeApi(shardflow, {
  functions: [
    "startWorkflow",
    "cancelWorkflow",
    "cleanupWorkflow",
    "getStatus",
    "describeExecution",
    "listExecutions",
    "listNodeRuns",
    "getNodeOutput",
  ],
  authorize: (ctx, request) => {
    asked.push(request);
    return authorize(ctx, request);
  },
});
// A caller in JavaScript can leave out what the type demands.
// @ts-expect-error authorize is required
const open = exposeApi(shardflow, { functions: ["startWorkflow", "getStatus", "listExecutions"] });

type Name = keyof typeof exposed;

const schema = defineSchema({ members: defineTable({ subject: v.string(), scope: v.string() }) });
const FLOW = { name: "flow", nodes: { start: { type: "trigger" } } } satisfies DefinitionSource;

type Caller = Pick<TestConvex<typeof schema>, "query" | "mutation">;

async function startApp() {
  const t = convexTest(schema, {
    "./_generated/server.js": () => Promise.resolve({}),
    "./exposed.ts": () => Promise.resolve(exposed),
    "./open.ts": () => Promise.resolve(open),
  });
  component.register(t);
  const call = async (name: Name, args: Record<string, unknown>, as: Caller = t, module = "exposed") => {
    const path = `${module}:${name}`;
    return name.endsWith("Workflow")
      ? await as.mutation(makeFunctionReference<"mutation", Record<string, unknown>, unknown>(path), args)
      : await as.query(makeFunctionReference<"query", Record<string, unknown>, unknown>(path), args);
  };
  const user = t.withIdentity({ subject: "ada", issuer: "https://login.test" });
  const ids = await t.run(async (ctx) => {
    for (const scope of ["a", "b"]) await shardflow.definitions.publish(ctx, { source: FLOW, scope });
    const ofA = await shardflow.startWorkflow(ctx, { definition: "flow", scope: "a", context: { internal: "note" } });
    const ofB = await shardflow.startWorkflow(ctx, { definition: "flow", scope: "b" });
    const gone = await shardflow.startWorkflow(ctx, { definition: "flow", scope: "a" });
    await shardflow.cancelWorkflow(ctx, gone);
    await shardflow.cleanupWorkflow(ctx, gone);
    return { ofA, ofB, gone };
  });
  const count = async (scope: string) =>
    (await t.query(async (ctx) => await shardflow.list(ctx, { scope }))).page.length;
  return { t, user, call, count, ...ids };
}

const codeOf = async (call: Promise<unknown>): Promise<unknown> =>
  await call.then(
    () => "no error",
    (error: { data?: { code: string } }) => error.data?.code ?? error,
  );

beforeEach(() => {
  // Nothing has to run: what is started stays pending.
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  asked.length = 0;
  authorize = () => true;
});

const ON_EXECUTION = [
  ["getStatus", {}],
  ["describeExecution", {}],
  ["listNodeRuns", {}],
  ["getNodeOutput", { key: "start" }],
  ["cancelWorkflow", {}],
  ["cleanupWorkflow", {}],
] as const;

describe("without a clear yes nothing is done", () => {
  const unclear: Array<[why: string, answer: unknown]> = [
    ["false", false],
    ["undefined", undefined],
    ["null", null],
    ["1", 1],
    ["a text", "a"],
    ["a list", []],
    ["a scope that is undefined", { scope: undefined }],
    ["a scope that is no text", { scope: 5 }],
    ["an object with more than a scope, as a user document is", { scope: "a", name: "Ada" }],
    ["a promise of false", Promise.resolve(false)],
  ];
  test.each(unclear)("%s", async (_, answer) => {
    const { call, count, ofA } = await startApp();
    authorize = () => answer as boolean;
    expect(await codeOf(call("startWorkflow", { definition: "flow" }))).toBe("UNAUTHORIZED");
    expect(await codeOf(call("listExecutions", {}))).toBe("UNAUTHORIZED");
    for (const [name, args] of ON_EXECUTION) {
      expect(await codeOf(call(name, { executionId: ofA, ...args }))).toBe("UNAUTHORIZED");
    }
    expect(await count("a")).toBe(1);
  });

  test("not even with no authorize at all", async () => {
    const { call, ofA } = await startApp();
    expect(await codeOf(call("startWorkflow", { definition: "flow" }, undefined, "open"))).toBe("UNAUTHORIZED");
    expect(await codeOf(call("getStatus", { executionId: ofA }, undefined, "open"))).toBe("UNAUTHORIZED");
    expect(await codeOf(call("listExecutions", {}, undefined, "open"))).toBe("UNAUTHORIZED");
  });

  test("a refused cancel cancels nothing", async () => {
    const { t, call, ofA } = await startApp();
    authorize = () => false;
    await codeOf(call("cancelWorkflow", { executionId: ofA }));
    expect(await t.query(async (ctx) => await shardflow.isCanceled(ctx, ofA))).toBe(false);
  });
});

describe("an execution that is not for the caller is as one that does not exist", () => {
  const policies: Array<[how: string, policy: Authorize]> = [
    ["refuses everybody", () => false],
    ["gives a scope", () => ({ scope: "b" })],
    ["looks at the resource", (_, { resource }) => resource?.scope === "b"],
    ["lets through what does not exist", (_, { resource }) => resource === null || resource.scope === "b"],
    ["gives the scope of the resource by mistake", (_, { resource }) => resource !== null && { scope: "b" }],
  ];
  const operations = policies.flatMap(([how, policy]) =>
    ON_EXECUTION.map(([name, args]) => ({ how, policy, name, args })),
  );

  test.each(operations)("$name, when authorize $how", async ({ policy, name, args }) => {
    const { call, ofA, gone } = await startApp();
    authorize = policy;
    const errorFor = async (executionId: string) => {
      const error = await call(name, { executionId, ...args }).then(
        () => "no error",
        (thrown: { data: unknown }) => thrown.data,
      );
      return JSON.stringify(error).replaceAll(executionId, "ID");
    };
    const unknown = await errorFor(gone);
    expect(unknown).toMatch(/UNAUTHORIZED|EXECUTION_NOT_FOUND/);
    expect(await errorFor(ofA)).toBe(unknown);
    expect(await errorFor("nonsense")).toBe(unknown);
  });
});

describe("a scope that authorize gives", () => {
  beforeEach(() => {
    authorize = () => ({ scope: "b" });
  });

  test("is where a start happens and what a list shows", async () => {
    const { call, count, ofB } = await startApp();
    const executionId = await call("startWorkflow", { definition: "flow" });
    expect(await count("a")).toBe(1);
    expect(await count("b")).toBe(2);
    const { page } = (await call("listExecutions", {})) as { page: Array<{ executionId: string }> };
    expect(page.map((row) => row.executionId).sort()).toEqual([ofB, executionId].sort());
  });

  test("refuses whoever asks for another one", async () => {
    const { call, count } = await startApp();
    expect(await codeOf(call("startWorkflow", { definition: "flow", scope: "a" }))).toBe("UNAUTHORIZED");
    expect(await codeOf(call("listExecutions", { scope: "a" }))).toBe("UNAUTHORIZED");
    expect(await count("a")).toBe(1);
    await call("startWorkflow", { definition: "flow", scope: "b" });
    expect(await count("b")).toBe(2);
  });

  test("is not left by a cursor that was made up", async () => {
    const { call, ofA, ofB } = await startApp();
    for (const order of ["asc", "desc"]) {
      const cursor = JSON.stringify(["a", 0, 0, ""]);
      expect(await codeOf(call("listExecutions", { cursor, order }))).toBe("ARGUMENT_INVALID");
    }
    const cursor = JSON.stringify([ofA, 0, 0, 0, ""]);
    expect(await codeOf(call("listNodeRuns", { executionId: ofB, cursor }))).toBe("ARGUMENT_INVALID");
  });

  test("opens the executions in it", async () => {
    const { call, ofB } = await startApp();
    expect(await call("getStatus", { executionId: ofB })).toMatchObject({ executionId: ofB, scope: "b" });
  });
});

describe("authorize", () => {
  test("is told what is asked for, with the execution when there is one", async () => {
    const { call, ofB, gone } = await startApp();
    await call("startWorkflow", { definition: "flow" });
    await call("listExecutions", { scope: "b", definition: "flow" });
    await call("getStatus", { executionId: ofB });
    await codeOf(call("getStatus", { executionId: gone }));
    const none = { scope: null, definition: null, resource: null };
    expect(asked).toEqual([
      { ...none, op: "startWorkflow", scope: "a", definition: "flow" },
      { ...none, op: "listExecutions", scope: "b", definition: "flow" },
      { ...none, op: "getStatus", resource: { executionId: ofB, scope: "b", definition: "flow" } },
      { ...none, op: "getStatus" },
    ]);
  });

  test("reads the app's tables and the caller's identity", async () => {
    const { t, user, call, ofB } = await startApp();
    await t.run(async (ctx) => await ctx.db.insert("members", { subject: "ada", scope: "b" }));
    authorize = async (ctx, { resource }) => {
      const subject = (await ctx.auth.getUserIdentity())?.subject;
      const members = await ctx.db.query("members").collect();
      return members.some((member) => member.subject === subject && member.scope === resource?.scope);
    };
    expect(await call("getStatus", { executionId: ofB }, user)).toMatchObject({ scope: "b" });
    expect(await codeOf(call("getStatus", { executionId: ofB }, t))).toBe("UNAUTHORIZED");
  });
});

describe("a client", () => {
  test.each(["onComplete", "context", "shardKey", "tags", "version", "onConflict", "idempotencyTtlMs"])(
    "cannot give %s",
    async (field) => {
      const { call, count } = await startApp();
      await expect(call("startWorkflow", { definition: "flow", [field]: "x" })).rejects.toThrow(
        /[Vv]alidat|extra field/,
      );
      expect(await count("a")).toBe(1);
    },
  );

  test("gets the same execution for the same idempotency key", async () => {
    const { call, count } = await startApp();
    const start = () => call("startWorkflow", { definition: "flow", input: "{}", idempotencyKey: "k" });
    expect(await start()).toBe(await start());
    expect(await count("a")).toBe(2);
  });

  test("cancels in its own name", async () => {
    const { t, user, call, ofA } = await startApp();
    await call("cancelWorkflow", { executionId: ofA, reason: "No longer needed." }, user);
    const { canceled } = await t.query(async (ctx) => await shardflow.getStatus(ctx, ofA));
    expect(canceled).toMatchObject({ reason: "No longer needed.", requester: "https://login.test|ada" });
    expect(await codeOf(call("cancelWorkflow", { executionId: ofA, requester: "somebody else" }))).not.toBe("no error");
    expect(await call("cleanupWorkflow", { executionId: ofA })).toEqual({ done: true });
  });

  test("does not see the context that the app gave", async () => {
    const { t, call, ofA } = await startApp();
    expect((await t.query(async (ctx) => await shardflow.describe(ctx, ofA))).context).toEqual({ internal: "note" });
    const description = await call("describeExecution", { executionId: ofA });
    expect(description).toMatchObject({ executionId: ofA, input: "null", places: [{ node: "start" }] });
    expect(description).not.toHaveProperty("context");
  });

  test("lists node runs and outputs of what it may see", async () => {
    const { call, ofA } = await startApp();
    expect(await call("listNodeRuns", { executionId: ofA, limit: 10 })).toEqual({ page: [], cursor: null });
    expect(await call("getNodeOutput", { executionId: ofA, key: "start" })).toBeNull();
  });
});

describe("exposeApi", () => {
  test("makes the functions that are named, and no others", () => {
    const some = exposeApi(shardflow, { functions: ["getStatus"], authorize: () => true });
    expect(Object.keys(some)).toEqual(["getStatus"]);
  });

  test("refuses a name it does not have", () => {
    const names = ["getStatus", "configure"] as unknown as ["getStatus"];
    expect(() => exposeApi(shardflow, { functions: names, authorize: () => true })).toThrow(/no function .*configure/);
  });
});
