/**
 * The workflow host: one workflow function per shard, each bound to the shard's instance. Internal.
 *
 * A workflow's only step is one stretch, so its journal never holds more than one entry and a replay reads nothing that
 * grows. It never sleeps and never waits: a wait ends the stretch, a wake queues the next one.
 */
import { defineWorkflow } from "@convex-dev/workflow";
import { v } from "convex/values";
import { vFence } from "../shared/checkpoint.js";
import { components, internal } from "./_generated/api.js";

type Instance = Parameters<typeof defineWorkflow>[0];

function stretchWorkflow(instance: Instance) {
  return defineWorkflow(instance, { args: vFence.fields, returns: v.null() }).handler(async (step, fence) => {
    // No retry by the workpool: a stretch that dies is claimed again under a new lease epoch, which fences the old one.
    await step.runAction(internal.stretch.runStretch, { fence }, { retry: false });
    return null;
  });
}

export const shard0 = stretchWorkflow(components.shard0);
export const shard1 = stretchWorkflow(components.shard1);
export const shard2 = stretchWorkflow(components.shard2);
export const shard3 = stretchWorkflow(components.shard3);
export const shard4 = stretchWorkflow(components.shard4);
export const shard5 = stretchWorkflow(components.shard5);
export const shard6 = stretchWorkflow(components.shard6);
export const shard7 = stretchWorkflow(components.shard7);
