/**
 * A Convex deployment in this process: convex-test with the app, the component and its shards, on the real clock.
 *
 * Owns: finding the modules without a bundler. (In a test with vite, `shardflow.register(t)` of convex-shardflow/test does
 * all this.) Everything is imported before anything runs, as a deployment loads its modules before it serves.
 */
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { convexTest, type TestConvex } from "convex-test";
import type { GenericSchema, SchemaDefinition } from "convex/server";
import appSchema from "../convex/schema.js";

type Component = { schema: SchemaDefinition<GenericSchema, boolean>; modules: Record<string, () => Promise<unknown>> };

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(import.meta.url);

export type Deployment = TestConvex<typeof appSchema>;

export async function startDeployment(): Promise<Deployment> {
  const shardflow = await loadComponent(path.join(ROOT, "src/component"));
  const [workflow, workpool, batchWorker] = await Promise.all(
    ["@convex-dev/workflow", "@convex-dev/workpool", "@convex-dev/batch-worker"].map(loadPackage),
  );
  const t = convexTest(appSchema, await loadModules(path.join(ROOT, "convex")));
  const install = (at: string, component: Component | undefined) => {
    if (component !== undefined) t.registerComponent(at, component.schema, component.modules);
  };
  install("shardflow", shardflow);
  const { MAX_SHARDS } = (await load(path.join(ROOT, "src/shared/limits.ts"))) as { MAX_SHARDS: number };
  for (let shard = 0; shard < MAX_SHARDS; shard++) {
    install(`shardflow/shard${shard}`, workflow);
    install(`shardflow/shard${shard}/workpool`, workpool);
    install(`shardflow/shard${shard}/workpool/batchWorker`, batchWorker);
  }
  return t;
}

function loadPackage(name: string): Promise<Component> {
  return loadComponent(path.join(path.dirname(require.resolve(`${name}/package.json`)), "dist/component"));
}

async function loadComponent(dir: string): Promise<Component> {
  const modules = await loadModules(dir);
  const schema = (await (modules["./schema.ts"] ?? modules["./schema.js"])?.()) as { default: Component["schema"] };
  return { schema: schema.default, modules };
}

/** The modules of a functions directory, by the path convex-test looks for. */
async function loadModules(dir: string): Promise<Component["modules"]> {
  const modules: Component["modules"] = {};
  for (const file of readdirSync(dir, { recursive: true, encoding: "utf8" })) {
    if (!/\.[jt]s$/.test(file) || /\.d\.ts$|\.test\.|convex\.config\./.test(file)) continue;
    const module = await load(path.join(dir, file));
    modules[`./${file.split(path.sep).join("/")}`] = () => Promise.resolve(module);
  }
  return modules;
}

function load(file: string): Promise<unknown> {
  return import(pathToFileURL(file).href);
}
