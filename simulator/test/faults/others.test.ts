/** Lost replies, forced conflicts, permits, clocks and handles. */
import { expect, test } from "vitest";
import { DEFAULT_LATENCIES } from "../../src/index.js";
import { api, count, startApp } from "./app.js";

test("a client's reply is lost after the commit: an error, and the effect is there once", async () => {
  const app = startApp({ faults: { plan: [{ kind: "loseReply", source: "app:increment", nth: 2 }] } });
  const id = await app.mutation(api.app!.create!, { name: "a" });
  await app.mutation(api.app!.increment!, { id });
  await expect(app.mutation(api.app!.increment!, { id })).rejects.toThrow("The connection broke");
  expect(await app.query(api.app!.read!, { id })).toBe(2);
  expect(count(app, "increment a")).toBe(2);
});

test("forced conflicts are retried four times, and then the caller hears of them", async () => {
  const app = startApp({ faults: { probability: { "forceConflict:mutation": 1 }, limit: 9 } });
  await expect(app.mutation(api.app!.create!, { name: "a" })).rejects.toThrow("OptimisticConcurrencyControlFailure");
  expect(app.history.retries).toBe(5);
  // Four of nine are left, and the fifth attempt succeeds.
  await app.mutation(api.app!.create!, { name: "b" });
  expect(app.history.retries).toBe(9);
  expect(app.invariants.snapshot.count("", "counters")).toBe(1);
});

test("what reads only is never a loser", async () => {
  const app = startApp({ faults: { probability: { forceConflict: 1 } } });
  expect(await app.query(api.app!.effects!, { key: "k" })).toEqual([]);
  expect(app.faults?.injected).toEqual([]);
});

test.each([
  [4_000, null],
  [6_000, "TooManyConcurrentRequests"],
])("permits are exhausted for %d ms", async (ms, error) => {
  const app = startApp({ faults: { plan: [{ kind: "exhaustPermits", point: "mutation", ms }] } });
  const started = app.loop.now();
  const call = app.mutation(api.app!.create!, { name: "a" });
  if (error === null) {
    await call;
    expect(app.loop.now() - started).toBeGreaterThan(ms);
  } else await expect(call).rejects.toThrow(error);
  expect(app.permits.mutation.used).toBe(0);
});

test("clocks are wrong by more than the profile says, in transactions and in actions", async () => {
  const app = startApp({
    latencies: { ...DEFAULT_LATENCIES, clockSkewMs: 0 },
    faults: {
      plan: [
        { kind: "skewClock", source: "app:create", ms: 300_000 },
        { kind: "skewClock", source: "app:now", ms: -300_000 },
      ],
    },
  });
  const start = app.loop.now();
  await app.mutation(api.app!.create!, { name: "a" });
  await app.mutation(api.app!.create!, { name: "b" });
  const [a, b] = [...app.invariants.snapshot.rows("", "counters")];
  expect(Number(a?._creationTime) - start).toBeGreaterThanOrEqual(300_000);
  expect(Number(b?._creationTime) - start).toBeLessThan(1_000);
  expect(Number(await app.action(api.app!.now!, {})) - start).toBeLessThan(-290_000);
  expect(Number(await app.action(api.app!.now!, {})) - start).toBeGreaterThan(0);
});

test("a handle that was dropped leads nowhere any more", async () => {
  const app = startApp({ faults: { plan: [{ kind: "dropHandle", nth: 2 }] } });
  const handle = await app.query(api.app!.handle!, {});
  await app.mutation(api.app!.throughHandle!, { key: "k", handle });
  for (let i = 0; i < 2; i++) {
    await expect(app.mutation(api.app!.throughHandle!, { key: "k", handle })).rejects.toThrow("FunctionHandleNotFound");
  }
  expect(count(app, "k")).toBe(1);
});

test("what was injected by chance is a plan that does the same again", async () => {
  const drive = async (app: ReturnType<typeof startApp>) => {
    await app.loop.drive(
      Promise.allSettled([
        ...["a", "b", "c"].map((key) => app.action(api.app!.everything!, { key })),
        ...["d", "e", "f"].map((key) => app.mutation(api.app!.later!, { key, kind: "action", ms: 300 })),
      ]),
    );
    await app.loop.advance(60_000);
    return app;
  };
  const byChance = await drive(
    startApp({
      seed: 3,
      faults: { probability: { killAction: 0.02, forceConflict: 0.1, delayJob: 0.3, restart: 0.01, skewClock: 0.05 } },
    }),
  );
  const plan = byChance.faults?.injected ?? [];
  expect(new Set(plan.map(({ kind }) => kind)).size).toBeGreaterThan(2);
  const byPlan = await drive(startApp({ seed: 3, faults: { plan } }));
  expect(byPlan.faults?.injected).toEqual(plan);
  expect(byPlan.history.digest()).toBe(byChance.history.digest());
});
