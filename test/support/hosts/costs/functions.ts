/**
 * The app of the cost runs: one action that every node calls, and two ways to have it called durably.
 *
 * The vanilla peer is what the README of @convex-dev/workflow shows: one instance, one step per node. Nodes get the same
 * arguments, take the same time and give the same result in both.
 */
import { vWorkflowId, WorkflowManager } from "@convex-dev/workflow";
import type { ComponentApi as WorkflowApi } from "@convex-dev/workflow/_generated/component.js";
import {
  actionGeneric,
  componentsGeneric,
  makeFunctionReference,
  mutationGeneric,
  type DefaultFunctionArgs,
  type FunctionReference,
} from "convex/server";
import { v, type Infer } from "convex/values";
import { components } from "../../../../convex/_generated/api.js";

/** Of a node's arguments and result, besides the numbers. */
export const INPUT_TEXT = "i".repeat(150);
const OUTPUT_TEXT = "o".repeat(1000);

const vWork = v.object({
  execution: v.number(),
  node: v.number(),
  /** The node takes 0 to this long. */
  maxMs: v.number(),
  text: v.string(),
  /** Give back 1 KB; otherwise a number. */
  large: v.boolean(),
});
const vSteps = v.object({ execution: v.number(), nodes: v.number(), maxMs: v.number() });
type Work = Infer<typeof vWork>;
type Steps = Infer<typeof vSteps>;

type InternalAction<Args extends DefaultFunctionArgs, Result> = FunctionReference<"action", "internal", Args, Result>;
type InternalMutation<Args extends DefaultFunctionArgs> = FunctionReference<"mutation", "internal", Args, unknown>;

export const runNode = actionGeneric({
  args: vWork,
  returns: v.object({ node: v.number(), text: v.string() }),
  handler: async (_ctx, { execution, node, maxMs, large }) => {
    await new Promise((resolve) => setTimeout(resolve, latency(execution, node, maxMs)));
    return { node, text: large ? OUTPUT_TEXT : "" };
  },
});

/** Uniform from 0 to `maxMs`, and the same for the same node in every run. */
function latency(execution: number, node: number, maxMs: number): number {
  let hash = Math.imul(execution + 1, 0x9e3779b1) ^ Math.imul(node + 1, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return ((hash ^ (hash >>> 15)) >>> 0) % (maxMs + 1);
}

export const startShardflow = mutationGeneric({
  args: { definition: v.string(), input: v.string(), shardKey: v.optional(v.string()) },
  returns: v.string(),
  handler: async (ctx, args): Promise<string> =>
    await ctx.runMutation(components.shardflow.executions.startWorkflow, args),
});

// As many steps at once as the shards of a default installation may run together.
const vanilla = new WorkflowManager(componentsGeneric().workflow as unknown as WorkflowApi, {
  workpoolOptions: { maxParallelism: 100 },
});
const internal = {
  runNode: makeFunctionReference<"action">("functions:runNode") as unknown as InternalAction<Work, { node: number }>,
  steps: makeFunctionReference<"mutation">("functions:steps") as unknown as InternalMutation<{ args: Steps }>,
};

export const steps = vanilla
  .define({ args: vSteps.fields, returns: v.null() })
  .handler(async (step, { execution, nodes, maxMs }): Promise<null> => {
    for (let node = 0; node < nodes; node++) {
      await step.runAction(internal.runNode, { execution, node, maxMs, text: INPUT_TEXT, large: true });
    }
    return null;
  });

export const startVanilla = mutationGeneric({
  args: vSteps,
  returns: vWorkflowId,
  handler: async (ctx, args) => await vanilla.start(ctx, internal.steps, args),
});
