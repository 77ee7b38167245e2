import { beforeAll, expect, test } from "vitest";
import { internal } from "../../convex/_generated/api.js";
import { shardflow } from "../../convex/shardflow.js";
import { preload } from "../support/harness.js";
import { startApp, TEAM } from "./support.js";

beforeAll(preload);

const names = ["draft-and-rewrite", "enrich-list", "ticket-triage"];

test("every flow is valid and published, and publishing again makes the next version", async () => {
  const { t } = await startApp();
  const versions = await t.mutation(internal.setup.publishFlows, { team: TEAM });
  expect(versions).toEqual(Object.fromEntries(names.map((name) => [name, 2])));
  const { page } = await t.query(async (ctx) => await shardflow.definitions.list(ctx, { scope: TEAM }));
  expect(page.map(({ name, activeVersion }) => [name, activeVersion])).toEqual(names.map((name) => [name, 2]));
});

test("a team's flows are its own", async () => {
  const { t } = await startApp();
  const { page } = await t.query(async (ctx) => await shardflow.definitions.list(ctx, { scope: "globex" }));
  expect(page).toEqual([]);
});

test("every action that a flow names is bound to a function", async () => {
  const { t } = await startApp();
  const used = await t.query(async (ctx) => {
    const sources = await Promise.all(names.map((name) => shardflow.definitions.get(ctx, { name, scope: TEAM })));
    return sources.flatMap((found) =>
      Object.values(found?.version?.definition.nodes ?? {}).flatMap((node) =>
        node.type === "action" ? [node.action] : [],
      ),
    );
  });
  // Synced once more, nothing is new: publishing has bound them all, and nothing else.
  const result = await t.run(async (ctx) => await shardflow.sync(ctx, { prune: true }));
  expect(result).toEqual({ added: 0, changed: 0, removed: 0 });
  const bound = await t.query(async (ctx) => await shardflow.listBindings(ctx));
  expect(bound.map(({ name }) => name)).toEqual([...new Set(used)].sort());
});
