/**
 * Concurrency permits of the deployment (section 4): a fair queue per kind of function.
 * Invariants: first come, first served; one that waits longer than its patience leaves the queue without a permit.
 */
import type { Loop } from "./loop.js";

export class Permits {
  readonly limit: number;
  readonly #loop: Loop;
  readonly #waiting: Array<{ grant: () => void; dismiss: () => void }> = [];
  #free: number;
  /** Most that were in use at once. */
  peak = 0;
  /** How many faults hold everything that is free. */
  #exhaustions = 0;

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
    if (this.#free > 0 && this.#waiting.length === 0 && this.#exhaustions === 0) {
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
        dismiss: () => {
          timer?.cancel();
          resolve(false);
        },
      };
      this.#waiting.push(entry);
    });
  }

  release(): void {
    this.#free++;
    this.#grant();
  }

  /** A fault: for this long nobody gets a permit. Those who have one keep it. */
  exhaust(ms: number): void {
    this.#exhaustions++;
    this.#loop.after(ms, () => {
      this.#exhaustions--;
      while (this.#grant());
    });
  }

  /** Those of the machine that follows this one. */
  fresh(): Permits {
    const permits = new Permits(this.#loop, this.limit);
    permits.peak = this.peak;
    return permits;
  }

  /** The machine is gone: whoever waits here waits no longer. */
  dismiss(): void {
    for (const { dismiss } of this.#waiting.splice(0)) dismiss();
  }

  #grant(): boolean {
    if (this.#free === 0 || this.#exhaustions > 0) return false;
    const next = this.#waiting.shift();
    if (next === undefined) return false;
    this.#take();
    next.grant();
    return true;
  }

  #take(): void {
    this.#free--;
    this.peak = Math.max(this.peak, this.used);
  }
}
