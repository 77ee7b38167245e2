/** Tables of the host app of the node tests. */
import { defineSchema, defineTable, type DataModelFromSchemaDefinition } from "convex/server";
import { v } from "convex/values";

const schema = defineSchema({
  /** One row for each call that committed, with the JSON text of its arguments. */
  calls: defineTable({ fn: v.string(), args: v.string(), at: v.number() }).index("by_fn", ["fn"]),
});

export default schema;
export type DataModel = DataModelFromSchemaDefinition<typeof schema>;
