/** Builds the records of finished node runs, the same way for every node type. */
import type { Plan, PlanNode } from "../engine/plan.js";
import { innermostPass, runKey, type Token } from "../engine/position.js";
import type { FinishedRun } from "../shared/checkpoint.js";
import type { NodeError } from "../shared/nodeError.js";
import type { StoredNodeError, Usage } from "../shared/values.js";
import type { CommittedRun } from "./ports.js";

type End =
  | { port: string; output: string; usage?: Usage | undefined }
  | { port: "failure"; error: StoredNodeError; usage?: Usage | undefined };

export function finishedRun(
  plan: Plan,
  token: Token,
  node: PlanNode,
  key: string,
  startedAt: number,
  endedAt: number,
  end: End,
): FinishedRun {
  const run: FinishedRun = {
    ...committedRun(plan, token, node, key, startedAt, end.port),
    status: "error" in end ? "failed" : "succeeded",
    endedAt,
  };
  if ("error" in end) {
    run.error = end.error;
    if (node.next.failure !== undefined) run.port = "failure";
  } else {
    run.output = end.output;
    run.port = end.port;
  }
  if (end.usage !== undefined) run.usage = end.usage;
  return run;
}

/** A run whose output is known only inside the transaction that makes it. */
export function committedRun(
  plan: Plan,
  token: Token,
  node: PlanNode,
  key: string,
  startedAt: number,
  port = "success",
): CommittedRun {
  const run: CommittedRun = { key, node: node.id, type: node.type, attempt: token.attempt ?? 1, startedAt };
  if (token.failures !== undefined) {
    run.failures = token.failures.map((failure) => ({ ...failure, error: toStoredError(failure.error) }));
  }
  const pass = innermostPass(token.pass);
  if (pass !== null && plan.nodes[node.id]?.next[port] === undefined) {
    run.endsLoop = pass.loopKey;
    run.passIndex = pass.index;
  }
  return run;
}

/** An attempt that was given up because its loop was left. */
export function canceledRun(token: Token, node: PlanNode, error: StoredNodeError, at: number): FinishedRun {
  return {
    key: runKey(token.pass, token.node),
    node: node.id,
    type: node.type,
    status: "canceled",
    attempt: token.attempt ?? 1,
    error,
    startedAt: at,
    endedAt: at,
  };
}

export function toStoredError(error: NodeError): StoredNodeError {
  const { cause, ...rest } = error;
  return cause === undefined ? rest : { ...rest, cause: JSON.stringify(cause) };
}

/** Sums what several attempts of one run have used. */
export function addUsage(a: Usage | undefined, b: Usage | undefined): Usage | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    totalTokens: a.totalTokens + b.totalTokens,
    calls: a.calls + b.calls,
    latencyMs: a.latencyMs + b.latencyMs,
  };
}
