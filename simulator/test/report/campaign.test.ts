/** A broken app is caught, and its failure is made as small as it goes. */
import { expect, test } from "vitest";
import {
  campaign,
  campaignText,
  minimize,
  repeat,
  reportText,
  type InvariantChecks,
  type Scenario,
} from "../../src/index.js";
import { api, startApp } from "../faults/app.js";

/** When which caller increments. */
type Step = { at: number; how: "increment" | "incrementBroken" };

/** Increments by many callers; only what was counted in one transaction is counted right. */
const counting = (how: Step["how"]): Scenario<Step> => ({
  name: how,
  steps: (random) => Array.from({ length: 12 }, () => ({ at: Math.floor(random() * 1_500), how })),
  run: async ({ steps, start }) => {
    const app = startApp({}, start);
    app.faults?.calm();
    const id = await app.mutation(api.app!.create!, { name: "a" });
    app.faults?.resume();
    let succeeded = 0;
    const calls = steps.map(async (step) => {
      await app.loop.sleep(step.at);
      const call =
        step.how === "increment"
          ? app.mutation(api.app!.increment!, { id })
          : app.action(api.app!.incrementBroken!, { id });
      await call.then(
        () => void succeeded++,
        () => undefined,
      );
    });
    await app.loop.drive(Promise.all(calls));
    app.faults?.calm();
    await app.loop.advance(60_000);
    const n = await app.query(api.app!.read!, { id });
    if (Number(n) < succeeded) throw new Error(`${succeeded} increments succeeded, and the counter is ${Number(n)}`);
  },
});

const counted: InvariantChecks = {
  "every increment is counted": (snapshot) => {
    const written = snapshot.count("", "effects");
    for (const { n } of snapshot.rows("", "counters"))
      if (n !== written) return `${written} written, ${Number(n)} counted`;
    return null;
  },
};

test("a counter that is incremented outside of a transaction is caught, and a few steps are left", async () => {
  const summary = await campaign({
    scenario: counting("incrementBroken"),
    seeds: 30,
    faults: { probability: { killAction: 0.01, delayJob: 0.1 } },
    invariants: counted,
    command: "npm run again -- --seed {seed} --plan {plan} --steps {steps}",
    maxFailures: 1,
  });
  const [report] = summary.failures;
  if (report === undefined) throw new Error("nothing was found");
  expect(report.failure.message).toMatch(/^Invariant "every increment is counted": \d+ written, \d+ counted$/);
  expect(report.isReproduced).toBe(true);
  expect(report.stepsBefore).toBe(12);
  // Two are enough where they overlap; what others there are only make the latencies such that they do.
  expect(report.steps.length).toBeGreaterThanOrEqual(2);
  expect(report.steps.length).toBeLessThanOrEqual(4);
  expect(report.plan).toEqual([]);
  const text = reportText(report);
  expect(text).toContain(`Steps: ${report.steps.length} of 12`);
  expect(text).toContain("app:write");
  expect(text).toContain(`npm run again -- --seed ${report.seed} --plan '[]' --steps '[{"at":`);
  // The command's words are enough to see it again.
  const again = await repeat(
    { scenario: counting("incrementBroken"), seeds: 1, invariants: counted },
    report.seed,
    report.plan,
    report.steps as Step[],
  );
  expect(again?.failure).toEqual(report.failure);
  expect(again?.history).toBe(report.history);
});

test("the same app in one transaction survives, and what was hit is said", async () => {
  const summary = await campaign({
    scenario: counting("increment"),
    seeds: 20,
    faults: { probability: { forceConflict: 0.1, loseReply: 0.1, exhaustPermits: 0.02, restart: 0.005 } },
    invariants: counted,
    mustHit: ["forceConflict", "loseReply:mutation", "restart", "killAction:end"],
  });
  expect(summary.failures).toEqual([]);
  expect(summary.runs).toBe(20);
  expect(summary.faultsPerKind.forceConflict).toBeGreaterThan(0);
  expect(summary.pointsHit["forceConflict:mutation"].asked).toBeGreaterThan(200);
  expect(summary.invariantChecks).toBe(summary.commits);
  expect(summary.missed).toEqual(["killAction:end"]);
  const text = campaignText(summary);
  expect(text).toContain("20 runs");
  expect(text).toContain("NOT HIT: killAction:end");
});

test("a failure that a fault makes is left with that fault alone", async () => {
  const scenario: Scenario<number> = {
    name: "an action's effects come in pairs",
    run: async ({ start }) => {
      const app = startApp({}, start);
      await Promise.allSettled(["a", "b", "c"].map((key) => app.action(api.app!.everything!, { key })));
      app.faults?.calm();
      await app.loop.advance(60_000);
      const keys = [...app.invariants.snapshot.rows("", "effects")].map(({ key }) => key as string);
      for (const key of keys)
        if (key.endsWith(" 1") && !keys.includes(key.replace(" 1", " 2"))) throw new Error("torn");
    },
  };
  const summary = await campaign({
    scenario,
    seeds: 40,
    faults: { probability: { killAction: 0.03, forceConflict: 0.2, skewClock: 0.2 } },
    maxFailures: 1,
  });
  const [report] = summary.failures;
  expect(report?.faultsBefore).toBeGreaterThan(5);
  expect(report?.plan).toHaveLength(1);
  expect(report?.plan[0]).toMatchObject({ kind: "killAction" });
  expect(reportText(report!)).toContain(`Faults: 1 of ${report?.faultsBefore}`);
});

test("a scenario that never ends fails at its limit of time", async () => {
  const scenario: Scenario = {
    name: "for ever",
    run: async ({ start }) => {
      const app = startApp({}, start);
      for (;;) await app.loop.advance(60_000);
    },
  };
  const { failures } = await campaign({ scenario, seeds: 1, timeLimitMs: 3_600_000, maxReruns: 0 });
  expect(failures[0]?.failure.message).toContain("was not over after 3600000 ms");
});

test("minimizing finds what matters, keeps to its budget, and says when a failure does not come again", async () => {
  const plan = Array.from({ length: 16 }, (_, nth) => ({ kind: "delayJob" as const, nth: nth + 1 }));
  const steps = Array.from({ length: 40 }, (_, i) => i);
  let runs = 0;
  const run = (given: { plan: readonly { nth?: number }[]; steps: readonly number[] }) => {
    runs++;
    const has = (nth: number) => given.plan.some((fault) => fault.nth === nth);
    return Promise.resolve(has(3) && has(11) && given.steps.includes(7) ? "it broke" : null);
  };
  const minimal = await minimize(run, { seed: 1, plan, steps });
  expect(minimal).toMatchObject({ failure: "it broke", plan: [{ nth: 3 }, { nth: 11 }], steps: [7], reruns: runs });
  runs = 0;
  const short = await minimize(run, { seed: 1, plan, steps }, { maxReruns: 10 });
  expect(runs).toBe(10);
  expect(await run(short)).toBe("it broke");
  expect(await minimize(run, { seed: 1, plan: [], steps })).toMatchObject({ failure: null, reruns: 1 });
});
