/**
 * What happened, in order: to explain a failure, and to compare two runs byte for byte.
 *
 * Owns: the record. Invariants: nothing in it depends on anything but the seed and the program; what is kept is bounded,
 * and all of it, kept or not, is counted and goes into the digest.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Commit, Conflict, Write } from "../store/database.js";
import type { Transaction } from "../transaction/transaction.js";
import type { Loop } from "./loop.js";

export type HistoryEvent = {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly what:
    | "begin"
    | "query"
    | "mutation"
    | "failure"
    | "commit"
    | "conflict"
    | "retry"
    | "action"
    | "job"
    | "fault"
    | "invariant";
  readonly source: string;
  readonly detail: string;
};

/** Hashed in pieces of about this many characters: a call for each event costs more than the hashing. */
const HASH_CHUNK = 32_768;
/** Of one event: a commit of thousands of rows is hashed in full and kept in part. */
const KEPT_CHARACTERS = 2_000;

export class History {
  readonly #loop: Loop;
  readonly #startMs: number;
  readonly #events: HistoryEvent[] = [];
  readonly #hash = createHash("sha256");
  #unhashed = "";
  #isSealed = false;
  /** Events that are kept, at least; up to twice as many are. */
  keep = 10_000;
  count = 0;
  commits = 0;
  conflicts = 0;
  retries = 0;
  /** "reader|writer|table" -> conflicts. */
  readonly conflictsBy = new Map<string, number>();

  constructor(loop: Loop) {
    this.#loop = loop;
    this.#startMs = loop.now();
  }

  get events(): readonly HistoryEvent[] {
    return this.#events;
  }

  /** The same for two runs exactly when they did the same. */
  digest(): string {
    return this.#hash.copy().update(this.#unhashed).digest("hex");
  }

  /** The simulation has failed: what still runs to its next await is no part of it. */
  seal(): void {
    this.#isSealed = true;
  }

  /** The last events, one a line: milliseconds since the start, what, who, details. */
  toText(lastN = 100): string {
    const shown = this.#events.slice(-lastN);
    const left = this.count - shown.length;
    const lines = shown.map(({ at, what, source, detail }) => {
      const time = (at - this.#startMs).toFixed(3).padStart(14);
      return `${time} ms  ${what.padEnd(9)} ${source}${detail === "" ? "" : `  ${detail}`}`;
    });
    return [...(left > 0 ? [`(${left} earlier events)`] : []), ...lines].join("\n");
  }

  /** An attempt has its snapshot; whether it gets a permit is another matter. */
  began(kind: "query" | "mutation", source: string, begin: number, attempt: number): void {
    this.#push("begin", source, `${kind} at ${begin}${attempt > 1 ? ` attempt ${attempt}` : ""}`);
  }

  add(what: "query" | "mutation", source: string, transaction: Transaction, ts?: number): void {
    const { begin, meter, reads } = transaction;
    const { documentsRead, documentsWritten } = meter.used;
    let intervals = "";
    for (const [index, set] of reads) intervals += ` ${index}:${set.size}`;
    this.#push(
      what,
      source,
      `begin ${begin} ts ${ts ?? "-"} read ${documentsRead} written ${documentsWritten}` +
        (intervals === "" ? "" : ` intervals${intervals}`),
    );
  }

  failed(source: string, message: string): void {
    this.#push("failure", source, message);
  }

  commit({ ts, source, writes }: Commit): void {
    this.commits++;
    let detail = String(ts);
    for (const write of writes) detail += ` ${signOf(write)}${write.table.path}:${write.id}`;
    this.#push("commit", source, detail);
  }

  conflict(source: string, { index, table, documentId, commit }: Conflict): void {
    this.conflicts++;
    const key = `${source}|${commit.source}|${table.path}`;
    this.conflictsBy.set(key, (this.conflictsBy.get(key) ?? 0) + 1);
    const name = index.slice(index.lastIndexOf(".") + 1);
    this.#push("conflict", source, `${table.path}:${documentId} in ${name} by ${commit.source} ts ${commit.ts}`);
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

  invariant(name: string, detail: string): void {
    this.#push("invariant", name, detail);
  }

  #push(what: HistoryEvent["what"], source: string, detail: string): void {
    if (this.#isSealed) return;
    const at = this.#loop.now();
    this.count++;
    this.#unhashed += `${at} ${what} ${source} ${detail}\n`;
    if (this.#unhashed.length > HASH_CHUNK) {
      this.#hash.update(this.#unhashed);
      this.#unhashed = "";
    }
    // A copy: a part of a text would hold all of it in memory.
    const kept =
      detail.length > KEPT_CHARACTERS ? `${Buffer.from(detail.slice(0, KEPT_CHARACTERS)).toString()} ...` : detail;
    this.#events.push({ at, what, source, detail: kept });
    if (this.#events.length >= 2 * this.keep) this.#events.splice(0, this.#events.length - this.keep);
  }
}

/** Inserted, deleted, or changed. */
function signOf({ before, after }: Write): string {
  return before === null ? "+" : after === null ? "-" : "~";
}
