/** Invariants see every commit, and end the simulation where they break. */
import { expect, test } from "vitest";
import { InvariantError } from "../../src/index.js";
import { api, startApp } from "../faults/app.js";

test("a check sees the state after each commit, and what the commit changed", async () => {
  const app = startApp();
  const seen: Array<[source: string, n: number, changes: string]> = [];
  app.invariants.add("watch", (snapshot, { source, changes }) => {
    const [row] = snapshot.withIndex("", "counters", "by_name", "a");
    const what = changes.map(({ table, before }) => `${before === null ? "+" : "~"}${table}`).join(" ");
    seen.push([source, Number(row?.n), what]);
  });
  const id = await app.mutation(api.app!.create!, { name: "a" });
  await app.mutation(api.app!.increment!, { id });
  expect(seen).toEqual([
    ["app:create", 0, "+counters"],
    ["app:increment", 1, "~counters +effects"],
  ]);
  expect(app.invariants.checked).toBe(2);
});

test("everyNth and tables spare checks", async () => {
  const app = startApp();
  const seen = { third: 0, effects: 0 };
  app.invariants.add("third", () => void seen.third++, { everyNth: 3 });
  app.invariants.add("effects", () => void seen.effects++, { tables: ["effects"] });
  const id = await app.mutation(api.app!.create!, { name: "a" });
  for (let i = 0; i < 5; i++) await app.mutation(api.app!.increment!, { id });
  expect(seen).toEqual({ third: 2, effects: 5 });
});

test("the first violation stops everything, at that commit, and everybody hears of it", async () => {
  const app = startApp();
  app.invariants.add("at most two", (snapshot) => {
    for (const { n } of snapshot.rows("", "counters")) if (Number(n) > 2) return `a counter is ${Number(n)}`;
    return null;
  });
  const id = await app.mutation(api.app!.create!, { name: "a" });
  const calls = await Promise.allSettled(Array.from({ length: 10 }, () => app.mutation(api.app!.increment!, { id })));
  const errors = calls.flatMap((call) => (call.status === "rejected" ? [call.reason as Error] : []));
  expect(errors).toHaveLength(8);
  for (const error of errors) expect(error).toBeInstanceOf(InvariantError);
  expect(app.invariants.violation?.message).toContain('Invariant "at most two" does not hold: a counter is 3');
  expect(app.invariants.violation?.report).toContain("app:increment");
  const [row] = app.invariants.snapshot.rows("", "counters");
  expect(row?.n).toBe(3);
  await expect(app.query(api.app!.read!, { id })).rejects.toBe(app.invariants.violation);
  await expect(app.loop.advance(1_000)).rejects.toBe(app.invariants.violation);
});

test("what a check throws is what is wrong", async () => {
  const app = startApp();
  app.invariants.add("no table", (snapshot) => void [...snapshot.rows("", "nothing")]);
  await expect(app.mutation(api.app!.create!, { name: "a" })).rejects.toThrow('There is no table "nothing"');
});
