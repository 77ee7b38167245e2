/** What must hold of the flow over all node types ({@link EVERYTHING}), whatever happened on the way. */
import { expect } from "vitest";
import { HOUR } from "../../src/shared/limits.js";
import { startWorld, type Row, type Tables, type World } from "./faults.js";
import { api, runUntil } from "./harness.js";
import { EVERYTHING } from "./hosts/faults/flows.js";
import type { Point, Stop, When } from "./stretchProcess.js";

export const INPUT = { word: "hi" };
export const CONTEXT = { ticket: 7 };

const PASSES = ["outer[0]/inner[0]", "outer[0]/inner[1]", "outer[1]/inner[0]", "outer[1]/inner[1]"];
const NOTES = ["1a", "1b", "2a", "2b"];

const RUNS = [
  ...["start", "prepare", "check", "route", "look", "tell", "save", "outer", "outer[0]/inner", "outer[1]/inner"],
  ...PASSES.flatMap((pass) => [`${pass}/mark`, `${pass}/ping`]),
  ...["ask", "soon", "late", "end"],
];
const EFFECTS = [["save", "HI"], ...PASSES.map((pass, i) => [`${pass}/mark`, NOTES[i]])];
const CALLS = ["tell", ...PASSES.map((pass) => `${pass}/ping`), "soon", "late"];

const RESULT = {
  heard: "heard: HI",
  loops: [NOTES.slice(0, 2), NOTES.slice(2)].map((results) => ({
    results,
    passes: 2,
    errors: [],
    exit: "done",
    carry: {},
  })),
  late: "at last",
};

/** Starts the flow with a callback and a context. */
export async function startEverything(world: World, more: { shardKey?: string } = {}): Promise<string> {
  return await world.start("everything", INPUT, {
    ...more,
    context: JSON.stringify(CONTEXT),
    onComplete: await world.handle("functions:completed"),
  });
}

/** A world in which the flow has run once, undisturbed, and the awaits that it passed. */
export async function startMeasuredWorld(): Promise<{ world: World; clean: string; awaits: Point[] }> {
  const world = await startWorld();
  await world.t.mutation(api.admin.configure, { maxParallelism: 100 });
  await world.publish(EVERYTHING);
  const clean = await startEverything(world);
  await world.untilEnded(clean);
  return { world, clean, awaits: world.pointsOf(clean) };
}

/** Starts one execution for each of the awaits; `stop` happens to each at its own one. Returns their ids. */
export async function strikeAt(world: World, awaits: Point[], when: When, stop: Stop): Promise<string[]> {
  const targets = new Map<string, Point>();
  for (const point of awaits) targets.set(await startEverything(world), point);
  const ids = [...targets.keys()];
  world.stopAt((point, where) => {
    if (where !== when || point.n === null || targets.get(point.execution)?.n !== point.n) return null;
    targets.delete(point.execution);
    return stop;
  });
  await runUntil(() => targets.size === 0, HOUR);
  return ids;
}

/** Calls whose reply can be lost; the others are the action's own beginning and end. */
export const isCall = ({ kind }: Point): boolean => kind !== "begin" && kind !== "return";
/** Calls that change something. */
export const isEffect = (point: Point): boolean => isCall(point) && point.kind !== "query";

/** A call that starts a node. A mutation node starts inside its transaction, behind the fence. */
export const startsNode = ({ name }: { name: string }) => /^(functions:|api\.openai\.com$)/.test(name);

/** The node that reads its input has started already. */
export const hasStarted = ({ name }: Point) => /^load:(input|runs)/.test(name);

/** The one right end: the same result, each node recorded once, each effect made once, each call made under its key. */
export function expectWhole(tables: Tables, executionId: string): void {
  const of = (table: string) => (tables[`shardflow/${table}`] ?? []).filter((row) => row.executionId === executionId);
  const app = (table: string) => (tables[table] ?? []).filter((row) => String(row.key).startsWith(`${executionId}:`));
  const key = (node: string) => `${executionId}:${node}`;
  const execution = tables["shardflow/executions"]?.find(({ _id }) => _id === executionId);
  expect(execution).toMatchObject({ status: "succeeded", endedAt: expect.any(Number) as number });

  expect(texts(of("nodeRuns"), "key")).toEqual([...RUNS].sort());
  expect(of("nodeRuns").filter(({ status }) => status !== "succeeded")).toEqual([]);
  expect(of("positions")).toMatchObject([{ ended: true, nodeRuns: RUNS.length }]);
  const effects = app("effects").map((row) => `${String(row.key)} ${String(row.note)}`);
  expect(effects.sort()).toEqual(EFFECTS.map(([node, note]) => `${key(node!)} ${note}`).sort());
  expect([...new Set(texts(app("calls"), "key"))]).toEqual(CALLS.map(key).sort());

  const completions = (tables.completions ?? []).filter((row) => row.executionId === executionId);
  expect(completions).toMatchObject([{ status: "succeeded", context: JSON.stringify(CONTEXT) }]);
  const { output } = JSON.parse(String(completions[0]?.result)) as { output: string };
  expect(JSON.parse(output)).toEqual(RESULT);
  for (const table of ["tasks", "waits", "outbox"]) expect([table, of(table)]).toEqual([table, []]);
}

/** Cleans executions up; nothing of any may remain in any table, those of workflow, workpool and batch-worker included. */
export async function expectCleansUp(world: World, executionIds: string[]): Promise<void> {
  for (const executionId of executionIds) await world.t.mutation(api.history.cleanupWorkflow, { executionId });
  await world.reportDeaths();
  await world.untilQuiet();
  expect(rowsOfExecutions(await world.tables(), executionIds)).toEqual({});
}

/** The tables of an installation that has run something: each has a bounded number of rows, whatever has run. */
const STANDING = [
  /^shardflow\/(definitions|drafts|versions|versionTexts|bindings|executors|config)$/,
  /^shardflow\/shard\d\/config$/,
  /^shardflow\/shard\d\/workpool\/(globals|batchWorker\/workers|batchWorker\/workerState)$/,
];

/** All rows of the component and its children that belong to executions, and any row that names one of these. */
export function rowsOfExecutions(tables: Tables, executionIds: string[] = []): Tables {
  return ownRows(tables, (table, row) => !isStanding(table, row) || names(row, executionIds));
}

/** All rows of the component and its children that name one of the executions. */
export function rowsNaming(tables: Tables, executionIds: string[]): Tables {
  return ownRows(tables, (_table, row) => names(row, executionIds));
}

function ownRows(tables: Tables, wanted: (table: string, row: Row) => boolean): Tables {
  // The rows of the host are the app's.
  const own = Object.entries(tables).filter(([table]) => table.startsWith("shardflow/"));
  const found = own.map(([table, rows]) => [table, rows.filter((row) => wanted(table, row))] as const);
  return Object.fromEntries(found.filter(([, rows]) => rows.length > 0));
}

function names(row: Row, executionIds: string[]): boolean {
  const text = asText(row);
  return executionIds.some((id) => text.includes(id));
}

function isStanding(table: string, row: Row): boolean {
  // The workpool's one row of state names what it runs.
  if (table.endsWith("/workpool/internalState")) return Array.isArray(row.running) && row.running.length === 0;
  return STANDING.some((pattern) => pattern.test(table));
}

const asText = (row: Row) =>
  JSON.stringify(row, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
const texts = (rows: Row[], field: string): string[] => rows.map((row) => String(row[field])).sort();
