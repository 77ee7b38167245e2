/**
 * Owns document ids: table number (variable length), 16 bytes of the document and a checksum, as lower-case Crockford base32.
 *
 * Invariant: an id has exactly one spelling. Whatever `decodeId` accepts, `encodeId` writes in the same characters.
 */

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const INTERNAL_BYTES = 16;
const RANDOM_BYTES = 14;
const CHECKSUM_BYTES = 2;
const MAX_TABLE_NUMBER = 0xffffffff;
/** A table number takes one to five bytes of seven bits, the lowest ones first. */
const MAX_TABLE_BYTES = 5;
const MAX_BYTES = MAX_TABLE_BYTES + INTERNAL_BYTES + CHECKSUM_BYTES;
const NO_DIGIT = 255;

/** Bytes of an id by its length; no id has any other length. */
const BYTES_BY_LENGTH = new Map(
  Array.from({ length: MAX_TABLE_BYTES }, (_, extra) => {
    const bytes = 1 + extra + INTERNAL_BYTES + CHECKSUM_BYTES;
    return [Math.ceil((bytes * 8) / 5), bytes];
  }),
);

const CODES = Uint8Array.from(ALPHABET, (digit) => digit.charCodeAt(0));
const DIGITS = new Uint8Array(128).fill(NO_DIGIT);
for (const [digit, code] of CODES.entries()) DIGITS[code] = digit;

/** The id being read or written. Nothing here is reentrant or asynchronous. */
const buffer = new Uint8Array(MAX_BYTES);
const text = new Uint8Array(Math.ceil((MAX_BYTES * 8) / 5));

export function encodeId(tableNumber: number, internal: Uint8Array): string {
  if (internal.length !== INTERNAL_BYTES) {
    throw new RangeError(`The internal part of an id has ${INTERNAL_BYTES} bytes, found ${internal.length}.`);
  }
  const start = writeTableNumber(tableNumber);
  buffer.set(internal, start);
  return finish(start + INTERNAL_BYTES);
}

/** A fresh id: 14 random bytes and the day, as Convex draws them. */
export function newId(tableNumber: number, random: () => number, day: number): string {
  let end = writeTableNumber(tableNumber);
  for (let i = 0; i < RANDOM_BYTES; i += 1) buffer[end++] = Math.floor(random() * 256);
  buffer[end++] = day >> 8;
  buffer[end++] = day;
  return finish(end);
}

export function decodeId(id: string): { tableNumber: number; internal: Uint8Array } | null {
  const tableNumber = tableNumberOf(id);
  if (tableNumber === null) return null;
  const start = tableBytes(tableNumber);
  return { tableNumber, internal: buffer.slice(start, start + INTERNAL_BYTES) };
}

/** The table an id belongs to, or null when the string is no id: its length, characters, checksum and spelling are checked. */
export function tableNumberOf(id: string): number | null {
  const length = BYTES_BY_LENGTH.get(id.length);
  if (length === undefined || !readDigits(id)) return null;
  const end = length - CHECKSUM_BYTES;
  const checksum = fletcher16(end);
  if (buffer[end] !== (checksum & 255) || buffer[end + 1] !== checksum >> 8) return null;
  let tableNumber = 0;
  const tableLength = end - INTERNAL_BYTES;
  for (let i = 0; i < tableLength; i += 1) {
    const byte = buffer[i] ?? 0;
    const last = i === tableLength - 1;
    if (byte < 128 !== last) return null;
    // Multiplied, not shifted: the fifth byte reaches past 31 bits.
    tableNumber += (byte & 127) * 2 ** (7 * i);
  }
  if (tableNumber === 0 || tableNumber > MAX_TABLE_NUMBER || tableBytes(tableNumber) !== tableLength) return null;
  return tableNumber;
}

function tableBytes(tableNumber: number): number {
  let bytes = 1;
  for (let rest = tableNumber; rest >= 128; rest /= 128) bytes += 1;
  return bytes;
}

/** Writes the table number at the start of the buffer and returns where it ends. */
function writeTableNumber(tableNumber: number): number {
  if (!Number.isInteger(tableNumber) || tableNumber < 1 || tableNumber > MAX_TABLE_NUMBER) {
    throw new RangeError(`A table number is an integer from 1 to ${MAX_TABLE_NUMBER}, found ${tableNumber}.`);
  }
  let end = 0;
  let rest = tableNumber;
  for (; rest >= 128; rest = Math.floor(rest / 128)) buffer[end++] = (rest % 128) | 128;
  buffer[end++] = rest;
  return end;
}

function finish(end: number): string {
  const checksum = fletcher16(end);
  buffer[end] = checksum & 255;
  buffer[end + 1] = checksum >> 8;
  return writeDigits(end + CHECKSUM_BYTES);
}

/** Fletcher's checksum with modulus 256, as Convex uses it (not the usual 255). */
function fletcher16(end: number): number {
  let sum = 0;
  let sumOfSums = 0;
  for (let i = 0; i < end; i += 1) {
    sum = (sum + (buffer[i] ?? 0)) & 255;
    sumOfSums = (sumOfSums + sum) & 255;
  }
  return (sumOfSums << 8) | sum;
}

/** One call makes one flat string; adding up characters would leave a tree behind that every reader has to walk. */
function writeDigits(length: number): string {
  let digits = 0;
  let bits = 0;
  let pending = 0;
  for (let i = 0; i < length; i += 1) {
    pending = (pending << 8) | (buffer[i] as number);
    bits += 8;
    for (; bits >= 5; bits -= 5) text[digits++] = CODES[(pending >> (bits - 5)) & 31] as number;
    pending &= 31;
  }
  if (bits > 0) text[digits++] = CODES[(pending << (5 - bits)) & 31] as number;
  // Spreading would go through an iterator, which is four times slower.
  return String.fromCharCode.apply(null, text.subarray(0, digits) as unknown as number[]);
}

/** Fills the buffer; false when a character is no digit or the padding after the last byte is not zero. */
function readDigits(id: string): boolean {
  let length = 0;
  let bits = 0;
  let pending = 0;
  for (let i = 0; i < id.length; i += 1) {
    // Out of the table's range reads as undefined, which is no digit either.
    const digit = DIGITS[id.charCodeAt(i)] ?? NO_DIGIT;
    if (digit === NO_DIGIT) return false;
    pending = ((pending << 5) | digit) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      buffer[length++] = pending >> bits;
    }
  }
  return (pending & ((1 << bits) - 1)) === 0;
}
