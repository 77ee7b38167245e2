/// <reference types="vite/client" />
/**
 * For apps that test with convex-test: registers the component with its workflow instances.
 *
 * Every module is imported here, before anything runs. Workflow hides `process` from its handlers, and a test runner that
 * imports a module only then may need it.
 *
 * @example
 * import { convexTest } from "convex-test";
 * import shardflow from "convex-shardflow/test";
 * const t = convexTest(schema, modules);
 * shardflow.register(t);
 */
import batchWorker from "@convex-dev/batch-worker/test";
import workflow from "@convex-dev/workflow/test";
import workpool from "@convex-dev/workpool/test";
import type { TestConvex } from "convex-test";
import type { GenericSchema, SchemaDefinition } from "convex/server";
import schema from "./component/schema.js";
import { MAX_SHARDS } from "./shared/limits.js";

type Modules = Record<string, () => Promise<unknown>>;

const modules = await imported(import.meta.glob("./component/**/*.ts"));
const workflowModules = await imported(workflow.modules);
const workpoolModules = await imported(workpool.modules);
const batchWorkerModules = await imported(batchWorker.modules);

/** The same modules, loaded. Configurations and tests of the packages are no functions, and do not load here. */
async function imported(lazy: Modules): Promise<Modules> {
  const paths = Object.keys(lazy).filter((path) => !/convex\.config|\.test\./.test(path));
  const loaded = await Promise.all(paths.map(async (path) => [path, await lazy[path]?.()] as const));
  return Object.fromEntries(loaded.map(([path, module]) => [path, () => Promise.resolve(module)]));
}

/**
 * Registers the component and its shards with a convex-test instance.
 * @param t - The instance, from `convexTest`.
 * @param name - The name given in `app.use(shardflow, { name })`. Default "shardflow".
 */
export function register<Schema extends SchemaDefinition<GenericSchema, boolean>>(
  t: TestConvex<Schema>,
  name = "shardflow",
): void {
  t.registerComponent(name, schema, modules);
  for (let shard = 0; shard < MAX_SHARDS; shard++) {
    t.registerComponent(`${name}/shard${shard}`, workflow.schema, workflowModules);
    t.registerComponent(`${name}/shard${shard}/workpool`, workpool.schema, workpoolModules);
    t.registerComponent(`${name}/shard${shard}/workpool/batchWorker`, batchWorker.schema, batchWorkerModules);
  }
}

export default { register, schema, modules };
