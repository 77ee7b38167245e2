/** The system tables of every namespace, with the virtual table numbers of section 8. */
import type { TableDefinition } from "../store/database.js";

export const JOBS_TABLE = "_scheduled_functions";
export const FILES_TABLE = "_storage";

export const SYSTEM_TABLES: readonly TableDefinition[] = [
  { name: JOBS_TABLE, number: 539, indexes: [] },
  { name: FILES_TABLE, number: 540, indexes: [] },
];
