/**
 * Running one effect with a deadline, and watching over all of them.
 *
 * Owns: abort, timeouts, and the watch that notices a cancel and renews the lease while effects are in flight.
 * Invariant: when an effect is given up, nothing of it is waited for, recorded or kept but its own promise, which is
 * counted in {@link Effects.late} until it settles: `ctx.runAction` cannot be aborted, fetch can and is.
 */
import { RENEW_INTERVAL_MS, SECOND } from "../shared/limits.js";
import type { StretchPorts } from "./ports.js";
import type { Ticker } from "./ticker.js";

/** How often the database is asked whether the execution was canceled, growing while effects are in flight. */
const FIRST_LOOK_MS = 2 * SECOND;
const LAST_LOOK_MS = 5 * SECOND;

export type EffectEnd<T> =
  { kind: "done"; value: T } | { kind: "threw"; error: unknown } | { kind: "timeout" } | { kind: "abandoned" };

export class Effects {
  readonly #ports: StretchPorts;
  readonly #ticker: Ticker;
  readonly #onLost: () => void;
  readonly #running = new Map<string, { isTransaction: boolean; giveUp: () => void }>();
  #stopWatch: (() => void) | null = null;
  #isLooking = false;
  #renewedAt: number;
  /** Effects given up whose promise has not settled. */
  late = 0;

  constructor(ports: StretchPorts, ticker: Ticker, onLost: () => void) {
    this.#ports = ports;
    this.#ticker = ticker;
    this.#onLost = onLost;
    this.#renewedAt = ports.now();
  }

  /** A checkpoint is a sign of life, too. */
  renewed(): void {
    this.#renewedAt = this.#ports.now();
  }

  /** @param timeoutMs - Infinity for a transaction, which ends by Convex's own limits and records itself. */
  async run<T>(key: string, timeoutMs: number, effect: (signal: AbortSignal) => Promise<T> | T): Promise<EffectEnd<T>> {
    const controller = new AbortController();
    return await new Promise<EffectEnd<T>>((resolve) => {
      let open = true;
      const close = (end: EffectEnd<T>) => {
        if (!open) return;
        open = false;
        forget();
        this.#running.delete(key);
        if (this.#running.size === 0) this.#endWatch();
        if (end.kind === "timeout" || end.kind === "abandoned") {
          this.late++;
          controller.abort();
        }
        resolve(end);
      };
      const settle = (end: EffectEnd<T>) => {
        if (open) close(end);
        else this.late--;
      };
      const forget = this.#ticker.at(this.#ports.now() + timeoutMs, () => close({ kind: "timeout" }));
      this.#running.set(key, { isTransaction: timeoutMs === Infinity, giveUp: () => close({ kind: "abandoned" }) });
      this.#watch(FIRST_LOOK_MS);
      void (async () => effect(controller.signal))().then(
        (value) => settle({ kind: "done", value }),
        (error: unknown) => settle({ kind: "threw", error }),
      );
    });
  }

  /** Gives up the effects whose key matches; returns the keys of those that will not record themselves. */
  abandon(matches: (key: string) => boolean): string[] {
    const matching = [...this.#running].filter(([key]) => matches(key));
    for (const [, effect] of matching) effect.giveUp();
    return matching.filter(([, effect]) => !effect.isTransaction).map(([key]) => key);
  }

  #watch(delay: number): void {
    if (this.#stopWatch !== null || this.#isLooking) return;
    this.#stopWatch = this.#ticker.at(this.#ports.now() + delay, () => void this.#look(delay));
  }

  async #look(delay: number): Promise<void> {
    this.#stopWatch = null;
    this.#isLooking = true;
    let owner = true;
    try {
      if (this.#ports.now() - this.#renewedAt >= RENEW_INTERVAL_MS) {
        owner = await this.#ports.renew();
        this.renewed();
      } else {
        owner = await this.#ports.isOwner();
      }
    } catch (error) {
      // A look that fails says nothing about the lease; the next one, or the fence of the next checkpoint, will.
      this.#ports.log("warn", `could not look whether the execution was canceled: ${String(error)}`);
    }
    this.#isLooking = false;
    if (!owner) this.#onLost();
    else if (this.#running.size > 0) this.#watch(Math.min(delay * 1.5, LAST_LOOK_MS));
  }

  #endWatch(): void {
    this.#stopWatch?.();
    this.#stopWatch = null;
  }
}
