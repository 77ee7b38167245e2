/**
 * What code sees of the world while it runs.
 *
 * Owns: the globals during a query or mutation (section 9, traps 6 to 10 and 13) and, in virtual time, during everything
 * else. Invariants: a call begins with the globals as they were before any call, whatever its caller did to them; when
 * the call is over all of them are as before.
 */
import type { Loop } from "../engine/loop.js";
import type { Rng } from "../engine/rng.js";
import { performanceOf, seededCrypto } from "./entropy.js";
import { frames, type Frame, type TransactionFrame } from "./frame.js";

/** Globals that libraries replace while they run a handler, such as workflow's replay. */
export const REPLACEABLE = [
  ...["setTimeout", "clearTimeout", "setInterval", "clearInterval", "fetch", "Date", "Math", "console", "process"],
  ...["crypto", "Crypto", "CryptoKey", "SubtleCrypto", "atob", "btoa", "Request", "Response", "Headers", "URL"],
  ...["URLSearchParams", "AbortController", "TextEncoder", "TextDecoder", "structuredClone", "queueMicrotask"],
  ...["performance", "setImmediate", "clearImmediate"],
];

export type Globals = Record<string, unknown>;
const world = globalThis as unknown as Globals;
export type DateClass = typeof Date;

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

export function withClock(base: DateClass, now: () => number): DateClass {
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
export const refusals: Readonly<Globals> = {
  setTimeout: refuse("setTimeout"),
  setInterval: refuse("setInterval"),
  setImmediate: refuse("setImmediate"),
  fetch: refuse("fetch"),
};

let currentRng: Rng | null = null;
const seededRandom = (): number => (currentRng === null ? 0 : currentRng.next());
let currentLoop: Loop | null = null;
const transactionCrypto = seededCrypto(
  seededRandom,
  async (operation) => await (currentLoop === null ? operation : currentLoop.exclusive(operation)),
  true,
);
/** What performance.now of a mutation moves on by each time that it is read. */
const TICK_MS = 0.01;

const REFUSED = Object.keys(refusals);
const DATE = REPLACEABLE.indexOf("Date");

type Saved = { values: unknown[]; random: () => number; frozenNow: number; rng: Rng | null };
/** The globals as they were before the outermost call. */
let base: Saved | null = null;

/** A global as it is outside of every call, for the simulation's own use. */
export function ambient<Name extends "setTimeout" | "clearTimeout" | "Date">(name: Name): (typeof globalThis)[Name] {
  const value = base === null ? world[name] : base.values[REPLACEABLE.indexOf(name)];
  return value as (typeof globalThis)[Name];
}

function save(): Saved {
  const values: unknown[] = [];
  for (let i = 0; i < REPLACEABLE.length; i++) values.push(world[REPLACEABLE[i] as string]);
  return { values, random: Math.random, frozenNow, rng: currentRng };
}

function put({ values, random, frozenNow: now, rng }: Saved): void {
  for (let i = 0; i < REPLACEABLE.length; i++) {
    const name = REPLACEABLE[i] as string;
    if (world[name] !== values[i]) world[name] = values[i];
  }
  if (Math.random !== random) Math.random = random;
  frozenNow = now;
  currentRng = rng;
}

/** Runs the code of a query or mutation. Nothing else runs meanwhile: it waits for nothing but its own transaction. */
export async function withTransactionGlobals<T>(
  frame: TransactionFrame,
  loop: Loop,
  work: () => Promise<T>,
): Promise<T> {
  const caller = save();
  const outermost = base === null;
  if (outermost) base = caller;
  else put(base as Saved);
  for (const name of REFUSED) world[name] = refusals[name];
  world.Date = frozenDate((base as Saved).values[DATE] as DateClass);
  let elapsed = 0;
  assign("performance", performanceOf(frame.kind === "query" ? () => 0 : () => (elapsed += TICK_MS)));
  assign("crypto", transactionCrypto);
  currentLoop = loop;
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

/** Some globals have only a getter. */
function assign(name: string, value: unknown): void {
  try {
    world[name] = value;
  } catch {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
}

/** Variables that a deployment gives to every component. */
export const SYSTEM_VARIABLES = {
  CONVEX_CLOUD_URL: "https://simulated.convex.cloud",
  CONVEX_SITE_URL: "https://simulated.convex.site",
};

/** `process.env` as the component of the running call sees it; anything else sees the real one. */
export function installEnvironment(): () => void {
  if (typeof process === "undefined") return () => undefined;
  const real = process.env;
  let proxy = environments.get(real);
  if (proxy === undefined) environments.set(real, (proxy = environmentOver(real)));
  process.env = proxy;
  return () => {
    process.env = real;
  };
}

const environments = new WeakMap<NodeJS.ProcessEnv, NodeJS.ProcessEnv>();

function environmentOver(real: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const seen = () => {
    const env = frames.getStore()?.component.env;
    return env === undefined || env === null ? real : env;
  };
  return new Proxy(real, {
    get: (_, name) => {
      const value = (seen() as Record<string | symbol, string | undefined>)[name];
      if (value !== undefined || frames.getStore() === undefined) return value;
      return (SYSTEM_VARIABLES as Record<string | symbol, string>)[name];
    },
    has: (_, name) => name in seen(),
    ownKeys: () => Reflect.ownKeys(seen()),
    getOwnPropertyDescriptor: (_, name) => Reflect.getOwnPropertyDescriptor({ ...seen() }, name),
  });
}

/** Of the machine that the running action is on. */
function clockSkew(): number {
  const frame = frames.getStore();
  return frame?.kind === "action" ? frame.clockSkewMs : 0;
}

const actionCrypto = (loop: Loop): Crypto =>
  seededCrypto(
    () => frames.getStore()?.rng.next() ?? 0,
    async (operation) => await loop.real(operation),
    false,
  );

/** A global that calls see as `seen`, and everything else as it is. */
function inCalls<T extends object>(real: T, seen: Partial<T>): T {
  return new Proxy(real, {
    get: (target, name) => {
      if (frames.getStore() !== undefined && name in seen) return Reflect.get(seen, name) as unknown;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Globals of virtual time: for actions, and for the code that drives the simulation. */
export class VirtualGlobals {
  readonly #loop: Loop;
  readonly #mayRun: (frame: Frame) => boolean;
  #saved: Globals | null = null;
  #random = Math.random;
  readonly #overrides: Globals;
  /** Timers that were cleared before their time: their closures are held until then, as in Convex (section 12). */
  readonly clearedTimers = new Map<number, number>();
  #nextTimer = 1;
  readonly #timers = new Map<number, { frame: Frame | undefined; dueAt: number }>();

  /** @param mayRun - asked when a timer of a call is due. */
  constructor(loop: Loop, fetchIn: typeof fetch, mayRun: (frame: Frame) => boolean) {
    this.#loop = loop;
    this.#mayRun = mayRun;
    const startedAt = loop.now();
    this.#overrides = {
      Date: withClock(Date, () => Math.floor(loop.now() + clockSkew())),
      setTimeout: (callback: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
        this.#start(callback, ms, args, false),
      setInterval: (callback: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
        this.#start(callback, ms, args, true),
      clearTimeout: (id: number) => this.#clear(id),
      clearInterval: (id: number) => this.#clear(id),
      fetch: fetchIn,
      crypto: inCalls(globalThis.crypto, actionCrypto(loop)),
      performance: inCalls(
        globalThis.performance,
        performanceOf(() => loop.now() - startedAt + clockSkew()),
      ),
    };
  }

  install(): void {
    if (this.#saved !== null) return;
    this.#saved = {};
    for (const name in this.#overrides) {
      this.#saved[name] = world[name];
      assign(name, this.#overrides[name]);
    }
    const { random } = Math;
    this.#random = random;
    Math.random = () => frames.getStore()?.rng.next() ?? random();
  }

  uninstall(): void {
    if (this.#saved === null) return;
    for (const name in this.#saved) if (world[name] === this.#overrides[name]) assign(name, this.#saved[name]);
    Math.random = this.#random;
    this.#saved = null;
  }

  #start(callback: (...args: unknown[]) => void, ms: number, args: unknown[], repeats: boolean): number {
    const id = this.#nextTimer++;
    const frame = frames.getStore();
    const run = () => {
      if (!this.#timers.has(id)) return void this.clearedTimers.delete(id);
      const isOver = frame !== undefined && (frame.ended || !this.#mayRun(frame));
      if (repeats && !isOver) this.#loop.after(Math.max(1, ms), run);
      else this.#timers.delete(id);
      if (isOver) return;
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
