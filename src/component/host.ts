/**
 * The workflow host: one workflow function per shard, each bound to the shard's instance. Internal.
 *
 * A workflow's only step runs the stretches that one pass of the pump has claimed, so its journal never holds more than
 * one entry and a replay reads nothing that grows. It never sleeps and never waits: a wait ends the stretch, a wake
 * queues the next one. Why several stretches share a workflow: docs/adr/0005.
 */
import { defineWorkflow } from "@convex-dev/workflow";
import { v } from "convex/values";
import { vFence, type Fence } from "../shared/checkpoint.js";
import { components, internal } from "./_generated/api.js";
import { internalAction } from "./_generated/server.js";

type Instance = Parameters<typeof defineWorkflow>[0];

function stretchWorkflow(instance: Instance) {
  return defineWorkflow(instance, { args: { fences: v.array(vFence) }, returns: v.null() }).handler(
    async (step, { fences }) => {
      // No retry by the workpool: a stretch that dies is claimed again under a new lease epoch, which fences the old one.
      await step.runAction(internal.host.runStretches, { fences }, { retry: false });
      return null;
    },
  );
}

/** Each stretch is an action of its own, so that one that dies, hangs or runs out of memory takes no other with it. */
export const runStretches = internalAction({
  args: { fences: v.array(vFence) },
  returns: v.null(),
  handler: async (ctx, { fences }) => {
    const run = async (fence: Fence) => {
      try {
        await ctx.runAction(internal.stretch.runStretch, { fence });
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        await ctx.runMutation(internal.settle.crashed, { fence, why });
      }
    };
    // All of them: one whose end could not be reported is found by `settle`, when the others have ended.
    await Promise.allSettled(fences.map(run));
    return null;
  },
});

export const shard0 = stretchWorkflow(components.shard0);
export const shard1 = stretchWorkflow(components.shard1);
export const shard2 = stretchWorkflow(components.shard2);
export const shard3 = stretchWorkflow(components.shard3);
export const shard4 = stretchWorkflow(components.shard4);
export const shard5 = stretchWorkflow(components.shard5);
export const shard6 = stretchWorkflow(components.shard6);
export const shard7 = stretchWorkflow(components.shard7);
