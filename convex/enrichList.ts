/**
 * Flow 2: looks up a list of companies.
 *
 * What it shows: a loop over a list with several passes at once; `onItemError: "continue"`, so that one bad item does
 * not cost the others; `collect`, which says what each pass adds to the results; and a list handed to a mutation.
 *
 *   start -> each { lookUp } -> save -> done
 */
import type { DefinitionSource } from "convex-shardflow";
import { ConvexError, v } from "convex/values";
import { internal } from "./_generated/api.js";
import { internalAction, internalMutation, internalQuery } from "./_generated/server.js";

export const enrichList = {
  name: "enrich-list",
  description: "Looks up companies by domain, keeps those that were found and says which were not.",
  input: {
    type: "object",
    required: ["domains"],
    properties: { domains: { type: "array", items: { type: "string" }, maxItems: 100 } },
  },
  nodes: {
    start: { type: "trigger", next: { success: "each" } },
    each: {
      type: "loop",
      items: "{{ input.domains }}",
      item: "domain",
      concurrency: 4,
      onItemError: "continue",
      body: "lookUp",
      collect: {
        domain: "{{ domain }}",
        name: "{{ nodes.lookUp.output.name }}",
        employees: "{{ nodes.lookUp.output.employees }}",
      },
      next: { done: "save" },
    },
    lookUp: { type: "action", action: "directory.lookUp", args: { domain: "{{ domain }}" } },
    save: {
      type: "action",
      action: "leads.save",
      args: {
        team: "{{ execution.scope }}",
        // A pass that failed leaves null in its place.
        leads: "{{ nodes.each.output.results.filter(lead, lead != null) }}",
      },
      next: { success: "done" },
    },
    done: {
      type: "output",
      value: {
        leads: "{{ nodes.each.output.results.filter(lead, lead != null) }}",
        missing: "{{ nodes.each.output.errors.map(error, input.domains[error.index]) }}",
        saved: "{{ nodes.save.output.added + nodes.save.output.updated }}",
      },
    },
  },
} satisfies DefinitionSource;

/**
 * Action `directory.lookUp`, an action. Here it would call a company directory; a table stands for it. What is unknown
 * today is unknown in a second, so the error says not to try again.
 */
export const lookUpCompany = internalAction({
  args: { domain: v.string() },
  returns: v.object({ name: v.string(), employees: v.number() }),
  handler: async (ctx, { domain }): Promise<{ name: string; employees: number }> => {
    const company = await ctx.runQuery(internal.enrichList.findCompany, { domain });
    if (company !== null) return company;
    throw new ConvexError({
      code: "COMPANY_UNKNOWN",
      message: `The directory has no company at ${domain}.`,
      retryable: false,
    });
  },
});

export const findCompany = internalQuery({
  args: { domain: v.string() },
  returns: v.union(v.null(), v.object({ name: v.string(), employees: v.number() })),
  handler: async (ctx, { domain }) => {
    const company = await ctx.db
      .query("companies")
      .withIndex("by_domain", (q) => q.eq("domain", domain))
      .first();
    return company === null ? null : { name: company.name, employees: company.employees };
  },
});

/** Action `leads.save`, a mutation: adds new leads and brings known ones up to date. */
export const saveLeads = internalMutation({
  args: {
    team: v.string(),
    leads: v.array(v.object({ domain: v.string(), name: v.string(), employees: v.number() })),
  },
  returns: v.object({ added: v.number(), updated: v.number() }),
  handler: async (ctx, { team, leads }) => {
    const counts = { added: 0, updated: 0 };
    for (const lead of leads) {
      const known = await ctx.db
        .query("leads")
        .withIndex("by_team_domain", (q) => q.eq("team", team).eq("domain", lead.domain))
        .unique();
      if (known === null) {
        await ctx.db.insert("leads", { team, ...lead });
        counts.added++;
      } else {
        await ctx.db.patch("leads", known._id, lead);
        counts.updated++;
      }
    }
    return counts;
  },
});
