/**
 * Waiting for a later attempt, without holding the stretch when nothing else is running.
 *
 * Each drive that has to wait pauses here. When every live drive is paused and the next one is not due soon, all are
 * told to park: the stretch ends and a wait row in the database takes over.
 */
import { IN_PROCESS_BACKOFF_MS } from "../shared/limits.js";
import type { Ticker } from "./ticker.js";

export type PauseEnd = "due" | "parked";

export class Pauses {
  readonly #ticker: Ticker;
  readonly #now: () => number;
  readonly #waiting = new Map<symbol, { at: number; end: (how: PauseEnd) => void }>();

  constructor(ticker: Ticker, now: () => number) {
    this.#ticker = ticker;
    this.#now = now;
  }

  /** Resolves when the time has come, or when the stretch had better end. */
  pause(until: number, liveDrives: () => number): Promise<PauseEnd> {
    return new Promise((resolve) => {
      const id = Symbol("pause");
      const forget = this.#ticker.at(until, () => end("due"));
      const end = (how: PauseEnd) => {
        forget();
        this.#waiting.delete(id);
        resolve(how);
      };
      this.#waiting.set(id, { at: until, end });
      this.settle(liveDrives());
    });
  }

  /** Call when a drive ended or paused. */
  settle(liveDrives: number): void {
    if (this.#waiting.size === 0 || this.#waiting.size < liveDrives) return;
    const next = Math.min(...[...this.#waiting.values()].map((w) => w.at));
    if (next - this.#now() > IN_PROCESS_BACKOFF_MS) this.parkAll();
  }

  parkAll(): void {
    for (const waiting of [...this.#waiting.values()]) waiting.end("parked");
  }
}
