/** Section 1.6: creation times, and the timestamp of a commit that nobody knows before. */
import { expect, test } from "vitest";
import { v, type Value } from "convex/values";
import { getSnapshotTs, deployOf, PLACEHOLDER } from "./commitTs.js";
import { act, action, deploy, f, mutate, mutation, query, read, type MutationCtx } from "./support.js";

const nextDouble = (value: number): number => {
  const bits = new BigInt64Array(new Float64Array([value]).buffer);
  return new Float64Array(BigInt64Array.of(bits[0]! + 1n).buffer)[0]!;
};
const created = async ({ db }: MutationCtx): Promise<number> =>
  (await db.get("rows", await db.insert("rows", { k: "q" })))!._creationTime;

test("creation times have a fraction and grow by the smallest step, also over jobs", async () => {
  const app = deploy({ noop: mutation({ handler: () => Promise.resolve(null) }) });
  const [a, b, now, c] = await mutate(app, async (ctx) => {
    const first = await created(ctx);
    const second = await created(ctx);
    const clock = Date.now();
    await ctx.scheduler.runAfter(0, f("noop"), {});
    return [first, second, clock, await created(ctx)] as const;
  });
  expect(Number.isInteger(a)).toBe(false);
  expect(a).toBeGreaterThan(now);
  expect(a - now).toBeLessThan(1);
  expect(b).toBe(nextDouble(a));
  expect(c).toBe(nextDouble(nextDouble(b)));
});

test("a transaction's creation times are later than its snapshot, and those of a slow one can be earlier than others'", async () => {
  const app = deploy();
  const durations = [500, 10];
  app.latency = (ms) => (ms === 10 ? (durations.shift() ?? ms) : ms);
  const times = await app.loop.drive(
    Promise.all([
      mutate(app, created),
      (async () => {
        await app.loop.sleep(100);
        return await mutate(app, created);
      })(),
    ]),
  );
  // The second one committed first.
  expect(times[0]).toBeLessThan(times[1]);
  // A server whose clock is behind begins after the snapshot all the same.
  let ts = 0;
  app.committer.onPublish((commit) => (ts = commit.ts));
  await mutate(app, created);
  app.skewedNow = () => app.loop.now() - 60_000;
  const begin = app.epoch.startMs + ts / 10_000;
  const time = await mutate(app, created);
  expect(time).toBeGreaterThan(begin);
  expect(time - begin).toBeLessThan(1);
});

test("a placeholder becomes the timestamp of the commit, in documents and in the result", async () => {
  const app = deployOf({
    write: mutation({
      returns: v.object({ at: v.int64(), list: v.array(v.int64()) }),
      handler: async ({ db }) => {
        const at = db.vars.commitTs as unknown as bigint;
        await db.insert("rows", { k: "q", n: at, note: { deep: [at, 1n] } });
        return { at, list: [at] };
      },
    }),
  });
  let ns = 0n;
  app.committer.onPublish(({ ts }) => (ns = BigInt(app.epoch.startMs) * 1_000_000n + BigInt(ts) * 100n));
  const result = await app.mutation(f("write"));
  expect(result).toEqual({ at: ns, list: [ns] });
  const row = await read(app, async ({ db }) => await db.query("rows").first());
  expect(row).toMatchObject({ n: ns, note: { deep: [ns, 1n] } });
  expect(await read(app, () => Promise.resolve(getSnapshotTs()))).toBe(ns);
});

test("until the commit it reads as the placeholder, and sorts as the largest int64: after all bigints, before numbers", async () => {
  const app = deployOf();
  const notes = await mutate(app, async ({ db }) => {
    const at = db.vars.commitTs as unknown as bigint;
    for (const [n, note] of [
      [at, "ts"],
      [2n ** 62n, "large"],
      [0n, "zero"],
      [1, "number"],
      [null, "null"],
    ]) {
      await db.insert("rows", { k: "q", n, note });
    }
    const range = () => db.query("rows").withIndex("by_k_n", (q) => q.eq("k", "q"));
    const names = (rows: Array<{ note?: unknown }>) => rows.map(({ note }) => note);
    const inOrder = await range().collect();
    expect(inOrder[3]?.n).toEqual(PLACEHOLDER);
    return [
      names(inOrder),
      names(
        await db
          .query("rows")
          .withIndex("by_k_n", (q) => q.eq("k", "q").lt("n", at))
          .collect(),
      ),
      names(
        await db
          .query("rows")
          .withIndex("by_k_n", (q) => q.eq("k", "q").eq("n", at))
          .collect(),
      ),
      names(
        await db
          .query("rows")
          .withIndex("by_k_n", (q) => q.eq("k", "q").eq("n", 2n ** 63n - 1n))
          .collect(),
      ),
    ];
  });
  expect(notes).toEqual([["null", "zero", "large", "ts", "number"], ["null", "zero", "large"], ["ts"], ["ts"]]);
  // Stamped rows stand where their timestamp belongs.
  const after = await read(
    app,
    async ({ db }) =>
      await db
        .query("rows")
        .withIndex("by_k_n", (q) => q.eq("k", "q"))
        .collect(),
  );
  expect(after.map(({ note }) => note as string)).toEqual(["null", "zero", "ts", "large", "number"]);
});

test("who read where a stamped row arrives loses to it", async () => {
  const app = deployOf();
  let attempts = 0;
  await app.loop.drive(
    Promise.all([
      mutate(app, async ({ db }) => await db.insert("rows", { k: "q", n: db.vars.commitTs })),
      (async () => {
        await app.loop.sleep(1);
        await mutate(app, async ({ db }) => {
          attempts++;
          const range = db.query("rows").withIndex("by_k_n", (q) =>
            q
              .eq("k", "q")
              .gt("n", 0n)
              .lt("n", 2n ** 62n),
          );
          await range.collect();
          await db.insert("others", { x: 1 });
        });
      })(),
    ]),
  );
  expect(attempts).toBe(2);
});

test("nested calls take and return it; clients, actions, jobs and queries do not", async () => {
  const echo = { args: { at: v.any() }, handler: (_: unknown, { at }: { at: Value }) => Promise.resolve(at) };
  const app = deployOf({ echo: mutation(echo), echoQuery: query(echo), echoAction: action(echo) });
  await mutate(app, async (ctx) => {
    const at = ctx.db.vars.commitTs;
    expect(await ctx.runMutation(f("echo"), { at })).toEqual(PLACEHOLDER);
    expect(await ctx.runQuery(f("echoQuery"), { at })).toEqual(PLACEHOLDER);
    await expect(ctx.scheduler.runAfter(0, f("echo"), { at })).rejects.toThrow("commit timestamp");
  });
  await expect(app.mutation(f("echo"), { at: PLACEHOLDER })).rejects.toThrow("commit timestamp");
  await expect(app.action(f("echoAction"), { at: PLACEHOLDER })).rejects.toThrow("commit timestamp");
  await act(app, async (ctx) => {
    await expect(ctx.runMutation(f("echo"), { at: PLACEHOLDER })).rejects.toThrow("commit timestamp");
  });
  const returning = deploy({ give: query({ handler: () => Promise.resolve(PLACEHOLDER as never) }) });
  await expect(returning.query(f("give"))).rejects.toThrow("commit timestamp");
});
