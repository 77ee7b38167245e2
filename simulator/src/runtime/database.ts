/**
 * The syscalls of a transaction that read and write documents (sections 6.1 and 6.2).
 *
 * Owns: from their JSON to the transaction and back. Invariants: a query writes nothing; ids and tables are those of the
 * component that calls; a document matches its schema before it is written.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { jsonToConvex, type JSONValue, type Value } from "convex/values";
import type { Table } from "../store/table.js";
import { QueryStream, type QueryJson } from "../transaction/queryStream.js";
import { decodeId, newId } from "../values/ids.js";
import { validate } from "../values/validate.js";
import type { TransactionFrame } from "./frame.js";
import { textOf } from "./text.js";

type Args = Record<string, JSONValue>;

export function tableNamed(frame: TransactionFrame, name: string): Table {
  const table = frame.component.namespace.table(name);
  if (table !== undefined) return table;
  if (frame.component.schema !== null && frame.component.documents.size > 0) {
    throw new Error(`Table "${name}" is not in the schema of component "${frame.component.path}".`);
  }
  const added = frame.component.namespace.add({ name, indexes: [] });
  frame.transaction.database.addUndeclared(added);
  return added;
}

/** The table that an id belongs to, or null when this namespace has none of its number. */
export function tableOfId(
  frame: TransactionFrame,
  id: string,
  expected: JSONValue | undefined,
  what: string,
): Table | null {
  const decoded = decodeId(id);
  if (decoded === null) {
    throw new Error(`Invalid argument \`id\` for \`db.${what}\`: Unable to decode ID: "${id}" is not an id.`);
  }
  const table = frame.component.namespace.byNumber(decoded.tableNumber) ?? null;
  if (typeof expected === "string" && table !== null && table.name !== expected) {
    throw new Error(`InvalidTable: expected to be an Id<"${expected}">, got Id<"${table.name}"> instead.`);
  }
  return table;
}

export function get(frame: TransactionFrame, { id, table: expected, isSystem }: Args): string {
  const table = tableOfId(frame, textOf(id), expected, "get");
  if (table === null) return "null";
  if (table.name.startsWith("_") !== (isSystem === true)) {
    throw new Error(`System tables are read with ctx.db.system, and only they; "${table.name}" was asked for.`);
  }
  const document = frame.transaction.get(table, textOf(id));
  return document === null ? "null" : document.json;
}

export function startQuery(frame: TransactionFrame, query: QueryJson): number {
  const { source } = query;
  if (source.type === "Search") throw new Error("Search indexes are not simulated.");
  const name =
    source.type === "FullTableScan" ? source.tableName : source.indexName.slice(0, source.indexName.indexOf("."));
  const id = frame.nextStream++;
  frame.streams.set(id, new QueryStream(frame.transaction, tableNamed(frame, name), query));
  return id;
}

export function nextOf(frame: TransactionFrame, { queryId }: Args): string {
  const stream = frame.streams.get(queryId as number);
  if (stream === undefined) throw new Error("The query was closed.");
  const document = stream.next();
  return document === null ? '{"value":null,"done":true}' : `{"value":${document.json},"done":false}`;
}

/** A page of a query. Cursors are opaque: the key that was consumed last. */
export function page(frame: TransactionFrame, args: Args): JSONValue {
  if (frame.component.path !== "") {
    throw new Error("PaginationUnsupportedInComponents: paginate() is only supported in the app.");
  }
  if (frame.paginated) {
    throw new Error(
      "This query or mutation function ran multiple paginated queries. Convex only supports a single paginated query in each function.",
    );
  }
  frame.paginated = true;
  const query = args.query as unknown as QueryJson;
  const stream = frame.streams.get(startQuery(frame, query)) as QueryStream;
  const { cursor, endCursor, pageSize } = args;
  const print = fingerprintOf(query);
  if (cursor === END_CURSOR)
    return { page: [], isDone: true, continueCursor: END_CURSOR, splitCursor: null, pageStatus: null };
  const from = typeof cursor === "string" ? keyOfCursor(cursor, print) : "";
  // A page of no rows ends where it began, which may be the beginning of the range.
  if (from !== "") stream.seek(from);
  const hasEnd = typeof endCursor === "string" && endCursor !== END_CURSOR;
  if (hasEnd) stream.stopAfter(keyOfCursor(endCursor, print));
  const rows: JSONValue[] = [];
  let last: string | null = null;
  const most = typeof endCursor === "string" ? Infinity : Number(pageSize);
  while (rows.length < most) {
    const row = stream.nextRow();
    if (row === null) {
      const end = hasEnd ? endCursor : END_CURSOR;
      return { page: rows, isDone: !hasEnd, continueCursor: end, splitCursor: null, pageStatus: null };
    }
    rows.push(JSON.parse(row[1].json) as JSONValue);
    last = row[0];
  }
  const next = last === null ? (typeof cursor === "string" ? cursor : cursorOf("", print)) : cursorOf(last, print);
  return { page: rows, isDone: false, continueCursor: next, splitCursor: null, pageStatus: null };
}

