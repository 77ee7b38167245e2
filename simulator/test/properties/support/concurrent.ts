/**
 * Random concurrent programs: clients, actions and jobs whose transactions read and write the same few rows.
 *
 * Owns: the app, the programs and how they are run. Invariant: what a transaction writes and returns depends on all that it
 * has read, so a read that belongs to no serial order shows.
 */
import {
  actionGeneric,
  anyApi,
  defineSchema,
  defineTable,
  mutationGeneric,
  queryGeneric,
  type DataModelFromSchemaDefinition,
  type FunctionReference,
  type GenericMutationCtx,
  type GenericQueryCtx,
  type MutationBuilder,
  type QueryBuilder,
} from "convex/server";
import { v, type GenericId } from "convex/values";
import fc from "fast-check";
import { DEFAULT_LATENCIES, Deployment, scale, type DeploymentOptions } from "../../../src/index.js";
import { Recorder } from "../../../src/check/recorder.js";

type Order = "asc" | "desc";
export type Op =
  | { op: "first"; k: number; order: Order }
  | { op: "range"; from: number; to: number; take: number | null; order: Order }
  | { op: "scan"; parity: number; order: Order }
  | { op: "get"; i: number }
  | { op: "insert"; k: number }
  | { op: "bump"; k: number }
  | { op: "set"; i: number }
  | { op: "move"; k: number; to: number }
  | { op: "remove"; k: number }
  | { op: "nested"; ops: readonly Op[]; throws: boolean }
  | { op: "later"; ms: number; ops: readonly Op[] };
export type Call = { kind: "query" | "mutation"; ops: readonly Op[] };
export type Turn = { wait: number; call: Call | { kind: "action"; calls: readonly Call[]; together: boolean } };
export type Program = { seed: number; pace: number; faults: boolean; clients: ReadonlyArray<readonly Turn[]> };

export const schema = defineSchema({
  rows: defineTable({ k: v.number(), n: v.number() }).index("by_k", ["k"]),
});
type Tables = DataModelFromSchemaDefinition<typeof schema>;
const query = queryGeneric as QueryBuilder<Tables, "public">;
const mutation = mutationGeneric as MutationBuilder<Tables, "public">;
type Reference = FunctionReference<"query" | "mutation" | "action">;
export const api = anyApi as unknown as { app: Record<"setUp" | "read" | "write" | "act", Reference> };

const args = { ids: v.array(v.id("rows")), ops: v.array(v.any()), acc: v.number(), throws: v.optional(v.boolean()) };
type Args = { ids: readonly string[]; ops: readonly Op[]; acc: number };
type Ctx = GenericMutationCtx<Tables>;
type Reader = GenericQueryCtx<Tables>["db"];
type Row = { k: number; n: number };

const app = {
  setUp: mutation({
    args: {},
    handler: async (ctx) => {
      const ids: string[] = [];
      for (let k = 0; k < 4; k++) ids.push(await ctx.db.insert("rows", { k, n: k }));
      return ids;
    },
  }),
  read: query({ args, handler: async (ctx, given) => await perform(ctx as unknown as Ctx, given as Args) }),
  write: mutation({
    args,
    handler: async (ctx, given) => {
      const result = await perform(ctx, given);
      if (given.throws === true) throw new Error("undo this");
      return result;
    },
  }),
  act: actionGeneric({
    args: { ids: v.array(v.string()), calls: v.array(v.any()), together: v.boolean() },
    handler: async (ctx, { ids, calls, together }) => {
      const results: unknown[] = [];
      const call = async ({ kind, ops }: Call) => {
        const given = { ids, ops, acc: results.length };
        try {
          if (kind === "query") results.push(await ctx.runQuery(api.app.read as FunctionReference<"query">, given));
          else results.push(await ctx.runMutation(api.app.write as FunctionReference<"mutation">, given));
        } catch {
          results.push("lost");
        }
      };
      if (together) await Promise.all((calls as Call[]).map(call));
      else for (const one of calls as Call[]) await call(one);
      return results.length;
    },
  }),
};
export const modules = { "./_generated/api.js": () => Promise.resolve({}), "./app.ts": () => Promise.resolve(app) };

