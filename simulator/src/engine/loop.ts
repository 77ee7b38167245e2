/**
 * Time, and the order in which things happen.
 *
 * Owns: the queue of events by (time, order of insertion), and when the JavaScript that an event woke has come to rest.
 * Invariants: one event at a time; the next one starts only when nothing that the last one woke can go on by itself; in
 * virtual time the clock stands still in between, and jumps.
 */

import { setImmediate as nodeSetImmediate, setTimeout as nodeSetTimeout } from "node:timers";

/** Where delays come from: the simulation's own queue, or the timers of the process (which a test may have faked). */
export type TimeMode = "virtual" | "ambient";

type Event = { time: number; order: number; task: () => void; canceled: boolean };
export type Timer = { cancel: () => void };

/** Of the process itself, whatever a test replaces later. */
const realSetImmediate = nodeSetImmediate;
const realSetTimeout = nodeSetTimeout;
/** A real operation (an import, real HTTP) that takes longer than this in real time fails the simulation. */
const REAL_PATIENCE_MS = 60_000;
/** The clock of the process, also while functions see another one. */
const realNow = performance.now.bind(performance);
/** Real time that a driver may take between two calls while it waits for a third. */
const STUCK_AFTER_MS = 500;

/** Timers of the process fire at once when they are set for longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Loop {
  readonly mode: TimeMode;
  /** Runs before and after each burst of events: the simulation's globals are in place in between. */
  enter: () => void = () => undefined;
  leave: () => void = () => undefined;
  /** The timers of the process, also while a call has replaced them for itself. */
  ambientGlobal: <Name extends "setTimeout" | "clearTimeout" | "Date">(name: Name) => (typeof globalThis)[Name] = (
    name,
  ) => globalThis[name];
  #now: number;
  #order = 0;
  readonly #ready: Event[] = [];
  #readyHead = 0;
  readonly #heap: Event[] = [];
  #waiting = 0;
  #running = false;
  /** Resolves when the burst of events that runs now is over. */
  #burst: Promise<void> = Promise.resolve();
  #realOperations = 0;
  /** Real operations during which nothing else happens. */
  #exclusiveOperations = 0;
  /** While it is not 0 the simulation stands still. */
  #outside = 0;
  /** What comes before anything else that is ready. */
  readonly #turns: Event[] = [];
  /** Of those who wait: how they learn that it was in vain. */
  readonly #failures = new Set<(error: Error) => void>();
  #stopped: Error | null = null;

  constructor(mode: TimeMode, startAt: number) {
    this.mode = mode;
    this.#now = startAt;
  }

  /** Milliseconds since the epoch, with a fraction. */
  now(): number {
    return this.mode === "virtual" ? this.#now : this.ambientGlobal("Date").now();
  }

  /** @param timer - in ambient time even no delay is a timer of the process, so that a test decides when it is over. */
  after(delayMs: number, task: () => void, timer = delayMs > 0): Timer {
    if (this.mode === "ambient") return this.#ambientAfter(delayMs, task, timer);
    const event: Event = { time: this.#now + Math.max(0, delayMs), order: this.#order++, task, canceled: false };
    if (delayMs <= 0) this.#ready.push(event);
    else push(this.#heap, event);
    if (this.#waiting > 0) this.#wake();
    return { cancel: () => void (event.canceled = true) };
  }

  /** A test that turns its own timers expects that whatever needs no time is done by then: nothing waits for a turn. */
  #ambientAfter(delayMs: number, task: () => void, timer: boolean): Timer {
    let canceled = false;
    const run = () => {
      if (!canceled) task();
    };
    if (!timer) {
      void Promise.resolve().then(run);
      return { cancel: () => void (canceled = true) };
    }
    let handle: ReturnType<typeof setTimeout>;
    const arm = (leftMs: number): void => {
      const step = Math.min(leftMs, LONGEST_TIMER_MS);
      handle = this.ambientGlobal("setTimeout")(() => (leftMs > step ? arm(leftMs - step) : run()), step);
    };
    arm(delayMs);
    return {
      cancel: () => {
        canceled = true;
        this.ambientGlobal("clearTimeout")(handle);
      },
    };
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.after(delayMs, resolve));
  }

  /** Runs events until the work has come to its end. Work that waits for nothing that can happen is an error. */
  async drive<T>(work: Promise<T>): Promise<T> {
    if (this.#stopped !== null) {
      work.catch(() => undefined);
      throw this.#stopped;
    }
    if (this.mode === "ambient") {
      const result = await work;
      this.#checkStopped();
      return result;
    }
    this.#waiting++;
    if (this.#outside === 0) this.enter();
    let fail: (error: Error) => void = () => undefined;
    const stuck = new Promise<never>((_, reject) => void (fail = reject));
    this.#failures.add(fail);
    stuck.catch(() => undefined);
    this.#wake();
    try {
      return await Promise.race([work, stuck]);
    } finally {
      this.#waiting--;
      this.#failures.delete(fail);
      if (this.#waiting === 0) {
        // The caller goes on in the world as it is outside.
        await this.#burst;
        if (!this.#running) this.leave();
      }
    }
  }

  /** Ends the simulation where it is: all that is driven, now or later, fails with this. */
  stop(error: Error): void {
    this.#stopped ??= error;
    this.#fail(this.#stopped);
  }

  #checkStopped(): void {
    if (this.#stopped !== null) throw this.#stopped;
  }

  /** Ends the simulation without a word: nothing of it happens any more, whoever may still wait. */
  async end(): Promise<void> {
    this.#stopped ??= new Error("The simulation is over.");
    await this.#burst;
    this.leave();
  }

  #fail(error: Error): void {
    for (const fail of this.#failures) fail(error);
  }

  /** Something that happens outside of the simulation, and whose end the clock waits for. */
  async real<T>(operation: Promise<T>): Promise<T> {
    if (this.mode === "ambient") return await operation;
    this.#realOperations++;
    try {
      return await operation;
    } finally {
      this.#realOperations--;
      this.#wake();
    }
  }

  /** The same of code that nothing may interrupt: no event happens meanwhile. */
  async exclusive<T>(operation: Promise<T>): Promise<T> {
    this.#exclusiveOperations++;
    try {
      return await this.real(operation);
    } finally {
      this.#exclusiveOperations--;
    }
  }

  /** Virtual time only: work outside of the simulation, in the process as it is; all events wait until it is over. */
  async outside<T>(work: () => Promise<T>): Promise<T> {
    this.#outside++;
    await this.#burst;
    this.leave();
    try {
      return await work();
    } finally {
      this.#outside--;
      if (this.#outside === 0) {
        if (this.#waiting > 0) this.enter();
        this.#wake();
      }
    }
  }

  /** Virtual time only: resolves before any other event, when all that could go on by itself has come to rest. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#turns.push({ time: this.#now, order: this.#order++, task: resolve, canceled: false });
      this.#wake();
    });
  }

  /** Virtual time only: runs all that happens in this long, and lets the clock stand at its end. */
  async advance(ms: number): Promise<void> {
    await this.drive(this.sleep(ms));
  }

  get hasRealOperations(): boolean {
    return this.#realOperations > 0;
  }

  get isIdle(): boolean {
    return this.#heap.length === 0 && !this.#isReady();
  }

  #wake(): void {
    if (this.#running || this.#outside > 0 || this.#stopped !== null) return;
    this.#running = true;
    this.#burst = this.#run();
  }

  async #run(): Promise<void> {
    this.enter();
    try {
      await settle();
      for (;;) {
        if (this.#stopped !== null) return;
        const event = this.#next();
        if (event === null) {
          if (this.#outside > 0) return;
          if (this.#realOperations > 0) {
            await this.#waitForReal();
            continue;
          }
          await settle();
          if (this.#hasNext()) continue;
          return;
        }
        if (event.canceled) continue;
        event.task();
        await settle();
      }
    } finally {
      this.#running = false;
      // While somebody waits, code of the simulation may still go on by itself, as after an import.
      if (this.#waiting === 0) this.leave();
      if (this.#hasNext()) this.#wake();
      else if (this.#waiting > 0) this.#suspect();
    }
  }

  /** Somebody waits and nothing is scheduled. What the driver does in real time may still change that, for a while. */
  #suspect(): void {
    const order = this.#order;
    realSetTimeout(() => {
      if (
        this.#stopped !== null ||
        this.#running ||
        this.#outside > 0 ||
        this.#waiting === 0 ||
        this.#order !== order ||
        this.#realOperations > 0
      )
        return;
      this.#fail(new Error("Nothing is scheduled any more, and what is waited for has not happened."));
    }, STUCK_AFTER_MS);
  }

  #hasNext(): boolean {
    if (this.#stopped !== null || this.#outside > 0) return false;
    return this.#isReady() || (this.#waiting > 0 && this.#heap.length > 0);
  }

  #isReady(): boolean {
    return this.#turns.length > 0 || this.#readyHead < this.#ready.length;
  }

  #next(): Event | null {
    if (this.#exclusiveOperations > 0 || this.#outside > 0) return null;
    const turn = this.#turns.shift();
    if (turn !== undefined) return turn;
    if (this.#readyHead < this.#ready.length) {
      const event = this.#ready[this.#readyHead++] as Event;
      if (this.#readyHead > 1_000) {
        this.#ready.splice(0, this.#readyHead);
        this.#readyHead = 0;
      }
      return event;
    }
    // What is not due yet happens only while somebody waits, and real operations come before the clock moves.
    if (this.#waiting === 0 || this.#realOperations > 0) return null;
    let event = pop(this.#heap);
    // What was canceled does not move the clock.
    while (event?.canceled === true) event = pop(this.#heap);
    if (event !== null && event.time > this.#now) this.#now = event.time;
    return event;
  }

  async #waitForReal(): Promise<void> {
    const end = realNow() + REAL_PATIENCE_MS;
    const isBlocked = () => this.#exclusiveOperations > 0 || !this.#isReady();
    while (this.#realOperations > 0 && this.#outside === 0 && isBlocked()) {
      await new Promise((resolve) => realSetTimeout(resolve, 1));
      if (realNow() > end) {
        this.#realOperations = 0;
        this.#fail(new Error(`A real operation did not end within ${REAL_PATIENCE_MS} ms.`));
        return;
      }
    }
    await settle();
  }
}

/** When this resolves, no promise callback is left that could run by itself. */
function settle(): Promise<void> {
  return new Promise((resolve) => void realSetImmediate(resolve));
}

function before(a: Event, b: Event): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}

function push(heap: Event[], event: Event): void {
  let i = heap.length;
  heap.push(event);
  while (i > 0) {
    const parent = (i - 1) >>> 1;
    const above = heap[parent] as Event;
    if (!before(event, above)) break;
    heap[i] = above;
    i = parent;
  }
  heap[i] = event;
}

function pop(heap: Event[]): Event | null {
  const top = heap[0];
  const last = heap.pop();
  if (top === undefined || last === undefined) return null;
  if (heap.length === 0) return top;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++;
    if (!before(heap[child] as Event, last)) break;
    heap[i] = heap[child] as Event;
    i = child;
  }
  heap[i] = last;
  return top;
}
