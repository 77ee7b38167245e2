/** The table of traps is complete, and every test that it names exists. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { TRAPS } from "../../src/strict/traps.js";

const here = path.dirname(fileURLToPath(import.meta.url));
const sources = readdirSync(here)
  .filter((file) => file.endsWith(".test.ts"))
  .map((file) => readFileSync(path.join(here, file), "utf8"))
  .join("\n");
const titles = new Set([...sources.matchAll(/^test(?:\.each\([\s\S]*?\))?\(\s*"([^"]+)"/gm)].map(([, title]) => title));

test("all 56 traps are in the table", () => {
  expect(Object.keys(TRAPS).map(Number)).toEqual(Array.from({ length: 56 }, (_, i) => i + 1));
});

test("each names a test of its own number that exists", () => {
  for (const [number, { test: title }] of Object.entries(TRAPS)) {
    expect(title).toMatch(new RegExp(`^trap ${number}: `));
    expect([...titles]).toContain(title);
  }
});

test("whatever is not modelled says what it leaves out", () => {
  for (const { how, except } of Object.values(TRAPS)) if (how === "not modelled") expect(except).toBeDefined();
});
