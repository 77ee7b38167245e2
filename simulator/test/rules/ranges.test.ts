/** Section 7: which rows a range of an index has, and in which order. */
import { expect, test } from "vitest";
import type { Value } from "convex/values";
import { deploy, mutate, read, type QueryCtx } from "./support.js";

const VALUES: Array<[string, Value | undefined]> = [
  ["missing", undefined],
  ["null", null],
  ["5n", 5n],
  ["10n", 10n],
  ["-0", -0],
  ["0", 0],
  ["1", 1],
  ["5", 5],
  ["NaN", Number.NaN],
  ["false", false],
  ["text", "text"],
  ["texts", "texts"],
  ["array", []],
];
const ALL = VALUES.map(([name]) => name);

/** Rows of queue "q" with each of the values, and some before and behind it. */
async function start() {
  const app = deploy();
  await mutate(app, async ({ db }) => {
    for (const k of ["p", "q", "r"]) {
      for (const [note, n] of VALUES) await db.insert("rows", { k, note, ...(n === undefined ? {} : { n }) });
    }
  });
  return app;
}

type Bounds = Array<[op: "eq" | "gt" | "gte" | "lt" | "lte", field: string, value: unknown]>;
/** A range from bounds that the types of the package would refuse. */
const range = (db: QueryCtx["db"], bounds: Bounds) =>
  db.query("rows").withIndex("by_k_n", (q) => {
    let builder = q as unknown as Record<string, (field: string, value: unknown) => typeof builder>;
    for (const [op, field, value] of bounds) builder = builder[op]!(field, value);
    return builder as never;
  });

test.each<[string, Bounds, string[]]>([
  ["a prefix", [], ALL],
  ["equal to a number: no bigint", [["eq", "n", 5]], ["5"]],
  ["equal to a bigint: no number", [["eq", "n", 5n]], ["5n"]],
  ["equal to zero: not to minus zero", [["eq", "n", 0]], ["0"]],
  ["equal to NaN", [["eq", "n", Number.NaN]], ["NaN"]],
  ["equal to what is missing", [["eq", "n", undefined]], ["missing"]],
  ["equal to null", [["eq", "n", null]], ["null"]],
  ["equal to a text, and not to a longer one", [["eq", "n", "text"]], ["text"]],
  ["an upper bound alone has missing and null", [["lt", "n", 10n]], ["missing", "null", "5n"]],
  ["an inclusive upper bound", [["lte", "n", 10n]], ["missing", "null", "5n", "10n"]],
  ["a lower bound alone has all later types", [["gt", "n", 1]], ["5", "NaN", "false", "text", "texts", "array"]],
  ["an inclusive lower bound", [["gte", "n", "text"]], ["text", "texts", "array"]],
  [
    "both bounds",
    [
      ["gt", "n", -0],
      ["lte", "n", 5],
    ],
    ["0", "1", "5"],
  ],
  [
    "bounds the wrong way round",
    [
      ["gt", "n", 5],
      ["lt", "n", 1],
    ],
    [],
  ],
  [
    "above what is missing",
    [
      ["gt", "n", undefined],
      ["lt", "n", 5n],
    ],
    ["null"],
  ],
])("a range: %s", async (_, bounds, expected) => {
  const app = await start();
  const rows = await read(app, async ({ db }) => ({
    up: await range(db, [["eq", "k", "q"], ...bounds]).collect(),
    down: await range(db, [["eq", "k", "q"], ...bounds])
      .order("desc")
      .collect(),
  }));
  expect(rows.up.map(({ note }) => note as string)).toEqual(expected);
  expect(rows.down.map(({ note }) => note as string)).toEqual([...expected].reverse());
});

