/// <reference types="vite/client" />
/**
 * For apps that test with convex-test: registers the component with its workflow instances.
 *
 * @example
 * import { convexTest } from "convex-test";
 * import shardflow from "convex-shardflow/test";
 * const t = convexTest(schema, modules);
 * shardflow.register(t);
 */
import workflow from "@convex-dev/workflow/test";
import type { TestConvex } from "convex-test";
import type { GenericSchema, SchemaDefinition } from "convex/server";
import schema from "./component/schema.js";
import { MAX_SHARDS } from "./shared/limits.js";

const modules = import.meta.glob("./component/**/*.ts");

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
  for (let shard = 0; shard < MAX_SHARDS; shard++) workflow.register(t, `${name}/shard${shard}`);
}

export default { register, schema, modules };
