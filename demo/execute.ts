/**
 * Runs the cases through the app's public functions, as a browser of a signed-in user would, and reads back what came
 * of each.
 */
import { isDeepStrictEqual } from "node:util";
import { parseStatus, type Json } from "convex-shardflow";
import { api, internal } from "../convex/_generated/api.js";
import { COMPANIES, CUSTOMERS, TEAM, type Case } from "./cases.js";
import type { Deployment } from "./deployment.js";

export type Outcome = {
  executionId: string;
  flow: string;
  /** As stored with the execution. */
  shardIndex: number;
  status: string;
  /** Null unless it succeeded. */
  output: Json;
  asExpected: boolean;
  /** Finished node runs. */
  nodes: number;
  tokens: number;
  durationMs: number;
};

export type Progress = (ended: number, total: number) => void;

const POLL_MS = 100;
const ENDED = ["succeeded", "failed", "canceled"] as const;

/** Starts every case and waits until all have ended, or until `timeoutMs` have passed. */
export async function runCases(
  t: Deployment,
  cases: Case[],
  options: { timeoutMs: number; onProgress: Progress },
): Promise<Outcome[]> {
  const user = t.withIdentity({ subject: "demo user", team: TEAM });
  await t.mutation(internal.setup.seed, { team: TEAM, customers: CUSTOMERS, companies: COMPANIES });
  await t.mutation(internal.setup.publishFlows, { team: TEAM });

  const deadline = Date.now() + options.timeoutMs;
  const executionIds = await Promise.all(
    cases.map(({ flow, input }) =>
      user.mutation(api.shardflow.startWorkflow, { definition: flow, input: JSON.stringify(input) }),
    ),
  );
  for (let ended = 0; ended < cases.length && Date.now() < deadline;) {
    options.onProgress(ended, cases.length);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const pages = await Promise.all(
      ENDED.map((status) => user.query(api.shardflow.listExecutions, { status, limit: 200 })),
    );
    ended = pages.reduce((sum, { page }) => sum + page.length, 0);
  }
  return await Promise.all(cases.map((one, i) => readOutcome(user, executionIds[i] ?? "", one)));
}

async function readOutcome(
  user: Pick<Deployment, "query">,
  executionId: string,
  { flow, expected }: Case,
): Promise<Outcome> {
  const state = parseStatus(await user.query(api.shardflow.getStatus, { executionId }));
  const { nodes, tokens } = await countNodeRuns(user, executionId);
  const { status, shardIndex, startedAt, output = null } = state;
  const asExpected = status === "succeeded" && isDeepStrictEqual(output, expected);
  const durationMs = (state.endedAt ?? Date.now()) - startedAt;
  return { executionId, flow, shardIndex, status, output, asExpected, nodes, tokens, durationMs };
}

async function countNodeRuns(user: Pick<Deployment, "query">, executionId: string) {
  let nodes = 0;
  let tokens = 0;
  for (let cursor: string | null | undefined; cursor !== null;) {
    const result: { page: Array<{ usage?: { totalTokens: number } }>; cursor: string | null } = await user.query(
      api.shardflow.listNodeRuns,
      { executionId, limit: 200, ...(cursor === undefined ? {} : { cursor }) },
    );
    nodes += result.page.length;
    tokens += result.page.reduce((sum, { usage }) => sum + (usage?.totalTokens ?? 0), 0);
    cursor = result.cursor;
  }
  return { nodes, tokens };
}