test("a range that is not one says so", async () => {
  const app = await start();
  const errors: string[] = [];
  const all: Bounds[] = [
    [["eq", "note", 1]],
    [["eq", "n", 1]],
    [
      ["gt", "k", "a"],
      ["gt", "n", 1],
    ],
    [
      ["gt", "k", "a"],
      ["gte", "k", "b"],
    ],
    [
      ["lt", "k", "a"],
      ["lte", "k", "b"],
    ],
    [
      ["gt", "k", "a"],
      ["eq", "k", "b"],
    ],
  ];
  for (const bounds of all) {
    await read(app, async ({ db }) => await range(db, bounds).collect()).catch((error: Error) => {
      errors.push(
        /FieldNotInIndex|InvalidIndexRange|BoundsOnMultipleFields|AlreadyDefinedBound/.exec(error.message)?.[0] ??
          error.message,
      );
    });
  }
  expect(errors).toEqual([
    "FieldNotInIndex",
    "InvalidIndexRange",
    "BoundsOnMultipleFields",
    "AlreadyDefinedBound",
    "AlreadyDefinedBound",
    "InvalidIndexRange",
  ]);
  const unknown = read(
    app,
    async ({ db }) =>
      await db
        .query("rows")
        .withIndex("by_other" as "by_k_n")
        .collect(),
  );
  await expect(unknown).rejects.toThrow("by_other");
});

test("equal keys come by creation time, backwards too, and a range may go on to it", async () => {
  const app = deploy();
  await mutate(app, async ({ db }) => {
    for (const note of ["a", "b", "c"]) await db.insert("rows", { k: "q", n: 1, note });
  });
  await read(app, async ({ db }) => {
    const same = () => db.query("rows").withIndex("by_k_n", (q) => q.eq("k", "q").eq("n", 1));
    const notes = (rows: Array<{ note?: unknown }>) => rows.map(({ note }) => note as string).join("");
    const up = await same().collect();
    expect([notes(up), notes(await same().order("desc").collect())]).toEqual(["abc", "cba"]);
    const after = up[0]!._creationTime;
    const later = db.query("rows").withIndex("by_k_n", (q) => q.eq("k", "q").eq("n", 1).gt("_creationTime", after));
    expect(notes(await later.collect())).toBe("bc");
    const byTime = db.query("rows").withIndex("by_creation_time", (q) => q.lte("_creationTime", after));
    expect(notes(await byTime.collect())).toBe("a");
    const byId = db.query("rows").withIndex("by_id", (q) => q.eq("_id", up[1]!._id));
    expect(notes(await byId.collect())).toBe("b");
  });
});

test("an index of a path: what has no such path is missing", async () => {
  const app = deploy();
  const values: unknown[] = [{ x: 2 }, { x: 1 }, {}, { y: 1 }, "x", undefined, [1], null];
  await mutate(app, async ({ db }) => {
    for (const [b, a] of values.entries()) await db.insert("deep", { b, ...(a === undefined ? {} : { a }) });
  });
  const found = await read(app, async ({ db }) => {
    const all = await db.query("deep").withIndex("by_a_b").collect();
    const missing = db
      .query("deep")
      .withIndex("by_a_b", (q) => (q as never as { eq(f: string, v: unknown): never }).eq("a.x", undefined));
    return [all.map(({ b }) => b as number), (await missing.collect()).map(({ b }) => b as number)];
  });
  expect(found).toEqual([
    [2, 3, 4, 5, 6, 7, 1, 0],
    [2, 3, 4, 5, 6, 7],
  ]);
});

test("filters compare across types in the same order, and calculate with numbers of one kind only", async () => {
  const app = await start();
  await read(app, async ({ db }) => {
    const queue = () => db.query("rows").withIndex("by_k_n", (q) => q.eq("k", "q"));
    const below = await queue()
      .filter((q) => q.lt(q.field("n"), 0))
      .collect();
    expect(below.map(({ note }) => note as string)).toEqual(["missing", "null", "5n", "10n", "-0"]);
    const sum = await queue()
      .filter((q) => q.and(q.gte(q.field("n"), 0), q.lt(q.field("n"), 5), q.eq(q.add(q.field("n"), 1), 2)))
      .collect();
    expect(sum.map(({ note }) => note as string)).toEqual(["1"]);
    await expect(
      queue()
        .filter((q) => q.eq(q.add(q.field("n"), 1), 2))
        .collect(),
    ).rejects.toThrow("calculates");
  });
});
