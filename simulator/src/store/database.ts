/**
 * The database of a deployment: its namespaces, and the log of what was committed.
 *
 * Owns: timestamps and the conflict check. Timestamps are ticks of 100 ns since the deployment began, unique per commit.
 * Invariants: a transaction begins at the newest published timestamp; a commit is checked against every write with a
 * later timestamp than its begin, published or not (section 1.4); writes become visible in the order of timestamps.
 */
import { IntervalSet } from "./intervals.js";
import { Table, type Index, type IndexDefinition, type StoredDocument } from "./table.js";

export const TICKS_PER_MS = 10_000;
/** Section 12: rows that were deleted or replaced stay in the index for at least this long. */
export const TOMBSTONE_MS = 240_000;

export type Change = {
  readonly table: Table;
  readonly id: string;
  readonly before: StoredDocument | null;
  readonly after: StoredDocument | null;
};

export type Write = Change & {
  /** Keys of both in every index: what read sets are checked against. */
  readonly keys: ReadonlyArray<readonly [Index, string]>;
};

export type Commit = {
  readonly ts: number;
  /** For messages and reports: the function that wrote. */
  readonly source: string;
  readonly writes: readonly Write[];
  /** Index key -> written keys of it. */
  readonly byIndex: ReadonlyMap<string, readonly string[]>;
  published: boolean;
};

export type ReadSet = ReadonlyMap<string, IntervalSet>;
export type Conflict = {
  readonly index: string;
  readonly table: Table;
  readonly documentId: string;
  readonly commit: Commit;
};

export type TableDefinition = {
  readonly name: string;
  readonly number?: number;
  readonly indexes: readonly IndexDefinition[];
};

/** Section 8: user tables are numbered from here in every namespace. */
const FIRST_USER_TABLE = 10_001;

/** The tables of one component instance. */
export class Namespace {
  readonly path: string;
  readonly #tables = new Map<string, Table>();
  readonly #byNumber = new Map<number, Table>();
  #nextNumber = FIRST_USER_TABLE;

  constructor(path: string, tables: readonly TableDefinition[]) {
    this.path = path;
    for (const table of tables) this.add(table);
  }

  add({ name, number, indexes }: TableDefinition): Table {
    const table = new Table(`${this.path}/${name}`, name, number ?? this.#nextNumber++, indexes);
    this.#tables.set(name, table);
    this.#byNumber.set(table.number, table);
    return table;
  }

  table(name: string): Table | undefined {
    return this.#tables.get(name);
  }

  byNumber(tableNumber: number): Table | undefined {
    return this.#byNumber.get(tableNumber);
  }

  tables(): Iterable<Table> {
    return this.#tables.values();
  }
}

export class Database {
  readonly namespaces = new Map<string, Namespace>();
  /** Commits that a transaction in flight may have to be checked against, oldest first. */
  readonly #log: Commit[] = [];
  readonly #begins = new Map<number, number>();
  /** Keys whose older versions can be dropped once nobody reads them, oldest first. */
  readonly #garbage: Array<{ ts: number; write: Write }> = [];
  #garbageHead = 0;
  #lastAssigned = 0;
  #published = 0;

  get published(): number {
    return this.#published;
  }

  /** A transaction begins: its snapshot is held until {@link release}. */
  begin(): number {
    const ts = this.#published;
    this.#begins.set(ts, (this.#begins.get(ts) ?? 0) + 1);
    return ts;
  }

  release(begin: number): void {
    const count = this.#begins.get(begin) ?? 0;
    if (count > 1) this.#begins.set(begin, count - 1);
    else this.#begins.delete(begin);
  }

  /** The first write that hits what was read since `begin`, or null. */
  conflict(begin: number, reads: ReadSet): Conflict | null {
    for (let i = this.#firstAfter(begin); i < this.#log.length; i++) {
      const commit = this.#log[i] as Commit;
      const hit = hits(commit, reads);
      if (hit !== null) return hit;
    }
    return null;
  }

