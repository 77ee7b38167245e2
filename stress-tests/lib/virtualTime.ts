/**
 * Runs work in virtual time: timers and dates of this process follow a clock that moves when nothing else can.
 *
 * Owns: the globals while the work runs. So a minute of load takes as long as its computing, and every duration is exact:
 * the same seed gives the same run. One piece of work at a time.
 */
import { AsyncResource } from "node:async_hooks";
import { VirtualClock } from "../../test/support/virtualClock.js";
import { seededRandom } from "./random.js";

const BEGINNING = Date.UTC(2026, 0, 1);

let isRunning = false;

export async function inVirtualTime<T>(seed: number, work: (clock: VirtualClock) => Promise<T>): Promise<T> {
  if (isRunning) throw new Error("Virtual time is one for the whole process: wait for the other run to end.");
  isRunning = true;
  const { setTimeout, clearTimeout, setInterval, clearInterval, Date } = globalThis;
  const { random } = Math;
  const clock = new VirtualClock();
  clock.advanceTo(BEGINNING);
  Object.assign(globalThis, { ...timersOf(clock), Date: dateOf(clock) });
  Math.random = seededRandom(seed);
  try {
    return await clock.until(work(clock));
  } finally {
    Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval, Date });
    Math.random = random;
    isRunning = false;
  }
}

function timersOf(clock: VirtualClock) {
  const stops = new Map<number, () => void>();
  let lastId = 0;
  const arm = (id: number, callback: () => void, ms: number, repeats: boolean): void => {
    const fire = () => {
      if (repeats) arm(id, callback, ms, true);
      else stops.delete(id);
      callback();
    };
    stops.set(id, clock.setTimer(fire, ms));
  };
  const set =
    (repeats: boolean) =>
    (callback: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): number => {
      const id = ++lastId;
      // As with timers of Node, the callback belongs to whoever set it: convex-test knows its callers by that.
      const call = AsyncResource.bind(() => callback(...args));
      arm(id, call, repeats ? Math.max(1, ms) : ms, repeats);
      return id;
    };
  const clear = (id: number | undefined): void => {
    if (id === undefined) return;
    stops.get(id)?.();
    stops.delete(id);
  };
  return { setTimeout: set(false), clearTimeout: clear, setInterval: set(true), clearInterval: clear };
}

function dateOf(clock: VirtualClock): DateConstructor {
  return new Proxy(Date, {
    construct: (target, args: unknown[], newTarget) =>
      Reflect.construct(target, args.length === 0 ? [clock.now] : args, newTarget) as Date,
    apply: () => new Date(clock.now).toString(),
    get: (target, key, receiver): unknown => (key === "now" ? () => clock.now : Reflect.get(target, key, receiver)),
  });
}
