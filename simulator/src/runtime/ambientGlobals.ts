/**
 * Globals of calls that share the process with a test: time is that of the process, and the test's own code runs between
 * theirs.
 *
 * Owns: accessors in place of the globals that libraries replace while a handler runs, each of which looks up whose code
 * reads it. Invariants: a call begins with the globals as they are outside of every call; what it assigns is seen by
 * itself alone; what a test assigns (fake timers, stubs) is seen by every call that begins later; when no call runs, every
 * global is the property that it was.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { frames, type Frame } from "./frame.js";
import { refusals, REPLACEABLE, withClock, type DateClass, type Globals } from "./globals.js";

/** What the running call has assigned; undefined outside of every call. */
const assigned = new AsyncLocalStorage<Globals | undefined>();
const world = globalThis as unknown as Globals;
/** Of each accessor, what it is in place of; null where the global was inherited. */
const accessors = new WeakMap<() => unknown, () => PropertyDescriptor | null>();
const frozenDates = new WeakMap<DateClass, DateClass>();

let running = 0;

/** Runs the code of a call with globals of its own. */
export async function withAmbientGlobals<T>(frame: Frame, work: () => Promise<T>): Promise<T> {
  for (const name of REPLACEABLE) install(name);
  running++;
  try {
    if (frame.kind === "action") return await assigned.run({}, work);
    const Date = frozenDate(outside("Date"));
    return await assigned.run({ ...refusals, Date }, work);
  } finally {
    running--;
    if (running === 0) for (const name of REPLACEABLE) uninstall(name);
  }
}

/** A global as it is outside of every call. */
export function outside<Name extends "setTimeout" | "clearTimeout" | "Date">(name: Name): (typeof globalThis)[Name] {
  return assigned.run(undefined, () => globalThis[name]);
}

/** Leaves the call that is running: for what the deployment does on its own account. */
export function outsideOfCalls<T>(work: () => T): T {
  return assigned.run(undefined, () => frames.exit(work));
}

/** A test may have put something else in the accessor's place since; that becomes what is outside of every call. */
function install(name: string): void {
  let own = Object.getOwnPropertyDescriptor(world, name) ?? null;
  const found = own ?? inherited(name);
  if (found === undefined || found.configurable === false) return;
  const getter = getterOf(found);
  if (getter !== undefined && accessors.has(getter)) return;
  let base: PropertyDescriptor = found;
  const get = (): unknown => {
    const mine = assigned.getStore();
    if (mine !== undefined && name in mine) return mine[name];
    return base.get === undefined ? base.value : (base.get.call(globalThis) as unknown);
  };
  const set = (value: unknown): void => {
    const mine = assigned.getStore();
    if (mine !== undefined) mine[name] = value;
    else if (base.set === undefined) {
      own = { value, writable: true, configurable: true, enumerable: base.enumerable ?? false };
      base = own;
    } else base.set.call(globalThis, value);
  };
  accessors.set(get, () => own);
  Object.defineProperty(world, name, { get, set, configurable: true, enumerable: found.enumerable ?? false });
}

/** Unless somebody has put something else in the accessor's place. */
function uninstall(name: string): void {
  const get = getterOf(Object.getOwnPropertyDescriptor(world, name) ?? {});
  const before = get === undefined ? undefined : accessors.get(get)?.();
  if (before === undefined) return;
  if (before === null) Reflect.deleteProperty(world, name);
  else Object.defineProperty(world, name, before);
}

const getterOf = (property: { get?: () => unknown }): (() => unknown) | undefined => property.get;

function inherited(name: string): PropertyDescriptor | undefined {
  for (let from: object | null = world; from !== null; from = Object.getPrototypeOf(from) as object | null) {
    const found = Object.getOwnPropertyDescriptor(from, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Date with the clock of the call that reads it, which stands still. */
function frozenDate(base: DateClass): DateClass {
  let frozen = frozenDates.get(base);
  if (frozen === undefined) {
    frozen = withClock(base, () => {
      const frame = frames.getStore();
      return frame === undefined || frame.kind === "action" ? base.now() : frame.frozenNow;
    });
    frozenDates.set(base, frozen);
  }
  return frozen;
}
