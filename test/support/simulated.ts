/**
 * The host app with the component on a simulated deployment: virtual time, conflicts, permits, a scheduler with slots.
 * Everything is the product's own code; only the deployment is simulated.
 */
import batchWorker from "@convex-dev/batch-worker/test";
import workflow from "@convex-dev/workflow/test";
import workpool from "@convex-dev/workpool/test";
import { api, components, internal } from "../../convex/_generated/api.js";
import { mutationGeneric, type GenericDataModel, type GenericMutationCtx } from "convex/server";
import type { Value } from "convex/values";
import hostSchema from "../../convex/schema.js";
import { Deployment, type DeploymentOptions } from "../../simulator/src/index.js";
import type { RegisteredFunction } from "../../simulator/src/runtime/component.js";
import { MAX_SHARDS } from "../../src/shared/limits.js";
import shardflow from "../../src/test.js";
import type { Row, Tables } from "./faults.js";

const hostModules = import.meta.glob("../../convex/**/*.*s");

export { api, components, internal };

const loaded = async (deployment: Deployment) => await deployment.load();

export type Simulated = ReturnType<typeof startSimulated>;

/** @param options - `schema` and `modules` of another app than the host app, and everything else of the deployment. */
export function startSimulated(options: DeploymentOptions = {}) {
  const deployment = new Deployment({ schema: hostSchema, modules: hostModules, ...options });
  const functions = (modules: Record<string, () => Promise<unknown>>) =>
    Object.fromEntries(Object.entries(modules).filter(([path]) => !/convex\.config|\.test\./.test(path)));
  // With the variables of the process, as the host app hands them on.
  deployment.registerComponent("shardflow", shardflow.schema, shardflow.modules, null);
  for (let shard = 0; shard < MAX_SHARDS; shard++) {
    const at = `shardflow/shard${shard}`;
    deployment.registerComponent(at, workflow.schema, functions(workflow.modules));
    deployment.registerComponent(`${at}/workpool`, workpool.schema, functions(workpool.modules));
    deployment.registerComponent(`${at}/workpool/batchWorker`, batchWorker.schema, functions(batchWorker.modules));
  }
  return {
    deployment,
    /** Runs a mutation of the app that the test writes down. */
    run: async <T extends Value>(handler: (ctx: GenericMutationCtx<GenericDataModel>) => Promise<T>): Promise<T> => {
      const code = mutationGeneric({ handler }) as unknown as RegisteredFunction;
      const target = { code, component: deployment.component(""), kind: "mutation" as const, name: "test" };
      return (await deployment.loop.drive(loaded(deployment).then(() => deployment.call(target, "mutation", {})))) as T;
    },
    /** Every row of the app and its components, by "component path/table". */
    tables: (): Tables => {
      const all: Tables = {};
      for (const { path, namespace } of deployment.components()) {
        for (const table of namespace.tables()) {
          const rows = [...table.documents()].map(({ value }) => value as unknown as Row);
          if (rows.length > 0 && !table.name.startsWith("_"))
            all[path === "" ? table.name : `${path}/${table.name}`] = rows;
        }
      }
      return all;
    },
    /** Conflicts by the function that lost, as "reader|writer|table" -> count, of one reader. */
    conflictsOf: (reader: string) =>
      [...deployment.history.conflictsBy].filter(([key]) => key.split("|")[0]?.endsWith(reader)),
  };
}
