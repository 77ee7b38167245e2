import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { avalanche, fnv1a, placeShard, safeShardIndex } from "../../src/engine/placement.js";
import { MAX_SHARDS } from "../../src/shared/limits.js";
import { thrownBy } from "./thrown.js";

/** Upper 0.01 % points of the chi-square distribution, by shards (one degree of freedom less). */
const CRITICAL: Record<number, number> = { 2: 15.14, 3: 18.42, 4: 21.11, 5: 23.51, 6: 25.74, 7: 27.86, 8: 29.88 };
const KEYS = 4096;

function chiSquare(keys: string[], shards: number, place: (key: string) => number): number {
  const counts = new Array<number>(shards).fill(0);
  for (const key of keys) counts[place(key)] = (counts[place(key)] ?? 0) + 1;
  const expected = keys.length / shards;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

const keys = (make: (i: number) => string): string[] => Array.from({ length: KEYS }, (_, i) => make(i));
const padded = (i: number): string => String(i).padStart(4, "0");
const pick = (list: readonly string[], i: number): string => list[i % list.length] ?? "";
const DAY_MS = 86_400_000;

const SEQUENTIAL: Record<string, string[]> = {
  "order-0001": keys((i) => `order-${padded(i)}`),
  "bare numbers": keys((i) => String(i)),
  "every fourth number": keys((i) => `batch-${i * 4}`),
  "round hundreds": keys((i) => `import-${i * 100}`),
  days: keys((i) => new Date(Date.UTC(2020, 0, 1) + i * DAY_MS).toISOString().slice(0, 10)),
};
/** Keys that differ in the same way at two places, as a key made of a tenant or an order and its parts does. */
const SIMILAR: Record<string, string[]> = {
  "order and its invoice": keys((i) => `order-${padded(i)}/invoice-${padded(i)}`),
  "tenant and its definition": keys((i) => `tenant-${padded(i)}:welcome-tenant-${padded(i)}`),
};
const DEFINITIONS = keys((i) =>
  [
    pick(["daily", "weekly", "monthly", "nightly"], i),
    pick(["report", "invoice", "summary", "digest", "export", "cleanup", "sync", "review"], Math.floor(i / 4)),
    pick(["eu", "us", "ap", "sa"], Math.floor(i / 32)),
    `v${Math.floor(i / 128)}`,
  ].join("-"),
);
const RANDOM = fc.sample(fc.string({ unit: "grapheme", minLength: 12, maxLength: 40 }), { seed: 7, numRuns: KEYS });

const FAMILIES = { ...SEQUENTIAL, ...SIMILAR, "definition names": DEFINITIONS, "random text": RANDOM };

describe("placeShard", () => {
  const cases = Object.entries(FAMILIES).flatMap(([name, list]) =>
    [2, 3, 4, 5, 6, 7, 8].map((shards) => [name, shards, list] as const),
  );
  it.each(cases)("spreads %s evenly over %i shards", (_, shards, list) => {
    expect(chiSquare(list, shards, (key) => placeShard(key, shards))).toBeLessThan(CRITICAL[shards] ?? 0);
  });

  it.each(Object.entries(SIMILAR))("is needed: plain FNV-1a modulo 4 fails the same test on %s", (_, list) => {
    expect(chiSquare(list, 4, (key) => fnv1a(key) % 4)).toBeGreaterThan(CRITICAL[4] ?? Infinity);
  });

  it("is needed because the low two bits of FNV-1a see only the low two bits of each byte", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary-ascii" }), (text) => {
        const lowBits = [...text].map((char) => String.fromCharCode(char.charCodeAt(0) & 3)).join("");
        expect(fnv1a(text) % 4).toBe(fnv1a(lowBits) % 4);
      }),
      { seed: 11 },
    );
  });

  it("puts everything on the only shard, and never leaves the active ones", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 1, max: MAX_SHARDS }), (key, shards) => {
        const shard = placeShard(key, shards);
        expect(Number.isInteger(shard) && shard >= 0 && shard < shards).toBe(true);
        expect(placeShard(key, 1)).toBe(0);
      }),
      { seed: 12 },
    );
  });

  it("keeps the placements of version 1", () => {
    const placed = ["", "a", "order-0001", "käse", "😀"].map((key) => [4, 8].map((shards) => placeShard(key, shards)));
    expect(placed).toEqual([
      [2, 5],
      [0, 0],
      [1, 2],
      [1, 3],
      [0, 1],
    ]);
  });

  it.each([0, -1, 1.5, NaN, Infinity, MAX_SHARDS + 1])("refuses %d active shards", (shards) => {
    const error = thrownBy(() => placeShard("order-0001", shards));
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message).toContain(String(shards));
  });
});

