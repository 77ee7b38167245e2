/**
 * The app's client of the component, and the functions on executions that it offers to browsers.
 *
 * Action names are the contract between definitions and code: definitions know functions by these names only, and what
 * is not in this list cannot be called by any definition. After a deploy that moves or renames one, run
 * `npx convex run setup:publishFlows '{"team": "..."}'`, which binds the names again.
 */
import { exposeApi, Shardflow } from "convex-shardflow";
import { components, internal } from "./_generated/api.js";
import type { QueryCtx } from "./_generated/server.js";
import { teamOf } from "./team.js";

export const shardflow: Shardflow = new Shardflow(components.shardflow, {
  actions: {
    "crm.lookUp": { kind: "query", fn: internal.ticketTriage.lookUpCustomer },
    "desk.openTicket": { kind: "mutation", fn: internal.ticketTriage.openTicket },
    "desk.notify": { kind: "action", fn: internal.ticketTriage.notify },
    "directory.lookUp": { kind: "action", fn: internal.enrichList.lookUpCompany },
    "leads.save": { kind: "mutation", fn: internal.enrichList.saveLeads },
    "articles.save": { kind: "mutation", fn: internal.draftAndRewrite.saveArticle },
  },
});

/** Browsers call these as `api.shardflow.startWorkflow` and so on. Whoever is signed in works within their team. */
export const { startWorkflow, cancelWorkflow, getStatus, describeExecution, listExecutions, listNodeRuns } = exposeApi(
  shardflow,
  {
    functions: ["startWorkflow", "cancelWorkflow", "getStatus", "describeExecution", "listExecutions", "listNodeRuns"],
    authorize: async (ctx: QueryCtx) => {
      const team = await teamOf(ctx);
      return team === null ? false : { scope: team };
    },
  },
);
