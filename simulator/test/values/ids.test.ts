import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeId, encodeId, newId, tableNumberOf } from "../../src/values/ids.js";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const INTERNAL = Uint8Array.from({ length: 16 }, (_, i) => i * 17);

const tableNumbers = fc.oneof(
  fc.integer({ min: 1, max: 0xffffffff }),
  fc.integer({ min: 10001, max: 20000 }),
  fc.constantFrom(1, 127, 128, 539, 540, 16383, 16384, 2 ** 21 - 1, 2 ** 21, 2 ** 28 - 1, 2 ** 28, 2 ** 32 - 1),
);
const internals = fc.uint8Array({ minLength: 16, maxLength: 16 });

/** A second implementation: the bytes as one large number, written in base 32. */
function idOfBytes(table: readonly number[], internal: Uint8Array, checksumChange = 0): string {
  const bytes = [...table, ...internal];
  let sum = 0;
  let sumOfSums = 0;
  for (const byte of bytes) {
    sum += byte;
    sumOfSums += sum;
  }
  bytes.push((sum + checksumChange) % 256, sumOfSums % 256);
  const length = Math.ceil((bytes.length * 8) / 5);
  let number = 0n;
  for (const byte of bytes) number = number * 256n + BigInt(byte);
  number <<= BigInt(length * 5 - bytes.length * 8);
  const digits = Array.from({ length }, (_, i) => ALPHABET[Number((number >> BigInt(5 * (length - 1 - i))) & 31n)]);
  return digits.join("");
}

function sevenBits(tableNumber: number): number[] {
  return tableNumber < 128 ? [tableNumber] : [(tableNumber % 128) + 128, ...sevenBits(Math.floor(tableNumber / 128))];
}

describe("ids", () => {
  it("are read as a deployment wrote them", () => {
    // Published samples of real deployments: the first one with the _creationTime of its document, the second a stored file.
    const document = decodeId("j570c3a2vfz8js99c3t12b68hh863egz");
    const [high, low] = document?.internal.slice(14) ?? [];
    expect(document?.tableNumber).toBe(10001);
    expect((high ?? 0) * 256 + (low ?? 0)).toBe(Math.floor(1777907009446 / 86_400_000));
    expect(tableNumberOf("kg2ah8mk1xtg35g7zyexyc96e96yr74f")).toBe(540);
  });

  it("survive a round trip, agree with the second implementation and look like ids", () => {
    fc.assert(
      fc.property(tableNumbers, internals, (tableNumber, internal) => {
        const id = encodeId(tableNumber, internal);
        expect(id).toBe(idOfBytes(sevenBits(tableNumber), internal));
        expect(id).toMatch(/^[0-9a-hjkmnp-tv-z]{31,37}$/);
        expect(decodeId(id)).toEqual({ tableNumber, internal });
        expect(tableNumberOf(id)).toBe(tableNumber);
      }),
      { seed: 81, numRuns: 2000 },
    );
  });

  it("have 32 characters for table numbers from 128 to 16383", () => {
    const lengths = [1, 127, 128, 10001, 16383, 16384, 2 ** 21, 2 ** 28, 2 ** 32 - 1].map(
      (tableNumber) => encodeId(tableNumber, INTERNAL).length,
    );
    expect(lengths).toEqual([31, 31, 32, 32, 32, 34, 36, 37, 37]);
  });

  it.each([1, 10001, 2 ** 20, 2 ** 32 - 1])("of table %d are refused with any character changed", (tableNumber) => {
    const id = encodeId(tableNumber, INTERNAL);
    for (let i = 0; i < id.length; i += 1) {
      for (const character of `${ALPHABET}ilouAZ -_é\0\uffff`) {
        if (character === id[i]) continue;
        expect(tableNumberOf(id.slice(0, i) + character + id.slice(i + 1)), `${character} at ${i}`).toBeNull();
      }
    }
  });

  it("are refused when cut, extended, in capitals or no ids at all", () => {
    const id = encodeId(10001, INTERNAL);
    const short = encodeId(1, INTERNAL);
    const wrong = ["", "a", id.slice(1), id.slice(0, -1), `${id}0`, `0${id}`, ` ${id}`, id.toUpperCase(), id + id];
    for (const text of [...wrong, `${short}0`, short.slice(0, -1), "0".repeat(32), "z".repeat(32), "x".repeat(1e6)]) {
      expect(tableNumberOf(text), text.slice(0, 40)).toBeNull();
      expect(decodeId(text)).toBeNull();
    }
  });

  it.each([
    ["zero as the table number", [0]],
    ["a table number longer than needed", [133, 0]],
    ["a table number beyond 32 bits", [255, 255, 255, 255, 16]],
    ["a table number that ends early", [5, 5]],
    ["a table number that does not end", [133, 133]],
  ])("are refused with %s, whatever the checksum says", (_, table) => {
    expect(tableNumberOf(idOfBytes(table, INTERNAL))).toBeNull();
  });

  it("are refused with another version in the checksum", () => {
    expect(tableNumberOf(idOfBytes(sevenBits(10001), INTERNAL, 0))).toBe(10001);
    expect(tableNumberOf(idOfBytes(sevenBits(10001), INTERNAL, 1))).toBeNull();
  });

  it("are made of 14 random bytes and the day", () => {
    const draws = [0, 0.5, 0.999999, 0.25];
    let drawn = 0;
    const id = newId(10001, () => draws[drawn++ % draws.length] ?? 0, 20577);
    const random = [0, 128, 255, 64, 0, 128, 255, 64, 0, 128, 255, 64, 0, 128];
    expect(decodeId(id)).toEqual({ tableNumber: 10001, internal: Uint8Array.from([...random, 80, 97]) });
    expect(drawn).toBe(14);
  });

  it("are not written for what cannot be read again", () => {
    for (const tableNumber of [0, -1, 1.5, 2 ** 32, NaN]) {
      expect(() => encodeId(tableNumber, INTERNAL)).toThrow(RangeError);
      expect(() => newId(tableNumber, () => 0, 0)).toThrow(RangeError);
    }
    expect(() => encodeId(1, new Uint8Array(15))).toThrow("16 bytes");
  });

  it("that were decoded do not change with the next one", () => {
    const first = decodeId(encodeId(10001, INTERNAL));
    encodeId(10002, new Uint8Array(16));
    expect(first?.internal).toEqual(INTERNAL);
  });
});
