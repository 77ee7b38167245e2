/**
 * The committed state of a deployment, to look at from outside.
 *
 * Invariant: what is read here is the newest published snapshot, and nothing of it is recorded or charged.
 */
import type { Value } from "convex/values";
import type { Database } from "../store/database.js";
import { prefixRange, type Fields, type StoredDocument, type Table } from "../store/table.js";

export type Row = { readonly [field: string]: Value | undefined } & {
  readonly _id: string;
  readonly _creationTime: number;
};

export class Snapshot {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** All rows of a table, in no particular order. @param path - of the component: "" is the app. */
  *rows(path: string, table: string): Generator<Row> {
    for (const document of this.#table(path, table).documents()) yield rowOf(document);
  }

  /** Rows of an index whose first fields have these values, in the order of the index. */
  *withIndex(path: string, table: string, index: string, ...values: ReadonlyArray<Value | undefined>): Generator<Row> {
    const found = this.#table(path, table);
    const at = found.index(index);
    if (at === undefined) throw new Error(`Table "${table}" has no index "${index}".`);
    const [start, end] = prefixRange(values);
    const { published } = this.#database;
    for (const [, document] of found.scan(at, start, end, "asc", published, () => undefined)) yield rowOf(document);
  }

  get(path: string, table: string, id: string): Row | null {
    const document = this.#table(path, table).get(id, this.#database.published);
    return document === null ? null : rowOf(document);
  }

  count(path: string, table: string): number {
    let count = 0;
    for (const _ of this.#table(path, table).documents()) count++;
    return count;
  }

  /** Whether there is such a table: a component may not be registered everywhere. */
  has(path: string, table: string): boolean {
    return this.#database.namespaces.get(path)?.table(table) !== undefined;
  }

  #table(path: string, name: string): Table {
    const table = this.#database.namespaces.get(path)?.table(name);
    if (table === undefined) throw new Error(`There is no table "${name}" in component "${path}".`);
    return table;
  }
}

export function rowOf({ value }: { value: Fields } | StoredDocument): Row {
  return value as Row;
}
