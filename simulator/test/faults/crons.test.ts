/** A cron's mutation and its next run are one commit: a restart neither loses nor doubles a run. */
import { anyApi, cronJobs, type SchedulableFunctionReference } from "convex/server";
import { expect, test } from "vitest";
import { DEFAULT_LATENCIES } from "../../src/index.js";
import { count, modulesOf, startApp } from "./app.js";

const crons = cronJobs();
const effect = (anyApi as unknown as Record<string, Record<string, SchedulableFunctionReference>>).app!.effect!;
crons.interval("tick", { minutes: 1 }, effect, { key: "tick" });
const modules = { ...modulesOf("old"), "./crons.ts": () => Promise.resolve({ default: crons }) };

test.each(["execute", "assign", "publish"])("a restart in the middle of a run: %s", async (point) => {
  for (const draw of [0.1, 0.3, 0.5, 0.7, 0.9]) {
    const app = startApp({
      modules,
      latencies: { ...DEFAULT_LATENCIES, spread: 0 },
      faults: { plan: [{ kind: "restart", point, source: "app:effect", nth: 2, draw, ms: 500 }] },
    });
    app.crons.enabled = true;
    await app.load();
    await app.loop.advance(5.5 * 60_000);
    expect(app.faults?.injected).toHaveLength(1);
    expect(count(app, "tick"), `draw ${draw}`).toBe(5);
  }
});
