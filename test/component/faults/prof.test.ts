import { beforeAll, expect, test, vi } from "vitest";
import { startWorld } from "../../support/faults.js";
import { EVERYTHING } from "../../support/hosts/faults/flows.js";
import { preload } from "../../support/harness.js";
beforeAll(preload);
test("clean", async () => {
  for (let i = 0; i < 12; i++) {
    const world = await startWorld({ shards: [1] });
    await world.publish(EVERYTHING);
    const id = await world.start("everything", { word: "hi" });
    const spy = vi.spyOn(vi, "advanceTimersToNextTimer");
    const c = performance.now();
    await world.untilEnded(id);
    const d = performance.now();
    await world.untilQuiet();
    process.stdout.write(`${d - c} ${spy.mock.calls.length} ${performance.now() - d} ${typeof setImmediate}\n`);
  }
});
