/** Tables of the host app of the API tests: what was called from outside, as somebody outside would see it. */
import { defineSchema, defineTable, type DataModelFromSchemaDefinition } from "convex/server";
import { v } from "convex/values";

const schema = defineSchema({
  /** Written by onComplete functions, one row per call. */
  completions: defineTable({ executionId: v.string(), args: v.string() }).index("by_executionId", ["executionId"]),
  /** Switches that a test sets. */
  switches: defineTable({ name: v.string(), on: v.boolean() }).index("by_name", ["name"]),
});

export default schema;
export type DataModel = DataModelFromSchemaDefinition<typeof schema>;
