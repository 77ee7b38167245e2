import { beforeAll, expect, test } from "vitest";
import { api, preload, runUntil, runToQuiet, startHarness } from "../support/harness.js";

beforeAll(preload);

test("a flow runs to its result", async () => {
  const t = startHarness();
  const source = JSON.stringify({
    name: "hello",
    nodes: {
      start: { type: "trigger", next: { success: "sum" } },
      sum: { type: "set", values: { total: "{{ input.a + input.b }}" }, next: { success: "end" } },
      end: { type: "output", value: { total: "{{ vars.total }}" } },
    },
  });
  await t.mutation(api.definitions.publish, { name: "hello", source });
  const executionId = await t.mutation(api.executions.startWorkflow, {
    definition: "hello",
    input: JSON.stringify({ a: 1, b: 2 }),
  });
  await runUntil(async () => (await t.query(api.history.getStatus, { executionId })).endedAt !== undefined);
  const status = await t.query(api.history.getStatus, { executionId });
  expect(status).toMatchObject({ status: "succeeded", output: '{"total":3}' });
  await runToQuiet();
  console.log(await t.query(api.history.describe, { executionId }));
});
