/**
 * One top-level transaction.
 *
 * Owns: its snapshot, what it has read (section 1.2) and what it is going to write (1.3), with sub-transactions that can
 * be undone (1.5). Invariants: reads see the snapshot with the transaction's own writes over it; a read is recorded
 * before its result is handed out; undoing a sub-transaction brings back writes, write counters and nothing else.
 */
import { convexToJson, getDocumentSize, jsonToConvex, type JSONValue } from "convex/values";
import { checkDocument } from "../values/check.js";
import { encodeKey } from "../values/keys.js";
import { textOfValue } from "../values/text.js";
import type { Change, Database } from "../store/database.js";
import { IntervalSet } from "../store/intervals.js";
import {
  BTree,
  BY_ID,
  keyIn,
  type Fields,
  type Found,
  type Index,
  type StoredDocument,
  type Table,
} from "../store/table.js";
import { Meter, TRANSACTION_LIMITS, type Usage } from "./limits.js";

/** Rows read and written, and their bytes, as they are billed (section 5). */
export type Cost = { documentsRead: number; bytesRead: number; documentsWritten: number; bytesWritten: number };

type Pending = {
  readonly changes: Map<string, Change>;
  /** Of the indexes that were scanned since the first write: the new documents by key. */
  readonly overlays: Map<Index, BTree<string, StoredDocument>>;
};

/** For checkers: told of the rows that a transaction gets to see, and of those it has written to, undone or not. */
export interface Witness {
  saw(table: Table, document: StoredDocument): void;
  touched(table: Table, id: string): void;
}

export type Savepoint = { readonly length: number; readonly documentsWritten: number; readonly bytesWritten: number };

const NOTHING_RESERVED = "\0";

export class Transaction {
  readonly database: Database;
  readonly begin: number;
  readonly meter: Meter;
  readonly reads = new Map<string, IntervalSet>();
  /** By component path. */
  readonly costs = new Map<string, Cost>();
  witness: Witness | null = null;
  /** The job whose run this transaction is, if it is one's. */
  ownJob: string | null = null;
  /** Dead rows that scans had to pass. */
  tombstones = 0;
  readonly #pending = new Map<Table, Pending>();
  readonly #undo: Array<() => void> = [];
  readonly #onTombstone = (): void => void this.tombstones++;
  #creationTime: number;

  constructor(
    database: Database,
    begin: number,
    options: { creationTime: number; limits?: Readonly<Usage> | undefined },
  ) {
    this.database = database;
    this.begin = begin;
    this.meter = new Meter(options.limits ?? TRANSACTION_LIMITS);
    this.#creationTime = options.creationTime;
  }

  /** One ULP later than the one before: strictly increasing within the transaction (section 1.6). */
  nextCreationTime(): number {
    const time = this.#creationTime;
    this.#creationTime = nextDouble(time);
    return time;
  }

  // ── Reading ──

  get(table: Table, id: string): StoredDocument | null {
    this.recordPoint(table, id);
    const document = this.peek(table, id);
    if (document !== null) this.chargeRead(table, document, 0);
    return document;
  }

  /** The current document, without a trace in the read set. */
  peek(table: Table, id: string): StoredDocument | null {
    const change = this.#pending.get(table)?.changes.get(id);
    return change === undefined ? table.get(id, this.begin) : change.after;
  }

  recordPoint(table: Table, id: string): void {
    const key = encodeKey([id]);
    this.record(table.index(BY_ID) as Index, key, key + NOTHING_RESERVED);
  }

  record(index: Index, start: string, end: string): void {
    let intervals = this.reads.get(index.key);
    if (intervals === undefined) this.reads.set(index.key, (intervals = new IntervalSet()));
    const before = intervals.size;
    intervals.add(start, end);
    if (intervals.size !== before) this.meter.add("databaseQueries", intervals.size - before);
  }

  /** The deployment's own look at a row: recorded, but no read of the function. */
  look(table: Table, id: string): StoredDocument | null {
    this.recordPoint(table, id);
    return this.peek(table, id);
  }

