/** Makes a deployment ready for one stress test: its flow, its actions and its settings. Run by stress-tests/. */
import { Shardflow } from "convex-shardflow";
import { v } from "convex/values";
import { components, internal } from "../_generated/api.js";
import { internalMutation } from "../_generated/server.js";

/** A client of its own: the app's flows do not know these actions. */
const stress: Shardflow = new Shardflow(components.shardflow, {
  actions: {
    "stress.work": { kind: "action", fn: internal.stress.actions.work },
    "stress.square": { kind: "mutation", fn: internal.stress.actions.square },
    "stress.measure": { kind: "query", fn: internal.stress.actions.measure },
  },
});

/** Publishes the definition (JSON text) for a team and applies the settings, for all teams: both, or nothing. */
export const prepare = internalMutation({
  args: { team: v.string(), definition: v.string(), activeShards: v.number(), maxParallelism: v.number() },
  returns: v.null(),
  handler: async (ctx, { team, definition, activeShards, maxParallelism }) => {
    await stress.definitions.publish(ctx, { source: definition, scope: team });
    await stress.admin.configure(ctx, { activeShards, maxParallelism });
    return null;
  },
});
