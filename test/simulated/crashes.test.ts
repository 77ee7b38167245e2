/**
 * Crashes where nothing else can show them: while others write, with conflicts, retries and a scheduler that has slots.
 * Whatever goes wrong, every execution must end as if nothing had happened.
 */
import { createFunctionHandle, makeFunctionReference } from "convex/server";
import { expect, test, vi } from "vitest";
import { CONTEXT, expectWhole, INPUT } from "../support/faultChecks.js";
import { BINDINGS } from "../support/faults.js";
import { EVERYTHING } from "../support/hosts/faults/flows.js";
import { hostModules } from "../support/hosts/faults/modules.js";
import hostSchema from "../support/hosts/faults/schema.js";
import type { DeploymentOptions } from "../../simulator/src/index.js";
import { components, startSimulated } from "../support/simulated.js";

const EXECUTIONS = 10;
const MINUTE = 60_000;

/** A model that takes its time. */
function modelThatSleeps(sleep: () => Promise<void>): typeof fetch {
  const message = { role: "assistant", content: "heard: HI" };
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
  const body = { id: "1", created: 1, model: "m", choices: [{ index: 0, message, finish_reason: "stop" }], usage };
  return async () => {
    await sleep();
    return new Response(JSON.stringify(body), { headers: { "content-type": "application/json" } });
  };
}

/** Everything that a deployment can do to the component; nothing happens to the app, whose nodes have retries of their own. */
const FAULTS: DeploymentOptions["faults"] = {
  probability: {
    killAction: 0.004,
    "loseReply:inAction": 0.004,
    delayJob: 0.03,
    reorderJobs: 0.1,
    forceConflict: 0.05,
    skewClock: 0.05,
    exhaustPermits: 0.001,
    restart: 0.000_4,
    deploy: 0.000_4,
  },
  where: (_point, source) => source.startsWith("shardflow/") || source === "(scheduler)",
};

async function startWorld(seed: number, faults?: DeploymentOptions["faults"]) {
  vi.stubEnv("OPENAI_API_KEY", "sk-of-no-account");
  for (const level of ["log", "info", "warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});
  const world = startSimulated({
    seed,
    className: "S16",
    ...(faults === undefined ? {} : { faults }),
    schema: hostSchema,
    modules: hostModules,
    fetch: modelThatSleeps(async () => await world.deployment.loop.sleep(300)),
  });
  const { deployment, run } = world;
  deployment.crons.enabled = true;
  deployment.faults?.calm();
  const handle = async (name: string) => await createFunctionHandle(makeFunctionReference<"mutation">(name));
  await run(async (ctx) => {
    const bindings = BINDINGS.map(async ({ name, kind, fn }) => ({ name, kind, handle: await handle(fn) }));
    await ctx.runMutation(components.shardflow.bindings.sync, { bindings: await Promise.all(bindings) });
    await ctx.runMutation(components.shardflow.definitions.publish, {
      name: EVERYTHING.name,
      source: JSON.stringify(EVERYTHING),
    });
    await ctx.runMutation(components.shardflow.admin.configure, { activeShards: 2 });
    return null;
  });
  const start = async () =>
    await run(async (ctx) => {
      return await ctx.runMutation(components.shardflow.executions.startWorkflow, {
        definition: EVERYTHING.name,
        input: JSON.stringify(INPUT),
        context: JSON.stringify(CONTEXT),
        onComplete: await handle("functions:completed"),
      });
    });
  return { ...world, start };
}

type World = Awaited<ReturnType<typeof startWorld>>;

async function startAll({ deployment, start }: World): Promise<string[]> {
  return await deployment.loop.drive(Promise.all(Array.from({ length: EXECUTIONS }, start)));
}

async function expectAllWhole({ deployment, tables }: World, ids: string[]): Promise<void> {
  const open = () => (tables()["shardflow/executions"] ?? []).filter((row) => row.endedAt === undefined).length;
  for (let i = 0; i < 120 && open() > 0; i++) await deployment.loop.advance(MINUTE);
  await deployment.loop.advance(10 * MINUTE);
  const rows = tables();
  for (const id of ids) expectWhole(rows, id);
}

const seeds = Array.from({ length: 10 }, (_, i) => i + 1);

test.each(seeds)("seed %i: stretches die again and again, and every execution ends whole", async (seed) => {
  const world = await startWorld(seed);
  const { deployment } = world;
  const ids = await startAll(world);
  const rng = deployment.fork();
  let killed = 0;
  for (let i = 0; i < 12; i++) {
    await deployment.loop.advance(rng.next() * 1_500);
    killed += deployment.actions.kill((name) => name.endsWith("stretch:runStretch") && rng.next() < 0.4);
  }
  expect(killed).toBeGreaterThan(0);
  await expectAllWhole(world, ids);
});

const struck = new Map<string, number>();

test.each(seeds)("seed %i: with faults of nine kinds every execution ends whole", async (seed) => {
  const world = await startWorld(100 + seed, FAULTS);
  const { deployment } = world;
  deployment.faults?.resume();
  const ids = await startAll(world);
  await deployment.loop.advance(2 * MINUTE);
  deployment.faults?.calm();
  for (const { kind } of deployment.faults?.injected ?? []) struck.set(kind, (struck.get(kind) ?? 0) + 1);
  await expectAllWhole(world, ids);
});

test("each of the nine kinds has struck", () => {
  const kinds = Object.keys(FAULTS?.probability ?? {}).map((kind) => kind.split(":")[0]);
  expect([...struck.keys()].sort()).toEqual(kinds.sort());
});
