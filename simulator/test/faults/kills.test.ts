/** Actions die at every point: what committed stays, nothing of them goes on, and their jobs are failed. */
import { describe, expect, test } from "vitest";
import { FAULT_POINTS } from "../../src/index.js";
import { api, count, requests, startApp } from "./app.js";

const HOUR = 3_600_000;

/** Point -> effects of `everything` that are there when it dies at the first opportunity. */
const EFFECTS: Record<string, number> = {
  start: 0,
  beforeMutation: 0,
  afterMutation: 1,
  beforeQuery: 1,
  afterQuery: 1,
  beforeAction: 2,
  afterAction: 2,
  beforeSchedule: 3,
  afterSchedule: 3,
  beforeCancel: 4,
  afterCancel: 4,
  beforeStorage: 5,
  afterStorage: 5,
  beforeOther: 6,
  afterOther: 6,
  beforeFetch: 7,
  duringFetch: 7,
  afterFetch: 7,
  timer: 8,
  end: 9,
};

test("every point is tried", () => {
  const points = FAULT_POINTS.filter((point) => point.startsWith("killAction:")).map((point) => point.slice(11));
  expect([...Object.keys(EFFECTS), "time"].sort()).toEqual(points.sort());
});

describe.each(Object.entries(EFFECTS))("an action dies: %s", (point, effects) => {
  test("what it did stays, and nothing of it goes on", async () => {
    const app = startApp({ faults: { plan: [{ kind: "killAction", point, source: "app:everything" }] } });
    await expect(app.action(api.app!.everything!, { key: "k" })).rejects.toThrow(
      "Transient error while executing action",
    );
    await app.loop.advance(HOUR);
    const seen = Array.from({ length: 9 }, (_, i) => count(app, `k ${i + 1}`));
    expect(seen).toEqual(Array.from({ length: 9 }, (_, i) => (i < effects ? 1 : 0)));
    expect(app.faults?.injected).toMatchObject([{ kind: "killAction", point }]);
    expect(requests.get(app) ?? 0).toBe(effects > 7 || ["duringFetch", "afterFetch"].includes(point) ? 1 : 0);
    expect(app.permits.action.used).toBe(0);
  });
});

test("effects are there and the job is failed: killed between the commit and its result", async () => {
  const app = startApp({ faults: { plan: [{ kind: "killAction", point: "afterMutation", source: "app:act" }] } });
  const id = await app.mutation(api.app!.later!, { key: "k", kind: "action", ms: 0 });
  await app.loop.advance(HOUR);
  expect(count(app, "k")).toBe(1);
  expect(await app.query(api.app!.job!, { id })).toEqual({
    kind: "failed",
    error: "Transient error while executing action",
  });
  expect(app.jobs.running).toBe(0);
});

test("the reply of an action's mutation is lost together with the action", async () => {
  const app = startApp({ faults: { plan: [{ kind: "loseReply", point: "inAction" }] } });
  const id = await app.mutation(api.app!.later!, { key: "k", kind: "action", ms: 0 });
  await app.loop.advance(HOUR);
  expect(count(app, "k")).toBe(1);
  expect(await app.query(api.app!.job!, { id })).toMatchObject({ kind: "failed" });
});

test("a called action dies with its caller, and its caller lives on when it dies", async () => {
  const parent = startApp({
    faults: { plan: [{ kind: "killAction", atMs: 400, source: "app:everything" }] },
    latencies: { ...slow, actionStartMs: 200 },
  });
  await expect(parent.action(api.app!.everything!, { key: "k" })).rejects.toThrow("Transient error");
  await parent.loop.advance(HOUR);
  expect(count(parent, "k child")).toBe(0);
  const child = startApp({ faults: { plan: [{ kind: "killAction", point: "start", source: "app:act" }] } });
  await expect(child.action(api.app!.everything!, { key: "k" })).rejects.toThrow("Transient error");
  expect(count(child, "k 2")).toBe(1);
});

test("its timers stop, and leave nothing behind", async () => {
  const app = startApp({ faults: { plan: [{ kind: "killAction", point: "timer", nth: 4 }] } });
  await expect(app.action(api.app!.ticking!, { key: "k" })).rejects.toThrow("Transient error");
  await app.loop.advance(HOUR);
  expect(count(app, "k")).toBe(3);
  expect(app.loop.isIdle).toBe(true);
});

const slow = {
  executionMs: 20,
  commitMs: 10,
  schedulerHopMs: 0,
  actionStartMs: 0,
  clockSkewMs: 0,
  spread: 0,
  tombstoneMs: 0,
  passPerNamespaceMs: 0,
};
