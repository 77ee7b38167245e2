/** The world of the node tests: the real component on convex-test with virtual time, and an app with its calls. */
import { convexTest } from "convex-test";
import { createFunctionHandle, makeFunctionReference } from "convex/server";
import { onTestFinished, vi } from "vitest";
import type { Definition } from "../../../../src/engine/definition/schema.js";
import type { Json, JsonObject } from "../../../../src/shared/json.js";
import type { NodeRunView } from "../../../../src/shared/views.js";
import shardflow from "../../../../src/test.js";
import { api, keepContextInTimers, preload as preloadComponent, runToQuiet, runUntil } from "../../harness.js";
import { inside } from "../../inside.js";
import { flow, type Nodes } from "../../flows.js";
import { hostModules } from "./modules.js";
import schema from "./schema.js";

export const START = Date.UTC(2026, 0, 1);
const DAY = 24 * 60 * 60_000;

/** Names of the app's functions begin with their kind, but for those of generated definitions. */
const KINDS = { read: "query", write: "mutation", act: "action" } as const;
const GENERATED = { echo: "query", store: "mutation", send: "action", refuse: "mutation", flaky: "action" } as const;
const FUNCTIONS = [
  ...["readEcho", "writeEcho", "actEcho", "actNothing", "readTrouble", "writeTrouble", "actFlaky", "actSlowOnce"],
  ...["actSlow", "actTick", "readOdd", "readLeak", "writeLeak", "actLeak", "actLength"],
];

type Kind = "query" | "mutation" | "action";
type Binding = { name: string; kind: Kind; fn: string };

/** An action name is bound to the function of the same name. */
const BINDINGS: Binding[] = [
  ...FUNCTIONS.map((fn) => {
    const prefix = (Object.keys(KINDS) as Array<keyof typeof KINDS>).find((one) => fn.startsWith(one))!;
    return { name: fn, kind: KINDS[prefix], fn };
  }),
  ...Object.entries(GENERATED).map(([name, kind]) => ({ name, kind, fn: name })),
];

/** Imports every module once: an import takes real time, and virtual time would run ahead of it. For `beforeAll`. */
export async function preload(): Promise<void> {
  await preloadComponent();
  for (const load of Object.values(hostModules)) await load();
}

export type NodeWorld = Awaited<ReturnType<typeof startWorld>>;

export async function startWorld() {
  vi.useFakeTimers({ now: START, toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  keepContextInTimers();
  const logged: string[] = [];
  for (const level of ["log", "info", "warn", "error", "debug"] as const) {
    vi.spyOn(console, level).mockImplementation((...parts) => void logged.push(parts.map(String).join(" ")));
  }
  onTestFinished(() => {
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
    vi.unstubAllGlobals();
  });
  // With the limits of real transactions.
  const t = convexTest({ schema, modules: hostModules, transactionLimits: true });
  shardflow.register(t);

  const bind = async (bindings: Binding[]) => {
    const handles = bindings.map(async ({ name, kind, fn }) => ({
      name,
      kind,
      handle: await t.run(async () => await createFunctionHandle(makeFunctionReference<"mutation">(`functions:${fn}`))),
    }));
    await t.mutation(api.bindings.sync, { bindings: await Promise.all(handles) });
  };
  const publish = async (definition: Definition) => {
    await t.mutation(api.definitions.publish, { name: definition.name, source: JSON.stringify(definition) });
  };
  const start = async (definition: string, input: Json = null) =>
    await t.mutation(api.executions.startWorkflow, { definition, input: JSON.stringify(input) });
  const status = async (executionId: string) => await t.query(api.history.getStatus, { executionId });
  const untilEnded = async (executionId: string) => {
    await runUntil(async () => (await status(executionId)).endedAt !== undefined, DAY);
  };
  const outputOf = async (executionId: string, key: string) => {
    const text = await t.query(api.history.getNodeOutput, { executionId, key });
    return text === null ? null : (JSON.parse(text) as Json);
  };
  const runsOf = async (executionId: string): Promise<NodeRunView[]> => {
    const runs: NodeRunView[] = [];
    for (let cursor: string | null = null; ;) {
      const next: { page: NodeRunView[]; cursor: string | null } = await t.query(api.history.listNodeRuns, {
        executionId,
        cursor,
        limit: 200,
      });
      runs.push(...next.page);
      if (next.cursor === null) return runs;
      ({ cursor } = next);
    }
  };

  await bind(BINDINGS);
  return {
    t,
    ...inside(t),
    /** What was written to the console. */
    logged,
    bind,
    publish,
    start,
    status,
    untilEnded,
    outputOf,
    runsOf,
    describe: async (executionId: string) => await t.query(api.history.describe, { executionId }),
    untilQuiet: async () => await runToQuiet(7 * DAY),
    /** The run of a key; fails when there is none. */
    runOf: async (executionId: string, key: string): Promise<NodeRunView> => {
      const found = (await runsOf(executionId)).find((run) => run.key === key);
      if (found === undefined) throw new Error(`${key} has not run`);
      return found;
    },
    /** Publishes a flow, runs it to its end, and returns its id. */
    run: async (nodes: Nodes, input: Json = null): Promise<string> => {
      await publish(flow(nodes));
      const id = await start("flow", input);
      await untilEnded(id);
      return id;
    },
    /** The result of an execution that must have succeeded. */
    resultOf: async (executionId: string): Promise<Json> => {
      const { output, error } = await status(executionId);
      if (output === undefined) throw new Error(`it did not succeed: ${JSON.stringify(error)}`);
      return JSON.parse(output) as Json;
    },
    /** The calls of the app that committed, oldest first. */
    calls: async () => {
      const rows = await t.run(async ({ db }) => await db.query("calls").collect());
      return rows.map(({ fn, args, at }) => ({ fn, args: JSON.parse(args) as JsonObject, at }));
    },
  };
}
