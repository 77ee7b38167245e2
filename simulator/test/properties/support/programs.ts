/**
 * Programs as data: what a property runs on two systems, or many times at once.
 *
 * Owns: the operations, and the functions that carry them out. Invariant: an operation that fails leaves an entry in the
 * trace and does not end its transaction; only `throws` does.
 */
import { actionGeneric, anyApi, mutationGeneric, queryGeneric, type FunctionReference } from "convex/server";
import { ConvexError, v, type Value } from "convex/values";

/** A value, the id of an earlier document, or none. */
export type Part = { v: Value } | { ref: number } | { none: true };
export type Doc = ReadonlyArray<readonly [field: string, part: Part]>;
export type Bound = readonly ["eq" | "gt" | "gte" | "lt" | "lte", field: string, part: Part];
export type Expression =
  | { is: "field"; field: string }
  | { is: "literal"; part: Part }
  | { is: "not"; of: Expression }
  | { is: "and" | "or"; of: readonly Expression[] }
  | { is: "eq" | "neq" | "lt" | "lte" | "gt" | "gte" | "add" | "sub" | "mul"; of: readonly [Expression, Expression] };
export type End = { end: "collect" | "first" | "unique" | "count" } | { end: "take" | "iterate"; n: number };
export type QueryPlan = {
  table: string;
  /** Null: a scan of the whole table. */
  index: string | null;
  range: readonly Bound[];
  order: "asc" | "desc" | null;
  filters: readonly Expression[];
};
export type Throws = "no" | "error" | "data" | "result";
export type Op =
  | { op: "insert"; table: string; doc: Doc }
  | { op: "patch" | "replace"; ref: number; doc: Doc; table?: string }
  | { op: "delete" | "get"; ref: number; table?: string }
  | { op: "normalize"; ref: number; table: string }
  | { op: "query"; plan: QueryPlan; end: End }
  | { op: "nested"; ops: readonly Op[]; throws: Throws }
  | { op: "read"; ops: readonly Op[]; stale: boolean }
  | { op: "schedule"; ms: number; ops: readonly Op[]; throws: Throws }
  | { op: "cancel"; job: number };
export type Call = { kind: "mutation" | "query"; ops: readonly Op[]; throws: Throws };

/** What calls hand to each other: ids of documents and jobs so far. */
export type State = { ids: string[]; jobs: string[] };
export type RunArgs = State & { ops: Op[]; throws: Throws };
export type RunResult = State & { trace: Value[] };

type Ref = FunctionReference<"query" | "mutation" | "action">;
export const api = anyApi as unknown as { app: Record<"run" | "badResult" | "read" | "page" | "act" | "jobs", Ref> };

/** What generated types would say of a database whose tables are not known. */
type Chain = { [name in "eq" | "gt" | "gte" | "lt" | "lte"]: (field: string, value: unknown) => Chain };
type Build = Record<string, (...of: unknown[]) => unknown>;
type Query = AsyncIterable<Value> & {
  order(order: "asc" | "desc"): Query;
  filter(predicate: (q: Build) => unknown): Query;
  collect(): Promise<Value>;
  take(n: number): Promise<Value>;
  first(): Promise<Value>;
  unique(): Promise<Value>;
  count(): Promise<Value>;
  paginate(options: { cursor: string | null; numItems: number }): Promise<Value>;
};
type Ctx = {
  db: {
    query(table: string): Query & { withIndex(name: string, range: (q: Chain) => Chain): Query };
    get(...where: string[]): Promise<Value>;
    insert(table: string, doc: object): Promise<string>;
    patch(...where: Array<string | object>): Promise<void>;
    replace(...where: Array<string | object>): Promise<void>;
    delete(...where: string[]): Promise<void>;
    normalizeId(table: string, id: string): string | null;
    system: { get(id: string): Promise<{ state: { kind: string } } | null>; query(table: string): Query };
  };
  runQuery(ref: Ref, args: object, options?: object): Promise<Value>;
  runMutation(ref: Ref, args: object): Promise<Value>;
  scheduler: { runAfter(ms: number, ref: Ref, args: object): Promise<string>; cancel(id: string): Promise<void> };
};

const opsArgs = { ids: v.array(v.string()), jobs: v.array(v.string()), ops: v.array(v.any()), throws: v.string() };

const app = {
  run: mutationGeneric({
    args: opsArgs,
    handler: async (ctx, args) => await run(ctx as unknown as Ctx, args as RunArgs),
  }),
  /** Does its work, and returns what it must not. */
  badResult: mutationGeneric({
    args: opsArgs,
    returns: v.null(),
    handler: async (ctx, args) => (await run(ctx as unknown as Ctx, args as RunArgs)) as unknown as null,
  }),
  read: queryGeneric({
    args: opsArgs,
    handler: async (ctx, args) => await run(ctx as unknown as Ctx, args as RunArgs),
  }),
  page: queryGeneric({
    args: { ids: v.array(v.string()), plan: v.any(), cursor: v.union(v.string(), v.null()), numItems: v.number() },
    handler: async (ctx, { ids, plan, cursor, numItems }) =>
      await build(ctx as unknown as Ctx, plan as QueryPlan, { ids, jobs: [] }).paginate({ cursor, numItems }),
  }),
  act: actionGeneric({
    args: { ids: v.array(v.string()), jobs: v.array(v.string()), calls: v.array(v.any()) },
    handler: async (ctx, { ids, jobs, calls }) => {
      const state: State = { ids, jobs };
      const trace: Value[] = [];
      for (const { kind, ops, throws } of calls as Call[]) {
        const args = { ...state, ops, throws };
        const call = async () => {
          const result = (await (kind === "query"
            ? ctx.runQuery(api.app.read as FunctionReference<"query">, args)
            : ctx.runMutation(api.app.run as FunctionReference<"mutation">, args))) as RunResult;
          Object.assign(state, { ids: result.ids, jobs: result.jobs });
          return result.trace;
        };
        trace.push(await attempt(call));
      }
      return { ...state, trace };
    },
  }),
  jobs: queryGeneric({
    args: {},
    handler: async (ctx) => await (ctx as unknown as Ctx).db.system.query("_scheduled_functions").collect(),
  }),
};

