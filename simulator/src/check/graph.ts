/**
 * Whether there is a serial order that explains what every transaction read and wrote.
 *
 * Owns: the dependencies between transactions: who wrote what another one read (wr), who read what another one replaced
 * or added to its range (rw), and who replaced whose version (ww). Invariants: the order of versions comes from the writes
 * themselves, not from timestamps; there is a serial order exactly when the dependencies have no cycle. On the way each
 * read is compared with the snapshot that it should have come from. Not seen: `count()` and `useStaleSnapshot`.
 */
import { BY_ID, keyIn, type Index, type StoredDocument, type Table } from "../store/table.js";
import { documentKey, type Entry, type Run, type Violation } from "./recorder.js";
import { versionsOf, type Versions } from "./versions.js";

/** From -> to -> why `from` comes first. */
type Edges = Array<Map<number, string>>;

export function checkDependencies(history: readonly Entry[]): Violation[] {
  const { documents, forks, violations } = versionsOf(history);
  const edges: Edges = history.map(() => new Map<number, string>());
  const add = (from: number, to: number, why: string) => {
    if (from >= 0 && from !== to && edges[from]?.has(to) === false) edges[from]?.set(to, why);
  };
  for (const { a, b, id } of forks) {
    add(a, b, `rw ${id}`);
    add(b, a, `rw ${id}`);
  }
  const byTable = new Map<Table, Versions[]>();
  for (const versions of documents.values()) {
    const { table, id, list } = versions;
    byTable.set(table, [...(byTable.get(table) ?? []), versions]);
    for (let i = 2; i < list.length; i++) add(list[i - 1]?.by ?? -1, list[i]?.by ?? -1, `ww ${id}`);
  }
  for (const [reader, { run }] of history.entries()) {
    if (run === null) continue;
    violations.push(...strangers(run, documents));
    const seenIn = new Set(run.seen.values());
    for (const [table, all] of byTable) {
      if (!seenIn.has(table) && !table.list.some((index) => run.transaction.reads.has(index.key))) continue;
      for (const versions of all) {
        const position = snapshotOf(versions, history, run.transaction.begin);
        violations.push(...wrongReads(run, versions, position));
        relate(reader, run, versions, position, add);
      }
    }
  }
  const cycle = findCycle(edges);
  if (cycle !== null) violations.push({ kind: "cycle", message: describe(cycle, edges, history) });
  return violations;
}

/** Place of the version that a snapshot holds. */
function snapshotOf({ list }: Versions, history: readonly Entry[], begin: number): number {
  let position = 0;
  for (let i = 1; i < list.length; i++) {
    if ((history[list[i]?.by ?? -1]?.ts ?? Infinity) <= begin) position = i;
  }
  return position;
}

/** Versions that nobody committed: of an attempt that was undone, say. */
function strangers(run: Run, documents: ReadonlyMap<string, Versions>): Violation[] {
  const found: Violation[] = [];
  for (const [document, table] of run.seen) {
    const key = documentKey(table, document.id);
    if (run.touched.has(key)) continue;
    if (documents.get(key)?.list.some((version) => version.document === document) === true) continue;
    found.push({ kind: "dirty read", message: `A transaction of ${run.kind} read ${key} as nobody committed it.` });
  }
  return found;
}

/** Of a document that the run has not written itself it sees the version of its snapshot, in every range that holds it. */
function wrongReads(run: Run, { table, id, list }: Versions, position: number): Violation[] {
  if (table.isSystem || run.touched.has(documentKey(table, id))) return [];
  const current = list[position]?.document ?? null;
  const problem = (what: string): Violation[] => [
    { kind: "snapshot", message: `${what} ${documentKey(table, id)} at ${run.transaction.begin}.` },
  ];
  for (const version of list) {
    if (version.document !== null && version.document !== current && run.seen.has(version.document)) {
      return problem("A version that is not the snapshot's was read of");
    }
  }
  if (current !== null && !run.seen.has(current) && isInRange(run, table, current, true)) {
    return problem("A range was read without");
  }
  return [];
}

function relate(
  reader: number,
  run: Run,
  { table, id, list }: Versions,
  position: number,
  add: (from: number, to: number, why: string) => void,
): void {
  let lastSeen = -1;
  for (let i = 1; i < list.length; i++) {
    const before = list[i - 1]?.document ?? null;
    const after = list[i]?.document ?? null;
    // By what was returned, too: the ranges come from what is being checked.
    const isRead = [before, after].some(
      (document) => document !== null && (run.seen.has(document) || isInRange(run, table, document, false)),
    );
    if (!isRead) continue;
    if (i <= position) lastSeen = list[i]?.by ?? -1;
    else add(reader, list[i]?.by ?? -1, `rw ${id}`);
  }
  add(lastSeen, reader, `wr ${id}`);
}

/** @param onlyRows - leaves out ranges of ids, which are what `count()` reads without a row. */
function isInRange(run: Run, table: Table, document: StoredDocument, onlyRows: boolean): boolean {
  return table.list.some((index: Index) => {
    if (onlyRows && index.name === BY_ID) return false;
    return run.transaction.reads.get(index.key)?.has(keyIn(index, document)) === true;
  });
}

/** Entries each of which must come before the next one, and the last before the first. */
function findCycle(edges: Edges): number[] | null {
  const state = new Uint8Array(edges.length);
  const path: number[] = [];
  const visit = (at: number): number[] | null => {
    state[at] = 1;
    path.push(at);
    for (const to of edges[at]?.keys() ?? []) {
      if (state[to] === 1) return path.slice(path.indexOf(to));
      const found = state[to] === 0 ? visit(to) : null;
      if (found !== null) return found;
    }
    state[at] = 2;
    path.pop();
    return null;
  };
  for (let at = 0; at < edges.length; at++) {
    const found = state[at] === 0 ? visit(at) : null;
    if (found !== null) return found;
  }
  return null;
}

function describe(cycle: readonly number[], edges: Edges, history: readonly Entry[]): string {
  const steps = cycle.map((from, i) => {
    const to = cycle[(i + 1) % cycle.length] ?? from;
    const { source, ts, run } = history[from] as Entry;
    return `${source} (begin ${run?.transaction.begin ?? "-"}, ts ${ts}) -${edges[from]?.get(to) ?? "?"}->`;
  });
  return `No serial order: ${steps.join(" ")} the first one again.`;
}
