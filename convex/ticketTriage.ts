/**
 * Flow 1: sorts a support ticket.
 *
 * What it shows: an llm node whose answer must match a JSON Schema; a switch that routes by value and by condition; the
 * three kinds of functions a flow can call; a failure port; and an onComplete callback.
 *
 *   start -> customer -> classify -> route -> toOnCall, toBilling, toEngineering or toSupport -> ticket
 *   ticket -> isUrgent -> notify -> done
 *                     \-> done
 *   classify, when it fails -> byHand -> unsorted
 *
 * Start it from a browser with `api.ticketTriage.submit`, or with `api.shardflow.startWorkflow`.
 */
import { parseOnComplete, vOnCompleteArgs, type DefinitionSource } from "convex-shardflow";
import { ConvexError, v } from "convex/values";
import { internal } from "./_generated/api.js";
import { internalAction, internalMutation, internalQuery, mutation } from "./_generated/server.js";
import { shardflow } from "./shardflow.js";
import { teamOf } from "./team.js";

export const ticketTriage = {
  name: "ticket-triage",
  description: "Sorts a support ticket into a queue and wakes somebody when it is urgent.",
  input: {
    type: "object",
    required: ["email", "subject", "body"],
    properties: {
      email: { type: "string" },
      subject: { type: "string", minLength: 1 },
      body: { type: "string" },
    },
  },
  nodes: {
    start: { type: "trigger", next: { success: "customer" } },
    customer: {
      type: "action",
      action: "crm.lookUp",
      args: { team: "{{ execution.scope }}", email: "{{ input.email }}" },
      next: { success: "classify" },
    },
    classify: {
      type: "llm",
      model: "openai:gpt-5-mini",
      system: "You sort support tickets. A ticket is urgent when people cannot work.",
      prompt: "Subject: {{ input.subject }}\n\n{{ input.body }}",
      schema: {
        type: "object",
        additionalProperties: false,
        required: ["category", "urgent", "summary"],
        properties: {
          category: { enum: ["billing", "bug", "other"] },
          urgent: { type: "boolean" },
          summary: { type: "string", description: "One line for the person who takes the ticket." },
        },
      },
      // Without an answer the ticket is not lost: a person sorts it.
      next: { success: "route", failure: "byHand" },
    },
    route: {
      type: "switch",
      value: "{{ nodes.classify.output.category }}",
      cases: [
        { if: 'nodes.classify.output.urgent && nodes.customer.output.tier == "gold"', port: "onCall" },
        { equals: "billing", port: "billing" },
        { equals: "bug", port: "engineering" },
      ],
      next: { onCall: "toOnCall", billing: "toBilling", engineering: "toEngineering", default: "toSupport" },
    },
    toOnCall: { type: "set", values: { queue: "on-call" }, next: { success: "ticket" } },
    toBilling: { type: "set", values: { queue: "billing" }, next: { success: "ticket" } },
    toEngineering: { type: "set", values: { queue: "engineering" }, next: { success: "ticket" } },
    toSupport: { type: "set", values: { queue: "support" }, next: { success: "ticket" } },
    ticket: {
      type: "action",
      action: "desk.openTicket",
      args: {
        team: "{{ execution.scope }}",
        executionId: "{{ execution.id }}",
        email: "{{ input.email }}",
        subject: "{{ input.subject }}",
        category: "{{ nodes.classify.output.category }}",
        urgent: "{{ nodes.classify.output.urgent }}",
        summary: "{{ nodes.classify.output.summary }}",
        queue: "{{ vars.queue }}",
      },
      next: { success: "isUrgent" },
    },
    isUrgent: { type: "condition", if: "nodes.classify.output.urgent", next: { true: "notify", false: "done" } },
    notify: {
      type: "action",
      action: "desk.notify",
      args: {
        key: "{{ node.idempotencyKey }}",
        queue: "{{ vars.queue }}",
        text: "{{ input.subject }}: {{ nodes.classify.output.summary }}",
      },
      retry: { maxAttempts: 5 },
      // The ticket is open, which is what counts.
      next: { success: "done", failure: "done" },
    },
    done: {
      type: "output",
      value: {
        category: "{{ nodes.classify.output.category }}",
        queue: "{{ vars.queue }}",
        urgent: "{{ nodes.classify.output.urgent }}",
      },
    },
    byHand: {
      type: "action",
      action: "desk.openTicket",
      args: {
        team: "{{ execution.scope }}",
        executionId: "{{ execution.id }}",
        email: "{{ input.email }}",
        subject: "{{ input.subject }}",
        category: "unsorted",
        urgent: false,
        summary: "{{ nodes.classify.error.message }}",
        queue: "support",
      },
      next: { success: "unsorted" },
    },
    unsorted: { type: "output", value: { category: "unsorted", queue: "support", urgent: false } },
  },
} satisfies DefinitionSource;

