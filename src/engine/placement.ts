/**
 * Which shard an execution belongs to.
 *
 * Owns: the placement function and the only way to read a stored shard index. Invariants: (S1) the same key and count
 * give the same shard for ever: change anything here only together with PLACEMENT_VERSION; (S2) a shard index that is
 * used is a whole number from 0 to MAX_SHARDS - 1, whatever was stored.
 */
import { shardflowError } from "../shared/errors.js";
import { MAX_SHARDS } from "../shared/limits.js";

const FNV_OFFSET_BASIS = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const utf8 = new TextEncoder();

/** FNV-1a, 32 bits, over the UTF-8 bytes of a text. Its low bits are weak; see {@link avalanche}. */
export function fnv1a(text: string): number {
  let hash = FNV_OFFSET_BASIS;
  for (const byte of utf8.encode(text)) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return hash >>> 0;
}

/**
 * The finalizer of MurmurHash3 (fmix32): every bit of the input changes every bit of the result with even odds.
 *
 * FNV-1a only ever multiplies, which carries bits upwards: its low two bits depend on the low two bits of each
 * character alone, so `tenant-0042:job-0042` and all its siblings would meet on half of four shards or on one. fmix32
 * is chosen for being the shortest mixer with published tests, and a bijection: it adds no collisions.
 */
export function avalanche(hash: number): number {
  let mixed = hash;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/**
 * The shard of a key. Scales the hash into the range instead of taking a remainder: the bias is below
 * `activeShards / 2^32` either way, and the high bits decide.
 * @throws {CONFIG_INVALID} when `activeShards` is not a whole number from 1 to MAX_SHARDS.
 */
export function placeShard(key: string, activeShards: number): number {
  if (!Number.isInteger(activeShards) || activeShards < 1 || activeShards > MAX_SHARDS) {
    throw shardflowError("CONFIG_INVALID", {
      message: `The number of active shards is ${activeShards}; set it to a whole number from 1 to ${MAX_SHARDS}.`,
    });
  }
  return Math.floor((avalanche(fnv1a(key)) * activeShards) / 2 ** 32);
}

/**
 * A stored shard index made safe: anything but a whole number from 0 to MAX_SHARDS - 1 becomes 0, the original
 * instance, with a warning. Never throws, so that one bad row cannot stop the shard that reads it.
 */
export function safeShardIndex(value: unknown, warn: (message: string) => void): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < MAX_SHARDS) {
    return value + 0; // -0 becomes 0: Convex orders them as different keys.
  }
  warn(
    `The stored shard index is ${describe(value)}, not a whole number from 0 to ${MAX_SHARDS - 1}; using shard 0. ` +
      "Check the row, and that MAX_SHARDS was not lowered.",
  );
  return 0;
}

function describe(value: unknown): string {
  if (typeof value === "string") return `the string ${JSON.stringify(value.slice(0, 40))}`;
  if (typeof value === "bigint") return `the bigint ${value}`;
  return value === null || typeof value === "number" || typeof value === "boolean" ? String(value) : typeof value;
}
