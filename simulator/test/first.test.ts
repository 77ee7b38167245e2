/** A deployment runs functions, commits, conflicts, retries and schedules. */
import { expect, test } from "vitest";
import { api, startApp } from "./support/app.js";

test("a mutation is committed, and a query sees it", async () => {
  const app = startApp();
  const id = await app.mutation(api.counters!.create!, { name: "a" });
  expect(await app.mutation(api.counters!.increment!, { id })).toBe(1);
  expect(await app.query(api.counters!.get!, { name: "a" })).toMatchObject({ _id: id, name: "a", n: 1 });
});

test("increments that start together conflict, are retried, and none is lost or doubled", async () => {
  const app = startApp({ seed: 7 });
  const id = await app.mutation(api.counters!.create!, { name: "a" });
  const results = await app.loop.drive(
    Promise.allSettled(Array.from({ length: 20 }, () => app.mutation(api.counters!.increment!, { id }))),
  );
  const succeeded = results.filter(({ status }) => status === "fulfilled").length;
  expect(app.history.conflicts).toBeGreaterThan(10);
  expect(await app.query(api.counters!.get!, { name: "a" })).toMatchObject({ n: succeeded });
});

test("a scheduled mutation runs once its time has come", async () => {
  const app = startApp();
  const id = await app.mutation(api.counters!.create!, { name: "a" });
  await app.mutation(api.counters!.incrementLater!, { id, ms: 60_000 });
  await app.loop.advance(59_000);
  expect(await app.query(api.counters!.get!, { name: "a" })).toMatchObject({ n: 0 });
  await app.loop.advance(2_000);
  expect(await app.query(api.counters!.get!, { name: "a" })).toMatchObject({ n: 1 });
  expect(app.jobs.failed).toBe(0);
});

test("an action calls mutations, each a transaction of its own", async () => {
  const app = startApp();
  const id = await app.mutation(api.counters!.create!, { name: "a" });
  expect(await app.action(api.counters!.incrementFromAction!, { id, times: 3 })).toEqual([1, 2, 3]);
});

test("the same seed gives the same history", async () => {
  const run = async (seed: number) => {
    const app = startApp({ seed });
    const id = await app.mutation(api.counters!.create!, { name: "a" });
    await app.loop.drive(
      Promise.allSettled(Array.from({ length: 10 }, () => app.mutation(api.counters!.increment!, { id }))),
    );
    return app.history.digest();
  };
  expect(await run(1)).toBe(await run(1));
  expect(await run(1)).not.toBe(await run(2));
});
