/** What no other test here can see: many starts at once, with conflicts, permits and a scheduler that has slots. */
import { expect, test } from "vitest";
import type { DefinitionSource } from "convex-shardflow";
import { api, internal, startSimulated } from "../support/simulated.js";

const linear = {
  name: "linear",
  nodes: {
    start: { type: "trigger", next: { success: "a" } },
    a: { type: "action", action: "stress.work", args: { ms: 200, fail: false }, next: { success: "b" } },
    b: { type: "action", action: "stress.square", args: { n: "{{ input.n }}" }, next: { success: "end" } },
    end: { type: "output", value: "{{ nodes.b.output }}" },
  },
} satisfies DefinitionSource;

test("starts never conflict, and every execution comes to its end", async () => {
  const { deployment, conflictsOf } = startSimulated({ seed: 1, className: "S256" });
  const user = { identity: { subject: "u", tokenIdentifier: "t|u", issuer: "t", team: "team" } };
  await deployment.mutation(internal.stress.setup.prepare, {
    team: "team",
    definition: JSON.stringify(linear),
    activeShards: 4,
    maxParallelism: 25,
  });
  const ids = (await deployment.loop.drive(
    Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        deployment.mutation(api.shardflow.startWorkflow, { definition: "linear", input: JSON.stringify({ n }) }, user),
      ),
    ),
  )) as string[];
  for (let i = 0; i < 60; i++) {
    await deployment.loop.advance(1_000);
    const { page } = (await deployment.query(
      api.shardflow.listExecutions,
      { status: "succeeded", limit: 200 },
      user,
    )) as {
      page: unknown[];
    };
    if (page.length === ids.length) break;
  }
  const states = await Promise.all(
    ids.map((executionId) => deployment.query(api.shardflow.getStatus, { executionId }, user)),
  );
  expect(states.map((state) => (state as { status: string }).status)).toEqual(ids.map(() => "succeeded"));
  expect(conflictsOf("executions:startWorkflow")).toEqual([]);
}, 60_000);
