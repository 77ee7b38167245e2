/** The functions that the docs tell operators to run exist, are public, and take what is shown. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";

const docs = (await readdir(path.join(REPO_ROOT, "docs"), { recursive: true })).filter((file) => file.endsWith(".md"));
const pages = ["README.md", ...docs.map((file) => path.join("docs", file))];

/** `module:function '{...}'`, in a command or on its own. */
const CALL = /(--component shardflow |`)([a-z]+):(\w+)(?: '(\{.*?\})')?(?=[`\n])/g;
const modules = new Set(
  (await readdir(path.join(REPO_ROOT, "src/component"))).flatMap((file) => /^(\w+)\.ts$/.exec(file)?.[1] ?? []),
);

type Registered = { isPublic?: true; isQuery?: true; isMutation?: true; exportArgs: () => string };
type Args = { value: Record<string, { optional: boolean }> };

const calls = (
  await Promise.all(
    pages.map(async (page) => {
      const text = await readFile(path.join(REPO_ROOT, page), "utf8");
      return [...text.matchAll(CALL)].map(([, before, module = "", name = "", args]) => ({
        ...{ page, module, name, args },
        isCommand: before !== "`",
      }));
    }),
  )
)
  .flat()
  // What stands on its own can be a function of an app.
  .filter(({ module, isCommand }) => isCommand || modules.has(module));

describe("what operators are told to run", () => {
  it("is found", () => {
    const ofOperators = calls.filter(({ page }) => page === "docs/operators.md");
    expect(ofOperators.length).toBeGreaterThan(15);
    expect(calls.some(({ page }) => page === "README.md")).toBe(true);
  });

  it.each(calls)("$module:$name $args ($page)", async ({ module, name, args }) => {
    const functions = (await import(`../../src/component/${module}.ts`)) as Record<string, Registered>;
    const { isPublic, isQuery, isMutation, exportArgs } = functions[name] ?? {};
    expect([isPublic, isQuery ?? isMutation]).toEqual([true, true]);
    if (args === undefined || exportArgs === undefined) return;
    const given = Object.keys(JSON.parse(args) as object);
    const { value } = JSON.parse(exportArgs()) as Args;
    expect(Object.keys(value)).toEqual(expect.arrayContaining(given));
    const needed = Object.entries(value).flatMap(([field, { optional }]) => (optional ? [] : [field]));
    expect(given).toEqual(expect.arrayContaining(needed));
  });
});
