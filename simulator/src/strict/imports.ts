/**
 * The world in which modules are imported (traps 8, 13 and 44).
 *
 * Owns: what code finds while a deployment imports it. Invariants: it draws no chance, starts no timer and no request; its
 * clock and its Math.random are those of the push; code of a component finds no variables. Code that runs meanwhile, but
 * imports nothing, finds all as it is. A module that the process has imported before is not evaluated again, so of such
 * a module nothing is noticed.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Rng } from "../engine/rng.js";
import { frames } from "../runtime/frame.js";

type Import = { readonly componentPath: string; readonly now: number; readonly rng: Rng };
const imports = new AsyncLocalStorage<Import>();
const world = globalThis as unknown as Record<string, unknown>;

/** Put in by the bundler, so never a variable of the environment. */
const BUNDLED = new Set<string | symbol>(["NODE_ENV"]);

/** Imports that run. The guards are the same for all of them. */
let running = 0;
let unguard: () => void = () => undefined;

/** Runs imports of one component. */
export async function importing<T>(componentPath: string, now: number, rng: Rng, work: () => Promise<T>): Promise<T> {
  if (running++ === 0) unguard = guard();
  try {
    return await frames.exit(() => imports.run({ componentPath, now, rng }, work));
  } finally {
    if (--running === 0) {
      unguard();
      // As long as anybody could ask for it, it costs time whenever anything in the process waits for anything.
      imports.disable();
    }
  }
}

/** @returns what takes the guards away. */
function guard(): () => void {
  const before: Array<readonly [string, PropertyDescriptor | undefined]> = [];
  const put = (name: string, value: unknown) => {
    before.push([name, Object.getOwnPropertyDescriptor(world, name)]);
    Object.defineProperty(world, name, { value, configurable: true, writable: true });
  };
  for (const name of ["setTimeout", "setInterval", "fetch"]) put(name, guarded(name, world[name]));
  put("Date", pushDate(Date));
  put("crypto", pushCrypto(globalThis.crypto));
  const { random } = Math;
  Math.random = () => imports.getStore()?.rng.next() ?? random();
  const restoreEnvironment = guardEnvironment();
  return () => {
    restoreEnvironment();
    Math.random = random;
    for (const [name, descriptor] of before.reverse()) {
      if (descriptor === undefined) Reflect.deleteProperty(world, name);
      else Object.defineProperty(world, name, descriptor);
    }
  };
}

function refuse(what: string): never {
  throw new Error(`Can't use ${what} while a module is imported. Use it in a function instead.`);
}

function guarded(name: string, original: unknown): unknown {
  if (typeof original !== "function") return original;
  return new Proxy(original, {
    apply: (target, self, args) =>
      imports.getStore() === undefined ? (Reflect.apply(target, self, args) as unknown) : refuse(`${name}()`),
  });
}

/** A proxy and no subclass: dates of before and after are instances of it all the same. */
function pushDate(original: DateConstructor): DateConstructor {
  const now = () => imports.getStore()?.now ?? original.now();
  return new Proxy(original, {
    construct: (target, args, made) => {
      const date: unknown = Reflect.construct(target, args.length === 0 ? [now()] : args, made);
      return date as Date;
    },
    get: (target, name) => (name === "now" ? now : (Reflect.get(target, name) as unknown)),
  });
}

function pushCrypto(original: Crypto): Crypto {
  const bound = new Map<string | symbol, unknown>();
  return new Proxy(original, {
    get: (target, name) => {
      if (imports.getStore() !== undefined) refuse(`crypto.${String(name)}`);
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (!bound.has(name)) bound.set(name, value.bind(target));
      return bound.get(name);
    },
  });
}

function guardEnvironment(): () => void {
  if (typeof process === "undefined") return () => undefined;
  const real = process.env;
  const isHidden = (name: string | symbol) => !BUNDLED.has(name) && (imports.getStore()?.componentPath ?? "") !== "";
  process.env = new Proxy(real, {
    get: (target, name) => (isHidden(name) ? undefined : (Reflect.get(target, name) as unknown)),
    has: (target, name) => !isHidden(name) && Reflect.has(target, name),
    ownKeys: (target) => Reflect.ownKeys(target).filter((name) => !isHidden(name)),
  });
  return () => {
    process.env = real;
  };
}
