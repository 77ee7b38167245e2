/** The methods on executions, against the real component. */
import { isShardflowError, Shardflow, type ReadCtx } from "convex-shardflow";
import { beforeAll, describe, expect, test } from "vitest";
import { components } from "../../convex/_generated/api.js";
import { preload, runToQuiet, runUntil } from "../support/harness.js";
import { BROKEN, DOUBLE, ECHO, onDone, shardflow, startApp, type App } from "./app.js";

beforeAll(preload);

async function startedApp() {
  const app = startApp();
  await app.t.run(async (ctx) => {
    for (const source of [ECHO, DOUBLE, BROKEN]) await shardflow.definitions.publish(ctx, { source });
  });
  return app;
}

const start = async ({ t }: App, definition: string, input: unknown, more = {}) =>
  await t.run(async (ctx) => await shardflow.startWorkflow(ctx, { definition, input, ...more }));

/** As text, because Convex refuses some of these values in the result of a function. */
async function read<T>({ t }: App, value: (ctx: ReadCtx) => Promise<T>): Promise<T> {
  return JSON.parse(await t.query(async (ctx) => JSON.stringify(await value(ctx)))) as T;
}

async function endOf(app: App, executionId: string) {
  const state = () => read(app, (ctx) => shardflow.getStatus(ctx, executionId));
  await runUntil(async () => (await state()).endedAt !== undefined);
  return await state();
}

describe("values", () => {
  test.each([
    ["keys that Convex refuses", { $ref: "#/x", "": 1, größe: { _id: 2 }, "a b": [] }],
    ["nesting that Convex refuses", JSON.parse(`${"[".repeat(70)}${"]".repeat(70)}`) as unknown],
    ["a long list", Array.from({ length: 9_000 }, (_, i) => i)],
    ["null", null],
    ["a text that is JSON", '{"not":"parsed"}'],
    ["a number", -0.5],
  ])("go in and come out as they are: %s", async (_, input) => {
    const app = await startedApp();
    const executionId = await start(app, "echo", input, { context: input });
    expect((await endOf(app, executionId)).output).toEqual({ got: input, about: input });
    const description = await read(app, (ctx) => shardflow.describe(ctx, executionId));
    expect(description).toMatchObject({ input, context: input, variables: {}, nodeRuns: 2 });
  });

  test("no input is null", async () => {
    const app = await startedApp();
    expect((await endOf(app, await start(app, "echo", undefined))).output).toEqual({ got: null, about: null });
  });

  test.each([
    ["a bigint", { n: 1n }],
    ["NaN", NaN],
    ["bytes", new ArrayBuffer(1)],
    ["a date", new Date(0)],
    ["a map", new Map()],
  ])("that JSON cannot carry start nothing: %s", async (_, input) => {
    const app = await startedApp();
    await expect(start(app, "echo", input)).rejects.toMatchObject({ data: { code: "VALUE_NOT_JSON" } });
    await expect(start(app, "echo", 1, { context: input })).rejects.toMatchObject({ data: { code: "VALUE_NOT_JSON" } });
    expect((await app.t.query(async (ctx) => await shardflow.list(ctx))).page).toEqual([]);
  });

  test("a large output is read from its node run", async () => {
    const app = await startedApp();
    const input = "x".repeat(20_000);
    const executionId = await start(app, "echo", input);
    await endOf(app, executionId);
    await app.t.query(async (ctx) => {
      const { page } = await shardflow.listNodeRuns(ctx, executionId);
      const end = page.find(({ node }) => node === "end");
      expect(end).not.toHaveProperty("output");
      expect(end?.outputBytes).toBeGreaterThan(20_000);
      expect(await shardflow.getNodeOutput(ctx, executionId, "end")).toEqual({ got: input, about: null });
      expect(await shardflow.getNodeOutput(ctx, executionId, "nothing")).toBeUndefined();
    });
  });
});

