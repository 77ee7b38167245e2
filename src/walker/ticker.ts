/**
 * One periodic tick and a map of deadlines, instead of a timer per node.
 *
 * In the Convex runtime a cleared timer keeps its closure until its time, so a two-minute timeout per node would hold
 * every node's data for two minutes. Here at most one timer of at most TICK_MS exists, and only while a deadline does.
 */
export const TICK_MS = 250;

type Clock = { now(): number; setTimer(callback: () => void, ms: number): () => void };

export class Ticker {
  readonly #clock: Clock;
  readonly #deadlines = new Map<symbol, { at: number; callback: () => void }>();
  #stopTimer: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Number of deadlines that are pending; zero after a stretch, or something leaks. */
  get pending(): number {
    return this.#deadlines.size;
  }

  /** Calls back at the given time, within one tick. The returned function forgets it. */
  at(time: number, callback: () => void): () => void {
    const id = Symbol("deadline");
    this.#deadlines.set(id, { at: time, callback });
    this.#arm();
    return () => {
      this.#deadlines.delete(id);
      if (this.#deadlines.size === 0) this.stop();
    };
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.at(this.#clock.now() + ms, resolve);
    });
  }

  stop(): void {
    this.#stopTimer?.();
    this.#stopTimer = null;
  }

  #arm(): void {
    if (this.#stopTimer !== null || this.#deadlines.size === 0) return;
    let nearest = Infinity;
    for (const { at } of this.#deadlines.values()) nearest = Math.min(nearest, at);
    const ms = Math.min(TICK_MS, Math.max(0, nearest - this.#clock.now()));
    this.#stopTimer = this.#clock.setTimer(() => {
      this.#stopTimer = null;
      const now = this.#clock.now();
      for (const [id, deadline] of [...this.#deadlines]) {
        if (deadline.at > now) continue;
        this.#deadlines.delete(id);
        deadline.callback();
      }
      this.#arm();
    }, ms);
  }
}