  /** @param keyBytes - length of the row's key, of an index that the user defined. */
  chargeRead(table: Table, document: StoredDocument, keyBytes: number): void {
    const { bytes } = document;
    this.witness?.saw(table, document);
    if (!table.isSystem) {
      const cost = this.costOf(table);
      cost.documentsRead++;
      cost.bytesRead += bytes + keyBytes;
    }
    this.meter.add("documentsRead", 1);
    this.meter.add("bytesRead", bytes + keyBytes);
  }

  costOf(table: Table): Cost {
    const path = table.path.slice(0, table.path.lastIndexOf("/"));
    let cost = this.costs.get(path);
    if (cost === undefined) {
      cost = { documentsRead: 0, bytesRead: 0, documentsWritten: 0, bytesWritten: 0 };
      this.costs.set(path, cost);
    }
    return cost;
  }

  /** The first of {@link rows}. */
  page(table: Table, index: Index, start: string, end: string, order: "asc" | "desc", limit: number): Found[] {
    if (this.#hasWritten(table)) {
      const found: Found[] = [];
      for (const row of this.rows(table, index, start, end, order)) if (found.push(row) >= limit) break;
      return found;
    }
    return table.page(index, start, end, order, this.begin, limit, this.#onTombstone);
  }

  #hasWritten(table: Table): boolean {
    return (this.#pending.get(table)?.changes.size ?? 0) > 0;
  }

  /** Rows of an index in order, as they are now; nothing is recorded or charged. */
  *rows(table: Table, index: Index, start: string, end: string, order: "asc" | "desc"): Generator<Found> {
    const pending = this.#pending.get(table);
    const stored = table.scan(index, start, end, order, this.begin, this.#onTombstone);
    if (pending === undefined || pending.changes.size === 0) {
      yield* stored;
      return;
    }
    const own = ownRows(this.#overlay(pending, index), start, end, order);
    let mine = own.next();
    for (const row of stored) {
      if (pending.changes.has(row[1].id)) continue;
      while (mine.done !== true && (order === "asc" ? mine.value[0] < row[0] : mine.value[0] > row[0])) {
        yield mine.value;
        mine = own.next();
      }
      yield row;
    }
    while (mine.done !== true) {
      yield mine.value;
      mine = own.next();
    }
  }

  #overlay(pending: Pending, index: Index): BTree<string, StoredDocument> {
    let overlay = pending.overlays.get(index);
    if (overlay === undefined) {
      overlay = new BTree<string, StoredDocument>();
      for (const { after } of pending.changes.values()) if (after !== null) overlay.set(keyIn(index, after), after);
      pending.overlays.set(index, overlay);
    }
    return overlay;
  }

  // ── Writing ──

  insert(table: Table, id: string, fields: Fields): StoredDocument {
    const document = this.build(table, { _creationTime: this.nextCreationTime(), _id: id, ...fields });
    this.write(table, id, document);
    return document;
  }

  /** Null when there is no such document. A value that changes nothing writes nothing (section 1.3). */
  update(table: Table, id: string, change: (old: Fields) => Fields): { old: StoredDocument } | null {
    const old = this.#read(table, id);
    if (old === null) return null;
    const { _id, _creationTime } = old.value;
    const document = this.build(table, { ...change(old.value), _id, _creationTime });
    if (document.json !== old.json) this.write(table, id, document);
    else this.#countWrite(table, 0);
    return { old };
  }

  remove(table: Table, id: string): StoredDocument | null {
    const old = this.#read(table, id);
    if (old !== null) this.write(table, id, null);
    return old;
  }

  #read(table: Table, id: string): StoredDocument | null {
    return table.isSystem ? this.look(table, id) : this.get(table, id);
  }

  build(table: Table, value: Fields): StoredDocument {
    const bytes = table.isSystem
      ? getDocumentSize(value as Parameters<typeof getDocumentSize>[0])
      : checkDocument(value, table.what);
    return { id: value._id as string, value, json: textOfValue(value), bytes };
  }

  write(table: Table, id: string, after: StoredDocument | null): void {
    this.witness?.touched(table, id);
    this.#countWrite(table, after?.bytes ?? 0);
    const pending = this.#pendingOf(table);
    const earlier = pending.changes.get(id);
    const before = earlier === undefined ? table.get(id, this.begin) : earlier.before;
    this.#set(pending, { table, id, before, after });
    this.#undo.push(() => {
      if (earlier !== undefined) this.#set(pending, earlier);
      else this.#unset(pending, id);
    });
  }

  #countWrite({ isSystem }: Table, bytes: number): void {
    if (isSystem) return;
    this.meter.add("documentsWritten", 1);
    this.meter.add("bytesWritten", bytes);
  }

  #pendingOf(table: Table): Pending {
    let pending = this.#pending.get(table);
    if (pending === undefined) this.#pending.set(table, (pending = { changes: new Map(), overlays: new Map() }));
    return pending;
  }

  #set(pending: Pending, change: Change): void {
    const now = pending.changes.get(change.id)?.after ?? null;
    pending.changes.set(change.id, change);
    for (const [index, overlay] of pending.overlays) {
      if (now !== null) overlay.delete(keyIn(index, now));
      if (change.after !== null) overlay.set(keyIn(index, change.after), change.after);
    }
  }

  #unset(pending: Pending, id: string): void {
    const now = pending.changes.get(id)?.after ?? null;
    pending.changes.delete(id);
    if (now !== null) for (const [index, overlay] of pending.overlays) overlay.delete(keyIn(index, now));
  }

  /** Something outside of the tables that belongs to the transaction, and how to take it back. */
  onUndo(undo: () => void): void {
    this.#undo.push(undo);
  }

  // ── Sub-transactions and the end ──

  savepoint(): Savepoint {
    const { documentsWritten, bytesWritten } = this.meter.used;
    return { length: this.#undo.length, documentsWritten, bytesWritten };
  }

  rollback({ length, documentsWritten, bytesWritten }: Savepoint): void {
    while (this.#undo.length > length) this.#undo.pop()?.();
    this.meter.used.documentsWritten = documentsWritten;
    this.meter.used.bytesWritten = bytesWritten;
  }

  /** What is to be committed. A document that was inserted and deleted again is not in it. */
  changes(): Change[] {
    const all: Change[] = [];
    for (const { changes } of this.#pending.values()) {
      for (const change of changes.values()) if (change.before !== null || change.after !== null) all.push(change);
    }
    return all;
  }

  /** Adds what the commit of these changes costs: each document once, and its keys in every index of the user. */
  chargeWrites(changes: readonly Change[]): void {
    for (const { table, after } of changes) {
      if (table.isSystem) continue;
      const cost = this.costOf(table);
      cost.documentsWritten++;
      if (after === null) continue;
      cost.bytesWritten += after.bytes;
      for (const index of table.list) if (index.isUserDefined) cost.bytesWritten += keyIn(index, after).length;
    }
  }
}

/** Fills in the commit timestamp, in ns as bigint, where a document holds the placeholder (section 1.6). */
export function stampDocument(document: StoredDocument, ns: bigint): StoredDocument {
  if (!document.json.includes('"$commitTs"')) return document;
  const integer = convexToJson(ns);
  const stamp = (json: JSONValue): JSONValue => {
    if (typeof json !== "object" || json === null) return json;
    if (Array.isArray(json)) return json.map(stamp);
    if ("$commitTs" in json) return integer;
    return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, stamp(value)]));
  };
  const json = stamp(JSON.parse(document.json) as JSONValue);
  return { ...document, json: JSON.stringify(json), value: jsonToConvex(json) as Fields };
}

function* ownRows(
  overlay: BTree<string, StoredDocument>,
  start: string,
  end: string,
  order: "asc" | "desc",
): Generator<Found> {
  for (const [key, document] of order === "asc" ? overlay.entries(start) : overlay.entriesReversed(end)) {
    if (order === "asc" ? key >= end : key < start) return;
    if (key < end) yield [key, document];
  }
}

const DOUBLE = new Float64Array(1);
const BITS = new BigInt64Array(DOUBLE.buffer);

/** The next larger double of a positive one. */
function nextDouble(value: number): number {
  DOUBLE[0] = value;
  BITS[0] = (BITS[0] as bigint) + 1n;
  return DOUBLE[0];
}
