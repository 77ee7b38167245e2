/**
 * The world of the fault tests: the real component on convex-test with virtual time, a host app whose effects are rows,
 * and stretches that can be held at any await ({@link StretchProcess}).
 */
import batchWorker from "@convex-dev/batch-worker/test";
import workflow from "@convex-dev/workflow/test";
import workpool from "@convex-dev/workpool/test";
import { convexTest } from "convex-test";
import {
  createFunctionHandle,
  defineSchema,
  makeFunctionReference,
  type GenericDataModel,
  type GenericMutationCtx,
  type GenericSchema,
  type SchemaDefinition,
} from "convex/server";
import { onTestFinished, vi } from "vitest";
import type { Json } from "../../src/shared/json.js";
import { HOUR, MAX_SHARDS } from "../../src/shared/limits.js";
import shardflow from "../../src/test.js";
import { api, runToQuiet, runUntil } from "./harness.js";
import { hostModules } from "./hosts/faults/modules.js";
import hostSchema from "./hosts/faults/schema.js";
import { PROTOCOLS } from "./modelProtocols.js";
import { processModules } from "./processModules.js";
import type { Fetch, Held, Kernel, Point, StretchProcess } from "./stretchProcess.js";

const START = Date.UTC(2026, 0, 1);
export const BINDINGS = [
  { name: "app.record", kind: "mutation", fn: "functions:record" },
  { name: "app.refuse", kind: "mutation", fn: "functions:refuse" },
  { name: "app.cancelSelf", kind: "mutation", fn: "functions:cancelSelf" },
  { name: "app.lookup", kind: "query", fn: "functions:lookup" },
  { name: "app.notify", kind: "action", fn: "functions:notify" },
  { name: "app.flaky", kind: "action", fn: "functions:flaky" },
] as const;

export type Row = { _id: string; _creationTime: number; [field: string]: unknown };
/** Rows by "component path/table"; tables without rows are left out. */
export type Tables = Record<string, Row[]>;
type WriteCtx = Pick<GenericMutationCtx<GenericDataModel>, "db" | "runMutation" | "runQuery" | "scheduler">;

export type World = Awaited<ReturnType<typeof startWorld>>;

/**
 * A fresh deployment with the app's functions bound.
 * @param options.looseRows - the component's rows are not validated, so that a test can store what no version wrote.
 */
