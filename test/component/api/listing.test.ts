/** history.list: which executions, in which order, page by page. */
import type { FunctionArgs, FunctionReturnType } from "convex/server";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { MAX_PAGE_SIZE } from "../../../src/shared/limits.js";
import { api } from "../../support/harness.js";
import { echo, preload, refusal, START, startWorld, type World } from "../../support/hosts/api/world.js";

beforeAll(preload);

type ListArgs = FunctionArgs<typeof api.history.list>;
type Summary = FunctionReturnType<typeof api.history.list>["page"][number];

/** 130 executions of three definitions in batches of the same millisecond, a third of them canceled. Nothing runs. */
async function populated(): Promise<{ world: World; all: Summary[] }> {
  const world = await startWorld();
  for (const name of ["red", "green", "blue"]) await world.publish(echo(name));
  await world.publish(echo("red"), "elsewhere");
  const ids: string[] = [];
  for (let batch = 0; batch < 13; batch++) {
    vi.setSystemTime(START + batch * 1_000);
    const definition = ["red", "green", "blue"][batch % 3]!;
    const items = Array.from({ length: 10 }, (_, i) => ({
      input: "null",
      tags: { lane: i % 2 === 0 ? "even" : "odd", batch: String(batch) },
    }));
    ids.push(...(await world.t.mutation(api.executions.startWorkflowBatch, { definition, items })));
    await world.start("red", null, { scope: "elsewhere", tags: { lane: "even" } });
  }
  for (const executionId of ids.filter((_, i) => i % 3 === 0)) {
    await world.t.mutation(api.cancellations.cancelWorkflow, { executionId });
  }
  const all = await Promise.all(
    ids.map(async (executionId) => {
      return await world.t.query(api.history.getSummary, { executionId });
    }),
  );
  return { world, all: all.filter((summary) => summary !== null) };
}

async function walk(world: World, args: ListArgs): Promise<{ all: Summary[]; pages: number[] }> {
  const all: Summary[] = [];
  const pages: number[] = [];
  for (let cursor: string | null = null; ;) {
    const result: FunctionReturnType<typeof api.history.list> = await world.t.query(api.history.list, {
      ...args,
      cursor,
    });
    all.push(...result.page);
    pages.push(result.page.length);
    if (result.cursor === null) return { all, pages };
    cursor = result.cursor;
  }
}

test("pages through more than 120 executions in both orders without a gap or a repeat", async () => {
  const { world, all } = await populated();
  expect(all).toHaveLength(130);
  for (const limit of [7, 10, 50, MAX_PAGE_SIZE]) {
    const oldestFirst = await walk(world, { order: "asc", limit });
    expect(oldestFirst.all).toEqual(all);
    expect(Math.max(...oldestFirst.pages)).toBeLessThanOrEqual(limit);
    expect((await walk(world, { order: "desc", limit })).all).toEqual(all.toReversed());
  }
  const newestFirst = await world.t.query(api.history.list, {});
  expect(newestFirst.page, "newest first, 50 a page, unless said otherwise").toEqual(all.toReversed().slice(0, 50));
});

test("by definition, status and time, alone and together", async () => {
  const { world, all } = await populated();
  const from = START + 3_000;
  const to = START + 9_000;
  const filters: Array<[ListArgs, (one: Summary) => boolean]> = [
    [{ definition: "green" }, (one) => one.definition === "green"],
    [{ status: "canceled" }, (one) => one.status === "canceled"],
    [{ status: "pending" }, (one) => one.status === "pending"],
    [{ status: "succeeded" }, () => false],
    [{ definition: "blue", status: "canceled" }, (one) => one.definition === "blue" && one.status === "canceled"],
    [{ definition: "absent" }, () => false],
    [{ from, to }, (one) => one.startedAt >= from && one.startedAt < to],
    [{ definition: "red", from }, (one) => one.definition === "red" && one.startedAt >= from],
    [{ status: "pending", to }, (one) => one.status === "pending" && one.startedAt < to],
    [
      { definition: "red", status: "pending", from, to },
      (one) => one.definition === "red" && one.status === "pending" && one.startedAt >= from && one.startedAt < to,
    ],
    [
      { definition: "green", from, to },
      (one) => one.definition === "green" && one.startedAt >= from && one.startedAt < to,
    ],
    [{ from: to, to: from }, () => false],
  ];
  for (const [args, matches] of filters) {
    const expected = all.filter(matches);
    expect((await walk(world, { ...args, limit: 9, order: "asc" })).all, JSON.stringify(args)).toEqual(expected);
    expect((await walk(world, { ...args, limit: 9 })).all, JSON.stringify(args)).toEqual(expected.toReversed());
  }
});

