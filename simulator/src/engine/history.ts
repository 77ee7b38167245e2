/**
 * What happened, in order: for reports, for checks after every commit, and to compare two runs byte for byte.
 *
 * Owns: the record. Invariant: nothing in it depends on anything but the seed and the program.
 */
import { createHash } from "node:crypto";
import type { Commit, Conflict } from "../store/database.js";
import type { Transaction } from "../transaction/transaction.js";
import type { Loop } from "./loop.js";

export type HistoryEvent = {
  readonly at: number;
  readonly what: "query" | "mutation" | "commit" | "conflict" | "retry" | "action" | "job" | "fault";
  readonly source: string;
  readonly detail: string;
};

export class History {
  readonly #loop: Loop;
  readonly #events: HistoryEvent[] = [];
  readonly #hash = createHash("sha256");
  /** Events that are kept; all of them are counted and hashed. */
  keep = 10_000;
  count = 0;
  conflicts = 0;
  retries = 0;
  /** "reader|writer|table" -> conflicts. */
  readonly conflictsBy = new Map<string, number>();

  constructor(loop: Loop) {
    this.#loop = loop;
  }

  get events(): readonly HistoryEvent[] {
    return this.#events;
  }

  /** The same for two runs exactly when they did the same. */
  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  add(what: "query" | "mutation", source: string, { begin, meter }: Transaction, ts?: number): void {
    const { documentsRead, documentsWritten } = meter.used;
    this.#push(what, source, `begin ${begin} ts ${ts ?? "-"} read ${documentsRead} written ${documentsWritten}`);
  }

  commit({ ts, source, writes }: Commit): void {
    this.#push("commit", source, `${ts} ${writes.map(({ table, id }) => `${table.path}:${id}`).join(" ")}`);
  }

  conflict(source: string, { table, documentId, commit }: Conflict): void {
    this.conflicts++;
    const key = `${source}|${commit.source}|${table.path}`;
    this.conflictsBy.set(key, (this.conflictsBy.get(key) ?? 0) + 1);
    this.#push("conflict", source, `${table.path}:${documentId} by ${commit.source}`);
  }

  retry(source: string, attempt: number, why: string): void {
    this.retries++;
    this.#push("retry", source, `attempt ${attempt} failed: ${why}`);
  }

  action(source: string, detail: string): void {
    this.#push("action", source, detail);
  }

  job(source: string, detail: string): void {
    this.#push("job", source, detail);
  }

  fault(source: string, detail: string): void {
    this.#push("fault", source, detail);
  }

  #push(what: HistoryEvent["what"], source: string, detail: string): void {
    const event = { at: this.#loop.now(), what, source, detail };
    this.count++;
    this.#hash.update(`${event.at} ${what} ${source} ${detail}\n`);
    this.#events.push(event);
    if (this.#events.length > 2 * this.keep) this.#events.splice(0, this.keep);
  }
}
