/**
 * A clock that moves only when nothing else can: first everything runs that needs no time, then the next timer fires.
 *
 * Owns no timers of the runtime, so many clocks can be used in one test process, and an hour of backoff costs nothing.
 */
type Timer = { at: number; order: number; callback: () => void };

/** Turns of the event loop in which nothing happens before a stop is taken for a deadlock. */
const IDLE_TURNS = 50;

export class VirtualClock {
  now = 0;
  readonly #timers = new Set<Timer>();
  #order = 0;

  setTimer(callback: () => void, ms: number): () => void {
    const timer = { at: this.now + Math.max(0, ms), order: this.#order++, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.setTimer(resolve, ms));
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }

  advanceTo(time: number): void {
    this.now = Math.max(this.now, time);
  }

  /** Drives time until the promise settles. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = () => {
      settled = true;
    };
    promise.then(done, done);
    for (let idle = 0; ;) {
      await turn();
      if (settled) return await promise;
      if (this.#fireNext()) idle = 0;
      else if (++idle > IDLE_TURNS) throw new Error("nothing will happen any more, and the promise has not settled");
    }
  }

  /** Lets pass as much time, firing what falls into it. */
  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      await turn();
      const next = this.#next();
      if (next === undefined || next.at > end) break;
      this.#fire(next);
    }
    this.now = end;
  }

  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer;
    }
    return next;
  }

  #fireNext(): boolean {
    const next = this.#next();
    if (next !== undefined) this.#fire(next);
    return next !== undefined;
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer);
    this.now = Math.max(this.now, timer.at);
    timer.callback();
  }
}

/** One turn of the event loop: all promises that can settle do. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
