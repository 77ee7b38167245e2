/** Tables of the three example flows. The component keeps its own; these are what the flows read and write. */
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  // Ticket triage
  customers: defineTable({
    team: v.string(),
    email: v.string(),
    name: v.string(),
    tier: v.union(v.literal("free"), v.literal("gold")),
  }).index("by_team_email", ["team", "email"]),

  tickets: defineTable({
    team: v.string(),
    executionId: v.string(),
    email: v.string(),
    subject: v.string(),
    category: v.string(),
    urgent: v.boolean(),
    summary: v.string(),
    queue: v.string(),
  })
    .index("by_team_queue", ["team", "queue"])
    .index("by_executionId", ["executionId"]),

  notices: defineTable({
    /** Stays the same when the action that sends the notice is tried again. */
    key: v.string(),
    queue: v.string(),
    text: v.string(),
  }).index("by_key", ["key"]),

  // List enrichment
  companies: defineTable({
    domain: v.string(),
    name: v.string(),
    employees: v.number(),
  }).index("by_domain", ["domain"]),

  leads: defineTable({
    team: v.string(),
    domain: v.string(),
    name: v.string(),
    employees: v.number(),
  }).index("by_team_domain", ["team", "domain"]),

  // Draft and rewrite
  articles: defineTable({
    team: v.string(),
    executionId: v.string(),
    topic: v.string(),
    text: v.string(),
    score: v.number(),
  }).index("by_team", ["team"]),
});
