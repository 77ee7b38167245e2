/**
 * What code sees of the world while it runs.
 *
 * Owns: the globals during a query or mutation (section 9, traps 6 to 10 and 13) and, in virtual time, during everything
 * else. Invariants: a call begins with the globals as they were before any call, whatever its caller did to them; when
 * the call is over all of them are as before.
 */
import type { Loop } from "../engine/loop.js";
import type { Rng } from "../engine/rng.js";
import { frames, type Frame, type TransactionFrame } from "./frame.js";

/** Globals that libraries replace while they run a handler, such as workflow's replay. */
const REPLACEABLE = [
  ...["setTimeout", "clearTimeout", "setInterval", "clearInterval", "fetch", "Date", "Math", "console", "process"],
  ...["crypto", "Crypto", "CryptoKey", "SubtleCrypto", "atob", "btoa", "Request", "Response", "Headers", "URL"],
  ...["URLSearchParams", "AbortController", "TextEncoder", "TextDecoder", "structuredClone", "queueMicrotask"],
  ...["performance", "setImmediate", "clearImmediate"],
];

type Globals = Record<string, unknown>;
const world = globalThis as unknown as Globals;
type DateClass = typeof Date;

let frozenNow = 0;
const frozenDates = new WeakMap<DateClass, DateClass>();

/** Date with a clock that stands still. One class for each that tests may have put in place of the real one. */
function frozenDate(base: DateClass): DateClass {
  let frozen = frozenDates.get(base);
  if (frozen === undefined) {
    frozen = withClock(base, () => frozenNow);
    frozenDates.set(base, frozen);
  }
  return frozen;
}

function withClock(base: DateClass, now: () => number): DateClass {
  return class extends base {
    constructor(...args: [] | [number]) {
      if (args.length === 0) super(now());
      else super(...args);
    }
    static override now(): number {
      return now();
    }
  } as DateClass;
}

const refuse = (name: string) => () => {
  throw new Error(
    `Can't use ${name}() in queries and mutations. Please consider using an action. See https://docs.convex.dev/functions/actions for more details.`,
  );
};
const REFUSED: Globals = {
  setTimeout: refuse("setTimeout"),
  setInterval: refuse("setInterval"),
  setImmediate: refuse("setImmediate"),
  fetch: refuse("fetch"),
};

let currentRng: Rng | null = null;
const seededRandom = (): number => (currentRng === null ? 0 : currentRng.next());
const realCrypto = globalThis.crypto;
const seededCrypto = {
  subtle: realCrypto.subtle,
  getRandomValues<T extends ArrayBufferView>(array: T): T {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(seededRandom() * 256);
    return array;
  },
  randomUUID: (): string => uuid(seededRandom),
};

