/**
 * The globals of Convex's own runtime as a module sees them while a push imports it.
 *
 * Owns: what is there, and what must not be used before a handler runs. Uses are reported and then refused with an
 * exception, as at push. There is no Node here: no `Buffer`, no `require`, of `process` only `env`, and that is empty.
 */
import vm from "node:vm";

/** What a module did while it was imported. `name` is how the author would name it. */
export type Effect = { kind: "effect"; name: string } | { kind: "env"; name: string };

const REFUSED_CALLS = ["fetch", "setTimeout", "setInterval", "setImmediate"];
const SYSCALLS = ["op", "syscall", "asyncSyscall", "jsSyscall", "asyncJsSyscall"];
const WEB = [
  "AbortController",
  "AbortSignal",
  "Blob",
  "ByteLengthQueuingStrategy",
  "CompressionStream",
  "CountQueuingStrategy",
  "CryptoKey",
  "DOMException",
  "DecompressionStream",
  "Event",
  "EventTarget",
  "File",
  "FormData",
  "Headers",
  "MessageChannel",
  "ReadableStream",
  "Request",
  "Response",
  "TextDecoder",
  "TextDecoderStream",
  "TextEncoder",
  "TextEncoderStream",
  "TransformStream",
  "URL",
  "URLSearchParams",
  "WebAssembly",
  "WritableStream",
  "atob",
  "btoa",
  "clearInterval",
  "clearTimeout",
  "queueMicrotask",
  "structuredClone",
];
/** Bound by the bundler, or there without being asked for. */
const GIVEN_ENV = new Set(["NODE_ENV", "CONVEX_CLOUD_URL", "CONVEX_SITE_URL"]);

/** Refuses whatever its members do, and names the call. */
function refusing(names: string[], prefix: string, use: (name: string) => never): Record<string, () => never> {
  return Object.fromEntries(names.map((name) => [name, () => use(`${prefix}${name}()`)]));
}

export function convexRuntime(report: (effect: Effect) => void): vm.Context {
  const refuse = (name: string): never => {
    report({ kind: "effect", name });
    throw new Error(`Can't use ${name} while a module is imported.`);
  };
  const silent = (): void => undefined;
  const { subtle } = globalThis.crypto;
  const globals: Record<string, unknown> = {
    ...Object.fromEntries(WEB.map((name) => [name, (globalThis as Record<string, unknown>)[name]])),
    ...refusing(REFUSED_CALLS, "", refuse),
    console: new Proxy({}, { get: () => silent }),
    performance: { now: () => 0, timeOrigin: 0 },
    navigator: { userAgent: "Convex/1.0" },
    crypto: {
      ...refusing(["getRandomValues", "randomUUID"], "crypto.", refuse),
      subtle: new Proxy(subtle, {
        get: (_, key) => (key === "generateKey" ? () => refuse("crypto.subtle.generateKey()") : bound(subtle, key)),
      }),
    },
    process: { env: emptyEnv(report) },
    Convex: Object.fromEntries(
      SYSCALLS.map((name) => [
        name,
        (op: unknown) => refuse(`the database or another service of Convex (${String(op)})`),
      ]),
    ),
    AsyncLocalStorage: class {
      getStore(): undefined {
        return undefined;
      }
      run(_store: unknown, run: (...args: unknown[]) => unknown, ...args: unknown[]): unknown {
        return run(...args);
      }
    },
  };
  const context = vm.createContext(globals);
  globals["self"] = vm.runInContext("globalThis", context);
  return context;
}

function bound(owner: object, key: string | symbol): unknown {
  const value: unknown = Reflect.get(owner, key);
  return typeof value === "function" ? (value.bind(owner) as unknown) : value;
}

function emptyEnv(report: (effect: Effect) => void): object {
  const look = (key: string | symbol): undefined => {
    if (typeof key === "string" && !GIVEN_ENV.has(key)) report({ kind: "env", name: key });
    return undefined;
  };
  return new Proxy({}, { get: (_, key) => look(key), has: (_, key) => look(key) !== undefined });
}

/** A file with "use node" runs in Node, with everything. */
export function nodeRuntime(): vm.Context {
  const names = Object.getOwnPropertyNames(globalThis).filter((name) => !(name in BUILT_IN));
  return vm.createContext(
    Object.fromEntries(names.map((name) => [name, (globalThis as Record<string, unknown>)[name]])),
  );
}

const BUILT_IN = vm.runInNewContext(
  "Object.fromEntries(Object.getOwnPropertyNames(globalThis).map((name) => [name, 1]))",
) as object;
