/**
 * The app of the cost runs: one action that every node calls, and the two ways to have it called durably.
 *
 * The vanilla peer is @convex-dev/workflow as its README shows it: one instance, one step per node.
 */
import { WorkflowManager } from "@convex-dev/workflow";
import type { ComponentApi as WorkflowApi } from "@convex-dev/workflow/_generated/component.js";
import { actionGeneric, componentsGeneric, makeFunctionReference, mutationGeneric } from "convex/server";
import { v } from "convex/values";
import { components } from "../../convex/_generated/api.js";

/** Bytes of what a node is given and gives back. */
const INPUT_TEXT = "i".repeat(150);
const OUTPUT_TEXT = "o".repeat(1000);

/** The same for both: which execution, which of its nodes, and the longest time it may take. */
const vWork = { execution: v.number(), node: v.number(), maxMs: v.number(), text: v.string() };
export type Work = { execution: number; node: number; maxMs: number; text: string };

export const work = actionGeneric({
  args: vWork,
  returns: v.object({ node: v.number(), text: v.string() }),
  handler: async (_ctx, { execution, node, maxMs }) => {
    await new Promise((resolve) => setTimeout(resolve, latency(execution, node, maxMs)));
    return { node, text: maxMs < 50 ? "" : OUTPUT_TEXT };
  },
});

/** The time of a node, uniform from 0 to `maxMs`: the same in every run, and for both peers. */
function latency(execution: number, node: number, maxMs: number): number {
  let hash = Math.imul(execution + 1, 0x9e3779b1) ^ Math.imul(node + 1, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return ((hash ^ (hash >>> 15)) >>> 0) % (maxMs + 1);
}

export const startShardflow = mutationGeneric({
  args: { definition: v.string(), input: v.string(), shardKey: v.optional(v.string()) },
  returns: v.string(),
  handler: async (ctx, args) => await ctx.runMutation(components.shardflow.executions.startWorkflow, args),
});

const vanilla = new WorkflowManager(componentsGeneric().workflow as unknown as WorkflowApi, {
  workpoolOptions: { maxParallelism: 100 },
});

export const vanillaSteps = vanilla
  .define({ args: { execution: v.number(), steps: v.number(), maxMs: v.number() } })
  .handler(async (step, { execution, steps, maxMs }) => {
    for (let node = 0; node < steps; node++) {
      await step.runAction(workReference, { execution, node, maxMs, text: INPUT_TEXT });
    }
  });

export const startVanilla = mutationGeneric({
  args: { execution: v.number(), steps: v.number(), maxMs: v.number() },
  returns: v.string(),
  handler: async (ctx, args) => await vanilla.start(ctx, makeFunctionReference<"mutation">("host:vanillaSteps") as never, args as never),
});

const workReference = makeFunctionReference<"action", Work, { node: number; text: string }>("host:work") as never;
