/** Public: which functions the action names of definitions call. Filled by the client's `sync` after a deploy. */
import { v } from "convex/values";
import { shardflowError } from "../shared/errors.js";
import { MAX_NAME_LENGTH } from "../shared/limits.js";
import { vBinding } from "../shared/views.js";
import { mutation, query } from "./_generated/server.js";
import { checkHandle } from "./model/ids.js";

const MAX_BINDINGS = 500;
/** Listed at most. */
const MAX_LISTED = 5_000;

/**
 * Binds action names to function handles; a name that is bound already gets the new function. With `prune`, names that
 * are not given are unbound: definitions that use them wait (ACTION_UNBOUND) until they are bound again.
 * Idempotent. Errors: ARGUMENT_INVALID.
 */
export const sync = mutation({
  args: { bindings: v.array(vBinding), prune: v.optional(v.boolean()) },
  returns: v.object({ added: v.number(), changed: v.number(), removed: v.number() }),
  handler: async (ctx, { bindings, prune = false }) => {
    if (bindings.length > MAX_BINDINGS) {
      throw shardflowError("ARGUMENT_INVALID", {
        message: `At most ${MAX_BINDINGS} bindings at a time; ${bindings.length} were given.`,
      });
    }
    const names = new Set<string>();
    for (const { name, handle } of bindings) {
      if (name.length === 0 || name.length > MAX_NAME_LENGTH || names.has(name)) {
        throw shardflowError("ARGUMENT_INVALID", { message: `"${name}" is no action name, or is given twice.` });
      }
      checkHandle(handle, `The function of "${name}"`);
      names.add(name);
    }
    const now = Date.now();
    const counts = { added: 0, changed: 0, removed: 0 };
    for (const binding of bindings) {
      const row = await ctx.db
        .query("bindings")
        .withIndex("by_name", (q) => q.eq("name", binding.name))
        .unique();
      if (row === null) {
        await ctx.db.insert("bindings", { ...binding, updatedAt: now });
        counts.added++;
      } else if (row.handle !== binding.handle || row.kind !== binding.kind) {
        await ctx.db.patch("bindings", row._id, { ...binding, updatedAt: now });
        counts.changed++;
      }
    }
    if (!prune) return counts;
    for (const row of await ctx.db.query("bindings").withIndex("by_name").take(MAX_LISTED)) {
      if (names.has(row.name)) continue;
      await ctx.db.delete("bindings", row._id);
      counts.removed++;
    }
    return counts;
  },
});

/** All bindings, by name. */
export const list = query({
  args: {},
  returns: v.array(vBinding),
  handler: async (ctx) => {
    const rows = await ctx.db.query("bindings").withIndex("by_name").take(MAX_LISTED);
    return rows.map(({ name, kind, handle }) => ({ name, kind, handle }));
  },
});
