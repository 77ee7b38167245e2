/** All kinds of faults at once: what Convex promises holds, and nothing is left hanging. */
import { expect, test } from "vitest";
import { campaign, campaignText, FAULT_KINDS, type FaultKind, type Scenario } from "../../src/index.js";
import { api, count, jobStates, modulesOf, startApp } from "./app.js";

const CALLERS = 8;
const probability = Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0.02])) as Record<FaultKind, number>;

const scenario: Scenario = {
  name: "everything at once",
  run: async ({ start, random }) => {
    const app = startApp({ permits: { scheduledJobs: 3, mutations: 6, actions: 6 } }, start);
    app.faults?.calm();
    const id = await app.mutation(api.app!.create!, { name: "a" });
    const handle = await app.query(api.app!.handle!, {});
    app.faults?.resume();
    const scheduled: string[] = [];
    const callers = Array.from({ length: CALLERS }, async (_, i) => {
      await app.loop.sleep(random() * 800);
      const key = `job ${i}`;
      await Promise.allSettled([
        app.action(api.app!.everything!, { key: `k${i}` }),
        app.mutation(api.app!.increment!, { id }),
        app.mutation(api.app!.throughHandle!, { key: "handle", handle }),
        app.mutation(api.app!.later!, { key, kind: "mutation", ms: 100 }).then(() => void scheduled.push(key)),
        app.mutation(api.app!.later!, { key: `action ${i}`, kind: "action", ms: 100 }),
      ]);
    });
    await app.loop.drive(Promise.all(callers));
    app.faults?.calm();
    await app.loop.advance(300_000);
    for (const key of scheduled)
      if (count(app, key) !== 1) throw new Error(`"${key}" took effect ${count(app, key)} times`);
    const open = jobStates(app).filter((state) => state === "pending" || state === "inProgress");
    if (open.length > 0) throw new Error(`jobs are left over: ${open.join(", ")}`);
    const { query, mutation, action } = app.permits;
    const held = [query, mutation, action].reduce((sum, { used }) => sum + used, app.jobs.running + app.jobs.waiting);
    if (held > 0) throw new Error("permits or slots are left over");
    // A snapshot that nobody gave back would hold up the log for ever.
    const before = app.database.held.commits;
    await app.mutation(api.app!.create!, { name: "b" });
    if (app.database.held.commits > 1) throw new Error(`${before} commits are held`);
  },
};

test("scheduled mutations exactly once, all else at most once, and nothing is left over", async () => {
  const summary = await campaign({
    scenario,
    seeds: 25,
    faults: {
      probability: { ...probability, restart: 0.003, deploy: 0.004, reorderJobs: 0.3, dropHandle: 0.1, delayJob: 0.2 },
      deploys: [{ path: "", modules: modulesOf("new") }],
    },
    invariants: {
      "no effect twice": (snapshot, { changes }) => {
        for (const { table, after } of changes) {
          const { key } = { ...after };
          if (table !== "effects" || typeof key !== "string" || !/^(k|job|action)/.test(key)) continue;
          if ([...snapshot.withIndex("", "effects", "by_key", key)].length > 1) return `"${key}" took effect twice`;
        }
        return null;
      },
      "counted once": {
        tables: ["counters"],
        check: (snapshot) => {
          const [row] = snapshot.withIndex("", "counters", "by_name", "a");
          return row?.n === [...snapshot.withIndex("", "effects", "by_key", "increment a")].length;
        },
      },
    },
    mustHit: FAULT_KINDS,
    maxReruns: 20,
    maxFailures: 2,
  });
  expect(summary.failures, campaignText(summary)).toEqual([]);
  expect(summary.missed).toEqual([]);
});
