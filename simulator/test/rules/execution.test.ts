/** Section 1.7: how the code of one transaction runs. */
import { expect, test } from "vitest";
import { deploy, f, mutate, mutation, read, type MutationCtx } from "./support.js";

const insert = (ctx: MutationCtx, note: string) => ctx.db.insert("rows", { k: "q", note });
const insertion = mutation({
  handler: async (ctx) => {
    await ctx.db.query("rows").collect();
    await insert(ctx, "nested");
  },
});

test("what was not waited for happens all the same", async () => {
  const app = deploy({ insertion });
  await mutate(app, (ctx) => {
    void insert(ctx, "plain");
    void ctx.runMutation(f("insertion"), {});
    void insert(ctx, "behind");
    return Promise.resolve();
  });
  const rows = await read(app, async ({ db }) => await db.query("rows").collect());
  expect(rows.map(({ note }) => note as string)).toEqual(["plain", "nested", "behind"]);
});

test("operations that are asked for together happen in the order in which they were asked for", async () => {
  const app = deploy();
  const seen = await mutate(app, async (ctx) => {
    const id = await insert(ctx, "first");
    const note = async () => (await ctx.db.get("rows", id))?.note as unknown;
    return await Promise.all([
      note(),
      ctx.db.patch("rows", id, { note: "second" }),
      note(),
      ctx.db.delete("rows", id),
      note(),
    ]);
  });
  expect([seen[0], seen[2], seen[4]]).toEqual(["first", "second", undefined]);
});

test("a promise that waits for nothing is an error, and nothing is committed", async () => {
  const app = deploy();
  const never = mutate(app, async (ctx) => {
    await insert(ctx, "lost");
    await new Promise(() => undefined);
  });
  await expect(never).rejects.toThrow("Returned promise will never resolve");
  expect(await read(app, async ({ db }) => await db.query("rows").first())).toBeNull();
});

test("the clock stands still in a transaction, and an attempt that is repeated has a new one", async () => {
  const app = deploy({ insertion });
  const clocks: number[][] = [];
  await app.loop.drive(
    Promise.all([
      mutate(app, async (ctx) => await insert(ctx, "a")),
      (async () => {
        await app.loop.sleep(1);
        await mutate(app, async (ctx) => {
          const before = Date.now();
          await ctx.db.query("rows").collect();
          await ctx.runMutation(f("insertion"), {});
          clocks.push([before, Date.now(), new Date().getTime(), Math.random()]);
        });
      })(),
    ]),
  );
  expect(clocks.length).toBe(2);
  for (const [a, b, c] of clocks) expect([b, c]).toEqual([a, a]);
  expect(clocks[1]![0]).toBeGreaterThan(clocks[0]![0]!);
  expect(clocks[1]![3]).not.toBe(clocks[0]![3]);
});

test("a rejection that nobody handles fails the call, and nothing is committed", async () => {
  const app = deploy();
  const call = mutate(app, async (ctx) => {
    await insert(ctx, "lost");
    void ctx.db.insert("rows", { k: 5 as unknown as string });
  });
  await expect(call).rejects.toThrow("schema");
  expect(await read(app, async ({ db }) => await db.query("rows").first())).toBeNull();
});