function uuid(random: () => number): string {
  const hex = Array.from({ length: 32 }, (_, i) => {
    const digit = Math.floor(random() * 16);
    return (i === 12 ? 4 : i === 16 ? (digit & 3) | 8 : digit).toString(16);
  }).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

type Saved = { values: unknown[]; random: () => number; frozenNow: number; rng: Rng | null };
/** The globals as they were before the outermost call. */
let base: Saved | null = null;

/** A global as it is outside of every call, for the simulation's own use. */
export function ambient<Name extends "setTimeout" | "clearTimeout" | "Date">(name: Name): (typeof globalThis)[Name] {
  const value = base === null ? world[name] : base.values[REPLACEABLE.indexOf(name)];
  return value as (typeof globalThis)[Name];
}

function save(): Saved {
  return { values: REPLACEABLE.map((name) => world[name]), random: Math.random, frozenNow, rng: currentRng };
}

function put({ values, random, frozenNow: now, rng }: Saved): void {
  for (const [i, name] of REPLACEABLE.entries()) if (world[name] !== values[i]) world[name] = values[i];
  if (Math.random !== random) Math.random = random;
  frozenNow = now;
  currentRng = rng;
}

/** Runs the code of a query or mutation. Nothing else runs meanwhile: it waits for nothing but its own transaction. */
export async function withTransactionGlobals<T>(frame: TransactionFrame, work: () => Promise<T>): Promise<T> {
  const caller = save();
  const outermost = base === null;
  if (outermost) base = caller;
  else put(base as Saved);
  for (const [name, refused] of Object.entries(REFUSED)) world[name] = refused;
  world.Date = frozenDate((base as Saved).values[REPLACEABLE.indexOf("Date")] as DateClass);
  setCrypto(seededCrypto);
  Math.random = seededRandom;
  frozenNow = frame.frozenNow;
  currentRng = frame.rng;
  try {
    return await work();
  } finally {
    put(caller);
    if (outermost) base = null;
  }
}

function setCrypto(value: unknown): void {
  try {
    world.crypto = value;
  } catch {
    Object.defineProperty(globalThis, "crypto", { value, configurable: true, writable: true });
  }
}

/** `process.env` as the component of the running call sees it; anything else sees the real one. */
export function installEnvironment(): () => void {
  if (typeof process === "undefined") return () => undefined;
  const real = process.env;
  const seen = () => {
    const env = frames.getStore()?.component.env;
    return env === undefined || env === null ? real : env;
  };
  process.env = new Proxy(real, {
    get: (_, name) => (seen() as Record<string | symbol, string | undefined>)[name],
    has: (_, name) => name in seen(),
    ownKeys: () => Reflect.ownKeys(seen()),
    getOwnPropertyDescriptor: (_, name) => Reflect.getOwnPropertyDescriptor({ ...seen() }, name),
  });
  return () => {
    process.env = real;
  };
}

/** Globals of virtual time: for actions, and for the code that drives the simulation. */
export class VirtualGlobals {
  readonly #loop: Loop;
  #saved: Globals | null = null;
  readonly #overrides: Globals;
  /** Timers that were cleared before their time: their closures are held until then, as in Convex (section 12). */
  readonly clearedTimers = new Map<number, number>();
  #nextTimer = 1;
  readonly #timers = new Map<number, { frame: Frame | undefined; dueAt: number }>();

  constructor(loop: Loop, fetchIn: typeof fetch) {
    this.#loop = loop;
    this.#overrides = {
      Date: withClock(Date, () => Math.floor(loop.now())),
      setTimeout: (callback: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
        this.#start(callback, ms, args, false),
      setInterval: (callback: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
        this.#start(callback, ms, args, true),
      clearTimeout: (id: number) => this.#clear(id),
      clearInterval: (id: number) => this.#clear(id),
      fetch: fetchIn,
    };
  }

  install(): void {
    if (this.#saved !== null) return;
    this.#saved = Object.fromEntries(Object.keys(this.#overrides).map((name) => [name, world[name]]));
    Object.assign(world, this.#overrides);
  }

  uninstall(): void {
    if (this.#saved === null) return;
    for (const [name, value] of Object.entries(this.#saved))
      if (world[name] === this.#overrides[name]) world[name] = value;
    this.#saved = null;
  }

  #start(callback: (...args: unknown[]) => void, ms: number, args: unknown[], repeats: boolean): number {
    const id = this.#nextTimer++;
    const frame = frames.getStore();
    const run = () => {
      if (!this.#timers.has(id)) return void this.clearedTimers.delete(id);
      if (repeats) this.#loop.after(Math.max(1, ms), run);
      else this.#timers.delete(id);
      if (frame?.ended === true) return;
      if (frame === undefined) callback(...args);
      else frames.run(frame, () => callback(...args));
    };
    this.#timers.set(id, { frame, dueAt: this.#loop.now() + ms });
    this.#loop.after(Math.max(0, ms), run);
    return id;
  }

  #clear(id: number): void {
    const timer = this.#timers.get(id);
    if (timer === undefined) return;
    this.#timers.delete(id);
    this.clearedTimers.set(id, timer.dueAt);
  }
}
