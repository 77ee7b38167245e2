/**
 * The list of guards fits the tree: each text is there once, each named test exists, the page is up to date. That each
 * test fails without its guard is shown by `npm run guards`, which takes minutes.
 */
import { expect, test } from "vitest";
import { GUARDS, renderGuards, testFile } from "../../../scripts/guards/list.js";

const text = (files: Record<string, unknown>) => files as Record<string, string>;
const sources = text(import.meta.glob("../../../src/**/*.ts", { query: "?raw", import: "default", eager: true }));
const tests = text(import.meta.glob("./*.test.ts", { query: "?raw", import: "default", eager: true }));
const pages = text(import.meta.glob("../../../docs/guards.md", { query: "?raw", import: "default", eager: true }));

test.for(GUARDS.map((guard) => [guard.name, guard] as const))("%s", ([, guard]) => {
  const source = sources[`../../../${guard.file}`];
  expect(source?.split(guard.find)).toHaveLength(2);
  expect(guard.put).not.toContain(guard.find);
  const [file, name] = guard.test;
  expect(Object.keys(tests)).toContain(`./${file}.test.ts`);
  expect(testFile(guard.test)).toMatch(/^test\/component\/faults\/\w+\.test\.ts$/);
  // The title as it is written: what comes before a parameter, or after the name of its group.
  const titles = [...tests[`./${file}.test.ts`]!.matchAll(/\("([^"\n]+)", (?:\{|async|\()/g)].map((m) => m[1]!);
  const matches = titles.filter((title) => {
    const pattern = title.split(/%s|\$\w+/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`(^|\\s)${pattern.join(".+")}$`).test(name);
  });
  expect(matches).not.toEqual([]);
});

test("docs/guards.md lists them", () => {
  // Formatting pads the cells of a table.
  const plain = (page: string) => page.replace(/ +/g, " ").replace(/-+/g, "-");
  expect(plain(Object.values(pages)[0] ?? "")).toBe(plain(renderGuards()));
});