/** For the app's own page: takes a ticket of the signed-in caller's team and starts the flow for it. */
export const submit = mutation({
  args: { email: v.string(), subject: v.string(), body: v.string() },
  returns: v.string(),
  handler: async (ctx, args): Promise<string> => {
    const team = await teamOf(ctx);
    if (team === null) throw new ConvexError({ code: "NOT_SIGNED_IN", message: "Sign in to send a ticket." });
    return await shardflow.startWorkflow(ctx, {
      definition: ticketTriage.name,
      scope: team,
      input: args,
      onComplete: internal.ticketTriage.onTriaged,
      context: { email: args.email, subject: args.subject },
      tags: { email: args.email },
    });
  },
});

/** Runs once for every ticket that was submitted, however its execution ended: no ticket is lost. */
export const onTriaged = internalMutation({
  args: vOnCompleteArgs.fields,
  returns: v.null(),
  handler: async (ctx, args) => {
    const { executionId, scope, result, context } = parseOnComplete(args);
    if (result.status !== "failed") return null;
    const { email, subject } = context as { email: string; subject: string };
    const summary = `Triage failed: ${result.error.message}`;
    const ticket = { category: "unsorted", urgent: false, summary, queue: "support" };
    await ctx.db.insert("tickets", { team: scope, executionId, email, subject, ...ticket });
    return null;
  },
});

/** Action `crm.lookUp`, a query: may be called more than once and has no effect. */
export const lookUpCustomer = internalQuery({
  args: { team: v.string(), email: v.string() },
  returns: v.object({
    name: v.union(v.string(), v.null()),
    tier: v.union(v.literal("free"), v.literal("gold"), v.literal("unknown")),
  }),
  handler: async (ctx, { team, email }) => {
    const customer = await ctx.db
      .query("customers")
      .withIndex("by_team_email", (q) => q.eq("team", team).eq("email", email))
      .first();
    return customer === null ? { name: null, tier: "unknown" as const } : { name: customer.name, tier: customer.tier };
  },
});

const ticketFields = {
  team: v.string(),
  executionId: v.string(),
  email: v.string(),
  subject: v.string(),
  category: v.string(),
  urgent: v.boolean(),
  summary: v.string(),
  queue: v.string(),
};

/** Action `desk.openTicket`, a mutation: runs exactly once, in the transaction that records the node. */
export const openTicket = internalMutation({
  args: ticketFields,
  returns: v.id("tickets"),
  handler: async (ctx, ticket) => await ctx.db.insert("tickets", ticket),
});

/**
 * Action `desk.notify`, an action: called at least once. Here it would call a chat service; the key makes a second try
 * harmless, as it would for a service that takes idempotency keys.
 */
export const notify = internalAction({
  args: { key: v.string(), queue: v.string(), text: v.string() },
  returns: v.null(),
  handler: async (ctx, notice) => {
    await ctx.runMutation(internal.ticketTriage.recordNotice, notice);
    return null;
  },
});

export const recordNotice = internalMutation({
  args: { key: v.string(), queue: v.string(), text: v.string() },
  returns: v.null(),
  handler: async (ctx, notice) => {
    const sent = await ctx.db
      .query("notices")
      .withIndex("by_key", (q) => q.eq("key", notice.key))
      .first();
    if (sent === null) await ctx.db.insert("notices", notice);
    return null;
  },
});
