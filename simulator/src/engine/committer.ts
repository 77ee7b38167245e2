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

export class Committer {
  readonly #loop: Loop;
  readonly #database: Database;
  readonly #epoch: Epoch;
  readonly #persistMs: () => number;
  /** In the order of timestamps; published from the front. */
  readonly #inFlight: Array<{ commit: Commit; persisted: boolean; done: () => void }> = [];
  readonly #listeners: Array<(commit: Commit) => void> = [];

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

  commit(request: CommitRequest): Promise<CommitResult> {
    const { begin, reads, changes, source } = request;
    if (changes.length === 0) return Promise.resolve({ kind: "committed", ts: begin });
    const conflict = this.#database.conflict(begin, reads);
    if (conflict !== null) return Promise.resolve({ kind: "conflict", conflict });
    const now = (this.#loop.now() - this.#epoch.startMs) * TICKS_PER_MS;
    const commit = this.#database.assign(source, changes, now, (document, ts) =>
      stampDocument(document, toNanoseconds(this.#epoch, ts)),
    );
    return new Promise((resolve) => {
      const entry = { commit, persisted: false, done: () => resolve({ kind: "committed", ts: commit.ts }) };
      this.#inFlight.push(entry);
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
      this.#database.publish(first.commit);
      for (const listener of this.#listeners) listener(first.commit);
      first.done();
    }
  }
}
