/** The guide from workflow code: its files compile together, as the functions of one app. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, it } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";
import { compileApp } from "./compileApp.js";
import { readSnippets } from "./snippets.js";

const PAGE = "docs/from-workflow.md";
const text = await readFile(path.join(REPO_ROOT, PAGE), "utf8");

/** Blocks that name a file, and the definition of the page as the module that one of them imports. */
function filesOf(page: string): Record<string, string> {
  const blocks = [...page.matchAll(/^```ts (\S+)\n([\s\S]*?)^```$/gm)];
  const [digest] = readSnippets(PAGE, page).snippets;
  const definition = `import type { DefinitionSource } from "convex-shardflow";
export const digest = ${JSON.stringify(digest?.flow)} satisfies DefinitionSource;`;
  return {
    ...Object.fromEntries(blocks.map(([, file = "", code = ""]) => [file, code])),
    "convex/digest.ts": definition,
  };
}

/** Two mistakes, to show that they would be found: an argument that is missing, and a node that is no node. */
const WRONG = `import type { DefinitionSource } from "convex-shardflow";
import { components, internal } from "./_generated/api";
import { internalMutation } from "./_generated/server";
export const forgetful = internalMutation({
  handler: async (ctx) => void (await ctx.runMutation(internal.research.save, { team: "acme" })),
});
export const definition = { name: "wrong", nodes: { start: { type: "begin" } } } satisfies DefinitionSource;
export const used = components.workflow;
`;

it("every block of code belongs to a file, and the files compile", { timeout: 120_000 }, () => {
  const files = filesOf(text);
  expect(text.match(/^```ts/gm)).toHaveLength(3);
  expect(Object.keys(files)).toEqual(["convex/research.ts", "convex/before.ts", "convex/after.ts", "convex/digest.ts"]);
  expect(compileApp({ ...files, "convex/wrong.ts": WRONG })).toEqual({
    "convex/wrong.ts": [expect.stringContaining("'text' is missing"), expect.stringContaining('"begin"')],
  });
});