describe("starting", () => {
  test("is part of the calling mutation: when that throws, nothing was started", async () => {
    const app = await startedApp();
    const failing = app.t.run(async (ctx) => {
      await shardflow.startWorkflow(ctx, { definition: "echo", input: 1 });
      throw new Error("the app changed its mind");
    });
    await expect(failing).rejects.toThrow("changed its mind");
    expect((await app.t.query(async (ctx) => await shardflow.list(ctx))).page).toEqual([]);
  });

  test("works from an action, with functions and callbacks", async () => {
    const app = await startedApp();
    const executionId = await app.t.action(
      async (ctx) => await shardflow.startWorkflow(ctx, { definition: "double", input: { n: 21 }, onComplete: onDone }),
    );
    expect((await endOf(app, executionId)).output).toBe(42);
    await runToQuiet();
    expect(await app.completions()).toMatchObject([{ executionId, result: { status: "succeeded", output: 42 } }]);
  });

  test("takes the defaults of the client, unless the call says otherwise", async () => {
    const app = startApp();
    const ofTeam = new Shardflow(components.shardflow, {
      defaults: { scope: "team", onConflict: "reject", idempotencyTtlMs: 1_000 },
    });
    await app.t.run(async (ctx) => {
      await ofTeam.definitions.publish(ctx, { source: ECHO });
      const first = { definition: "echo", idempotencyKey: "k" };
      const executionId = await ofTeam.startWorkflow(ctx, first);
      expect(await ofTeam.getSummary(ctx, executionId)).toMatchObject({ scope: "team", idempotencyKey: "k" });
      await expect(ofTeam.startWorkflow(ctx, first)).rejects.toMatchObject({ data: { code: "IDEMPOTENCY_CONFLICT" } });
      expect(await ofTeam.startWorkflow(ctx, { ...first, onConflict: "return" })).toBe(executionId);
      expect((await ofTeam.list(ctx)).page).toHaveLength(1);
      expect((await ofTeam.list(ctx, { scope: "" })).page).toEqual([]);
      await expect(ofTeam.startWorkflow(ctx, { definition: "echo", scope: "" })).rejects.toMatchObject({
        data: { code: "DEFINITION_NOT_FOUND" },
      });
    });
  });

  test("in a batch gives the ids in order, and a callback to every item", async () => {
    const app = await startedApp();
    const ids = await app.t.run(
      async (ctx) =>
        await shardflow.startWorkflowBatch(ctx, {
          definition: "echo",
          items: [{ input: "a", context: 1 }, { input: "b", tags: { kind: "second" } }, { input: "c" }],
          onComplete: onDone,
        }),
    );
    await runToQuiet();
    const inputs = await app.t.query(
      async (ctx) => await Promise.all(ids.map(async (id) => (await shardflow.describe(ctx, id)).input)),
    );
    expect(inputs).toEqual(["a", "b", "c"]);
    const told = await app.completions();
    expect(told.map(({ executionId }) => executionId).sort()).toEqual([...ids].sort());
    const { page } = await app.t.query(
      async (ctx) => await shardflow.list(ctx, { tag: { name: "kind", value: "second" } }),
    );
    expect(page.map(({ executionId }) => executionId)).toEqual([ids[1]]);
  });

  test("in a batch is all or none", async () => {
    const app = await startedApp();
    const failing = app.t.run(
      async (ctx) =>
        await shardflow.startWorkflowBatch(ctx, {
          definition: "echo",
          items: [{ input: 1 }, { input: 2, idempotencyKey: "" }],
        }),
    );
    await expect(failing).rejects.toMatchObject({ data: { code: "ARGUMENT_INVALID" } });
    expect((await app.t.query(async (ctx) => await shardflow.list(ctx))).page).toEqual([]);
  });
});

describe("onComplete is told, with values", () => {
  test("the output and the context", async () => {
    const app = await startedApp();
    const executionId = await start(app, "echo", { $a: 1 }, { onComplete: onDone, context: { ü: [] } });
    await runToQuiet();
    expect(await app.completions()).toEqual([
      {
        executionId,
        scope: "",
        definition: "echo",
        version: 1,
        context: { ü: [] },
        result: { status: "succeeded", output: { got: { $a: 1 }, about: { ü: [] } } },
      },
    ]);
  });

  test("the error", async () => {
    const app = await startedApp();
    await start(app, "broken", {}, { onComplete: onDone });
    await runToQuiet();
    expect(await app.completions()).toMatchObject([
      { context: null, result: { status: "failed", error: { code: "EXPRESSION_FAILED", node: "end" } } },
    ]);
  });

  test("the cancel", async () => {
    const app = await startedApp();
    const executionId = await start(app, "echo", 1, { onComplete: onDone });
    await app.t.run(
      async (ctx) => await shardflow.cancelWorkflow(ctx, executionId, { reason: "Enough.", requester: "ada" }),
    );
    await runToQuiet();
    expect(await app.completions()).toMatchObject([
      { executionId, result: { status: "canceled", reason: "Enough.", requester: "ada" } },
    ]);
  });
});

describe("an execution", () => {
  test("that failed has its error with the cause as a value", async () => {
    const app = await startedApp();
    const state = await endOf(app, await start(app, "double", { n: "not a number" }));
    expect(state).toMatchObject({ status: "failed", error: { code: "ACTION_FAILED", node: "double" } });
    expect(state.error?.cause).toMatchObject({ message: expect.any(String) as string });
    expect(state).not.toHaveProperty("output");
  });

  test("is canceled, seen as such, and cleaned up", async () => {
    const app = await startedApp();
    const executionId = await start(app, "echo", 1);
    await app.t.run(async (ctx) => {
      expect(await shardflow.isCanceled(ctx, executionId)).toBe(false);
      await expect(shardflow.cleanupWorkflow(ctx, executionId)).rejects.toSatisfy((error) =>
        isShardflowError(error, "EXECUTION_ACTIVE"),
      );
      await shardflow.cancelWorkflow(ctx, executionId, { reason: "Enough." });
      expect(await shardflow.isCanceled(ctx, executionId)).toBe(true);
      expect(await shardflow.getStatus(ctx, executionId)).toMatchObject({
        status: "canceled",
        canceled: { reason: "Enough." },
      });
      await expect(shardflow.cancelWorkflow(ctx, executionId)).rejects.toSatisfy((error) =>
        isShardflowError(error, "EXECUTION_ENDED"),
      );
      expect(await shardflow.cleanupWorkflow(ctx, executionId)).toEqual({ done: true });
      expect(await shardflow.getSummary(ctx, executionId)).toBeNull();
      expect(await shardflow.getSummary(ctx, "nonsense")).toBeNull();
      await expect(shardflow.getStatus(ctx, executionId)).rejects.toMatchObject({
        data: { code: "EXECUTION_NOT_FOUND" },
      });
    });
  });

  test("has its node runs in pages", async () => {
    const app = await startedApp();
    const executionId = await start(app, "double", { n: 4 });
    await endOf(app, executionId);
    const nodes: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const at = cursor;
      const page = await app.t.query(
        async (ctx) => await shardflow.listNodeRuns(ctx, executionId, { limit: 2, cursor: at }),
      );
      nodes.push(...page.page.map(({ node, output }) => `${node}=${JSON.stringify(output)}`));
      cursor = page.cursor;
    }
    expect(nodes).toEqual(["start=null", "double=8", "end=8"]);
  });
});
