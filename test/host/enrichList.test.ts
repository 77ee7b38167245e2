import { beforeAll, expect, test } from "vitest";
import { api } from "../../convex/_generated/api.js";
import { preload } from "../support/harness.js";
import { rowsOf, runFlow, startApp, TEAM } from "./support.js";

beforeAll(preload);

const ACME = { domain: "acme.test", name: "Acme", employees: 120 };
const HOOLI = { domain: "hooli.test", name: "Hooli", employees: 52000 };

test("one bad item costs only itself, and the others keep their order", async () => {
  const { t, user } = await startApp();
  const state = await runFlow(user, "enrich-list", { domains: ["hooli.test", "nowhere.test", "acme.test"] });

  expect(state.output).toEqual({ leads: [HOOLI, ACME], missing: ["nowhere.test"], saved: 2 });
  expect(await rowsOf(t, "leads")).toMatchObject([
    { team: TEAM, ...HOOLI },
    { team: TEAM, ...ACME },
  ]);
});

test("the error of the bad item says what the app said, and is not tried again", async () => {
  const { user } = await startApp();
  const { executionId } = await runFlow(user, "enrich-list", { domains: ["nowhere.test"] });

  const { page } = await user.query(api.shardflow.listNodeRuns, { executionId });
  const failed = page.filter(({ status }) => status === "failed");
  expect(failed).toMatchObject([{ key: "each[0]/lookUp", attempt: 1, failures: [], error: { code: "ACTION_FAILED" } }]);
  expect(JSON.parse(failed[0]?.error?.cause ?? "")).toMatchObject({ code: "COMPANY_UNKNOWN" });
});

test("a second run brings the leads up to date instead of adding them again", async () => {
  const { t, user } = await startApp();
  await runFlow(user, "enrich-list", { domains: ["acme.test"] });
  await t.run(async (ctx) => {
    for (const company of await ctx.db.query("companies").collect()) {
      if (company.domain === "acme.test") await ctx.db.patch("companies", company._id, { employees: 130 });
    }
  });
  await runFlow(user, "enrich-list", { domains: ["acme.test", "hooli.test"] });

  expect(await rowsOf(t, "leads")).toMatchObject([{ ...ACME, employees: 130 }, HOOLI]);
});

test("an input that does not match the schema starts nothing", async () => {
  const { user } = await startApp();
  await expect(
    user.mutation(api.shardflow.startWorkflow, { definition: "enrich-list", input: '{"domains":"acme.test"}' }),
  ).rejects.toMatchObject({ data: { code: "INPUT_INVALID" } });
  expect((await user.query(api.shardflow.listExecutions, {})).page).toEqual([]);
});
