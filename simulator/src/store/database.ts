/**
 * The database of a deployment: its namespaces, and the log of what was committed.
 *
 * Owns: timestamps and the conflict check. Timestamps are ticks of 100 ns since the deployment began, unique per commit.
 * Invariants: a transaction begins at the newest published timestamp; a commit is checked against every write with a
 * later timestamp than its begin, published or not (section 1.4); writes become visible in the order of timestamps.
 */
import { Fifo } from "./fifo.js";
import { IntervalSet } from "./intervals.js";
import { isSame, Table, type Index, type IndexDefinition, type KeyedChange, type StoredDocument } from "./table.js";

export const TICKS_PER_MS = 10_000;
/** Section 12: rows that were deleted or replaced stay in the index for at least this long. */
export const TOMBSTONE_MS = 240_000;

export type Change = {
  readonly table: Table;
  readonly id: string;
  readonly before: StoredDocument | null;
  readonly after: StoredDocument | null;
};

/** With the keys of both in every index: what read sets are checked against. */
export type Write = Change & KeyedChange;

export type Commit = {
  readonly ts: number;
  /** For messages and reports: the function that wrote. */
  readonly source: string;
  /** Those of one table follow each other. */
  readonly writes: readonly Write[];
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
  readonly #log = new Fifo<Commit>();
  /** Snapshots in use and how often. They are taken in the order of time, so the first one is the oldest. */
  readonly #begins = new Map<number, number>();
  /** Writes whose older versions can be dropped once nobody reads them, oldest first. */
  readonly #stale = new Fifo<{ ts: number; write: Write }>();
  /** Keys that lead to nothing any more, and can be dropped after the retention of tombstones. */
  readonly #dead = new Fifo<{ ts: number; table: Table; change: KeyedChange }>();
  /** What the first insert into a table that no schema declares does: it makes the table, which all depend on. */
  undeclaredTables: "ignore" | "conflict" | "error" = "ignore";
  /** Tables that nobody declared and nothing was inserted into yet. */
  readonly #unmade = new Set<Table>();
  #lastMade: Conflict | null = null;
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
    if (this.#lastMade !== null && this.#lastMade.commit.ts > begin) return this.#lastMade;
    for (let i = this.#firstAfter(begin); i < this.#log.length; i++) {
      const commit = this.#log.at(i) as Commit;
      const hit = hits(commit, reads);
      if (hit !== null) return hit;
    }
    return null;
  }

  /** Whether a commit has been made since `begin`, for invariants of tests. */
  commitsSince(begin: number): readonly Commit[] {
    return this.#log.slice(this.#firstAfter(begin));
  }

  /** A table that no schema declares. Used before anything was inserted into it, it is there for readers alone. */
  addUndeclared(table: Table): void {
    if (this.undeclaredTables !== "ignore") this.#unmade.add(table);
  }

  /** Whether an insert into the table is the first one, and the table is not declared. */
  isUnmade(table: Table): boolean {
    return this.#unmade.has(table);
  }

  #make(commit: Commit): void {
    for (const { table, id } of commit.writes) {
      if (this.#unmade.delete(table)) this.#lastMade = { index: "_tables", table, documentId: id, commit };
    }
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
    const writes = changes.map(({ table, id, before, after: unstamped }): Write => {
      const after = unstamped === null ? null : stamp(unstamped, ts);
      const oldKeys = before === null ? null : table.keysOf(before);
      const newKeys = after === null ? null : table.keysOf(after);
      return { table, id, before, after, oldKeys, newKeys };
    });
    const commit: Commit = { ts, source, writes, published: false };
    if (this.#unmade.size > 0) this.#make(commit);
    this.#log.push(commit);
    return commit;
  }

  /** Takes back a commit that was never published. */
  discard(commit: Commit): void {
    this.#log.remove(commit);
  }

  /** Makes a commit visible. The caller publishes in the order of timestamps. */
  publish(commit: Commit): void {
    for (const write of commit.writes) {
      write.table.put(write, commit.ts);
      if (write.before !== null) this.#stale.push({ ts: commit.ts, write });
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

  #collect(now: number): void {
    const oldest = this.#begins.keys().next().value ?? this.#published;
    for (let first = this.#log.at(0); first?.published === true && first.ts <= oldest; first = this.#log.at(0)) {
      this.#log.shift();
    }
    for (let first = this.#stale.at(0); first !== undefined && first.ts <= oldest; first = this.#stale.at(0)) {
      this.#stale.shift();
      const { ts, write } = first;
      const { table, id, oldKeys, newKeys } = write;
      table.cut(write, oldest);
      // Without the documents: tombstones stay for long.
      if (!isSame(oldKeys, newKeys)) this.#dead.push({ ts, table, change: { id, after: null, oldKeys, newKeys } });
    }
    const horizon = Math.min(oldest, now - TOMBSTONE_MS * TICKS_PER_MS);
    for (let first = this.#dead.at(0); first !== undefined && first.ts <= horizon; first = this.#dead.at(0)) {
      this.#dead.shift();
      first.table.bury(first.change, horizon);
    }
  }

  #firstAfter(begin: number): number {
    let low = 0;
    let high = this.#log.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#log.at(middle) as Commit).ts <= begin) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function hits(commit: Commit, reads: ReadSet): Conflict | null {
  const { writes } = commit;
  for (let from = 0, to = 0; from < writes.length; from = to) {
    const { table } = writes[from] as Write;
    while (writes[to]?.table === table) to++;
    for (let i = 0; i < table.list.length; i++) {
      const index = (table.list[i] as Index).key;
      const intervals = reads.get(index);
      if (intervals === undefined) continue;
      for (let at = from; at < to; at++) {
        const { id, oldKeys, newKeys } = writes[at] as Write;
        if (isRead(intervals, oldKeys?.[i]) || isRead(intervals, newKeys?.[i])) {
          return { index, table, documentId: id, commit };
        }
      }
    }
  }
  return null;
}

function isRead(intervals: IntervalSet, key: string | undefined): boolean {
  return key !== undefined && intervals.has(key);
}
