/**
 * Random schemas and random serial programs over them.
 *
 * Owns: what programs can be. Invariant: none of them does what convex-test is known to do otherwise than a deployment;
 * those cases are in departures.test.ts, one by one.
 */
import fc from "fast-check";
import { defineSchema, defineTable } from "convex/server";
import { v, type GenericValidator, type Value } from "convex/values";
import { bigints, bytes, numbers, primitives, strings, values } from "../../values/arbitraries.js";
import type { Bound, Call, Doc, End, Expression, Op, Part, QueryPlan, Throws } from "./programs.js";

export type Step =
  | Call
  | { kind: "action"; calls: readonly Call[] }
  | { kind: "advance"; ms: number }
  | { kind: "pages"; plan: QueryPlan; numItems: number; between: readonly Op[] };
type FieldKind = keyof typeof FIELD_KINDS;
/** Its values mostly come from a few of its own, so that queries find something. */
type Field = { name: string; kind: FieldKind; optional: boolean; pool: readonly Part[] };
export type TablePlan = { name: string; fields: readonly Field[]; indexes: ReadonlyArray<readonly string[]> };
export type Program = { tables: readonly TablePlan[]; steps: readonly Step[] };

const valid = (arbitrary: fc.Arbitrary<Value>): fc.Arbitrary<Part> => arbitrary.map((value) => ({ v: value }));
/** Mostly of the first table, whose rows come first. */
const REF: fc.Arbitrary<Part> = fc.nat({ max: 3 }).map((ref) => ({ ref }));

/** Every type of validator, each with values that match it. */
const FIELD_KINDS = {
  any: [v.any(), valid(values)],
  string: [v.string(), valid(strings)],
  number: [v.number(), valid(numbers)],
  bigint: [v.int64(), valid(bigints)],
  boolean: [v.boolean(), valid(fc.boolean())],
  bytes: [v.bytes(), valid(bytes)],
  null: [v.null(), valid(fc.constant(null))],
  id: [v.id("t0"), REF],
  array: [v.array(v.union(v.number(), v.string())), valid(fc.array(fc.oneof(numbers, strings), { maxLength: 3 }))],
  object: [
    v.object({ x: v.optional(v.any()), y: v.optional(v.number()) }),
    valid(fc.record({ x: primitives, y: numbers }, { requiredKeys: [], noNullPrototype: true })),
  ],
  record: [
    v.record(v.string(), v.number()),
    valid(fc.dictionary(fc.constantFrom("a", "b", "c d"), numbers, { maxKeys: 2, noNullPrototype: true })),
  ],
  union: [v.union(v.literal("a"), v.literal("b"), v.bigint(), v.null()), valid(fc.constantFrom("a", "b", 1n, null))],
} satisfies Record<string, [GenericValidator, fc.Arbitrary<Part>]>;
const KINDS = Object.keys(FIELD_KINDS) as FieldKind[];

/** Plain fields, on which comparisons in filters mean the same in JavaScript as in Convex. */
const PLAIN: Record<string, fc.Arbitrary<Value>> = {
  n: fc.integer({ min: -2, max: 3 }).map((n) => n + 0),
  s: fc.constantFrom("", "a", "ab", "b"),
};

export function schemaOf(tables: readonly TablePlan[]) {
  const define = ({ fields, indexes }: TablePlan) => {
    const validators: Record<string, GenericValidator> = { n: v.number(), s: v.string() };
    for (const { name, kind, optional } of fields) {
      const [validator] = FIELD_KINDS[kind];
      validators[name] = optional ? v.optional(validator) : validator;
    }
    let table = defineTable(validators);
    for (const [i, of] of indexes.entries()) table = table.index(`i${i}`, of as [string]);
    return table;
  };
  return defineSchema(Object.fromEntries(tables.map((table) => [table.name, define(table)])));
}

/** What can be indexed of a field. Not ids: their order is chance on a deployment, and that of insertion in convex-test. */
function pathsOf({ name, kind }: Field): string[] {
  if (kind === "id") return [];
  return kind === "object" ? [name, `${name}.x`] : [name];
}

const fieldPlan: fc.Arbitrary<Omit<Field, "name">> = fc.constantFrom(...KINDS).chain((kind) =>
  fc.record({
    kind: fc.constant(kind),
    optional: fc.boolean(),
    pool: fc.array(FIELD_KINDS[kind][1], { minLength: 1, maxLength: 3 }),
  }),
);

