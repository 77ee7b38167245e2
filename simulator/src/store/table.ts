/**
 * One table: every version of its documents that somebody may still read, in every index.
 *
 * Owns: MVCC. A key of an index leads to a row: its versions, newest first; one without a document is a tombstone. A
 * document has one row, which all its keys share until one of them changes: most documents are one row and one version.
 * The index by_id is filled when it is first scanned: as a rule documents are got by id, and that takes no order.
 * Invariants: a read at a timestamp sees exactly the newest versions at or before it; versions are cut only below a
 * timestamp that no transaction can begin at any more; a tombstone stays for its retention, and scans that pass it say
 * so (section 12 of the execution model).
 */
import BTreeModule from "sorted-btree";
import { AFTER, encodeKey } from "../values/keys.js";
import type { Value } from "convex/values";

// The package is CommonJS; where it is loaded as an ES module, its class is one level deeper.
type BTreeClass = typeof BTreeModule;
export const BTree = (BTreeModule as unknown as { default?: BTreeClass }).default ?? BTreeModule;
export type BTree<K, V> = BTreeModule<K, V>;

export type Fields = { readonly [field: string]: Value | undefined };

/** A document as it rests: the value, its ConvexJSON text, and its size as it is billed. */
export type StoredDocument = {
  readonly id: string;
  readonly value: Fields;
  readonly json: string;
  readonly bytes: number;
};

type Version = { readonly ts: number; readonly document: StoredDocument | null; older: Version | null };
/** `isShared`: every key of the document leads here. */
type Row = { newest: Version; isShared: boolean };
/** A document and the key it was found by. */
export type Found = readonly [key: string, document: StoredDocument];

export type IndexDefinition = { readonly name: string; readonly fields: readonly string[] };
export type Index = {
  readonly name: string;
  /** With `_creationTime`; `_id` follows in every key. */
  readonly fields: readonly string[];
  /** Fields as paths, split at their dots. */
  readonly paths: ReadonlyArray<readonly string[]>;
  /** Bytes of its keys are billed; those of by_id and by_creation_time are not. */
  readonly isUserDefined: boolean;
  /** Unique in the deployment: what read sets and write sets name it by. */
  readonly key: string;
  readonly tree: BTree<string, Row>;
};

export const BY_ID = "by_id";
export const BY_CREATION_TIME = "by_creation_time";

const compare = (a: string, b: string): number => (a < b ? -1 : a === b ? 0 : 1);

/** What one commit does to one document, with its keys in every index before and after. */
export type KeyedChange = {
  readonly id: string;
  readonly after: StoredDocument | null;
  readonly oldKeys: readonly string[] | null;
  readonly newKeys: readonly string[] | null;
};

/** What an iterator puts each entry into. One iteration at a time is between its first and last entry. */
const PAIR: [string, Row] = ["", { newest: { ts: 0, document: null, older: null }, isShared: false }];

export class Table {
  readonly name: string;
  readonly number: number;
  /** Its rows are the deployment's own: no limit of a transaction counts them, and nobody pays for them. */
  readonly isSystem: boolean;
  /** "component path/table": unique in the deployment. */
  readonly path: string;
  /** What one of its documents is called in messages. */
  readonly what: string;
  readonly indexes: ReadonlyMap<string, Index>;
  /** In the order in which keys are listed. */
  readonly list: readonly Index[];
  readonly #rows = new Map<string, Row>();
  /** 0 when the index by_id is filled. It is the first one in the list. */
  #firstFilled = 1;

  constructor(path: string, name: string, tableNumber: number, indexes: readonly IndexDefinition[]) {
    this.name = name;
    this.number = tableNumber;
    this.isSystem = name.startsWith("_");
    this.path = path;
    this.what = `A document of table "${name}"`;
    const make = (indexName: string, fields: readonly string[], isUserDefined: boolean): Index => ({
      name: indexName,
      fields,
      paths: fields.map((field) => field.split(".")),
      isUserDefined,
      key: `${path}.${indexName}`,
      tree: new BTree<string, Row>(undefined, compare),
    });
    this.list = [
      make(BY_ID, [], false),
      make(BY_CREATION_TIME, ["_creationTime"], false),
      ...indexes.map((index) => make(index.name, [...index.fields, "_creationTime"], true)),
    ];
    this.indexes = new Map(this.list.map((index) => [index.name, index]));
  }