export const modules = {
  "./_generated/api.js": () => Promise.resolve({}),
  "./app.ts": () => Promise.resolve(app),
};

export async function attempt(work: () => Promise<Value>): Promise<Value> {
  try {
    return { ok: await work() };
  } catch (error) {
    return { failed: error instanceof ConvexError ? (error.data as Value) : null };
  }
}

async function run(ctx: Ctx, { ids, jobs, ops, throws }: RunArgs): Promise<RunResult> {
  const state: State = { ids: [...ids], jobs: [...jobs] };
  const trace: Value[] = [];
  for (const op of ops) trace.push(await attempt(async () => (await perform(ctx, op, state)) ?? null));
  if (throws === "error") throw new TypeError("asked to");
  if (throws === "data") throw new ConvexError({ why: ["asked", "to"] });
  return { ...state, trace };
}

async function perform(ctx: Ctx, op: Op, state: State): Promise<Value | undefined | void> {
  const at = (ref: number) => state.ids[ref % Math.max(1, state.ids.length)] ?? "nothing yet";
  // A text that is no id at all is another matter: see the departures.
  if ("ref" in op && state.ids.length === 0) return "nothing yet";
  const where = (one: { ref: number; table?: string }) =>
    one.table === undefined ? [at(one.ref)] : [one.table, at(one.ref)];
  switch (op.op) {
    case "insert":
      state.ids.push(await ctx.db.insert(op.table, fieldsOf(op.doc, state)));
      return state.ids.at(-1);
    case "patch":
      return await ctx.db.patch(...where(op), fieldsOf(op.doc, state));
    case "replace":
      return await ctx.db.replace(...where(op), fieldsOf(op.doc, state));
    case "delete":
      return await ctx.db.delete(...where(op));
    case "get":
      return await ctx.db.get(...where(op));
    case "normalize":
      return ctx.db.normalizeId(op.table, at(op.ref));
    case "query":
      return await finish(build(ctx, op.plan, state), op.end);
    case "nested": {
      const name = op.throws === "result" ? "badResult" : "run";
      const result = (await ctx.runMutation(api.app[name], { ...state, ops: op.ops, throws: op.throws })) as RunResult;
      Object.assign(state, { ids: result.ids, jobs: result.jobs });
      return result.trace;
    }
    case "read": {
      const args = { ...state, ops: op.ops, throws: "no" };
      const result = await (op.stale
        ? ctx.runQuery(api.app.read, args, { useStaleSnapshot: true })
        : ctx.runQuery(api.app.read, args));
      return (result as RunResult).trace;
    }
    case "schedule": {
      const args = { ...state, ops: op.ops, throws: op.throws };
      state.jobs.push(await ctx.scheduler.runAfter(op.ms, api.app.run, args));
      return state.jobs.at(-1);
    }
    case "cancel": {
      const job = state.jobs[op.job % Math.max(1, state.jobs.length)];
      // Only what is pending: of anything else convex-test changes the state, too.
      if (job === undefined || (await ctx.db.system.get(job))?.state.kind !== "pending") return "not pending";
      return await ctx.scheduler.cancel(job);
    }
  }
}

function valueOf(part: Part, { ids }: State): unknown {
  if ("v" in part) return part.v;
  return "ref" in part ? (ids[part.ref % Math.max(1, ids.length)] ?? null) : undefined;
}

function fieldsOf(doc: Doc, state: State): Record<string, unknown> {
  return Object.fromEntries(doc.map(([field, part]) => [field, valueOf(part, state)]));
}

function build(ctx: Ctx, { table, index, range, order, filters }: QueryPlan, state: State): Query {
  const whole = ctx.db.query(table);
  let query: Query =
    index === null
      ? whole
      : whole.withIndex(index, (q) =>
          range.reduce((chain, [bound, field, part]) => chain[bound](field, valueOf(part, state)), q),
        );
  if (order !== null) query = query.order(order);
  for (const filter of filters) query = query.filter((q) => expression(q, filter, state));
  return query;
}

function expression(q: Build, one: Expression, state: State): unknown {
  if (one.is === "field") return q.field?.(one.field);
  if (one.is === "literal") return valueOf(one.part, state);
  const of = Array.isArray(one.of) ? one.of : [one.of];
  return q[one.is]?.(...of.map((inner: Expression) => expression(q, inner, state)));
}

async function finish(query: Query, end: End): Promise<Value> {
  if (end.end === "take") return await query.take(end.n);
  if (end.end !== "iterate") return await query[end.end]();
  const seen: Value[] = [];
  for await (const row of query) if (seen.push(row) >= end.n) break;
  return seen;
}
