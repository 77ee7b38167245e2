/**
 * What a stress test runs on: a deployment of the app in convex/, seen from outside.
 *
 * Owns: the one interface of all targets, and how a status is read. A target gives the product's own words and times; it
 * neither counts nor judges.
 */
import type { DefinitionSource, ExecutionState, ExecutionStatus, JsonObject, NodeRun } from "convex-shardflow";

export type Setup = {
  definition: DefinitionSource;
  /** Shards that take executions. */
  activeShards: number;
  /** Executions that one shard runs at once. */
  maxParallelism: number;
};

export type StartRequest = { definition: string; input: JsonObject; idempotencyKey?: string };

export type Target = {
  /** Publishes the definition and applies the settings. */
  prepare: (setup: Setup) => Promise<void>;
  /** @returns The id of the execution, once its start is durable. */
  start: (request: StartRequest) => Promise<string>;
  statusOf: (executionId: string) => Promise<ExecutionState>;
  /** All of them, in the order they were recorded. */
  listNodeRuns: (executionId: string) => Promise<NodeRun[]>;
  /** Ms since the epoch, on the clock that `startedAt` and `endedAt` are taken from. */
  now: () => number;
  /** Lets time pass on that clock. */
  wait: (ms: number) => Promise<void>;
};

/** Opens a target, lets its time go by while `work` runs, and closes it. Whatever chance it has comes from the seed. */
export type OpenTarget = {
  name: string;
  run: <T>(seed: number, work: (target: Target) => Promise<T>) => Promise<T>;
};

/** Where a status leaves an execution. @throws when the product has a status that this switch does not know. */
export function phaseOf(status: ExecutionStatus): "active" | "succeeded" | "failed" | "canceled" {
  switch (status) {
    case "pending":
    case "running":
    case "waiting":
      return "active";
    case "succeeded":
    case "failed":
    case "canceled":
      return status;
    default:
      return unknownStatus(status);
  }
}

function unknownStatus(status: never): never {
  throw new TypeError(`An execution has the status ${JSON.stringify(status)}, which the stress tests do not know.`);
}