  index(name: string): Index | undefined {
    return this.indexes.get(name);
  }

  /** The version of a document that a transaction of this begin sees. */
  get(id: string, begin: number): StoredDocument | null {
    const row = this.#rows.get(id);
    return row === undefined ? null : visible(row, begin);
  }

  /** Keys of a document in every index, in the order of the indexes. */
  keysOf(document: StoredDocument): string[] {
    return this.list.map((index) => keyIn(index, document));
  }

  /** Writes one document's change: `before` is the newest version; the keys are those of {@link keysOf}. */
  put({ id, after, oldKeys, newKeys }: KeyedChange, ts: number): void {
    const row = this.#rows.get(id);
    if (row === undefined) {
      const fresh: Row = { newest: { ts, document: after, older: null }, isShared: true };
      this.#rows.set(id, fresh);
      for (let i = this.#firstFilled; i < this.list.length; i++) {
        this.#tree(i).set((newKeys ?? oldKeys)?.[i] as string, fresh);
      }
      return;
    }
    if (row.isShared && oldKeys !== null && newKeys !== null && !isSame(oldKeys, newKeys)) this.#part(row, oldKeys);
    row.newest = { ts, document: after, older: row.newest };
    if (row.isShared) return;
    for (let i = 1; i < this.list.length; i++) {
      const tree = this.#tree(i);
      const oldKey = oldKeys?.[i];
      const newKey = newKeys?.[i];
      if (oldKey !== undefined && oldKey !== newKey) add(tree, oldKey, ts, null);
      if (newKey !== undefined) add(tree, newKey, ts, after);
    }
  }

