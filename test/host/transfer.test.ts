/** The example app's functions for operators: a team's flows go to another team, as text and through file storage. */
import { beforeAll, expect, test } from "vitest";
import { internal } from "../../convex/_generated/api.js";
import { shardflow } from "../../convex/shardflow.js";
import { preload } from "../support/harness.js";
import { startApp, TEAM } from "./support.js";

beforeAll(preload);

const names = ["draft-and-rewrite", "enrich-list", "ticket-triage"];
const created = [
  "3 definition(s): 3 created, 0 updated, 0 unchanged, 0 in conflict, 0 invalid; 3 version(s) added.",
  ...names.map((name) => `created   globex/${name}: version(s) 1, active: 1`),
];
const unchanged = [
  "3 definition(s): 0 created, 0 updated, 3 unchanged, 0 in conflict, 0 invalid; 0 version(s) added.",
  ...names.map((name) => `unchanged globex/${name}`),
];

test("flows go out as text and come in as another team's", async () => {
  const { t } = await startApp();
  const file = await t.action(internal.transfer.exportDefinitions, { team: TEAM });
  const importFile = async (dryRun: boolean) =>
    await t.action(internal.transfer.importDefinitions, { team: "globex", file, dryRun });

  const { ok, report } = await importFile(true);
  expect({ ok, report }).toEqual({
    ok: true,
    report: [`Dry run, nothing was written. It would be: ${created[0]}`, ...created.slice(1)],
  });
  const listed = async () => await t.query(async (ctx) => await shardflow.definitions.list(ctx, { scope: "globex" }));
  expect((await listed()).page).toEqual([]);

  expect(await importFile(false)).toEqual({ ok: true, report: created });
  expect(await importFile(false)).toEqual({ ok: true, report: unchanged });
  expect((await listed()).page.map(({ name, activeVersion }) => [name, activeVersion])).toEqual(
    names.map((name) => [name, 1]),
  );
});

test("flows go out and in through file storage", async () => {
  const { t } = await startApp();
  const { storageId, url } = await t.action(internal.transfer.exportToStorage, { team: TEAM, names: ["enrich-list"] });
  expect(url).toMatch(/^https:/);
  const report = await t.action(internal.transfer.importFromStorage, { team: "globex", storageId });
  expect(report.ok).toBe(true);
  expect(report.report).toEqual([expect.stringContaining("1 created"), created[2]]);
  expect(await t.mutation(internal.transfer.uploadUrl, {})).toMatch(/^https:/);

  await t.run(async (ctx) => await ctx.storage.delete(storageId));
  expect(await t.action(internal.transfer.importFromStorage, { team: "globex", storageId })).toMatchObject({
    ok: false,
  });
});
