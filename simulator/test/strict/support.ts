/** An app of a few handlers and its children, deployed for one test. */
import {
  actionGeneric,
  componentsGeneric,
  defineSchema,
  defineTable,
  internalMutationGeneric,
  makeFunctionReference,
  mutationGeneric,
  queryGeneric,
  type ActionBuilder,
  type DataModelFromSchemaDefinition,
  type FunctionReference,
  type MutationBuilder,
  type QueryBuilder,
} from "convex/server";
import { v } from "convex/values";
import { Deployment, NO_LATENCIES, type DeploymentOptions } from "../../src/index.js";

export const schema = defineSchema({
  rows: defineTable({ key: v.string(), n: v.number(), more: v.optional(v.any()) })
    .index("by_key", ["key"])
    .index("by_n", ["n"]),
  others: defineTable({ row: v.optional(v.id("rows")), stamp: v.optional(v.int64()) }),
});

type Tables = DataModelFromSchemaDefinition<typeof schema>;
export const query = queryGeneric as QueryBuilder<Tables, "public">;
export const mutation = mutationGeneric as MutationBuilder<Tables, "public">;
export const internalMutation = internalMutationGeneric as MutationBuilder<Tables, "internal">;
export const action = actionGeneric as ActionBuilder<Tables, "public">;

/** Functions by module, or a module as a function that imports it. */
export type ModulesOf = Record<string, object | (() => Promise<unknown>)>;

export function modulesOf(modules: ModulesOf): Record<string, () => Promise<unknown>> {
  return {
    "./_generated/api.js": () => Promise.resolve({}),
    ...Object.fromEntries(
      Object.entries(modules).map(([name, module]) => [
        `./${name}.ts`,
        typeof module === "function" ? (module as () => Promise<unknown>) : () => Promise.resolve(module),
      ]),
    ),
  };
}

/** @param latencies - none unless a test is about them. */
export function start(modules: ModulesOf, options: DeploymentOptions = {}): Deployment {
  return new Deployment({ schema, modules: modulesOf(modules), latencies: NO_LATENCIES, ...options });
}

export const q = (name: string) => makeFunctionReference<"query">(name);
export const m = (name: string) => makeFunctionReference<"mutation">(name);
export const a = (name: string) => makeFunctionReference<"action">(name);

/** A function of a child component. */
export const child = (name: string, module: string, fn: string) =>
  (
    componentsGeneric() as unknown as Record<
      string,
      Record<string, Record<string, FunctionReference<"mutation", "internal">>>
    >
  )[name]![module]![fn]!;
export const childQuery = (name: string, module: string, fn: string) =>
  child(name, module, fn) as unknown as FunctionReference<"query", "internal">;

/** What a call comes to, as a text. */
export async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    return `result ${JSON.stringify(await call)}`;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
}

/** Functions that most tests want. */
export const rows = {
  add: mutation({
    args: { key: v.string(), n: v.number() },
    handler: async (ctx, { key, n }) => await ctx.db.insert("rows", { key, n }),
  }),
  increment: mutation({
    args: { id: v.id("rows") },
    handler: async (ctx, { id }) => {
      const row = await ctx.db.get("rows", id);
      await ctx.db.patch("rows", id, { n: (row?.n ?? 0) + 1 });
    },
  }),
  keys: query({ handler: async (ctx) => (await ctx.db.query("rows").collect()).map(({ key }) => key) }),
  all: query({ handler: async (ctx) => await ctx.db.query("rows").collect() }),
};
