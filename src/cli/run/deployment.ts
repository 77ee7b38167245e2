/**
 * A Convex deployment in this process: the embedded runtime with an app, the component and its shards.
 *
 * Owns: finding the modules that Convex would bundle, among the installed files. Nothing is interpreted here: the
 * functions that run are the component's and its packages' own. Everything is imported before anything runs, as a
 * deployment loads its modules before it serves.
 */
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { convexTest, type TestConvex } from "convex-test";
import { defineSchema, type GenericSchema, type SchemaDefinition } from "convex/server";
import { MAX_SHARDS } from "../../shared/limits.js";

export type Modules = Record<string, () => Promise<unknown>>;
type Component = { schema: SchemaDefinition<GenericSchema, boolean>; modules: Modules };

const appSchema = defineSchema({});
export type Deployment = TestConvex<typeof appSchema>;

/** The component beside this file: `dist/component` of the package, `src/component` in its repository. */
const COMPONENT = fileURLToPath(new URL("../../component", import.meta.url));

/** @param modules - The app's own modules, by name. */
export async function startDeployment(modules: Record<string, object>): Promise<Deployment> {
  // Each package is looked up from the one that depends on it: there may be several versions of it.
  const workflowDir = packageDir("@convex-dev/workflow", import.meta.url);
  const workpoolDir = packageDir("@convex-dev/workpool", path.join(workflowDir, "package.json"));
  const batchWorkerDir = packageDir("@convex-dev/batch-worker", path.join(workpoolDir, "package.json"));
  const [shardflow, workflow, workpool, batchWorker] = await Promise.all([
    loadComponent(COMPONENT),
    ...[workflowDir, workpoolDir, batchWorkerDir].map((dir) => loadComponent(path.join(dir, "dist/component"))),
  ]);

  const t = convexTest(appSchema, {
    // Convex looks for its modules beside this folder.
    "./_generated/api.js": () => Promise.resolve({}),
    ...Object.fromEntries(Object.entries(modules).map(([name, one]) => [`./${name}.js`, () => Promise.resolve(one)])),
  });
  const install = (at: string, component: Component | undefined) => {
    if (component !== undefined) t.registerComponent(at, component.schema, component.modules);
  };
  install("shardflow", shardflow);
  for (let shard = 0; shard < MAX_SHARDS; shard++) {
    install(`shardflow/shard${shard}`, workflow);
    install(`shardflow/shard${shard}/workpool`, workpool);
    install(`shardflow/shard${shard}/workpool/batchWorker`, batchWorker);
  }
  return t;
}

function packageDir(name: string, from: string): string {
  return path.dirname(createRequire(from).resolve(`${name}/package.json`));
}

async function loadComponent(dir: string): Promise<Component> {
  const modules = await loadModules(dir);
  const schema = (await (modules["./schema.js"] ?? modules["./schema.ts"])?.()) as { default: Component["schema"] };
  return { schema: schema.default, modules };
}

/** The modules of a functions directory, by the path at which the runtime looks for them. */
async function loadModules(dir: string): Promise<Modules> {
  const files = readdirSync(dir, { recursive: true, encoding: "utf8" }).filter(
    (file) => /\.[jt]s$/.test(file) && !/\.d\.ts$|\.test\.|convex\.config\./.test(file),
  );
  const loaded = await Promise.all(
    files.map(async (file) => {
      const module: unknown = await import(pathToFileURL(path.join(dir, file)).href);
      return [`./${file.split(path.sep).join("/")}`, () => Promise.resolve(module)] as const;
    }),
  );
  return Object.fromEntries(loaded);
}
