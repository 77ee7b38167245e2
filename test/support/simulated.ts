/**
 * The host app with the component on a simulated deployment: virtual time, conflicts, permits, a scheduler with slots.
 * Everything is the product's own code; only the deployment is simulated.
 */
import batchWorker from "@convex-dev/batch-worker/test";
import workflow from "@convex-dev/workflow/test";
import workpool from "@convex-dev/workpool/test";
import { getFunctionName } from "convex/server";
import { Shardflow } from "convex-shardflow";
import { api, components, internal } from "../../convex/_generated/api.js";
import hostSchema from "../../convex/schema.js";
import { Deployment, type DeploymentOptions } from "../../simulator/src/index.js";
import { MAX_SHARDS } from "../../src/shared/limits.js";
import shardflow from "../../src/test.js";

const hostModules = import.meta.glob("../../convex/**/*.*s");

export const client = new Shardflow(components.shardflow);
export { api, components, internal };

export type Simulated = ReturnType<typeof startSimulated>;

export function startSimulated(options: DeploymentOptions = {}) {
  const deployment = new Deployment({ schema: hostSchema, modules: hostModules, ...options });
  const functions = (modules: Record<string, () => Promise<unknown>>) =>
    Object.fromEntries(Object.entries(modules).filter(([path]) => !/convex\.config|\.test\./.test(path)));
  deployment.registerComponent("shardflow", shardflow.schema, shardflow.modules);
  for (let shard = 0; shard < MAX_SHARDS; shard++) {
    const at = `shardflow/shard${shard}`;
    deployment.registerComponent(at, workflow.schema, functions(workflow.modules));
    deployment.registerComponent(`${at}/workpool`, workpool.schema, functions(workpool.modules));
    deployment.registerComponent(`${at}/workpool/batchWorker`, batchWorker.schema, functions(batchWorker.modules));
  }
  return {
    deployment,
    /** Conflicts by the function that lost, as "reader|writer|table" -> count, of one reader. */
    conflictsOf: (reader: string) =>
      [...deployment.history.conflictsBy].filter(([key]) => key.split("|")[0]?.endsWith(reader)),
  };
}

export { getFunctionName };