/** @returns what it has read, and the sum of it that its writes are made of. */
async function perform(ctx: Ctx, { ids, ops, acc: start }: Args): Promise<{ acc: number; seen: string[] }> {
  let acc = start;
  const seen: string[] = [];
  const saw = (...rows: Array<Row | null>) => {
    for (const row of rows) {
      acc = (acc * 3 + (row?.n ?? 1)) % 10_007;
      seen.push(row === null ? "none" : `${row.k}:${row.n}`);
    }
  };
  const firstAt = async (k: number) => {
    const row = await ctx.db
      .query("rows")
      .withIndex("by_k", (q) => q.eq("k", k))
      .first();
    saw(row);
    return row;
  };
  for (const op of ops) {
    switch (op.op) {
      case "first":
        saw(
          await ctx.db
            .query("rows")
            .withIndex("by_k", (q) => q.gte("k", op.k))
            .order(op.order)
            .first(),
        );
        break;
      case "range": {
        const range = ctx.db
          .query("rows")
          .withIndex("by_k", (q) => q.gte("k", op.from).lte("k", op.to))
          .order(op.order);
        saw(...(op.take === null ? await range.collect() : await range.take(op.take)));
        break;
      }
      case "scan":
        saw(...(await scan(ctx.db, op.parity, op.order)));
        break;
      case "get":
        saw(await ctx.db.get("rows", idAt(ids, op.i)));
        break;
      case "insert":
        await ctx.db.insert("rows", { k: op.k, n: acc });
        break;
      case "bump": {
        const row = await firstAt(op.k);
        if (row !== null) await ctx.db.patch("rows", row._id, { n: acc });
        break;
      }
      case "set": {
        const id = idAt(ids, op.i);
        if ((await ctx.db.get("rows", id)) !== null) await ctx.db.patch("rows", id, { n: acc });
        break;
      }
      case "move": {
        const row = await firstAt(op.k);
        if (row !== null) await ctx.db.patch("rows", row._id, { k: op.to, n: acc });
        break;
      }
      case "remove": {
        const row = await firstAt(op.k);
        if (row !== null) await ctx.db.delete("rows", row._id);
        break;
      }
      case "nested":
        try {
          const given = { ids, ops: op.ops, acc, throws: op.throws };
          const inner = (await ctx.runMutation(api.app.write as FunctionReference<"mutation">, given)) as {
            acc: number;
          };
          acc = inner.acc;
        } catch {
          seen.push("undone");
        }
        break;
      case "later":
        await ctx.scheduler.runAfter(op.ms, api.app.write as FunctionReference<"mutation">, { ids, ops: op.ops, acc });
        break;
    }
  }
  return { acc, seen };
}

async function scan(db: Reader, parity: number, order: Order): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of db.query("rows").order(order)) {
    rows.push(row);
    // Stops early: what comes after was not read.
    if (row.n % 3 === parity) break;
  }
  return rows;
}

const idAt = (ids: readonly string[], i: number) => ids[i % ids.length] as GenericId<"rows">;

export function start(options: DeploymentOptions = {}): Deployment {
  return new Deployment({ schema, modules, ...options });
}

/** So few that transactions wait for one: their snapshots are older than their execution. */
const PERMITS = { mutations: 4, queries: 2 };
/** Of every opportunity. */
const FAULTS = {
  killAction: 0.05,
  loseReply: 0.1,
  delayJob: 0.1,
  reorderJobs: 0.2,
  forceConflict: 0.05,
  exhaustPermits: 0.05,
  skewClock: 0.2,
  restart: 0.01,
  deploy: 0.01,
};

