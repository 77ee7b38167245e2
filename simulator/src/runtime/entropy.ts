/**
 * `crypto` and `performance` as functions see them (section 9, traps 6, 8 and 10).
 *
 * Owns: where a call's random bytes come from, and which operations of `crypto.subtle` it may use. Invariants: chance is
 * the call's own seed; a query or mutation makes nothing that would need more of it; the simulation waits for operations
 * that the process does in threads of its own.
 */

/** Keeps the simulation where it is until a real operation is over. */
export type Hold = <T>(operation: Promise<T>) => Promise<T>;
type Subtle = Readonly<Record<string | symbol, unknown>>;

const realCrypto = globalThis.crypto;
/** Operations that draw random bytes, and with which algorithms; null for all of them. */
const DRAWING: Readonly<Record<string, ReadonlySet<string> | null>> = {
  generateKey: null,
  sign: new Set(["ECDSA", "RSA-PSS"]),
  encrypt: new Set(["RSA-OAEP"]),
};

/** @param isRefused - whether operations that draw random bytes themselves are refused. */
export function seededCrypto(random: () => number, hold: Hold, isRefused: boolean): Crypto {
  return {
    subtle: subtleFor(hold, isRefused),
    getRandomValues<T extends ArrayBufferView>(array: T): T {
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
      for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(random() * 256);
      return array;
    },
    randomUUID: () => uuid(random),
  } as Crypto;
}

function subtleFor(hold: Hold, isRefused: boolean): SubtleCrypto {
  const real = realCrypto.subtle as unknown as Subtle;
  return new Proxy(realCrypto.subtle, {
    get: (_, name) => {
      const operation = real[name];
      if (typeof operation !== "function") return operation;
      return async (...args: unknown[]): Promise<unknown> => {
        if (isRefused && draws(String(name), args)) {
          throw new Error(
            `Can't use crypto.subtle.${String(name)}() with randomness of its own in queries and mutations. ` +
              "Please consider using an action.",
          );
        }
        return await hold(operation.apply(realCrypto.subtle, args) as Promise<unknown>);
      };
    },
  });
}

function draws(operation: string, args: readonly unknown[]): boolean {
  // The algorithm that wraps is the fourth argument.
  if (operation === "wrapKey") return algorithmOf(args[3]) === "RSA-OAEP";
  if (!Object.hasOwn(DRAWING, operation)) return false;
  return DRAWING[operation]?.has(algorithmOf(args[0])) ?? true;
}

function algorithmOf(given: unknown): string {
  const name = typeof given === "object" && given !== null && "name" in given ? given.name : given;
  return typeof name === "string" ? name.toUpperCase() : "";
}

function uuid(random: () => number): string {
  const hex = Array.from({ length: 32 }, (_, i) => {
    const digit = Math.floor(random() * 16);
    return (i === 12 ? 4 : i === 16 ? (digit & 3) | 8 : digit).toString(16);
  }).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** A clock that only tells durations. */
export function performanceOf(now: () => number): Pick<Performance, "now" | "timeOrigin"> {
  return { now, timeOrigin: 0 };
}
