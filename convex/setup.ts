/**
 * Publishing the flows of the app. Definitions are data: this runs at any time, without a deploy, and running executions
 * stay on the version they began with.
 */
import { v } from "convex/values";
import { internalMutation } from "./_generated/server.js";
import { draftAndRewrite } from "./draftAndRewrite.js";
import { enrichList } from "./enrichList.js";
import { shardflow } from "./shardflow.js";
import { ticketTriage } from "./ticketTriage.js";

/** Gives a team the three flows: `npx convex run setup:publishFlows '{"team": "acme"}'`. All are published, or none. */
export const publishFlows = internalMutation({
  args: { team: v.string() },
  returns: v.record(v.string(), v.number()),
  handler: async (ctx, { team }) => {
    const versions: Record<string, number> = {};
    for (const source of [ticketTriage, enrichList, draftAndRewrite]) {
      const { version } = await shardflow.definitions.publish(ctx, { source, scope: team });
      versions[source.name] = version;
    }
    return versions;
  },
});

/** Fills the tables that the flows look things up in. A real app has its own customers and companies. */
export const seed = internalMutation({
  args: {
    team: v.string(),
    customers: v.array(
      v.object({ email: v.string(), name: v.string(), tier: v.union(v.literal("free"), v.literal("gold")) }),
    ),
    companies: v.array(v.object({ domain: v.string(), name: v.string(), employees: v.number() })),
  },
  returns: v.null(),
  handler: async (ctx, { team, customers, companies }) => {
    for (const customer of customers) await ctx.db.insert("customers", { team, ...customer });
    for (const company of companies) await ctx.db.insert("companies", company);
    return null;
  },
});
