/** What the flows of the stress tests call. They stand for work: they take time, compute something small, or fail. */
import { ConvexError, v } from "convex/values";
import { internalAction, internalMutation, internalQuery } from "../_generated/server.js";

/** Action `stress.work`: takes `ms`, and then fails when it is told to, in a way that another try would not change. */
export const work = internalAction({
  args: { ms: v.number(), fail: v.boolean() },
  returns: v.null(),
  handler: async (_ctx, { ms, fail }) => {
    await new Promise((resolve) => setTimeout(resolve, ms));
    if (fail) throw new ConvexError({ code: "INJECTED", message: "Failed as it was told to.", retryable: false });
    return null;
  },
});

/** Action `stress.square`, a mutation: runs in the transaction that records the node. */
export const square = internalMutation({
  args: { n: v.number() },
  returns: v.number(),
  handler: async (_ctx, { n }) => n * n,
});

/** Action `stress.measure`, a query: a text is too long to compare by eye, its length and checksum are not. */
export const measure = internalQuery({
  args: { text: v.string() },
  returns: v.object({ characters: v.number(), checksum: v.number() }),
  handler: async (_ctx, { text }) => {
    let checksum = 0;
    for (let i = 0; i < text.length; i++) checksum = (Math.imul(checksum, 31) + text.charCodeAt(i)) >>> 0;
    return { characters: text.length, checksum };
  },
});
