/** The tests of this run are on the simulator: what only a deployment does, and convex-test does not. */
import { convexTest } from "convex-test";
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
import { expect, test } from "vitest";
import { startHarness } from "../../test/support/harness.js";

test("convex-test is the simulator", () => {
  expect(convexTest()).toHaveProperty("deployment");
});

test("the harness of the component's tests stands on it: ids are those of Convex, and differ between components", async () => {
  const t = startHarness();
  const schema = defineSchema({ notes: defineTable({ text: v.string() }) });
  for (const path of ["one", "two"]) t.registerComponent(path, schema, { "./_generated/api.js": async () => ({}) });
  const { runInComponent } = t as unknown as {
    runInComponent: <T>(path: string, body: (ctx: Ctx) => Promise<T>) => Promise<T>;
  };
  type Ctx = { db: { insert: (table: string, row: object) => Promise<string> } };
  const note = (path: string) => runInComponent(path, async ({ db }) => await db.insert("notes", { text: "a" }));
  const ids = [await note("one"), await note("one"), await note("two")];
  for (const id of ids) expect(id).toMatch(/^[0-9a-hjkmnp-tv-z]{32}$/);
  expect(new Set(ids).size).toBe(3);
});
