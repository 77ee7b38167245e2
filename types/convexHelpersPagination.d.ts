/**
 * The types of `convex-helpers/server/pagination`, as far as they are used here.
 *
 * Owns: nothing at run time; the package's own code runs. convex-helpers ships its TypeScript sources beside their
 * declarations, and the compiler prefers the sources, which do not pass `exactOptionalPropertyTypes`. tsconfig.json names
 * this file without its extension: tsx reads `paths` too, and would run it in place of the package.
 */
import type {
  DataModelFromSchemaDefinition,
  GenericDatabaseReader,
  GenericSchema,
  SchemaDefinition,
} from "convex/server";

/** Reads pages like `ctx.db.query(...).paginate(...)`, also in a component, where that one does not exist. */
export declare function paginator<Schema extends SchemaDefinition<GenericSchema, boolean>>(
  db: GenericDatabaseReader<DataModelFromSchemaDefinition<Schema>>,
  schema: Schema,
): Pick<GenericDatabaseReader<DataModelFromSchemaDefinition<Schema>>, "query">;
