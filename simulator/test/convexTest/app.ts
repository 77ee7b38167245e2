/** A small app for what convex-test and the facade do alike: functions of every kind, files, and an HTTP route. */
import {
  actionGeneric,
  defineSchema,
  defineTable,
  httpActionGeneric,
  httpRouter,
  internalMutationGeneric,
  makeFunctionReference,
  mutationGeneric,
  queryGeneric,
  type ActionBuilder,
  type DataModelFromSchemaDefinition,
  type MutationBuilder,
  type QueryBuilder,
} from "convex/server";
import { ConvexError, v, type Value } from "convex/values";

export const schema = defineSchema({ notes: defineTable({ text: v.string() }).index("by_text", ["text"]) });
type Model = DataModelFromSchemaDefinition<typeof schema>;
const query = queryGeneric as QueryBuilder<Model, "public">;
const mutation = mutationGeneric as MutationBuilder<Model, "public">;
const internalMutation = internalMutationGeneric as MutationBuilder<Model, "internal">;
const action = actionGeneric as ActionBuilder<Model, "public">;

type Nothing = Record<string, never>;
export const api = {
  add: makeFunctionReference<"mutation", { text: string }, string>("notes:add"),
  list: makeFunctionReference<"query", Nothing, string[]>("notes:list"),
  later: makeFunctionReference<"mutation", { text: string; ms: number }, string>("notes:later"),
  chain: makeFunctionReference<"mutation", { left: number }, null>("notes:chain"),
  relay: makeFunctionReference<"action", { texts: string[] }, string[]>("notes:relay"),
  fail: makeFunctionReference<"mutation", { data: Value; afterInsert: boolean }, never>("notes:fail"),
  who: makeFunctionReference<"query", Nothing, object | null>("notes:who"),
  sleepy: makeFunctionReference<"action", { ms: number }, string>("notes:sleepy"),
  busy: makeFunctionReference<"mutation", Nothing, string>("notes:busy"),
  request: makeFunctionReference<"mutation", Nothing, object>("notes:request"),
  keep: makeFunctionReference<"action", { text: string }, string>("notes:keep"),
  read: makeFunctionReference<"action", { id: string }, string | null>("notes:read"),
};

export const functions = {
  add: mutation({
    args: { text: v.string() },
    returns: v.id("notes"),
    handler: async (ctx, { text }) => await ctx.db.insert("notes", { text }),
  }),
  list: query({ args: {}, handler: async (ctx) => (await ctx.db.query("notes").collect()).map(({ text }) => text) }),
  later: mutation({
    args: { text: v.string(), ms: v.number() },
    handler: async (ctx, { text, ms }) => await ctx.scheduler.runAfter(ms, api.add, { text }),
  }),
  /** Schedules itself until there are so many notes. */
  chain: internalMutation({
    args: { left: v.number() },
    handler: async (ctx, { left }) => {
      await ctx.db.insert("notes", { text: `${left} left` });
      if (left > 0) await ctx.scheduler.runAfter(0, api.chain, { left: left - 1 });
    },
  }),
  relay: action({
    args: { texts: v.array(v.string()) },
    handler: async (ctx, { texts }): Promise<string[]> => {
      for (const text of texts) await ctx.runMutation(api.add, { text });
      return await ctx.runQuery(api.list, {});
    },
  }),
  fail: mutation({
    args: { data: v.any(), afterInsert: v.boolean() },
    handler: async (ctx, { data, afterInsert }) => {
      if (afterInsert) await ctx.db.insert("notes", { text: "never seen" });
      throw data === null ? new TypeError("of no use") : new ConvexError(data as string);
    },
  }),
  who: query({ args: {}, handler: async (ctx) => await ctx.auth.getUserIdentity() }),
  /** Waits for a timer while its mutation runs. */
  sleepy: action({
    args: { ms: v.number() },
    handler: async (ctx, { ms }): Promise<string> => {
      const adding = ctx.runMutation(api.busy, {});
      // Between the turns of the mutation.
      for (let i = 0; i < 20; i++) await Promise.resolve();
      await new Promise((resolve) => setTimeout(resolve, ms));
      return await adding;
    },
  }),
  busy: mutation({
    args: {},
    handler: async () => {
      for (let i = 0; i < 50; i++) await Promise.resolve();
      try {
        setTimeout(() => undefined, 1);
      } catch {
        return "no timers here";
      }
      return "a timer in a mutation";
    },
  }),
  request: mutation({
    args: {},
    handler: async (ctx) => {
      const { ip, userAgent, scheduledFunctionId } = await ctx.meta.getRequestMetadata();
      return { ip, userAgent, scheduledFunctionId };
    },
  }),
  keep: action({
    args: { text: v.string() },
    handler: async (ctx, { text }) => await ctx.storage.store(new Blob([text])),
  }),
  read: action({
    args: { id: v.string() },
    handler: async (ctx, { id }) => {
      const blob = await ctx.storage.get(id);
      return blob === null ? null : await blob.text();
    },
  }),
};

const http = httpRouter();
http.route({
  path: "/notes",
  method: "POST",
  handler: httpActionGeneric(async (ctx, request) => {
    await ctx.runMutation(api.add, { text: await request.text() });
    return Response.json(await ctx.runQuery(api.list, {}), { status: 201 });
  }),
});

export const modules = {
  "./_generated/api.js": async () => ({}),
  "./notes.ts": async () => functions,
  "./http.ts": async () => ({ default: http }),
};