/** Runs a program to its end, jobs included. */
export async function runConcurrently(
  { seed, pace, faults, clients }: Program,
  prepare: (deployment: Deployment) => void = () => undefined,
): Promise<Recorder> {
  const deployment = start({
    seed,
    latencies: scale(DEFAULT_LATENCIES, pace),
    className: "S16",
    permits: PERMITS,
    ...(faults
      ? { faults: { probability: FAULTS, where: (_: string, source: string) => source !== "app:setUp" } }
      : {}),
  });
  const recorder = new Recorder(deployment);
  prepare(deployment);
  const ids = await deployment.mutation(api.app.setUp as FunctionReference<"mutation">);
  const take = async ({ wait, call }: Turn) => {
    await deployment.loop.sleep(wait);
    const given = call.kind === "action" ? call : { ops: call.ops, acc: 0 };
    const { kind: _, ...rest } = { kind: call.kind, ...given };
    if (call.kind === "query") await deployment.query(api.app.read as FunctionReference<"query">, { ids, ...rest });
    else if (call.kind === "mutation") {
      await deployment.mutation(api.app.write as FunctionReference<"mutation">, { ids, ...rest });
    } else await deployment.action(api.app.act as FunctionReference<"action">, { ids, ...rest });
  };
  const client = async (turns: readonly Turn[]) => {
    // Those that lost too often are part of the program.
    for (const turn of turns) await take(turn).catch(() => undefined);
  };
  await deployment.loop.drive(Promise.all(clients.map(client)));
  await deployment.loop.advance(60_000);
  return recorder;
}

const k = fc.nat({ max: 3 });
const order = fc.constantFrom<Order>("asc", "desc");
const readOps: fc.Arbitrary<Op>[] = [
  fc.record({ op: fc.constant("first" as const), k, order }),
  fc.record({
    op: fc.constant("range" as const),
    from: k,
    to: k,
    take: fc.option(fc.integer({ min: 1, max: 2 }), { nil: null }),
    order,
  }),
  fc.record({ op: fc.constant("scan" as const), parity: fc.nat({ max: 2 }), order }),
  fc.record({ op: fc.constant("get" as const), i: fc.nat({ max: 3 }) }),
];
const writeOps: fc.Arbitrary<Op>[] = [
  fc.record({ op: fc.constant("insert" as const), k }),
  fc.record({ op: fc.constant("bump" as const), k }),
  fc.record({ op: fc.constant("set" as const), i: fc.nat({ max: 3 }) }),
  fc.record({ op: fc.constant("move" as const), k, to: k }),
  fc.record({ op: fc.constant("remove" as const), k }),
];
const flat = fc.array(fc.oneof(...readOps, ...writeOps), { minLength: 1, maxLength: 3 });
const nested = fc.record({ op: fc.constant("nested" as const), ops: flat, throws: fc.boolean() });
const later = fc.record({ op: fc.constant("later" as const), ms: fc.nat({ max: 40 }), ops: flat });
const call: fc.Arbitrary<Call> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("mutation" as const),
      ops: fc.array(fc.oneof(...readOps, ...writeOps, nested, later), { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("query" as const),
      ops: fc.array(fc.oneof(...readOps), { minLength: 1, maxLength: 3 }),
    }),
  },
);
const turn: fc.Arbitrary<Turn> = fc.record({
  wait: fc.nat({ max: 12 }),
  call: fc.oneof(
    { weight: 4, arbitrary: call },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("action" as const),
        calls: fc.array(call, { minLength: 1, maxLength: 3 }),
        together: fc.boolean(),
      }),
    },
  ),
});
export const concurrentPrograms: fc.Arbitrary<Program> = fc.record({
  seed: fc.nat(),
  pace: fc.constantFrom(0.2, 1, 5),
  faults: fc.boolean(),
  clients: fc.array(fc.array(turn, { minLength: 1, maxLength: 4 }), { minLength: 3, maxLength: 7 }),
});