const END_CURSOR = "_end_cursor";
/** A cursor belongs to its query: any other one refuses it. */
const fingerprintOf = (query: QueryJson): string =>
  createHash("sha256").update(JSON.stringify(query)).digest("base64url").slice(0, 12);
const cursorOf = (key: string, print: string): string => `${Buffer.from(key, "latin1").toString("base64url")}.${print}`;
const keyOfCursor = (cursor: string, print: string): string => {
  const [key = "", of] = cursor.split(".");
  if (of !== print) throw new Error("InvalidCursor: the cursor is not one of this query.");
  return Buffer.from(key, "base64url").toString("latin1");
};

export function normalizeId(frame: TransactionFrame, { table: name, idString }: Args): JSONValue {
  const decoded = decodeId(textOf(idString));
  const table = frame.component.namespace.table(textOf(name).replace(/^_scheduled_jobs$/, "_scheduled_functions"));
  return { id: decoded !== null && table?.number === decoded.tableNumber ? textOf(idString) : null };
}

export function insert(frame: TransactionFrame, { table: name, value }: Args, day: number): JSONValue {
  const table = writable(frame, tableNamed(frame, textOf(name)), "insert");
  const { database } = frame.transaction;
  if (database.undeclaredTables === "error" && database.isUnmade(table)) {
    throw new Error(
      `Table "${table.name}" is in no schema: the first insert into it makes the table, and conflicts with every ` +
        "transaction that runs (trap 47). Declare it.",
    );
  }
  const fields = jsonToConvex(value as JSONValue) as Record<string, Value>;
  for (const field of ["_id", "_creationTime"]) {
    if (field in fields) throw new Error(`A new document cannot have a field "${field}".`);
  }
  checkSchema(frame, table, fields);
  const id = newId(table.number, () => frame.rng.next(), day);
  frame.transaction.insert(table, id, fields);
  return { _id: id };
}

export function update(frame: TransactionFrame, args: Args, mode: "patch" | "replace"): string {
  const id = textOf(args.id);
  const found = tableOfId(frame, id, args.table, mode);
  const table = found === null ? null : writable(frame, found, mode);
  const value = args.value as Record<string, JSONValue>;
  const changed =
    table === null
      ? null
      : frame.transaction.update(table, id, (old) => {
          const fields = mode === "patch" ? patched(old, value) : (jsonToConvex(value) as Record<string, Value>);
          const { _id, _creationTime, ...rest } = fields;
          if (
            (_id !== undefined && _id !== id) ||
            (_creationTime !== undefined && _creationTime !== old._creationTime)
          ) {
            throw new Error(
              `The value given to \`db.${mode}\` has another _id or _creationTime than the document ${id}.`,
            );
          }
          checkSchema(frame, table, rest as Record<string, Value>);
          return rest;
        });
  if (table === null || changed === null) {
    throw new Error(`${mode === "patch" ? "Update" : "Replace"} on nonexistent document ID ${id}`);
  }
  return frame.transaction.peek(table, id)?.json ?? "null";
}

function patched(old: Readonly<Record<string, Value | undefined>>, change: Record<string, JSONValue>) {
  const fields: Record<string, Value | undefined> = { ...old };
  for (const [field, json] of Object.entries(change)) {
    if (typeof json === "object" && json !== null && "$undefined" in json) delete fields[field];
    else fields[field] = jsonToConvex(json);
  }
  return fields;
}

export function remove(frame: TransactionFrame, { id, table: expected }: Args): string {
  const found = tableOfId(frame, textOf(id), expected, "delete");
  const table = found === null ? null : writable(frame, found, "delete");
  const old = table === null ? null : frame.transaction.remove(table, textOf(id));
  if (old === null) throw new Error(`Delete on nonexistent document ID ${textOf(id)}`);
  return old.json;
}

export function count(frame: TransactionFrame, { table: name }: Args): number {
  const table = tableNamed(frame, textOf(name));
  const index = table.index("by_id");
  if (index === undefined) return 0;
  frame.transaction.record(index, "", "\uffff");
  let rows = 0;
  for (const _ of frame.transaction.rows(table, index, "", "\uffff", "asc")) rows++;
  return rows;
}

function writable(frame: TransactionFrame, table: Table, what: string): Table {
  if (frame.kind === "query") throw new Error(`db.${what} cannot be used in a query.`);
  // What a test hands in is past all functions, and may set up what Convex itself would write.
  if (table.name.startsWith("_") && frame.fn !== null)
    throw new Error(`System tables such as "${table.name}" cannot be written.`);
  return table;
}

function checkSchema(frame: TransactionFrame, table: Table, fields: Readonly<Record<string, Value>>): void {
  const validator = frame.component.documents.get(table.name);
  if (validator === undefined) return;
  const problem = validate(validator, fields, resolver(frame));
  if (problem !== null)
    throw new Error(
      `Failed to insert or update a document in table "${table.name}" because it does not match the schema: ${problem}`,
    );
}

export const resolver = ({ component }: Pick<TransactionFrame, "component">) => ({
  tableNumber: (name: string): number | null => component.namespace.table(name)?.number ?? null,
});
