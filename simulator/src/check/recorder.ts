/**
 * A record of a deployment's transactions, for the checks of this folder.
 *
 * Owns: what each attempt saw and did, as the database handed it out and not as the validator remembers it. Invariant: a
 * commit is recorded once, whether a function made it or the deployment itself (which has no run).
 */
import type { JSONValue } from "convex/values";
import type { Deployment } from "../engine/deployment.js";
import type { Attempt, Start } from "../engine/transactions.js";
import type { Change, Commit } from "../store/database.js";
import type { StoredDocument, Table } from "../store/table.js";
import type { Transaction } from "../transaction/transaction.js";

/** One attempt of a function. */
export type Run = {
  readonly attempt: Attempt;
  readonly kind: "query" | "mutation";
  readonly start: Start;
  readonly transaction: Transaction;
  /** Versions that reads returned, its own ones included. */
  readonly seen: Map<StoredDocument, Table>;
  /** Documents that it wrote to, whether or not that was undone. */
  readonly touched: Set<string>;
  readonly changes: readonly Change[];
  readonly result: JSONValue;
};

/** What was committed: by a run, or by the deployment itself. A run that wrote nothing has no commit. */
export type Entry = {
  /** Of the commit, or of the snapshot where nothing was written. */
  readonly ts: number;
  readonly source: string;
  readonly run: Run | null;
  readonly commit: Commit | null;
};

export class Recorder {
  readonly deployment: Deployment;
  /** Attempts that lost or failed. */
  readonly aborted: Run[] = [];
  readonly #running = new Map<Transaction, Omit<Run, "changes" | "result">>();
  readonly #committed: Array<{ ts: number; run: Run }> = [];
  readonly #commits: Commit[] = [];

  /** Records from now on: a replay needs all that ever happened, so a recorder comes before the first call. */
  constructor(deployment: Deployment) {
    this.deployment = deployment;
    deployment.committer.onPublish((commit) => void this.#commits.push(commit));
    deployment.transactions.observer = {
      running: (transaction, attempt, kind, start) => {
        const seen = new Map<StoredDocument, Table>();
        const touched = new Set<string>();
        transaction.witness = {
          saw: (table, document) => void seen.set(document, table),
          touched: (table, id) => void touched.add(documentKey(table, id)),
        };
        this.#running.set(transaction, { attempt, kind, start, transaction, seen, touched });
      },
      ended: (transaction, ts, changes, result) => {
        const running = this.#running.get(transaction);
        if (running === undefined) return;
        this.#running.delete(transaction);
        const run: Run = { ...running, changes, result };
        if (ts === null) this.aborted.push(run);
        else this.#committed.push({ ts, run });
      },
    };
  }

  /** In the order of commits; what wrote nothing follows the commit that its snapshot ends with. */
  history(): Entry[] {
    const writers = new Map(
      this.#committed.filter(({ run }) => run.changes.length > 0).map((one) => [one.ts, one.run]),
    );
    const entries = this.#commits.map((commit): Entry => ({
      ts: commit.ts,
      source: commit.source,
      run: writers.get(commit.ts) ?? null,
      commit,
    }));
    for (const { ts, run } of this.#committed) {
      if (run.changes.length === 0) entries.push({ ts, source: nameOfRun(run), run, commit: null });
    }
    return entries.sort((a, b) => a.ts - b.ts || (a.commit === null ? 1 : 0) - (b.commit === null ? 1 : 0));
  }
}

export const documentKey = (table: Table, id: string): string => `${table.path}/${id}`;

export function nameOfRun({ attempt: { target } }: Run): string {
  return "fn" in target ? target.fn.name : target.name;
}

export type Violation = {
  readonly kind: "cycle" | "dirty read" | "snapshot" | "versions" | "replay" | "state";
  readonly message: string;
};