const tablePlan = (name: string): fc.Arbitrary<TablePlan> =>
  fc
    .array(fieldPlan, { minLength: 1, maxLength: 4 })
    .map((kinds) => kinds.map((field, i): Field => ({ name: `${name === "t0" ? "f" : "g"}${i}`, ...field })))
    .chain((fields) => {
      const paths = ["n", "s", ...fields.flatMap(pathsOf)];
      const index = fc.uniqueArray(fc.constantFrom(...paths), { minLength: 1, maxLength: 3 });
      const indexes = fc.uniqueArray(index, { maxLength: 3, selector: (of) => of.join() });
      return indexes.map((of) => ({ name, fields, indexes: of }));
    });

/** The value of a field: one that fits, mostly. */
function partFor({ kind, optional, pool }: Field): fc.Arbitrary<Part> {
  // What does not fit a record is let through by convex-test.
  const other = kind === "record" ? fc.constantFrom(...pool) : valid(primitives);
  const none: fc.Arbitrary<Part> = fc.constant({ none: true });
  return fc.oneof(
    { arbitrary: fc.constantFrom(...pool), weight: 16 },
    { arbitrary: FIELD_KINDS[kind][1], weight: 4 },
    { arbitrary: other, weight: 1 },
    { arbitrary: none, weight: optional ? 6 : 0 },
  );
}

function docFor(table: TablePlan, partial: boolean): fc.Arbitrary<Doc> {
  const parts = [
    ...Object.entries(PLAIN).map(([name, plain]) => [name, valid(plain)] as const),
    ...table.fields.map((field) => [field.name, partFor(field)] as const),
  ];
  const all = fc.tuple(...parts.map(([name, part]) => part.map((one) => [name, one] as const)));
  return partial ? all.chain((doc) => fc.subarray(doc)) : all;
}

function boundsFor(table: TablePlan, path: string): fc.Arbitrary<Part> {
  const plain = PLAIN[path];
  if (plain !== undefined) return valid(plain);
  const field = table.fields.find(({ name }) => name === path);
  const fitting = field === undefined ? valid(primitives) : partFor(field);
  return fc.oneof({ arbitrary: fitting, weight: 6 }, { arbitrary: valid(values), weight: 1 });
}

function rangeFor(table: TablePlan, fields: readonly string[]): fc.Arbitrary<Bound[]> {
  return fc.constantFrom(0, 0, 0, 1, 1, fields.length).chain((equal) => {
    const bound = (kinds: ReadonlyArray<Bound[0]>, path: string): fc.Arbitrary<Bound> =>
      fc.tuple(fc.constantFrom(...kinds), fc.constant(path), boundsFor(table, path));
    const eqs = fields.slice(0, equal).map((path) => bound(["eq"], path));
    const next = fields[equal];
    if (next === undefined) return fc.tuple(...eqs);
    const lower = fc.option(bound(["gt", "gte"], next), { nil: null });
    const upper = fc.option(bound(["lt", "lte"], next), { nil: null });
    return fc
      .tuple(fc.tuple(...eqs), lower, upper)
      .map(([prefix, low, high]) => [...prefix, ...(low === null ? [] : [low]), ...(high === null ? [] : [high])]);
  });
}

const comparable: fc.Arbitrary<Expression> = fc.oneof(
  ...Object.entries(PLAIN).map(([field, plain]) => {
    const number = typeof fc.sample(plain, { numRuns: 1, seed: 1 })[0] === "number";
    const literal = valid(plain).map((part): Expression => ({ is: "literal", part }));
    const left: fc.Arbitrary<Expression> = number
      ? fc.oneof(
          fc.constant<Expression>({ is: "field", field }),
          fc
            .tuple(fc.constantFrom("add", "sub", "mul"), literal)
            .map(([is, by]): Expression => ({ is, of: [{ is: "field", field }, by] })),
        )
      : fc.constant<Expression>({ is: "field", field });
    return fc
      .tuple(fc.constantFrom("lt", "lte", "gt", "gte"), left, literal)
      .map(([is, a, b]): Expression => ({ is, of: [a, b] }));
  }),
);

