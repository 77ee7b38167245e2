/**
 * One table: every version of its documents that somebody may still read, in every index.
 *
 * Owns: MVCC. A key of an index leads to a chain of versions, newest last; a version without a document is a tombstone.
 * Invariants: a read at a timestamp sees exactly the newest versions at or before it; chains are cut only below a
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

export type Version = { readonly ts: number; readonly document: StoredDocument | null };
type Chain = Version[];

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
  readonly tree: BTree<string, Chain>;
};

export const BY_ID = "by_id";
export const BY_CREATION_TIME = "by_creation_time";

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export class Table {
  readonly name: string;
  readonly number: number;
  /** "component path/table": unique in the deployment. */
  readonly path: string;
  readonly indexes: ReadonlyMap<string, Index>;
  readonly #list: readonly Index[];
  readonly #documents = new Map<string, Chain>();
  readonly #byId: Index;

  constructor(path: string, name: string, tableNumber: number, indexes: readonly IndexDefinition[]) {
    this.name = name;
    this.number = tableNumber;
    this.path = path;
    const make = (indexName: string, fields: readonly string[], isUserDefined: boolean): Index => ({
      name: indexName,
      fields,
      paths: fields.map((field) => field.split(".")),
      isUserDefined,
      key: `${path}.${indexName}`,
      tree: new BTree<string, Chain>(undefined, compare),
    });
    this.#byId = make(BY_ID, [], false);
    this.#list = [
      this.#byId,
      make(BY_CREATION_TIME, ["_creationTime"], false),
      ...indexes.map((index) => make(index.name, [...index.fields, "_creationTime"], true)),
    ];
    this.indexes = new Map(this.#list.map((index) => [index.name, index]));
  }

  index(name: string): Index | undefined {
    return this.indexes.get(name);
  }

  /** The version of a document that a transaction of this begin sees. */
  get(id: string, begin: number): StoredDocument | null {
    const chain = this.#documents.get(id);
    return chain === undefined ? null : visible(chain, begin);
  }

  /** Keys of a document in every index of the table. */
  keysOf(document: StoredDocument): Array<readonly [Index, string]> {
    return this.#list.map((index) => [index, keyIn(index, document)]);
  }

  /** Writes one document's change: `before` is the newest version. */
  apply(id: string, before: StoredDocument | null, after: StoredDocument | null, ts: number): void {
    push(this.#documents, id, { ts, document: after });
    for (const index of this.#list) {
      const newKey = after === null ? null : keyIn(index, after);
      if (before !== null) {
        const oldKey = keyIn(index, before);
        if (oldKey !== newKey) pushTree(index.tree, oldKey, { ts, document: null });
      }
      if (newKey !== null) pushTree(index.tree, newKey, { ts, document: after });
    }
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
  ): Generator<readonly [key: string, document: StoredDocument]> {
    const entries = order === "asc" ? index.tree.entries(start) : index.tree.entriesReversed(end);
    for (const [key, chain] of entries) {
      if (order === "asc" ? key >= end : key < start) return;
      if (key >= end) continue;
      const document = visible(chain, begin);
      if (document !== null) yield [key, document];
      else onTombstone();
    }
  }

  /** Cuts what nobody can read any more of one document's keys. `horizon`: the oldest begin that is still in use. */
  collect(id: string, keys: ReadonlyArray<readonly [Index, string]>, horizon: number): void {
    const chain = this.#documents.get(id);
    if (chain !== undefined && cut(chain, horizon)) this.#documents.delete(id);
    for (const [index, key] of keys) {
      const versions = index.tree.get(key);
      if (versions !== undefined && cut(versions, horizon)) index.tree.delete(key);
    }
  }

  /** Versions that are held, for the bound on memory. */
  get versionCount(): number {
    let count = 0;
    for (const chain of this.#documents.values()) count += chain.length;
    return count;
  }

  /** All documents of the newest snapshot. */
  *documents(): Generator<StoredDocument> {
    for (const chain of this.#documents.values()) {
      const newest = chain.at(-1)?.document ?? null;
      if (newest !== null) yield newest;
    }
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

function visible(chain: Chain, begin: number): StoredDocument | null {
  for (let i = chain.length - 1; i >= 0; i--) {
    const version = chain[i] as Version;
    if (version.ts <= begin) return version.document;
  }
  return null;
}

function push(chains: Map<string, Chain>, key: string, version: Version): void {
  const chain = chains.get(key);
  if (chain === undefined) chains.set(key, [version]);
  else chain.push(version);
}

function pushTree(tree: BTree<string, Chain>, key: string, version: Version): void {
  const chain = tree.get(key);
  if (chain === undefined) tree.set(key, [version]);
  else chain.push(version);
}

/** Drops versions below the newest at or before the horizon. True when all that is left is a tombstone from before it. */
function cut(chain: Chain, horizon: number): boolean {
  let keep = 0;
  while (keep + 1 < chain.length && (chain[keep + 1] as Version).ts <= horizon) keep++;
  if (keep > 0) chain.splice(0, keep);
  const only = chain.length === 1 ? chain[0] : undefined;
  return only !== undefined && only.document === null && only.ts <= horizon;
}
