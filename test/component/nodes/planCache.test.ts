/** The compiled plan of a version: used as it is stored, and compiled again when its format is not the current one. */
import { beforeAll, expect, test, vi } from "vitest";
import { PLAN_FORMAT } from "../../../src/engine/plan.js";
import type { Json } from "../../../src/shared/json.js";
import { flow } from "../../support/flows.js";
import { preload, startWorld, type NodeWorld } from "../../support/hosts/nodes/world.js";

beforeAll(preload);

const sum = flow({
  call: { type: "action", action: "actEcho", args: { n: "{{ input + 1 }}" }, next: { success: "end" } },
  end: { type: "output", value: "{{ nodes.call.output.n * 10 }}" },
});

type Text = { _id: string; kind: string; chunk: number; text: string };

async function textsOf(world: NodeWorld, kind: "plan" | "source"): Promise<Text[]> {
  const rows = (await world.rows("versionTexts")) as unknown as Text[];
  return rows.filter((row) => row.kind === kind).toSorted((a, b) => a.chunk - b.chunk);
}

async function planOf(world: NodeWorld): Promise<string> {
  return (await textsOf(world, "plan")).map(({ text }) => text).join("");
}

async function runs(world: NodeWorld, input: Json): Promise<Json> {
  const id = await world.start("flow", input);
  await world.untilEnded(id);
  return await world.resultOf(id);
}

test("is stored with the version, and used without the source", async () => {
  const world = await startWorld();
  await world.publish(sum);
  const stored = await planOf(world);
  expect(JSON.parse(stored)).toMatchObject({ format: PLAN_FORMAT, name: "flow", actions: ["actEcho"] });
  // A source that nobody could compile: a stretch that looked at it would fail.
  for (const { _id } of await textsOf(world, "source")) await world.patch("versionTexts", _id, { text: "gone" });
  expect(await runs(world, 1)).toBe(20);
  expect(await planOf(world)).toBe(stored);
});

test.each<[string, (plan: string) => string]>([
  ["of an older format", (plan) => plan.replace(`"format":${PLAN_FORMAT}`, '"format":0')],
  ["of a newer format", (plan) => plan.replace(`"format":${PLAN_FORMAT}`, `"format":${PLAN_FORMAT + 1}`)],
  ["that is cut off", (plan) => plan.slice(0, plan.length / 2)],
  ["that is empty", () => ""],
  ["that is something else", () => '{"hello":"world"}'],
  ["without its entry", (plan) => plan.replace('"entry":"start"', '"entry":"gone"')],
])("%s is compiled again by the next stretch, and kept", async (_name, spoil) => {
  const world = await startWorld();
  await world.publish(sum);
  const good = await planOf(world);
  const [row] = await textsOf(world, "plan");
  await world.patch("versionTexts", row!._id, { text: spoil(good) });
  expect(await planOf(world)).not.toBe(good);

  // The first stretch compiles; the bindings of the actions are found although the stored plan could not name them.
  expect(await runs(world, 1)).toBe(20);
  expect(await planOf(world)).toBe(good);

  // The next one finds it: the source is not looked at any more.
  for (const { _id } of await textsOf(world, "source")) await world.patch("versionTexts", _id, { text: "gone" });
  expect(await runs(world, 4)).toBe(50);
  const { events } = await world.describe((await world.rows("executions")).at(-1)!._id);
  expect(events).toEqual([]);
});

test("in several chunks is put together, and replaced as a whole", async () => {
  const world = await startWorld();
  await world.publish(sum);
  const good = await planOf(world);
  const [row] = (await textsOf(world, "plan")) as [Text & { versionId: string }];
  const split = async (first: string, second: string) => {
    await world.patch("versionTexts", row._id, { text: first });
    await world.within("shardflow", async ({ db }) => {
      await db.insert("versionTexts", { versionId: row.versionId, kind: "plan", chunk: 1, text: second });
    });
  };
  await split(good.slice(0, 100), good.slice(100));
  expect(await runs(world, 1)).toBe(20);
  expect(await textsOf(world, "plan")).toHaveLength(2);

  const [, second] = await textsOf(world, "plan");
  await world.remove("versionTexts", second!._id);
  await split('{"format":0,', '"nodes":{}}');
  expect(await runs(world, 1)).toBe(20);
  expect((await textsOf(world, "plan")).map(({ text }) => text)).toEqual([good]);
});

test("that neither is readable nor can be compiled fails the execution, with the reason", async () => {
  const world = await startWorld();
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  await world.publish(sum);
  for (const { _id } of await world.rows("versionTexts")) await world.patch("versionTexts", _id, { text: "gone" });
  const id = await world.start("flow", 1);
  await world.untilEnded(id);
  const { status, error } = await world.status(id);
  expect(status).toBe("failed");
  expect(error?.message).toContain("cannot be compiled");
  expect(await world.runsOf(id)).toEqual([]);
});
