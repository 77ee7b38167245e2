import { beforeAll, expect, test } from "vitest";
import { startWorld } from "../../support/faults.js";
import { EVERYTHING } from "../../support/hosts/faults/flows.js";
import { preload } from "../../support/harness.js";

beforeAll(preload);

test("clean", async () => {
  for (let i = 0; i < 5; i++) {
    const a = performance.now();
    const world = await startWorld();
    await world.publish(EVERYTHING);
    const b = performance.now();
    const id = await world.start("everything", { word: "hi" }, { onComplete: await world.handle("functions:completed") });
    await world.untilEnded(id);
    const c = performance.now();
    await world.untilQuiet();
    const d = performance.now();
    const tables = await world.tables();
    const e = performance.now();
    process.stdout.write(`${b - a} ${c - b} ${d - c} ${e - d} ${world.points.length}\n`);
    if (i === 0) process.stdout.write(JSON.stringify({p: world.points.map((p) => `${p.process} ${p.kind} ${p.name}`), d: await world.describe(id), t: Object.fromEntries(Object.entries(tables).map(([k, v]) => [k, v.length])), left: world.processes.map((p) => [p.end, p.left]), w: world.warnings}, null, 1) + "\n");
  }
});
