/**
 * Owns the keys of the simulated indexes: values as strings of bytes (one character 0..255 per byte) whose order under JS
 * `<` is Convex's order of values.
 *
 * Invariant: the code is prefix-free. No encoded value is a proper prefix of another one, so concatenated parts compare
 * like tuples, and the key of some parts is a string prefix of exactly the keys that begin with equal parts.
 *
 * Text, bytes, arrays and objects end in a zero byte. Bytes 0 and 1 of a content are written as 1,1 and 1,2: the
 * terminator then never occurs inside of it, and is smaller than anything that does.
 */
import { CommitTsPlaceholder, type Value } from "convex/values";

/** `prefix + AFTER` comes after every key with that prefix: no key holds a character above 255. */
export const AFTER = "\uffff";

const UNDEFINED = "\x01";
const NULL = "\x03";
const INT64_CODE = 0x08;
const FLOAT64_CODE = 0x0d;
const FALSE = "\x0e";
const TRUE = "\x0f";
const STRING = "\x10";
const BYTES = "\x11";
const ARRAY = "\x12";
const OBJECT = "\x15";
const END = "\0";

/** A commit timestamp that is not known yet sorts as the largest one. */
const UNKNOWN_COMMIT_TS = 2n ** 63n - 1n;
const SIGN = 0x80000000;
/** Arguments of one call of `String.fromCharCode`: engines limit their number. */
const CHUNK = 8192;

const NOT_PLAIN = /[^\x02-\x7f]/;
const NOT_ASCII = /[^\0-\x7f]/;
const ESCAPED = /[\0\x01]/g;

const scratch = new DataView(new ArrayBuffer(8));
const encoder = new TextEncoder();

/** The key of several values in order, such as the fields of an index. */
export function encodeKey(parts: readonly (Value | undefined)[]): string {
  let key = "";
  for (const part of parts) key += encodeKeyPart(part);
  return key;
}

/** The key of one value; `undefined` stands for a field that is missing. */
export function encodeKeyPart(value: Value | undefined): string {
  switch (typeof value) {
    case "string":
      return STRING + text(value) + END;
    case "number":
      return float64(value);
    case "boolean":
      return value ? TRUE : FALSE;
    case "bigint":
      return int64(value);
    case "undefined":
      return UNDEFINED;
  }
  if (value === null) return NULL;
  if (Array.isArray(value)) return ARRAY + encodeKey(value) + END;
  if (value instanceof ArrayBuffer) return BYTES + escape(characters(new Uint8Array(value))) + END;
  if (value instanceof CommitTsPlaceholder) return int64(UNKNOWN_COMMIT_TS);
  return object(value);
}

/** Doubles in the total order of IEEE 754: the bits of negative ones are inverted, the others gain the top bit. */
function float64(value: number): string {
  scratch.setFloat64(0, value);
  const high = scratch.getUint32(0);
  const low = scratch.getUint32(4);
  return high & SIGN ? eight(FLOAT64_CODE, ~high, ~low) : eight(FLOAT64_CODE, high ^ SIGN, low);
}

function int64(value: bigint): string {
  if (BigInt.asIntN(64, value) !== value) throw new RangeError(`BigInt ${value} does not fit into 64 bits.`);
  scratch.setBigInt64(0, value);
  return eight(INT64_CODE, scratch.getUint32(0) ^ SIGN, scratch.getUint32(4));
}

function eight(tag: number, high: number, low: number): string {
  return String.fromCharCode(
    tag,
    high >>> 24,
    (high >>> 16) & 255,
    (high >>> 8) & 255,
    high & 255,
    low >>> 24,
    (low >>> 16) & 255,
    (low >>> 8) & 255,
    low & 255,
  );
}

/** The UTF-8 bytes of a string. Nearly all keys are ASCII without control characters, which is its own encoding. */
function text(value: string): string {
  if (!NOT_PLAIN.test(value)) return value;
  return escape(NOT_ASCII.test(value) ? characters(encoder.encode(value)) : value);
}

function escape(bytes: string): string {
  return bytes.replace(ESCAPED, (byte) => (byte === END ? "\x01\x01" : "\x01\x02"));
}

function characters(bytes: Uint8Array): string {
  let out = "";
  for (let start = 0; start < bytes.length; start += CHUNK) {
    out += String.fromCharCode.apply(null, bytes.subarray(start, start + CHUNK) as unknown as number[]);
  }
  return out;
}

/** An object compares as the list of its fields in the order of their names; a field set to `undefined` is none. */
function object(value: { [key: string]: Value | undefined }): string {
  const fields: string[] = [];
  // A name ends in a terminator, too, so whole fields sort as their names do.
  for (const [name, field] of Object.entries(value)) {
    if (field !== undefined) fields.push(STRING + text(name) + END + encodeKeyPart(field));
  }
  return OBJECT + fields.sort(byCodeUnit).join("") + END;
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