  /** From now on each key has a row of its own, with what is known so far. In by_id the key never changes. */
  #part(row: Row, keys: readonly string[]): void {
    row.isShared = false;
    for (let i = 1; i < this.list.length; i++) {
      this.#tree(i).set(keys[i] as string, { newest: copy(row.newest), isShared: false });
    }
  }

  #tree(i: number): BTree<string, Row> {
    return (this.list[i] as Index).tree;
  }

  #filled({ name, tree }: Index): BTree<string, Row> {
    if (name === BY_ID && this.#firstFilled > 0) {
      for (const [id, row] of this.#rows) tree.set(encodeKey([id]), row);
      this.#firstFilled = 0;
    }
    return tree;
  }

  /** The first rows of a range of an index, as {@link scan} gives them. */
  page(
    index: Index,
    start: string,
    end: string,
    order: "asc" | "desc",
    begin: number,
    limit: number,
    onTombstone: () => void,
  ): Found[] {
    const found: Found[] = [];
    const tree = this.#filled(index);
    const entries = order === "asc" ? tree.entries(start, PAIR) : tree.entriesReversed(end, PAIR);
    for (let entry = entries.next(); entry.done !== true; entry = entries.next()) {
      const [key, row] = entry.value;
      if (order === "asc" ? key >= end : key < start) break;
      if (key >= end) continue;
      const document = visible(row, begin);
      if (document === null) {
        if (wasThere(row, begin)) onTombstone();
      } else if (found.push([key, document]) >= limit) break;
    }
    return found;
  }

  /**
   * Rows of an index from a key on, as a transaction of this begin sees them.
   * @param onTombstone - told of every dead row that the scan passes.
   */
  *scan(
    index: Index,
    start: string,
    end: string,
    order: "asc" | "desc",
    begin: number,
    onTombstone: () => void,
  ): Generator<Found> {
    const tree = this.#filled(index);
    const entries = order === "asc" ? tree.entries(start) : tree.entriesReversed(end);
    for (const [key, row] of entries) {
      if (order === "asc" ? key >= end : key < start) return;
      if (key >= end) continue;
      const document = visible(row, begin);
      if (document !== null) yield [key, document];
      else if (wasThere(row, begin)) onTombstone();
    }
  }

  /** Cuts versions of one document that nobody can read any more. `horizon`: the oldest begin that is still in use. */
  cut({ id, oldKeys, newKeys }: KeyedChange, horizon: number): void {
    const row = this.#rows.get(id);
    if (row === undefined) return;
    cut(row, horizon);
    if (row.isShared) return;
    for (let i = 1; i < this.list.length; i++) {
      const tree = this.#tree(i);
      const oldKey = oldKeys?.[i];
      const newKey = newKeys?.[i];
      if (newKey !== undefined) cut(tree.get(newKey), horizon);
      if (oldKey !== undefined && oldKey !== newKey) cut(tree.get(oldKey), horizon);
    }
  }

  /** Takes away what the change left dead, once nothing but a tombstone from before the horizon is there. */
  bury({ id, oldKeys, newKeys }: KeyedChange, horizon: number): void {
    if (isDead(this.#rows.get(id), horizon)) this.#rows.delete(id);
    for (let i = this.#firstFilled; i < this.list.length; i++) {
      const key = oldKeys?.[i];
      if (key === undefined || key === newKeys?.[i]) continue;
      const tree = this.#tree(i);
      if (isDead(tree.get(key), horizon)) tree.delete(key);
    }
  }

  /** Versions that are held, for the bound on memory. */
  get versionCount(): number {
    let count = 0;
    for (const row of this.#rows.values()) {
      for (let version: Version | null = row.newest; version !== null; version = version.older) count++;
    }
    return count;
  }

  /** All documents of the newest snapshot. */
  *documents(): Generator<StoredDocument> {
    for (const { newest } of this.#rows.values()) if (newest.document !== null) yield newest.document;
  }
}

export function keyIn(index: Index, { id, value }: StoredDocument): string {
  const parts: Array<Value | undefined> = [];
  for (const path of index.paths) parts.push(valueAt(value, path));
  parts.push(id);
  return encodeKey(parts);
}

export function valueAt(value: Fields, path: readonly string[]): Value | undefined {
  if (path.length === 1) return value[path[0] as string];
  let current: Value | undefined = value;
  for (const field of path) {
    if (typeof current !== "object" || current === null || Array.isArray(current) || current instanceof ArrayBuffer) {
      return undefined;
    }
    current = (current as Fields)[field];
  }
  return current;
}

/** The interval of all keys with these first fields. */
export function prefixRange(parts: readonly (Value | undefined)[]): [start: string, end: string] {
  const prefix = encodeKey(parts);
  return [prefix, prefix + AFTER];
}

/** Of a row without a visible document: whether it was there once, and is not merely newer than the snapshot. */
function wasThere({ newest }: Row, begin: number): boolean {
  let version: Version | null = newest;
  while (version !== null && version.ts > begin) version = version.older;
  return version !== null;
}

function visible({ newest }: Row, begin: number): StoredDocument | null {
  for (let version: Version | null = newest; version !== null; version = version.older) {
    if (version.ts <= begin) return version.document;
  }
  return null;
}

function add(tree: BTree<string, Row>, key: string, ts: number, document: StoredDocument | null): void {
  const row = tree.get(key);
  if (row === undefined) tree.set(key, { newest: { ts, document, older: null }, isShared: false });
  else row.newest = { ts, document, older: row.newest };
}

function copy(version: Version): Version {
  return { ...version, older: version.older === null ? null : copy(version.older) };
}

export function isSame(a: readonly string[] | null, b: readonly string[] | null): boolean {
  if (a === null || b === null) return a === b;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Drops versions below the newest at or before the horizon. */
function cut(row: Row | undefined, horizon: number): void {
  let version: Version | null = row?.newest ?? null;
  while (version !== null && version.ts > horizon) version = version.older;
  if (version !== null) version.older = null;
}

function isDead(row: Row | undefined, horizon: number): boolean {
  return row !== undefined && row.newest.document === null && row.newest.ts <= horizon;
}