test("by one tag and time, only in its scope", async () => {
  const { world, all } = await populated();
  const inBatch = (summary: Summary) => all.indexOf(summary) % 10;
  const even = all.filter((one) => inBatch(one) % 2 === 0);
  const tag = { name: "lane", value: "even" };
  expect((await walk(world, { tag, limit: 8, order: "asc" })).all).toEqual(even);
  expect((await walk(world, { tag, limit: 8 })).all).toEqual(even.toReversed());
  const late = START + 10_000;
  expect((await walk(world, { tag, from: late, order: "asc" })).all).toEqual(
    even.filter((one) => one.startedAt >= late),
  );
  expect((await walk(world, { tag: { name: "batch", value: "4" } })).all).toHaveLength(10);
  expect((await walk(world, { tag: { name: "lane", value: "neither" } })).all).toEqual([]);

  const elsewhere = await walk(world, { scope: "elsewhere", tag, limit: 5 });
  expect(elsewhere.all).toHaveLength(13);
  for (const one of [...elsewhere.all, ...(await walk(world, { scope: "elsewhere" })).all]) {
    expect(one).toMatchObject({ scope: "elsewhere", definition: "red" });
  }
  expect((await walk(world, { scope: "nowhere" })).all).toEqual([]);
});

test("what starts while somebody pages through is seen once or not at all", async () => {
  const { world, all } = await populated();
  const seen: string[] = [];
  let cursor: string | null = null;
  for (let page = 0; page === 0 || cursor !== null; page++) {
    const result: FunctionReturnType<typeof api.history.list> = await world.t.query(api.history.list, {
      limit: 10,
      cursor,
    });
    seen.push(...result.page.map((one) => one.executionId));
    cursor = result.cursor;
    vi.setSystemTime(START + 60_000 + page);
    await world.start("red");
  }
  expect(seen).toEqual(all.toReversed().map((one) => one.executionId));
});

test.each(["undefined", "_undefined", "null", '["', "\uffff"])(
  "a scope named %j is paged like any other",
  async (scope) => {
    const world = await startWorld();
    const name = `still ${scope}`;
    await world.publish(echo(name), scope);
    const ids = [await world.start(name, 1, { scope }), await world.start(name, 2, { scope })];
    for (const args of [{}, { definition: name }, { definition: name, status: "pending" as const }]) {
      const { all } = await walk(world, { scope, ...args, order: "asc", limit: 1 });
      expect(all.map((one) => one.executionId)).toEqual(ids);
    }
  },
);

test("a cursor that was made up within the list stays within it", async () => {
  const { world, all } = await populated();
  let rows = 0;
  for (const order of ["asc", "desc"] as const) {
    for (const at of [0, START * 2]) {
      const cursor = JSON.stringify(["", at, at, ""]);
      const { page } = await world.t.query(api.history.list, { cursor, order, limit: MAX_PAGE_SIZE });
      expect(all).toEqual(expect.arrayContaining(page));
      rows += page.length;
    }
  }
  expect(rows).toBeGreaterThan(0);
});

test("a cursor that lies outside of the list is refused, whoever made it", async () => {
  const { world } = await populated();
  const theirs = await world.t.query(api.history.list, { scope: "elsewhere", limit: 1 });
  // Scopes before and after an empty one: following such a cursor would go through the rows of the scope it names.
  const made = ["", "elsewhere", "\uffff"].flatMap((scope) =>
    [0, START * 2].map((at) => JSON.stringify([scope, at, at, ""])),
  );
  for (const cursor of [theirs.cursor ?? "", ...made]) {
    for (const order of ["asc", "desc"] as const) {
      for (const scope of ["a", "nowhere"]) {
        await refusal(world.t.query(api.history.list, { scope, cursor, order }), "ARGUMENT_INVALID");
      }
    }
  }
});

describe("what cannot be listed is refused", () => {
  test.each<[string, ListArgs]>([
    ["no rows", { limit: 0 }],
    ["too many", { limit: MAX_PAGE_SIZE + 1 }],
    ["half a row", { limit: 1.5 }],
    ["not a number of rows", { limit: Number.NaN }],
    ["a tag and a definition", { tag: { name: "a", value: "b" }, definition: "red" }],
    ["a tag and a status", { tag: { name: "a", value: "b" }, status: "failed" }],
    ["a cursor that is no cursor", { cursor: "garbage" }],
    ["an empty cursor", { cursor: "" }],
    ["a cursor of another shape", { cursor: '{"page":2}' }],
    ["a cursor of another list", { cursor: JSON.stringify(["", "red", START, START, "1executions"]) }],
    [
      "a cursor with a value that no index holds",
      { cursor: JSON.stringify(["", START, { $integer: "x" }, "1executions"]) },
    ],
  ])("%s", async (_, args) => {
    const world = await startWorld();
    await world.publish(echo("red"));
    await world.start("red");
    await refusal(world.t.query(api.history.list, args), "ARGUMENT_INVALID");
  });
});
