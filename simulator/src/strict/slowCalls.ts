/**
 * How long the JavaScript of top-level queries and mutations took in this process (trap 46).
 *
 * Owns: the report. Invariant: it depends on the machine, so nothing of it goes into the history or into virtual time.
 */

export type SlowCall = { readonly source: string; readonly ms: number };

const KEPT = 100;
/** Of the process, whatever a function's own clock says. */
const now = globalThis.performance.now.bind(globalThis.performance);

export class SlowCalls {
  readonly #fromMs: number;
  readonly #calls: SlowCall[] = [];

  constructor(fromMs: number) {
    this.#fromMs = fromMs;
  }

  /** The slowest ones, slowest first. */
  get calls(): readonly SlowCall[] {
    return this.#calls;
  }

  /** @returns what ends the measurement. */
  start(source: string): () => void {
    const startedAt = now();
    return () => {
      const ms = now() - startedAt;
      if (ms < this.#fromMs) return;
      this.#calls.push({ source, ms });
      this.#calls.sort((a, b) => b.ms - a.ms);
      this.#calls.length = Math.min(this.#calls.length, KEPT);
    };
  }
}