function filterFor(table: TablePlan): fc.Arbitrary<Expression> {
  const paths = table.fields.map(({ name }) => name);
  const equality = fc.constantFrom(...paths, "n", "s", "absent").chain((field) =>
    fc.tuple(fc.constantFrom("eq", "neq"), boundsFor(table, field)).map(([is, part]): Expression => ({
      is,
      of: [
        { is: "field", field },
        { is: "literal", part },
      ],
    })),
  );
  return fc.letrec<{ all: Expression }>((tie) => ({
    all: fc.oneof(
      { maxDepth: 2 },
      comparable,
      equality,
      tie("all").map((of): Expression => ({ is: "not", of })),
      fc
        .tuple(fc.constantFrom("and", "or"), fc.array(tie("all"), { minLength: 1, maxLength: 3 }))
        .map(([is, of]): Expression => ({ is, of })),
    ),
  })).all;
}

function planFor(tables: readonly TablePlan[]): fc.Arbitrary<QueryPlan> {
  return fc.constantFrom(...tables).chain((table) => {
    const source: fc.Arbitrary<Pick<QueryPlan, "index" | "range">> = fc.oneof(
      fc.constant({ index: null, range: [] }),
      fc.constant({ index: "by_creation_time", range: [] }),
      fc.nat({ max: 5 }).map((ref) => ({ index: "by_id", range: [["eq", "_id", { ref }] as const] })),
      ...table.indexes.map((fields, i) => ({
        weight: 4,
        arbitrary: rangeFor(table, fields).map((range) => ({ index: `i${i}`, range })),
      })),
      // Out of order, unless the index happens to begin so.
      ...table.indexes.map((fields, i) =>
        boundsFor(table, "n").map((part) => ({ index: `i${i}`, range: [["gt", fields.at(-1) ?? "n", part] as const] })),
      ),
    );
    return fc
      .record({
        source,
        order: fc.constantFrom("asc" as const, "desc" as const, null),
        filters: fc.oneof(
          { arbitrary: fc.constant<Expression[]>([]), weight: 2 },
          { arbitrary: fc.array(filterFor(table), { maxLength: 2 }), weight: 1 },
        ),
      })
      .map(({ source: { index, range }, order, filters }) => ({ table: table.name, index, range, order, filters }));
  });
}

const ends: fc.Arbitrary<End> = fc.oneof(
  fc.constantFrom<End>({ end: "collect" }, { end: "first" }, { end: "unique" }),
  fc.nat({ max: 3 }).map((n): End => ({ end: "take", n })),
  fc.integer({ min: 1, max: 3 }).map((n): End => ({ end: "iterate", n })),
);

const throwsAtAll: fc.Arbitrary<Throws> = fc.oneof(
  { arbitrary: fc.constant<Throws>("no"), weight: 5 },
  { arbitrary: fc.constantFrom<Throws>("error", "data"), weight: 1 },
);

function reads(tables: readonly TablePlan[]): fc.Arbitrary<Op>[] {
  const ref = fc.nat({ max: 7 });
  const name = fc.constantFrom(...tables.map((table) => table.name));
  const count = name.map((table): Op => ({
    op: "query",
    plan: { table, index: null, range: [], order: null, filters: [] },
    end: { end: "count" },
  }));
  return [
    fc.record({ op: fc.constant("get" as const), ref }),
    fc.record({ op: fc.constant("get" as const), ref, table: name }),
    fc.record({ op: fc.constant("normalize" as const), ref, table: name }),
    fc.record({ op: fc.constant("query" as const), plan: planFor(tables), end: ends }),
    fc.record({ op: fc.constant("query" as const), plan: planFor(tables), end: ends }),
    count,
  ];
}

const insertInto = (table: TablePlan): fc.Arbitrary<Op> =>
  docFor(table, false).map((doc): Op => ({ op: "insert", table: table.name, doc }));

function writes(tables: readonly TablePlan[]): fc.Arbitrary<Op>[] {
  const ref = fc.nat({ max: 7 });
  const table = fc.constantFrom(...tables);
  const insert = table.chain(insertInto);
  // With its table, so that no field is taken off that the table does not have: convex-test refuses that.
  const change = (op: "patch" | "replace") =>
    table.chain((one) =>
      fc.tuple(ref, docFor(one, op === "patch")).map(([at, doc]): Op => {
        const clears = doc.some(([, part]) => "none" in part);
        return { op, ref: at, doc, ...(clears ? { table: one.name } : {}) };
      }),
    );
  const remove = fc.record({ op: fc.constant("delete" as const), ref });
  return [insert, insert, insert, change("patch"), change("patch"), change("replace"), remove];
}

