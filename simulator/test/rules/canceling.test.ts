/** Section 3: canceling jobs, before, during and after their run. */
import { expect, test } from "vitest";
import { v, type GenericId } from "convex/values";
import type { Deployment } from "../../src/index.js";
import { act, action, deploy, f, mutate, mutation, read, type ActionCtx } from "./support.js";

type JobId = GenericId<"_scheduled_functions">;
const HOUR = 3_600_000;

const ran: string[] = [];
const functions = {
  note: mutation({ args: { name: v.string() }, handler: (_, { name }) => Promise.resolve(void ran.push(name)) }),
  scheduleNote: mutation({
    args: { name: v.string() },
    handler: async ({ scheduler }, { name }) => await scheduler.runAfter(0, f("note"), { name }),
  }),
  working: action({
    args: { fails: v.optional(v.boolean()) },
    handler: async (ctx: ActionCtx, { fails }) => {
      await new Promise((resolve) => void setTimeout(resolve, 1_000));
      await ctx.scheduler.runAfter(0, f("note"), { name: "from the action" });
      await ctx.runMutation(f("scheduleNote"), { name: "from its mutation" });
      ran.push("to the end");
      if (fails === true) throw new Error("as asked");
    },
  }),
  cancelsItself: mutation({
    handler: async (ctx) => {
      const own = await ctx.db.system.query("_scheduled_functions").first();
      await ctx.scheduler.cancel(own!._id);
      ran.push((await ctx.db.system.get("_scheduled_functions", own!._id))!.state.kind);
    },
  }),
  own: mutation({ handler: async ({ db }) => (await db.system.query("_scheduled_functions").first())!._id }),
  actionCancelsItself: action({
    handler: async (ctx) => await ctx.scheduler.cancel((await ctx.runMutation(f("own"), {})) as JobId),
  }),
};

function start(): Deployment {
  ran.length = 0;
  return deploy(functions, {}, functions);
}
const schedule = async (
  app: Deployment,
  ms: number,
  name: string,
  args: Record<string, unknown> = {},
  component = "",
) => await mutate(app, async ({ scheduler }) => await scheduler.runAfter(ms, f(name), args), { component });
const cancel = async (app: Deployment, id: JobId, component = "") =>
  await mutate(app, async ({ scheduler }) => await scheduler.cancel(id), { component });
const statesOf = async (app: Deployment, component = "") =>
  await read(
    app,
    async ({ db }) =>
      (await db.system.query("_scheduled_functions").collect()).map(({ name, state }) => `${name} ${state.kind}`),
    component,
  );

test("a job that waits is canceled and never runs", async () => {
  const app = start();
  await cancel(app, await schedule(app, 1_000, "note", { name: "never" }));
  await app.loop.advance(HOUR);
  expect([await statesOf(app), ran, app.jobs.started]).toEqual([["f.js:note canceled"], [], 0]);
});

test("canceling what is over, or what was never there, changes nothing", async () => {
  const app = start();
  const id = await schedule(app, 0, "note", { name: "done" });
  await app.loop.advance(1_000);
  const commits: number[] = [];
  app.committer.onPublish(({ ts }) => void commits.push(ts));
  await cancel(app, id);
  await cancel(app, (id.slice(0, 10) + "0" + id.slice(11)) as JobId);
  expect([commits, await statesOf(app)]).toEqual([[], ["f.js:note success"]]);
});

test("a running action goes on, its end is ignored, and all it schedules is canceled from the start", async () => {
  for (const args of [{}, { fails: true }]) {
    const app = start();
    const id = await schedule(app, 0, "working", args);
    await app.loop.advance(500);
    await cancel(app, id);
    await app.loop.advance(HOUR);
    expect(ran).toEqual(["to the end"]);
    expect(await statesOf(app)).toEqual(["f.js:working canceled", "f.js:note canceled", "f.js:note canceled"]);
    expect(app.jobs.failed).toBe(0);
  }
});

test("an action's job that is canceled while the action schedules makes that try again, and be canceled", async () => {
  const app = start();
  const id = await schedule(app, 0, "working");
  await app.loop.drive(
    Promise.all([
      app.loop.sleep(2_000),
      (async () => {
        // The job began 3 ms ago; a second later its action schedules, and the cancel commits before that does.
        await app.loop.sleep(1_000 - 3);
        await cancel(app, id);
      })(),
    ]),
  );
  expect(await statesOf(app)).toEqual(["f.js:working canceled", "f.js:note canceled", "f.js:note canceled"]);
  expect(ran).toEqual(["to the end"]);
});

test("a scheduled mutation cannot cancel itself, an action can", async () => {
  const app = start();
  await schedule(app, 0, "cancelsItself");
  await app.loop.advance(1_000);
  expect([await statesOf(app), ran]).toEqual([["f.js:cancelsItself success"], ["inProgress"]]);
  const acting = start();
  await schedule(acting, 0, "actionCancelsItself");
  await acting.loop.advance(1_000);
  expect(await statesOf(acting)).toEqual(["f.js:actionCancelsItself canceled"]);
});

test("an action cancels in the app's namespace: in a component it silently does nothing, a mutation there does", async () => {
  const app = start();
  const job = await schedule(app, HOUR, "note", { name: "app" });
  await act(app, async ({ scheduler }) => await scheduler.cancel(job));
  expect(await statesOf(app)).toEqual(["f.js:note canceled"]);
  const inside = await schedule(app, HOUR, "note", { name: "child" }, "child");
  await act(app, async ({ scheduler }) => await scheduler.cancel(inside), "child");
  expect(await statesOf(app, "child")).toEqual(["f.js:note pending"]);
  await cancel(app, inside, "child");
  expect(await statesOf(app, "child")).toEqual(["f.js:note canceled"]);
});

test("a canceled job that nobody ran is kept for seven days, too", async () => {
  const app = start();
  await cancel(app, await schedule(app, HOUR, "note", { name: "never" }));
  await app.loop.advance(8 * 24 * HOUR);
  expect(await statesOf(app)).toEqual([]);
});
