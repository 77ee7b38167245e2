/** One serial program on one system, to a trace that can be compared. */
import { convexTest } from "convex-test";
import type { FunctionReference } from "convex/server";
import type { Value } from "convex/values";
import { vi } from "vitest";
import { Deployment, NO_LATENCIES } from "../../../src/index.js";
import { Normal } from "./normal.js";
import { api, attempt, modules, type QueryPlan, type RunResult, type State } from "./programs.js";
import { schemaOf, type Program, type Step, type TablePlan } from "./serialPrograms.js";

export type Driver = {
  query(name: "read" | "page" | "jobs", args: object): Promise<Value>;
  mutation(args: object): Promise<Value>;
  action(args: object): Promise<Value>;
  advance(ms: number): Promise<void>;
  end(): void;
};

const START = Date.UTC(2026, 0, 1);
/** More pages than any program has rows. */
const MAX_PAGES = 40;

export function onSimulator(tables: readonly TablePlan[]): Driver {
  const app = new Deployment({ schema: schemaOf(tables), modules, latencies: NO_LATENCIES, startAt: START });
  return {
    query: async (name, args) => await app.query(api.app[name] as FunctionReference<"query">, args),
    mutation: async (args) => await app.mutation(api.app.run as FunctionReference<"mutation">, args),
    action: async (args) => await app.action(api.app.act as FunctionReference<"action">, args),
    advance: async (ms) => await app.loop.advance(ms),
    end: () => undefined,
  };
}

export function onConvexTest(tables: readonly TablePlan[]): Driver {
  vi.useFakeTimers({ now: START, toFake: ["setTimeout", "clearTimeout", "Date"] });
  // It reports every job that fails.
  const silenced = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const t = convexTest(schemaOf(tables), modules);
  return {
    query: async (name, args) => (await t.query(api.app[name] as FunctionReference<"query">, args)) as Value,
    mutation: async (args) => (await t.mutation(api.app.run as FunctionReference<"mutation">, args)) as Value,
    action: async (args) => (await t.action(api.app.act as FunctionReference<"action">, args)) as Value,
    advance: async (ms) => {
      await vi.advanceTimersByTimeAsync(ms);
      await t.finishInProgressScheduledFunctions();
    },
    end: () => {
      silenced.mockRestore();
      vi.useRealTimers();
    },
  };
}

export async function traceOf({ tables, steps }: Program, start: (tables: readonly TablePlan[]) => Driver) {
  const driver = start(tables);
  const normal = new Normal();
  const state: State = { ids: [], jobs: [] };
  try {
    const trace: unknown[] = [];
    for (const step of steps) trace.push(normal.of(await take(driver, step, state)));
    // Until all jobs are over, and well before a deployment forgets them.
    await driver.advance(2 ** 24);
    for (const { name } of tables) trace.push({ [name]: normal.of(await dump(driver, name, state)) });
    trace.push({ jobs: normal.of(await jobsOf(driver)) });
    return trace;
  } finally {
    driver.end();
  }
}

async function take(driver: Driver, step: Step, state: State): Promise<Value> {
  switch (step.kind) {
    case "advance":
      await driver.advance(step.ms);
      return await jobsOf(driver);
    case "pages":
      return await pages(driver, step, state);
    default:
      return await attempt(async () => {
        const args =
          step.kind === "action" ? { ...state, calls: step.calls } : { ...state, ops: step.ops, throws: step.throws };
        const result = await (step.kind === "query"
          ? driver.query("read", args)
          : step.kind === "mutation"
            ? driver.mutation(args)
            : driver.action(args));
        const { ids, jobs, trace } = result as RunResult;
        Object.assign(state, { ids, jobs });
        return trace;
      });
  }
}

/** All pages of a query, with writes after the first. Of the last page it does not matter whether it is empty. */
async function pages(driver: Driver, step: Step & { kind: "pages" }, state: State): Promise<Value> {
  return await attempt(async () => {
    const rows: Value[] = [];
    // On a full page that is the last one, convex-test is done; a deployment only knows after the next.
    const isLonger = (await countOf(driver, step.plan, state)) > step.numItems;
    let cursor: string | null = null;
    for (let i = 0; i < MAX_PAGES; i++) {
      const args: object = { ids: state.ids, plan: step.plan, cursor, numItems: step.numItems };
      const result = (await driver.query("page", args)) as { page: Value[]; isDone: boolean; continueCursor: string };
      if (result.page.length > 0) rows.push(result.page);
      if (result.isDone) return rows;
      cursor = result.continueCursor;
      if (i === 0 && isLonger) {
        const call: Step = { kind: "mutation", ops: step.between, throws: "no" };
        rows.push(await take(driver, call, state));
      }
    }
    return "never done";
  });
}

async function countOf(driver: Driver, plan: QueryPlan, state: State): Promise<number> {
  const args = { ...state, ops: [{ op: "query", plan, end: { end: "collect" } }], throws: "no" };
  const [outcome] = ((await driver.query("read", args)) as RunResult).trace as Array<{ ok?: Value[] }>;
  return outcome?.ok?.length ?? 0;
}

async function dump(driver: Driver, table: string, state: State): Promise<Value> {
  const plan = { table, index: null, range: [], order: null, filters: [] };
  const args = { ...state, ops: [{ op: "query", plan, end: { end: "collect" } }], throws: "no" };
  return ((await driver.query("read", args)) as RunResult).trace;
}

/** Without what convex-test leaves out of a job. */
async function jobsOf(driver: Driver): Promise<Value> {
  type Row = { _id: string; name: string; args: Value; scheduledTime: number; state: { kind: string } };
  const rows = (await driver.query("jobs", {})) as unknown as Row[];
  return rows.map(({ _id, args, scheduledTime, state }) => [_id, args, scheduledTime - START, state.kind]);
}
