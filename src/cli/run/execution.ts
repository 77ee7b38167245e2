/**
 * One execution from its start to its end, through the public client.
 *
 * Owns: what is collected of it. Invariant: everything that is told was read from what the component stored; values are
 * whole, however large, and pass as JSON, never as Convex values.
 */
import type { Failure, NodeRun, Page, Shardflow } from "../../client/index.js";
import type { Definition } from "../../engine/definition/schema.js";
import type { ExecutionStatus } from "../../shared/status.js";
import type { Json } from "../../shared/json.js";
import type { Deployment } from "./deployment.js";
import type { Stop, Stopper } from "./stopping.js";

export type Usage = { inputTokens: number; outputTokens: number; totalTokens: number; calls: number };

export type NodeRunReport = {
  node: string;
  /** The node with the loop passes around it, as in `rewrite[2]/draft`. */
  path: string;
  /** The attempt that ended it; the first is 1. */
  attempt: number;
  status: string;
  port: string | null;
  output: Json;
  error: Failure | null;
};

/** What `shardflow run --json` prints. */
export type RunReport = {
  status: ExecutionStatus;
  output: Json;
  error: { code: string; node: string | null; message: string } | null;
  shardIndex: number;
  executionId: string;
  nodeRuns: NodeRunReport[];
  variables: Json;
  usage: Usage;
  /** Why the command canceled it. */
  note?: string;
};

/** For people, besides the report. */
export type Durations = { totalMs: number; nodeRunsMs: number[] };

const POLL_MS = 15;
const PAGE = 200;

export async function runExecution(
  t: Deployment,
  flows: Shardflow,
  definition: Definition,
  input: Json,
  stopper: Stopper,
): Promise<{ report: RunReport; durations: Durations; stop: Stop | null }> {
  const source = JSON.stringify(definition);
  const { name } = definition;
  const executionId = await t.mutation(async (ctx) => {
    await flows.definitions.publish(ctx, { name, source });
    return await flows.startWorkflow(ctx, { definition: name, input });
  });
  const stop = await Promise.race([stopper.wait(), ended(t, flows, executionId)]);
  if (stop !== null) await cancel(t, flows, executionId, stop.note);
  return await collect(t, flows, executionId, stop);
}

async function ended(t: Deployment, flows: Shardflow, executionId: string): Promise<null> {
  for (;;) {
    const endedAt = await t.query(async (ctx) => (await flows.getSummary(ctx, executionId))?.endedAt ?? null);
    if (endedAt !== null) return null;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** It may have ended in the meantime; then there is nothing to cancel. */
async function cancel(t: Deployment, flows: Shardflow, executionId: string, reason: string): Promise<void> {
  await t.mutation(async (ctx) => {
    const summary = await flows.getSummary(ctx, executionId);
    if (summary?.endedAt === undefined) await flows.cancelWorkflow(ctx, executionId, { reason });
  });
}

async function collect(t: Deployment, flows: Shardflow, executionId: string, stop: Stop | null) {
  const { status, shardIndex, output, error, startedAt, endedAt } = await read(t, (ctx) =>
    flows.getStatus(ctx, executionId),
  );
  const runs = await readNodeRuns(t, flows, executionId);
  const nodeRuns: NodeRunReport[] = [];
  for (const run of runs) nodeRuns.push(nodeRunReport(run, await wholeOutput(t, flows, executionId, run)));
  const report: RunReport = {
    status,
    output: output ?? null,
    error: error === undefined ? null : { code: error.code, node: error.node ?? null, message: error.message },
    shardIndex,
    executionId,
    nodeRuns,
    variables: (await read(t, (ctx) => flows.getValue(ctx, executionId, "variables"))) ?? {},
    usage: sumUsage(runs),
    ...(stop !== null && status === "canceled" ? { note: stop.note } : {}),
  };
  const durations = {
    totalMs: (endedAt ?? startedAt) - startedAt,
    nodeRunsMs: runs.map((run) => run.endedAt - run.startedAt),
  };
  return { report, durations, stop };
}

async function readNodeRuns(t: Deployment, flows: Shardflow, executionId: string): Promise<NodeRun[]> {
  const runs: NodeRun[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const result: Page<NodeRun> = await read(t, (ctx) => flows.listNodeRuns(ctx, executionId, { cursor, limit: PAGE }));
    runs.push(...result.page);
    cursor = result.cursor;
  }
  return runs;
}

/** A page holds small outputs only, and that of the trigger, which is the input, is not stored a second time. */
async function wholeOutput(t: Deployment, flows: Shardflow, executionId: string, run: NodeRun): Promise<Json> {
  const { type, key, output, outputBytes } = run;
  if (type === "trigger") return (await read(t, (ctx) => flows.getValue(ctx, executionId, "input"))) ?? null;
  if (output !== undefined || outputBytes === 0) return output ?? null;
  return (await read(t, (ctx) => flows.getNodeOutput(ctx, executionId, key))) ?? null;
}

type QueryHandler = Extract<Parameters<Deployment["query"]>[0], (...args: never[]) => unknown>;
type QueryCtx = Parameters<QueryHandler>[0];

/** Hands a value out beside the result of the query: user JSON may hold what Convex refuses in results. */
async function read<T>(t: Deployment, query: (ctx: QueryCtx) => Promise<T>): Promise<T> {
  const results: T[] = [];
  await t.query(async (ctx) => {
    results.push(await query(ctx));
  });
  return results[0] as T;
}

function nodeRunReport({ node, key, attempt, status, port, error }: NodeRun, output: Json): NodeRunReport {
  return { node, path: key, attempt, status, port: port ?? null, output, error: error ?? null };
}

function sumUsage(runs: readonly NodeRun[]): Usage {
  const sum: Usage = { inputTokens: 0, outputTokens: 0, totalTokens: 0, calls: 0 };
  for (const { usage } of runs) {
    if (usage === undefined) continue;
    sum.inputTokens += usage.inputTokens;
    sum.outputTokens += usage.outputTokens;
    sum.totalTokens += usage.totalTokens;
    sum.calls += usage.calls;
  }
  return sum;
}
