/**
 * The process's timers in virtual time, for convex-test: its workflows wait for timers, and waiting is not what is measured.
 *
 * Invariant: the next timer fires when nothing else can go on by itself, and in the context of whoever set it.
 */
import { AsyncResource } from "node:async_hooks";

type Timer = { at: number; order: number; run: () => void };
/** Turns of the event loop in which nothing happens before the next timer fires: the same as the tests of this repository. */
const TURNS = 4;

export class Clock {
  #now = Date.UTC(2026, 0, 1);
  #order = 0;
  readonly #timers = new Map<number, Timer>();
  readonly #turn = globalThis.setImmediate;

  install(): void {
    const now = () => this.#now;
    globalThis.Date = class extends Date {
      constructor(...args: [] | [number]) {
        if (args.length === 0) super(now());
        else super(...args);
      }
      static override now(): number {
        return now();
      }
    } as DateConstructor;
    globalThis.setTimeout = ((callback: () => void, ms = 0) => this.#set(callback, ms)) as typeof setTimeout;
    globalThis.clearTimeout = ((id: number) => this.#timers.delete(id)) as typeof clearTimeout;
  }

  async until(isOver: () => Promise<boolean>): Promise<void> {
    for (;;) {
      for (let i = 0; i < TURNS; i++) await new Promise<void>((resolve) => void this.#turn(resolve));
      if (await isOver()) return;
      const next = [...this.#timers.values()].sort((a, b) => a.at - b.at || a.order - b.order)[0];
      if (next === undefined) throw new Error("Nothing is scheduled any more.");
      this.#timers.delete(next.order);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
  }

  #set(callback: () => void, ms: number): number {
    const order = ++this.#order;
    this.#timers.set(order, { at: this.#now + ms, order, run: AsyncResource.bind(callback) });
    return order;
  }
}
