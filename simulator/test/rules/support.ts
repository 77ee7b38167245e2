/**
 * Programs for the tests of the rules: a table, functions written in the test itself, and two calls that overlap.
 *
 * Owns: a timing in which nothing is drawn, so that a test can say which call commits first.
 */
import {
  actionGeneric,
  defineSchema,
  defineTable,
  internalMutationGeneric,
  mutationGeneric,
  queryGeneric,
  type ActionBuilder,
  type DataModelFromSchemaDefinition,
  type FunctionReference,
  type GenericActionCtx,
  type GenericMutationCtx,
  type GenericQueryCtx,
  type MutationBuilder,
  type QueryBuilder,
} from "convex/server";
import { v, type Value } from "convex/values";
import { Deployment, NO_LATENCIES, type DeploymentOptions, type LatencyProfile } from "../../src/index.js";
import type { RegisteredFunction } from "../../src/runtime/component.js";
import { frames } from "../../src/runtime/frame.js";
import type { Transaction } from "../../src/transaction/transaction.js";

export const schema = defineSchema({
  rows: defineTable({ k: v.string(), n: v.optional(v.any()), note: v.optional(v.any()) }).index("by_k_n", ["k", "n"]),
  others: defineTable({ x: v.any() }),
  deep: defineTable({ a: v.optional(v.any()), b: v.optional(v.any()) }).index("by_a_b", ["a.x", "b"]),
});
export type Tables = DataModelFromSchemaDefinition<typeof schema>;
export const query = queryGeneric as QueryBuilder<Tables, "public">;
export const mutation = mutationGeneric as MutationBuilder<Tables, "public">;
export const internalMutation = internalMutationGeneric as MutationBuilder<Tables, "internal">;
export const action = actionGeneric as ActionBuilder<Tables, "public">;

export type QueryCtx = GenericQueryCtx<Tables>;
export type MutationCtx = GenericMutationCtx<Tables>;
export type ActionCtx = GenericActionCtx<Tables>;

/** Milliseconds of everything, without chance: an execution takes 10, a commit 3. */
export const STEADY: LatencyProfile = { ...NO_LATENCIES, executionMs: 10, commitMs: 3 };

/** Of a function of any kind. */
type Reference = FunctionReference<never, "public", Record<string, unknown>, unknown>;
/** A reference to a function of the module `f`. */
export const f = (name: string): Reference => `f:${name}` as unknown as Reference;
/** A reference to a function of the module `f` of a component. */
export const inChild = (name: string, child = "child"): Reference =>
  ({ [Symbol.for("toReferencePath")]: `_reference/childComponent/${child}/f/${name}` }) as unknown as Reference;

export type Functions = Record<string, unknown>;

/** A deployment whose module `f` has these functions; the component "child" has the second ones. */
export function deploy(functions: Functions = {}, options: DeploymentOptions = {}, child?: Functions): Deployment {
  const modulesOf = (all: Functions) => ({
    "./_generated/api.js": () => Promise.resolve({}),
    "./f.ts": () => Promise.resolve(all),
  });
  const app = new Deployment({ schema, modules: modulesOf(functions), latencies: STEADY, ...options });
  if (child !== undefined) app.registerComponent("child", schema, modulesOf(child));
  return app;
}

/** Runs code as a mutation that a client called. */
export async function mutate<T>(
  app: Deployment,
  handler: (ctx: MutationCtx) => Promise<T>,
  { name = "inline", component = "" }: { name?: string; component?: string } = {},
): Promise<T> {
  let result: T | undefined;
  // Of the last attempt, and as it is: what it returns need not be a value.
  const code = mutation({ handler: async (ctx) => void (result = await handler(ctx)) });
  await run(app, "mutation", code, name, component);
  return result as T;
}

/** Runs code as a query that a client called. */
export async function read<T>(app: Deployment, handler: (ctx: QueryCtx) => Promise<T>, component = ""): Promise<T> {
  let result: T | undefined;
  const code = query({ handler: async (ctx) => void (result = await handler(ctx)) });
  await run(app, "query", code, "inline", component);
  return result as T;
}

/** Runs code as an action that a client called. */
export async function act<T>(app: Deployment, handler: (ctx: ActionCtx) => Promise<T>, component = ""): Promise<T> {
  let result: T | undefined;
  const code = action({ handler: async (ctx) => void (result = await handler(ctx)) });
  await run(app, "action", code, "inline", component);
  return result as T;
}

async function run(app: Deployment, kind: "query" | "mutation" | "action", code: unknown, name: string, path: string) {
  await app.loop.drive(
    (async (): Promise<Value> => {
      await app.load();
      const target = { code: code as RegisteredFunction, component: app.component(path), kind, name };
      return await app.call(target, kind, {});
    })(),
  );
}

/** Starts the second call one millisecond after the first: it begins before the first commits, and commits after it. */
export async function overlap<A, B>(
  app: Deployment,
  first: () => Promise<A>,
  second: () => Promise<B>,
): Promise<[PromiseSettledResult<A>, PromiseSettledResult<B>]> {
  return await app.loop.drive(
    Promise.allSettled([
      first(),
      (async () => {
        await app.loop.sleep(1);
        return await second();
      })(),
    ]),
  );
}

/** The transaction of the call that asks, for what no function can see of it. */
export function transactionOf(): Transaction {
  const frame = frames.getStore();
  if (frame === undefined || frame.kind === "action") throw new Error("Only a query or mutation has a transaction.");
  return frame.transaction;
}

export const messageOf = (result: PromiseSettledResult<unknown>): string =>
  result.status === "rejected" ? String((result.reason as Error).message) : "";

/**
 * A mutation that loses every time: whenever it runs, a blind insert into what it has read commits before it.
 * `attempts` are the times at which it ran.
 */
export function newLoser(): {
  attempts: number[];
  handler: (ctx: MutationCtx) => Promise<null>;
  on: (app: Deployment) => void;
} {
  const attempts: number[] = [];
  let deployment: Deployment | null = null;
  let executionMs = 10;
  return {
    attempts,
    on: (app) => {
      deployment = app;
      // The one that executed last is the one whose time is spent.
      app.latency = (ms) => (ms === STEADY.executionMs ? executionMs : ms);
    },
    handler: async ({ db }) => {
      const app = deployment as Deployment;
      attempts.push(app.loop.now());
      executionMs = 10;
      await db.query("rows").collect();
      await db.insert("others", { x: 1 });
      app.loop.after(2, () => {
        void mutate(app, async (ctx) => {
          executionMs = 1;
          await ctx.db.insert("rows", { k: "winner" });
        });
      });
      return null;
    },
  };
}

/** Time between neighbours, to the nearest millisecond. */
export const gaps = (times: readonly number[]): number[] =>
  times.slice(1).map((time, i) => Math.round(time - (times[i] as number)));
