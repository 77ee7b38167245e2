/** An app with one workflow of three small steps: a query, a mutation and an action. Its components are the published ones. */
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { WorkflowManager, type WorkflowComponent } from "@convex-dev/workflow";
import {
  actionGeneric,
  anyApi,
  componentsGeneric,
  defineSchema,
  defineTable,
  mutationGeneric,
  queryGeneric,
  type FunctionReference,
} from "convex/server";
import { v } from "convex/values";
import type { Modules, Schema } from "../src/runtime/component.js";

export const schema = defineSchema({ ended: defineTable({ kind: v.string() }) });

type Step<Kind extends "query" | "mutation" | "action"> = FunctionReference<Kind, "internal">;
const flows = (
  anyApi as unknown as {
    flows: {
      chain: FunctionReference<"mutation", "internal">;
      begin: FunctionReference<"mutation", "public">;
      countEnded: FunctionReference<"query", "public">;
      onComplete: FunctionReference<"mutation", "internal">;
      read: Step<"query">;
      write: Step<"mutation">;
      act: Step<"action">;
    };
  }
).flows;
export const api = flows;

const manager = new WorkflowManager(componentsGeneric().workflow as unknown as WorkflowComponent);

const functions = {
  chain: manager.define({ args: {} }).handler(async (step) => {
    await step.runQuery(flows.read, {});
    await step.runMutation(flows.write, {});
    await step.runAction(flows.act, {});
  }),
  read: queryGeneric({ args: {}, handler: async () => 1 }),
  write: mutationGeneric({ args: {}, handler: async () => 2 }),
  act: actionGeneric({ args: {}, handler: async () => 3 }),
  begin: mutationGeneric({
    args: {},
    handler: async (ctx) => {
      await manager.start(
        ctx,
        flows.chain,
        {},
        {
          onComplete: flows.onComplete,
          context: null,
        },
      );
    },
  }),
  onComplete: mutationGeneric({
    args: { workflowId: v.string(), result: v.any(), context: v.any() },
    handler: async (ctx, { result }) =>
      void (await ctx.db.insert("ended", { kind: (result as { kind: string }).kind })),
  }),
  /** How many workflows came to their end, all of them with success. */
  countEnded: queryGeneric({
    args: {},
    handler: async (ctx) => {
      const rows = await ctx.db.query("ended").collect();
      if (rows.some(({ kind }) => kind !== "success")) throw new Error("A workflow failed.");
      return rows.length;
    },
  }),
};

export const modules: Modules = {
  "./_generated/api.js": () => Promise.resolve({}),
  "./flows.ts": () => Promise.resolve(functions),
};

export type Installed = { path: string; schema: Schema; modules: Modules };

/** The components as they are installed under the app. */
export async function components(): Promise<Installed[]> {
  const at = { workflow: "workflow", workpool: "workflow/workpool", "batch-worker": "workflow/workpool/batchWorker" };
  return await Promise.all(
    Object.entries(at).map(async ([name, componentPath]) => ({
      path: componentPath,
      ...(await loadComponent(`@convex-dev/${name}`)),
    })),
  );
}

async function loadComponent(name: string): Promise<{ schema: Schema; modules: Modules }> {
  const { resolve } = createRequire(import.meta.url);
  const folder = path.join(path.dirname(resolve(`${name}/package.json`)), "dist/component");
  const loaded: Modules = {};
  for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".js") || file.includes("convex.config")) continue;
    const module: unknown = await import(pathToFileURL(path.join(folder, file)).href);
    loaded[`./${file.split(path.sep).join("/")}`] = () => Promise.resolve(module);
  }
  const { default: found } = (await loaded["./schema.js"]?.()) as { default: Schema };
  return { schema: found, modules: loaded };
}
