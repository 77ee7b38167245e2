/** Tables of the host app of the fault tests: each row is one effect that somebody outside would have seen. */
import { defineSchema, defineTable, type DataModelFromSchemaDefinition } from "convex/server";
import { v } from "convex/values";

const schema = defineSchema({
  /** Written by mutation nodes: exactly one row per node run. */
  effects: defineTable({ key: v.string(), note: v.string() }).index("by_key", ["key"]),
  /** Written by action nodes: at least one row per node run, always with the same key. */
  calls: defineTable({ key: v.string(), node: v.string(), attempt: v.number() }).index("by_key", ["key"]),
  /** Written by onComplete: exactly one row per execution. */
  completions: defineTable({
    executionId: v.string(),
    status: v.string(),
    result: v.string(),
    context: v.union(v.null(), v.string()),
  }).index("by_executionId", ["executionId"]),
  /** Switches that a test sets. */
  switches: defineTable({ name: v.string(), on: v.boolean() }).index("by_name", ["name"]),
});

export default schema;
export type DataModel = DataModelFromSchemaDefinition<typeof schema>;