  /** Whether a commit has been made since `begin`, for invariants of tests. */
  commitsSince(begin: number): readonly Commit[] {
    return this.#log.slice(this.#firstAfter(begin));
  }

  /**
   * Gives a validated transaction its timestamp. From now on others conflict with it.
   * @param stamp - a document with the commit timestamp filled in where it holds the placeholder.
   */
  assign(
    source: string,
    changes: readonly Change[],
    now: number,
    stamp: (document: StoredDocument, ts: number) => StoredDocument,
  ): Commit {
    const ts = Math.max(this.#published + 1, Math.floor(now), this.#lastAssigned + 1);
    this.#lastAssigned = ts;
    const byIndex = new Map<string, string[]>();
    const writes = changes.map(({ table, id, before, after: unstamped }): Write => {
      const after = unstamped === null ? null : stamp(unstamped, ts);
      const keys = [...(before === null ? [] : table.keysOf(before)), ...(after === null ? [] : table.keysOf(after))];
      for (const [index, key] of keys) {
        const list = byIndex.get(index.key);
        if (list === undefined) byIndex.set(index.key, [key]);
        else list.push(key);
      }
      return { table, id, before, after, keys };
    });
    const commit: Commit = { ts, source, writes, byIndex, published: false };
    this.#log.push(commit);
    return commit;
  }

  /** Makes a commit visible. The caller publishes in the order of timestamps. */
  publish(commit: Commit): void {
    for (const write of commit.writes) {
      write.table.apply(write.id, write.before, write.after, commit.ts);
      if (write.before !== null) this.#garbage.push({ ts: commit.ts, write });
    }
    commit.published = true;
    this.#published = commit.ts;
    this.#collect(commit.ts);
  }

  /** Versions and log entries that are held, for the bound on memory. */
  get held(): { versions: number; commits: number } {
    let versions = 0;
    for (const namespace of this.namespaces.values()) {
      for (const table of namespace.tables()) versions += table.versionCount;
    }
    return { versions, commits: this.#log.length };
  }

  #oldestBegin(): number {
    let oldest = this.#published;
    for (const begin of this.#begins.keys()) if (begin < oldest) oldest = begin;
    return oldest;
  }

  #collect(now: number): void {
    const oldest = this.#oldestBegin();
    let done = 0;
    while (
      done < this.#log.length &&
      (this.#log[done] as Commit).ts <= oldest &&
      (this.#log[done] as Commit).published
    ) {
      done++;
    }
    // In batches: taking entries off the front one by one would move the whole list each time.
    if (done > 1_000 || done === this.#log.length) this.#log.splice(0, done);

    const horizon = Math.min(oldest, now - TOMBSTONE_MS * TICKS_PER_MS);
    while (this.#garbageHead < this.#garbage.length) {
      const { ts, write } = this.#garbage[this.#garbageHead] as { ts: number; write: Write };
      if (ts > horizon) break;
      write.table.collect(write.id, write.keys, horizon);
      this.#garbageHead++;
    }
    if (this.#garbageHead > 10_000 && this.#garbageHead * 2 > this.#garbage.length) {
      this.#garbage.splice(0, this.#garbageHead);
      this.#garbageHead = 0;
    }
  }

  #firstAfter(begin: number): number {
    let low = 0;
    let high = this.#log.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#log[middle] as Commit).ts <= begin) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function hits(commit: Commit, reads: ReadSet): Conflict | null {
  for (const [index, keys] of commit.byIndex) {
    const intervals = reads.get(index);
    if (intervals === undefined) continue;
    for (const key of keys) {
      if (!intervals.has(key)) continue;
      const write = commit.writes.find((one) => one.keys.some(([at, k]) => at.key === index && k === key)) as Write;
      return { index, table: write.table, documentId: write.id, commit };
    }
  }
  return null;
}
