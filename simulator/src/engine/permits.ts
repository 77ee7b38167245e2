/**
 * Concurrency permits of the deployment (section 4): a fair queue per kind of function.
 * Invariants: first come, first served; one that waits longer than its patience leaves the queue without a permit.
 */
import type { Loop } from "./loop.js";

export class Permits {
  readonly limit: number;
  readonly #loop: Loop;
  readonly #waiting: Array<{ grant: () => void }> = [];
  #free: number;
  /** Most that were in use at once. */
  peak = 0;

  constructor(loop: Loop, limit: number) {
    this.#loop = loop;
    this.limit = limit;
    this.#free = limit;
  }

  get used(): number {
    return this.limit - this.#free;
  }

  /** Resolves to false when no permit came in time. */
  acquire(patienceMs: number): Promise<boolean> {
    if (this.#free > 0 && this.#waiting.length === 0) {
      this.#take();
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const timer =
        patienceMs === Infinity
          ? null
          : this.#loop.after(patienceMs, () => {
              const at = this.#waiting.indexOf(entry);
              if (at < 0) return;
              this.#waiting.splice(at, 1);
              resolve(false);
            });
      const entry = {
        grant: () => {
          timer?.cancel();
          resolve(true);
        },
      };
      this.#waiting.push(entry);
    });
  }

  release(): void {
    this.#free++;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#take();
    next.grant();
  }

  #take(): void {
    this.#free--;
    this.peak = Math.max(this.peak, this.used);
  }
}
