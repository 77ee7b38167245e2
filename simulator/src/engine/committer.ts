/**
 * The single committer (section 1.4).
 *
 * Owns: validation in the order of arrival, and publication in the order of timestamps. Invariants: first committer
 * wins; a transaction conflicts with writes that were validated before it even while they are not published yet; the
 * answer to a commit comes after its publication.
 */
import {
  TICKS_PER_MS,
  type Change,
  type Commit,
  type Conflict,
  type Database,
  type ReadSet,
} from "../store/database.js";
import { stampDocument } from "../transaction/transaction.js";
import { connectionLost } from "../faults/lifetime.js";
import { Table } from "../store/table.js";
import type { Loop } from "./loop.js";

export type CommitResult = { kind: "committed"; ts: number } | { kind: "conflict"; conflict: Conflict };
export type CommitRequest = {
  begin: number;
  reads: ReadSet;
  changes: readonly Change[];
  /** The function that writes. */
  source: string;
};

/** Ticks of 100 ns since the start, as ns since the epoch. */
export type Epoch = { startMs: number };
export const toNanoseconds = ({ startMs }: Epoch, ts: number): bigint =>
  BigInt(startMs) * 1_000_000n + BigInt(ts) * 100n;

/** What a deploy writes, and every transaction has read: its code (section 1.2). */
const CODE = new Table("/_modules", "_modules", 0, []);

type InFlight = { commit: Commit; persisted: boolean; done: () => void; lost: (error: Error) => void };

export class Committer {
  readonly #loop: Loop;
  readonly #database: Database;
  readonly #epoch: Epoch;
  readonly #persistMs: () => number;
  /** In the order of timestamps; published from the front. */
  readonly #inFlight: InFlight[] = [];
  #lastPush: Commit | null = null;
  /** What deploys do as they become visible. */
  readonly #whenPublished = new Map<Commit, () => void>();
  /** Told of each commit that has its timestamp. */
  onAssign: ((commit: Commit) => void) | null = null;
  readonly #listeners: Array<(commit: Commit) => void> = [];
  #waiting: Array<{ commit: Commit; resolve: () => void }> = [];

  constructor(loop: Loop, database: Database, epoch: Epoch, persistMs: () => number) {
    this.#loop = loop;
    this.#database = database;
    this.#epoch = epoch;
    this.#persistMs = persistMs;
  }

  /** Called with every commit as it becomes visible. */
  onPublish(listener: (commit: Commit) => void): void {
    this.#listeners.push(listener);
  }

  /** Resolves once everybody can see it. */
  whenPublished(commit: Commit): Promise<void> {
    if (commit.published) return Promise.resolve();
    return new Promise((resolve) => void this.#waiting.push({ commit, resolve }));
  }

  commit(request: CommitRequest): Promise<CommitResult> {
    const { begin, reads, changes, source } = request;
    if (changes.length === 0) return Promise.resolve({ kind: "committed", ts: begin });
    const push = this.#lastPush;
    const conflict =
      push !== null && begin < push.ts
        ? { index: `${CODE.path}.by_id`, table: CODE, documentId: "(code)", commit: push }
        : this.#database.conflict(begin, reads);
    if (conflict !== null) return Promise.resolve({ kind: "conflict", conflict });
    return this.#persist(this.#assign(source, changes), null);
  }

  /** New code: a commit that conflicts with everything in flight. @param swap - puts it in place, as it is published. */
  async push(swap: () => void): Promise<void> {
    const commit = this.#assign("(deploy)", []);
    this.#lastPush = commit;
    await this.#persist(commit, swap);
  }

  /** The machine is gone: what was not published yet is there if it was written, and else by chance. Nobody hears of it. */
  crash(wasWritten: () => boolean): void {
    for (const { commit, persisted, lost } of this.#inFlight.splice(0)) {
      const isThere = persisted || wasWritten();
      if (isThere) this.#makeVisible(commit);
      else this.#database.discard(commit);
      lost(connectionLost(isThere));
    }
    // A push that was lost has changed nothing.
    if (this.#lastPush?.published === false) this.#lastPush = null;
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  #assign(source: string, changes: readonly Change[]): Commit {
    const now = (this.#loop.now() - this.#epoch.startMs) * TICKS_PER_MS;
    const commit = this.#database.assign(source, changes, now, (document, ts) =>
      stampDocument(document, toNanoseconds(this.#epoch, ts)),
    );
    this.onAssign?.(commit);
    return commit;
  }

  #persist(commit: Commit, whenPublished: (() => void) | null): Promise<CommitResult> {
    return new Promise((resolve, lost) => {
      const done = () => resolve({ kind: "committed", ts: commit.ts });
      const entry: InFlight = { commit, persisted: false, done, lost };
      this.#inFlight.push(entry);
      if (whenPublished !== null) this.#whenPublished.set(commit, whenPublished);
      const persistMs = this.#persistMs();
      const persist = () => {
        entry.persisted = true;
        this.#publish();
      };
      if (persistMs <= 0) persist();
      else this.#loop.after(persistMs, persist);
    });
  }

  #publish(): void {
    for (let first = this.#inFlight[0]; first?.persisted === true; first = this.#inFlight[0]) {
      this.#inFlight.shift();
      this.#makeVisible(first.commit);
      first.done();
    }
    const ready = this.#waiting.filter(({ commit }) => commit.published);
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter(({ commit }) => !commit.published);
    for (const { resolve } of ready) resolve();
  }

  #makeVisible(commit: Commit): void {
    this.#database.publish(commit);
    this.#whenPublished.get(commit)?.();
    this.#whenPublished.delete(commit);
    for (const listener of this.#listeners) listener(commit);
  }
}
