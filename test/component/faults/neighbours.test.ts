/**
 * Several stretches share a workflow and the action that is its step. What happens to that action, or to one of the
 * stretches, harms no other: each execution comes to its one right end.
 */
import { beforeAll, expect, test } from "vitest";
import { MINUTE, REAP_DELAY_MS, SECOND } from "../../../src/shared/limits.js";
import { expectCleansUp, expectWhole, startEverything } from "../../support/faultChecks.js";
import { startWorld, type World } from "../../support/faults.js";
import { api, preload, runUntil } from "../../support/harness.js";
import { EVERYTHING, notify } from "../../support/hosts/faults/flows.js";
import type { Stop, When } from "../../support/stretchProcess.js";

beforeAll(preload);

const TOGETHER = { shardKey: "same" };

/** Starts executions that one claim takes, so that they share a workflow. */
async function startTogether(world: World): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.push(await startEverything(world, TOGETHER));
  return ids;
}

async function expectAllWhole(world: World, ids: string[]): Promise<void> {
  await world.untilEnded(...ids);
  await world.elapse(2 * MINUTE);
  const tables = await world.tables();
  for (const id of ids) expectWhole(tables, id);
  await expectCleansUp(world, ids);
}

test.for<{ where: string; name: string; when: When }>([
  { where: "before it runs a stretch", name: "runStretches", when: "before" },
  { where: "before it starts the first one", name: "stretch:runStretch", when: "before" },
  { where: "when the first one has returned", name: "stretch:runStretch", when: "after" },
  { where: "when all have returned", name: "runStretches", when: "after" },
])("the step dies $where", async ({ name, when }) => {
  const world = await startWorld();
  await world.publish(EVERYTHING);
  let kills = 0;
  world.stopAt((point, where) => {
    const isReturn = point.kind === "return";
    const isPlace =
      point.name === name && where === when && (name !== "runStretches" || isReturn === (when === "after"));
    return point.execution.startsWith("host of") && isPlace && kills++ === 0 ? "kill" : null;
  });
  const ids = await startTogether(world);
  await expectAllWhole(world, ids);
  expect(kills).toBeGreaterThan(0);
});

test.for<{ stop: Stop; when: When }>([
  { stop: "kill", when: "before" },
  { stop: "fail", when: "before" },
  { stop: "kill", when: "after" },
  { stop: "fail", when: "after" },
])("a stretch throws, and the report of it meets: $stop $when", async ({ stop, when }) => {
  const world = await startWorld();
  await world.publish(EVERYTHING);
  let throws = 0;
  let reports = 0;
  world.stopAt(({ name }, where) => {
    if (name === "load:stretch" && where === "before" && throws++ === 0) return "fail";
    return name === "settle:crashed" && where === when && reports++ === 0 ? stop : null;
  });
  const ids = await startTogether(world);
  await world.untilEnded(...ids);
  expect(reports).toBe(1);
  const events = (await world.rows("shardflow/events")).filter(({ type }) => type === "reclaimed");
  expect(events).toHaveLength(1);
  await expectAllWhole(world, ids);
});

test("the end of the workflow of a stretch that yielded does not disturb the next stretch", async () => {
  const world = await startWorld();
  await world.t.mutation(api.admin.configure, { stretchBudgetMs: SECOND });
  await world.publish({
    name: "two",
    nodes: {
      start: { type: "trigger", next: { success: "first" } },
      first: notify("second"),
      second: notify("end"),
      end: { type: "output", value: "done" },
    },
  });
  const id = await world.start("two", null, TOGETHER);
  const isOf = (owner: string) => owner === `host of ${id}`;
  let calls = 0;
  world.stopAt(({ execution, kind, name }, when) => {
    if (name === "functions:notify" && when === "before") return "hold";
    return isOf(execution) && kind === "return" && when === "before" && calls++ === 0 ? "hold" : null;
  });
  const first = await world.untilHeld();
  await world.elapse(2 * SECOND);
  first.release();
  // Its budget is used up: the task is queued again and claimed by another stretch, which is in its node now.
  await world.untilHeld(3);
  const [, ending, second] = world.held;
  expect([ending?.point.kind, second?.point.name]).toEqual(["return", "functions:notify"]);
  ending!.release();
  await world.elapse(2 * SECOND);
  second!.release();
  await world.untilEnded(id);
  expect(await world.describe(id)).toMatchObject({ status: "succeeded", events: [] });
  expect(await world.rows("calls")).toHaveLength(2);
});

test("the workflow of a canceled stretch that hangs stays while a neighbour is under way in it", async () => {
  const world = await startWorld();
  await world.publish({
    name: "slow",
    nodes: {
      start: { type: "trigger", next: { success: "tell" } },
      tell: { ...(notify("end") as object), timeoutMs: 5 * MINUTE },
      end: { type: "output", value: "done" },
    },
  });
  const hanging = await world.start("slow", null, TOGETHER);
  const neighbour = await world.start("slow", null, TOGETHER);
  world.stopAt(({ execution, kind, name }, when) => {
    if (when === "after") return null;
    if (execution === hanging && kind === "begin") return "kill";
    return execution === neighbour && name === "functions:notify" ? "hold" : null;
  });
  await world.untilHeld();
  await world.cancel(hanging);
  const workflows = async () =>
    Object.entries(await world.tables()).filter(([table]) => table.endsWith("/workflows")).length;
  await world.elapse(2 * REAP_DELAY_MS + SECOND);
  expect(await workflows()).toBe(1);
  world.held[0]!.release();
  await world.untilEnded(neighbour);
  expect(await world.describe(neighbour)).toMatchObject({ status: "succeeded", output: '"done"', events: [] });
  await runUntil(async () => (await workflows()) === 0, 2 * REAP_DELAY_MS);
  expect((await world.describe(hanging)).status).toBe("canceled");
  await expectCleansUp(world, [hanging, neighbour]);
});