export async function startWorld(options: { looseRows?: boolean } = {}) {
  vi.useFakeTimers({ now: START, toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  vi.stubEnv("OPENAI_API_KEY", "sk-of-no-account");
  const warnings: string[] = [];
  for (const level of ["log", "info", "error"] as const) vi.spyOn(console, level).mockImplementation(() => undefined);
  vi.spyOn(console, "warn").mockImplementation((...parts) => void warnings.push(parts.map(String).join(" ")));
  onTestFinished(() => {
    for (const process of processes) process.kill();
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  });

  const processes: StretchProcess[] = [];
  const points: Point[] = [];
  const counts = new Map<string, number>();
  const held: Held[] = [];
  const kernel: Kernel = {
    pass: (execution, kind, name) => {
      const n = counts.get(execution) ?? 0;
      const numbered = kind !== "timer" && !/^checkpoint:(isOwner|renew)$/.test(name);
      if (numbered) counts.set(execution, n + 1);
      const point = { n: numbered ? n : null, execution, kind, name };
      points.push(point);
      return point;
    },
    stop: () => null,
    held: (at) => held.push(at),
    fetch: answerModel,
  };

  const t = convexTest(hostSchema, hostModules);
  const schema: SchemaDefinition<GenericSchema, boolean> =
    options.looseRows === true ? defineSchema(shardflow.schema.tables, { schemaValidation: false }) : shardflow.schema;
  t.registerComponent("shardflow", schema, {
    ...shardflow.modules,
    ...processModules(kernel, processes),
  });
  for (let shard = 0; shard < MAX_SHARDS; shard++) workflow.register(t, `shardflow/shard${shard}`);

  const world = {
    t,
    processes,
    /** Every await so far, in order. */
    points,
    /** The numbered ones of an execution. */
    pointsOf: (execution: string) => points.filter((point) => point.execution === execution && point.n !== null),
    warnings,
    /** What models answer. */
    answer: (fetch: Fetch) => (kernel.fetch = fetch),
    /** What happens at each await from now on. */
    stopAt: (stop: Kernel["stop"]) => (kernel.stop = stop),
    /** Calls and processes that wait to be released. */
    held,
    /** Drives time until so many are held. */
    untilHeld: async (count = 1) => {
      await runUntil(() => held.length >= count, HOUR);
      return held[0]!;
    },

    /** Reads or writes rows of a component, past its functions. */
    within: async <T>(path: string, body: (ctx: WriteCtx) => Promise<T>): Promise<T> => {
      // Present at run time and used by convex-test itself, but not in its types.
      const { runInComponent } = t as unknown as {
        runInComponent: (path: string, body: (ctx: WriteCtx) => Promise<unknown>) => Promise<T>;
      };
      return await runInComponent(path, body);
    },

    /** Calls an internal mutation of the component. */
    internal: async (name: string, args: Record<string, unknown>): Promise<unknown> =>
      await world.within("shardflow", async (ctx) => {
        return await ctx.runMutation(makeFunctionReference<"mutation", Record<string, unknown>, unknown>(name), args);
      }),
    /** Calls an internal query of the component. */
    ask: async (name: string, args: Record<string, unknown>): Promise<unknown> =>
      await world.within("shardflow", async (ctx) => {
        return await ctx.runQuery(makeFunctionReference<"query", Record<string, unknown>, unknown>(name), args);
      }),

    /** Every row of the host and of the components, or of those at the given paths; but not the scheduler's own. */
    tables: async (...paths: string[]): Promise<Tables> => {
      const all: Tables = {};
      for (const [path, tables] of COMPONENTS) {
        if (paths.length > 0 && !paths.includes(path)) continue;
        const rows = await world.within(path, async ({ db }) => {
          return await Promise.all(tables.map(async (table) => (await db.query(table).collect()) as unknown as Row[]));
        });
        tables.forEach((table, i) => {
          if (rows[i]!.length > 0) all[path === "" ? table : `${path}/${table}`] = rows[i]!;
        });
      }
      return all;
    },
    rows: async (table: string): Promise<Row[]> => {
      const at = table.lastIndexOf("/");
      const path = table.slice(0, Math.max(0, at));
      return await world.within(
        path,
        async ({ db }) => (await db.query(table.slice(at + 1)).collect()) as unknown as Row[],
      );
    },

    handle: async (fn: string) =>
      await t.run(async () => await createFunctionHandle(makeFunctionReference<"mutation">(fn))),
    publish: async (source: { name: string; [field: string]: unknown }) =>
      await t.mutation(api.definitions.publish, { name: source.name, source: JSON.stringify(source) }),
    start: async (
      definition: string,
      input: Json,
      more: { context?: string; onComplete?: string; shardKey?: string } = {},
    ) =>
      await t.mutation(api.executions.startWorkflow, {
        definition,
        input: JSON.stringify(input),
        ...more,
      }),
    cancel: async (executionId: string, reason = "no longer needed") =>
      await t.mutation(api.cancellations.cancelWorkflow, { executionId, reason, requester: "a test" }),
    describe: async (executionId: string) => await t.query(api.history.describe, { executionId }),
    hasEnded: async (executionId: string) =>
      (await t.query(api.history.getStatus, { executionId })).endedAt !== undefined,
    untilEnded: async (...executionIds: string[]) => {
      for (const id of executionIds) await runUntil(() => world.hasEnded(id), 6 * HOUR);
    },
    untilQuiet: async () => await runToQuiet(6 * HOUR),
    /** Lets time pass in which nothing is scheduled. */
    passTime: (ms: number) => vi.setSystemTime(Date.now() + ms),
    /** Drives time for so long; what hangs goes on hanging. */
    elapse: async (ms: number) => {
      const end = Date.now() + ms;
      await runUntil(() => vi.getTimerCount() === 0 || Date.now() >= end, ms + HOUR);
    },
    /**
     * What Convex does by itself when an action has died or outlived its time limit: its job is recorded as failed. The
     * shard's workpool keeps the slot of the action until then.
     */
    reportDeaths: async () => {
      for (let shard = 0; shard < MAX_SHARDS; shard++) {
        await world.within(`shardflow/shard${shard}/workpool`, async ({ db }) => {
          for (const { _id, name, state } of await db.system.query("_scheduled_functions").collect()) {
            if (state.kind !== "inProgress" || !/^worker(\.js)?:/.test(name)) continue;
            await db.patch(_id as never, { state: { kind: "failed", error: "the action died" } } as never);
          }
        });
      }
    },
    flip: async (name: string, on: boolean) =>
      await t.run(async ({ db }) => {
        const row = await db
          .query("switches")
          .withIndex("by_name", (q) => q.eq("name", name))
          .unique();
        if (row === null) await db.insert("switches", { name, on });
        else await db.patch("switches", row._id, { on });
      }),
  };

  const bindings = await Promise.all(
    BINDINGS.map(async ({ name, kind, fn }) => ({ name, kind, handle: await world.handle(fn) })),
  );
  await t.mutation(api.bindings.sync, { bindings });
  return world;
}

const tablesOf = (schema: { tables: object }) => Object.keys(schema.tables);
const COMPONENTS: ReadonlyArray<[path: string, tables: string[]]> = [
  ["", tablesOf(hostSchema)],
  ["shardflow", tablesOf(shardflow.schema)],
  ...Array.from({ length: MAX_SHARDS }, (_, shard): Array<[string, string[]]> => [
    [`shardflow/shard${shard}`, tablesOf(workflow.schema)],
    [`shardflow/shard${shard}/workpool`, tablesOf(workpool.schema)],
    [`shardflow/shard${shard}/workpool/batchWorker`, tablesOf(batchWorker.schema)],
  ]).flat(),
];

/** A model that repeats the last message. */
export async function answerModel({ body }: { body: string }): Promise<Response> {
  const parsed = JSON.parse(body) as Record<string, unknown>;
  const request = {
    ...PROTOCOLS.openai.read(parsed),
    provider: "openai" as const,
    callNumber: 1,
    headers: {},
    body: parsed,
  };
  const answer = PROTOCOLS.openai.answer(request, { text: `heard: ${request.messages.at(-1)?.content}` });
  return new Response(JSON.stringify(answer), { status: 200, headers: { "content-type": "application/json" } });
}
