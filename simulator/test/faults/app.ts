/** An app with something at every point where a fault can strike: calls, jobs, handles, files, timers and HTTP. */
import {
  actionGeneric,
  anyApi,
  createFunctionHandle,
  defineSchema,
  defineTable,
  internalActionGeneric,
  internalMutationGeneric,
  mutationGeneric,
  queryGeneric,
  type ActionBuilder,
  type DataModelFromSchemaDefinition,
  type FunctionHandle,
  type MutationBuilder,
  type QueryBuilder,
} from "convex/server";
import { v } from "convex/values";
import { Deployment, type DeploymentOptions } from "../../src/index.js";

export const api = anyApi as unknown as Record<string, Record<string, never>>;
/** Untyped: there is no generated code here. */
const functions = anyApi as unknown as { app: Record<string, never> };

export const schema = defineSchema({
  counters: defineTable({ name: v.string(), n: v.number() }).index("by_name", ["name"]),
  /** One row for each time that something took effect. */
  effects: defineTable({ key: v.string(), by: v.string() }).index("by_key", ["key"]),
});

type Tables = DataModelFromSchemaDefinition<typeof schema>;
const query = queryGeneric as QueryBuilder<Tables, "public">;
const mutation = mutationGeneric as MutationBuilder<Tables, "public">;
const internalMutation = internalMutationGeneric as MutationBuilder<Tables, "internal">;
const action = actionGeneric as ActionBuilder<Tables, "public">;
const internalAction = internalActionGeneric as ActionBuilder<Tables, "internal">;
const key = { key: v.string() };

/** @param version - written with every effect: which code it was that ran. */
export const appOf = (version: string) => ({
  effect: internalMutation({
    args: key,
    handler: async (ctx, { key: name }) => void (await ctx.db.insert("effects", { key: name, by: version })),
  }),
  effects: query({
    args: key,
    handler: async (ctx, { key: name }) =>
      (
        await ctx.db
          .query("effects")
          .withIndex("by_key", (q) => q.eq("key", name))
          .collect()
      ).map((row) => row.by),
  }),
  create: mutation({
    args: { name: v.string() },
    handler: async (ctx, { name }) => await ctx.db.insert("counters", { name, n: 0 }),
  }),
  read: query({ args: { id: v.id("counters") }, handler: async (ctx, { id }) => (await ctx.db.get(id))?.n ?? -1 }),
  write: mutation({
    args: { id: v.id("counters"), n: v.number() },
    handler: async (ctx, { id, n }) => {
      await ctx.db.patch(id, { n });
      await ctx.db.insert("effects", { key: "write", by: version });
    },
  }),
  increment: mutation({
    args: { id: v.id("counters") },
    handler: async (ctx, { id }) => {
      const row = await ctx.db.get(id);
      await ctx.db.patch(id, { n: (row?.n ?? 0) + 1 });
      await ctx.db.insert("effects", { key: `increment ${row?.name}`, by: version });
    },
  }),
  later: mutation({
    args: { key: v.string(), kind: v.string(), ms: v.number() },
    handler: async (ctx, args) => {
      const target = args.kind === "action" ? functions.app.act : functions.app.effect;
      return await ctx.scheduler.runAfter(args.ms, target as never, { key: args.key } as never);
    },
  }),
  /** One effect. */
  act: internalAction({
    args: key,
    handler: async (ctx, args) => void (await ctx.runMutation(functions.app.effect as never, args as never)),
  }),
  /** An increment that is none: another one can come in between. */
  incrementBroken: action({
    args: { id: v.id("counters") },
    handler: async (ctx, args) => {
      const n: number = await ctx.runQuery(functions.app.read as never, args as never);
      await ctx.runMutation(functions.app.write as never, { ...args, n: n + 1 } as never);
    },
  }),
  handle: query({ args: {}, handler: async () => await createFunctionHandle(functions.app.effect as never) }),
  throughHandle: mutation({
    args: { key: v.string(), handle: v.string() },
    handler: async (ctx, args) =>
      void (await ctx.runMutation(args.handle as FunctionHandle<"mutation">, { key: args.key })),
  }),
  job: query({
    args: { id: v.id("_scheduled_functions") },
    handler: async (ctx, { id }) => (await ctx.db.system.get("_scheduled_functions", id))?.state ?? null,
  }),
  now: action({ args: {}, handler: () => Promise.resolve(Date.now()) }),
  /** An effect every 100 ms, for as long as it lives. */
  ticking: action({
    args: key,
    handler: async (ctx, args) => {
      setInterval(() => void ctx.runMutation(functions.app.effect as never, args as never), 100);
      await new Promise((resolve) => setTimeout(resolve, 10_000));
    },
  }),
  /** Every kind of await once, with the mutation `${key} ${i}` after each. */
  everything: action({
    args: { key: v.string() },
    handler: async (ctx, args) => {
      let i = 0;
      const effect = async () =>
        void (await ctx.runMutation(functions.app.effect as never, { key: `${args.key} ${++i}` } as never));
      await effect();
      await ctx.runQuery(functions.app.effects as never, { key: args.key } as never);
      await effect();
      await ctx.runAction(functions.app.act as never, { key: `${args.key} child` } as never);
      await effect();
      const job = await ctx.scheduler.runAfter(
        1_000,
        functions.app.effect as never,
        { key: `${args.key} job` } as never,
      );
      await effect();
      await ctx.scheduler.cancel(job);
      await effect();
      await ctx.storage.store(new Blob(["x"]));
      await effect();
      await createFunctionHandle(functions.app.effect as never);
      await effect();
      await (await fetch("https://example.com/")).text();
      await effect();
      await new Promise((resolve) => setTimeout(resolve, 500));
      await effect();
      return i;
    },
  }),
});

export const modulesOf = (version: string) => ({
  "./_generated/api.js": () => Promise.resolve({}),
  "./app.ts": () => Promise.resolve(appOf(version)),
});

/** Requests that went out, by the deployment that made them. */
export const requests = new WeakMap<Deployment, number>();

export function startApp(
  options: DeploymentOptions = {},
  start = (o: DeploymentOptions) => new Deployment(o),
): Deployment {
  const app: Deployment = start({
    schema,
    modules: modulesOf("old"),
    fetch: async () => {
      requests.set(app, (requests.get(app) ?? 0) + 1);
      await app.loop.sleep(100);
      return new Response("hello");
    },
    ...options,
  });
  return app;
}

export const count = (app: Deployment, name: string): number =>
  [...app.invariants.snapshot.withIndex("", "effects", "by_key", name)].length;

export const jobStates = (app: Deployment): string[] =>
  [...app.invariants.snapshot.rows("", "_scheduled_functions")].map(
    ({ state }) => (state as unknown as { kind: string }).kind,
  );
