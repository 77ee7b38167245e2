/**
 * Publishing while executions run: each stays on the version it was started with, whatever it is doing at the time and
 * whichever stretch goes on with it later.
 */
import { beforeAll, expect, test } from "vitest";
import { startWorld } from "../../support/faults.js";
import { api, preload, runUntil } from "../../support/harness.js";
import { flaky, notify, record } from "../../support/hosts/faults/flows.js";

beforeAll(preload);

/** Each version has other nodes, so that an execution on the wrong one would stand on a node that is not there. */
const version = (n: number) => ({
  name: "flow",
  nodes: {
    start: { type: "trigger", next: { success: `tell${n}` } },
    [`tell${n}`]: notify(`late${n}`),
    [`late${n}`]: flaky(60_000, `save${n}`),
    [`save${n}`]: record(`version ${n}`, `end${n}`),
    [`end${n}`]: { type: "output", value: { version: n, saved: `{{ nodes.save${n}.output.note }}` } },
  },
});

test("two publishes while executions are queued, claimed, in a call, dead and parked", async () => {
  const world = await startWorld();
  await world.t.mutation(api.admin.configure, { maxParallelism: 4 });
  await world.publish(version(1));
  const start = async () => await world.start("flow", null, { shardKey: "same" });

  const parked = await start();
  await runUntil(async () => (await world.describe(parked)).status === "waiting");
  const [claimed, called, dead, slow] = [await start(), await start(), await start(), await start()];
  world.stopAt(({ execution, kind, name }, when) => {
    if (when === "after") return null;
    if (execution === claimed && kind === "begin") return "hold";
    if (execution === called && kind === "action") return "hold";
    if (execution === slow && name === "checkpoint:checkpoint") return "hold";
    return execution === dead && kind === "action" ? "kill" : null;
  });
  await world.untilHeld(3);
  const queued = await start();
  await world.elapse(1_000);
  expect((await world.describe(queued)).task).toMatchObject({ state: "queued" });

  expect(await world.publish(version(2))).toEqual({ version: 2 });
  const second = await start();
  expect(await world.publish(version(3))).toEqual({ version: 3 });
  const third = await start();
  world.stopAt(() => null);
  for (const { release } of world.held) release();

  const expected = new Map([parked, claimed, called, dead, slow, queued].map((id) => [id, 1]));
  expected.set(second, 2).set(third, 3);
  await world.untilEnded(...expected.keys());
  for (const [id, n] of expected) {
    const { status, version, output } = await world.describe(id);
    expect({ status, version, output }).toEqual({
      status: "succeeded",
      version: n,
      output: JSON.stringify({ version: n, saved: `version ${n}` }),
    });
  }
  const notes = (await world.rows("effects")).map(({ note }) => note).sort();
  expect(notes).toEqual([...expected.values()].map((n) => `version ${n}`).sort());
});
