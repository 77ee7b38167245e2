/** Keeps compiled plans. Internal. */
import { v } from "convex/values";
import { internalMutation } from "./_generated/server.js";
import { replaceVersionText } from "./model/versions.js";

/** Replaces the plan of a version by one of the current format. At-least-once: writing the same plan again is harmless. */
export const store = internalMutation({
  args: { versionId: v.id("versions"), plan: v.string() },
  returns: v.null(),
  handler: async (ctx, { versionId, plan }) => {
    if ((await ctx.db.get("versions", versionId)) !== null) await replaceVersionText(ctx, versionId, "plan", plan);
    return null;
  },
});