describe("fnv1a", () => {
  it.each([
    ["", 0x811c9dc5],
    ["a", 0xe40c292c],
    ["foobar", 0xbf9cf968],
  ])("gives the published value of %j", (text, hash) => expect(fnv1a(text)).toBe(hash));

  it("hashes UTF-8 bytes", () => {
    const bytes = (text: string): string => String.fromCharCode(...new TextEncoder().encode(text));
    const overBytes = (text: string): number => {
      let hash = 0x811c9dc5n;
      for (const char of bytes(text)) hash = ((hash ^ BigInt(char.charCodeAt(0))) * 0x01000193n) & 0xffffffffn;
      return Number(hash);
    };
    for (const text of ["käse", "日本語", "😀", "\ud800"]) expect(fnv1a(text)).toBe(overBytes(text));
  });
});

describe("avalanche", () => {
  it.each([
    [0, 0],
    [1, 0x514e28b7],
    [2, 0x30f4c306],
  ])("gives the published value of %i", (input, output) => expect(avalanche(input)).toBe(output));

  it("changes about half of the bits when one bit of the input changes", () => {
    const bitsSet = (value: number): number => value.toString(2).replaceAll("0", "").length;
    const inputs = fc.sample(fc.integer({ min: 0, max: 0xffffffff }), { seed: 13, numRuns: 500 });
    for (let bit = 0; bit < 32; bit++) {
      const changed = inputs.map((input) => bitsSet((avalanche(input) ^ avalanche((input ^ (1 << bit)) >>> 0)) >>> 0));
      const mean = changed.reduce((sum, bits) => sum + bits, 0) / changed.length;
      expect(mean).toBeGreaterThan(15);
      expect(mean).toBeLessThan(17);
    }
  });
});

describe("safeShardIndex", () => {
  const warningsOf = (value: unknown): { index: number; warnings: string[] } => {
    const warnings: string[] = [];
    return { index: safeShardIndex(value, (message) => warnings.push(message)), warnings };
  };

  it("keeps every index that exists, without a warning", () => {
    for (let index = 0; index < MAX_SHARDS; index++) expect(warningsOf(index)).toEqual({ index, warnings: [] });
  });

  it("makes -0 an ordinary zero", () => {
    expect(
      Object.is(
        safeShardIndex(-0, () => {}),
        0,
      ),
    ).toBe(true);
  });

  it.each([
    [undefined, "undefined"],
    [null, "null"],
    [-1, "-1"],
    [1.5, "1.5"],
    [NaN, "NaN"],
    [Infinity, "Infinity"],
    [MAX_SHARDS, "8"],
    [2 ** 53, "9007199254740992"],
    ["2", 'the string "2"'],
    [2n, "the bigint 2"],
    [true, "true"],
    [[2], "object"],
    [{ valueOf: () => 2 }, "object"],
    [Symbol("2"), "symbol"],
  ])("maps %s to the original instance and names it in the warning", (value, named) => {
    const { index, warnings } = warningsOf(value);
    expect(index).toBe(0);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`is ${named},`);
  });

  it("gives an existing shard and never throws, whatever was stored", () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withNullPrototype: true }), (value) => {
        const { index, warnings } = warningsOf(value);
        expect(index).toBe(warnings.length === 0 ? Math.abs(Number(value)) : 0);
        expect(Number.isInteger(index) && index >= 0 && index < MAX_SHARDS).toBe(true);
      }),
      { seed: 14 },
    );
  });
});
