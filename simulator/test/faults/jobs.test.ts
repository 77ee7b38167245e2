/** A scheduled mutation takes effect exactly once, and a scheduled action at most once, whatever goes wrong. */
import { describe, expect, test } from "vitest";
import { FAULT_KINDS, type FaultKind, type FaultOptions } from "../../src/index.js";
import { api, count, jobStates, startApp } from "./app.js";

const HOUR = 3_600_000;
const JOBS = 12;

/** Kinds that these jobs cannot meet. */
const NEVER_MET: Readonly<Record<"mutation" | "action", readonly FaultKind[]>> = {
  mutation: ["dropHandle", "killAction"],
  action: ["dropHandle"],
};

async function run(kind: "mutation" | "action", faults: FaultOptions, seed: number) {
  const app = startApp({ seed, faults, permits: { scheduledJobs: 3 } });
  const scheduled: string[] = [];
  await app.loop.drive(
    Promise.allSettled(
      Array.from({ length: JOBS }, async (_, i) => {
        await app.loop.sleep(i * 40);
        await app.mutation(api.app!.later!, { key: `k${i}`, kind, ms: 600 - i * 40 });
        scheduled.push(`k${i}`);
      }),
    ),
  );
  await app.loop.advance(1_000);
  app.faults?.calm();
  await app.loop.advance(HOUR);
  return { app, scheduled };
}

describe.each(FAULT_KINDS)("under %s", (kind) => {
  const faults: FaultOptions = { probability: { [kind]: kind === "restart" || kind === "deploy" ? 0.05 : 0.4 } };

  test("scheduled mutations take effect exactly once", async () => {
    let injected = 0;
    for (const seed of [1, 2, 3]) {
      const { app, scheduled } = await run("mutation", faults, seed);
      // A caller that got no answer may have scheduled, too; nothing may happen twice.
      for (let i = 0; i < JOBS; i++) {
        const effects = count(app, `k${i}`);
        if (scheduled.includes(`k${i}`)) expect(effects, `seed ${seed}, k${i}`).toBe(1);
        else expect(effects, `seed ${seed}, k${i}`).toBeLessThanOrEqual(1);
      }
      expect(jobStates(app).filter((state) => state !== "success")).toEqual([]);
      expect(app.jobs.running).toBe(0);
      injected += app.faults?.injected.length ?? 0;
    }
    expect(injected > 0).toBe(!NEVER_MET.mutation.includes(kind));
  });

  test("scheduled actions take effect at most once, and end", async () => {
    let injected = 0;
    for (const seed of [1, 2, 3]) {
      const { app } = await run("action", faults, seed);
      for (let i = 0; i < JOBS; i++) expect(count(app, `k${i}`), `seed ${seed}, k${i}`).toBeLessThanOrEqual(1);
      expect(jobStates(app).filter((state) => state === "pending" || state === "inProgress")).toEqual([]);
      injected += app.faults?.injected.length ?? 0;
    }
    expect(injected > 0).toBe(!NEVER_MET.action.includes(kind));
  });
});

test("a delayed job keeps no slot meanwhile, and others overtake it", async () => {
  const app = startApp({
    permits: { scheduledJobs: 1 },
    faults: { plan: [{ kind: "delayJob", source: "app:effect", nth: 1, ms: 5_000 }] },
  });
  await app.mutation(api.app!.later!, { key: "first", kind: "mutation", ms: 0 });
  await app.mutation(api.app!.later!, { key: "second", kind: "mutation", ms: 0 });
  await app.loop.advance(1_000);
  expect([count(app, "first"), count(app, "second")]).toEqual([0, 1]);
  await app.loop.advance(5_000);
  expect([count(app, "first"), count(app, "second")]).toEqual([1, 1]);
});

test("a finished job is collected early", async () => {
  const app = startApp({ faults: { plan: [{ kind: "collectJobs", ms: 100 }] } });
  await app.mutation(api.app!.later!, { key: "k", kind: "mutation", ms: 0 });
  await app.mutation(api.app!.later!, { key: "l", kind: "mutation", ms: 5_000 });
  await app.loop.advance(1_000);
  expect(jobStates(app)).toEqual(["pending"]);
  expect(count(app, "k")).toBe(1);
});