/** Delays of jobs: each has a bit of its own, so no two jobs are ever due at the same time. */
function spreadDelays(steps: readonly Step[]): Step[] {
  let bit = 1;
  const spread = (op: Op): Op => {
    if (op.op === "nested" || op.op === "read") return { ...op, ops: op.ops.map(spread) };
    if (op.op !== "schedule") return op;
    const own = bit;
    if (own >= GRID_MS) return { op: "cancel", job: 0 };
    bit *= 2;
    return { ...op, ms: op.ms * GRID_MS + own, ops: op.ops.map(spread) };
  };
  return steps.map((step): Step => {
    if (step.kind === "mutation" || step.kind === "query") return { ...step, ops: step.ops.map(spread) };
    if (step.kind !== "action") return step;
    return { ...step, calls: step.calls.map((call) => ({ ...call, ops: call.ops.map(spread) })) };
  });
}
/** Larger than the sum of the bits of a program's jobs: there are at most sixteen. */
const GRID_MS = 2 ** 16;

function opsFor(tables: readonly TablePlan[], isSnapshotUsed: boolean) {
  const read = reads(tables);
  const write = writes(tables);
  const readOps = fc.array(fc.oneof(...read), { minLength: 1, maxLength: 4 });
  const nestedRead = readOps.chain((ops) =>
    fc.boolean().map((stale): Op => ({ op: "read", ops, stale: stale && isSnapshotUsed })),
  );
  const flat = fc.array(fc.oneof(...write, ...read), { minLength: 1, maxLength: 4 });
  const nested = fc.record({
    op: fc.constant("nested" as const),
    ops: flat,
    throws: fc.constantFrom<Throws>("no", "no", "error", "data", "result"),
  });
  const job = fc.record({
    op: fc.constant("schedule" as const),
    ms: fc.nat({ max: 3 }),
    ops: fc.array(
      fc.oneof(
        ...write,
        fc.record({ op: fc.constant("schedule" as const), ms: fc.nat({ max: 2 }), ops: flat, throws: throwsAtAll }),
      ),
      { maxLength: 3 },
    ),
    throws: throwsAtAll,
  });
  const cancel = fc.nat({ max: 4 }).map((one): Op => ({ op: "cancel", job: one }));
  const all = fc.oneof(
    { arbitrary: fc.oneof(...write), weight: 6 },
    { arbitrary: fc.oneof(...read), weight: 4 },
    { arbitrary: nested, weight: 3 },
    { arbitrary: nestedRead, weight: 1 },
    { arbitrary: job, weight: 2 },
    { arbitrary: cancel, weight: 1 },
  );
  return {
    read: fc.array(fc.oneof(...read, nestedRead), { maxLength: 4 }),
    all: fc.array(all, { maxLength: 6 }),
    write,
  };
}

export const serialPrograms: fc.Arbitrary<Program> = fc.tuple(tablePlan("t0"), tablePlan("t1")).chain((tables) => {
  const inMutation = opsFor(tables, true);
  const inQuery = opsFor(tables, false);
  const call: fc.Arbitrary<Call> = fc.oneof(
    {
      arbitrary: fc.record({ kind: fc.constant("mutation" as const), ops: inMutation.all, throws: throwsAtAll }),
      weight: 4,
    },
    {
      arbitrary: fc.record({ kind: fc.constant("query" as const), ops: inQuery.read, throws: throwsAtAll }),
      weight: 1,
    },
  );
  const rowsOf = (table: TablePlan) => fc.array(insertInto(table), { minLength: 2, maxLength: 6 });
  const fill = fc
    .tuple(...tables.map(rowsOf))
    .map((rows): Call => ({ kind: "mutation", ops: rows.flat(), throws: "no" }));
  const step: fc.Arbitrary<Step> = fc.oneof(
    { arbitrary: call, weight: 6 },
    fc.record({ kind: fc.constant("action" as const), calls: fc.array(call, { maxLength: 3 }) }),
    fc.integer({ min: 1, max: 3 }).map((grids): Step => ({ kind: "advance", ms: grids * GRID_MS })),
    fc.record({
      kind: fc.constant("pages" as const),
      plan: planFor(tables),
      numItems: fc.integer({ min: 1, max: 3 }),
      between: fc.array(fc.oneof(...inMutation.write), { maxLength: 2 }),
    }),
  );
  return fc
    .tuple(fill, fc.array(step, { minLength: 1, maxLength: 7 }))
    .map(([first, rest]) => ({ tables, steps: spreadDelays([first, ...rest]) }));
});
