/** Links between the pages lead somewhere: to a file of the repository, and to a heading of it. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { expect, it } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";

const docs = (await readdir(path.join(REPO_ROOT, "docs"), { recursive: true })).filter((file) => file.endsWith(".md"));
const pages = ["README.md", "CONTRIBUTING.md", ...docs.map((file) => path.join("docs", file))].sort();

const LINK = /(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)/g;

const textOf = (page: string) => readFile(path.join(REPO_ROOT, page), "utf8");
/** As GitHub makes anchors of headings. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(" ", "-");
const withoutCode = (text: string) => text.replace(/^```[\s\S]*?^```$/gm, "");
const anchorsOf = (text: string) =>
  [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading));

async function deadLinks(page: string): Promise<string[]> {
  const dead: string[] = [];
  for (const [, link = ""] of withoutCode(await textOf(page)).matchAll(LINK)) {
    if (/^[a-z]+:/.test(link)) continue;
    const [file = "", anchor] = link.split("#");
    const target = file === "" ? page : path.join(path.dirname(page), file);
    if (!existsSync(path.join(REPO_ROOT, target))) dead.push(link);
    else if (anchor !== undefined && !anchorsOf(await textOf(target)).includes(anchor)) dead.push(link);
  }
  return dead;
}

it.each(pages)("%s", async (page) => {
  expect(await deadLinks(page)).toEqual([]);
});

it("a dead one would be found", () => {
  expect(anchorsOf("# A\n\n## What it is: `x`, and more\n\n```sh\n# no heading\n```\n")).toEqual([
    "a",
    "what-it-is-x-and-more",
  ]);
  expect([..."[a](b.md#c) ![image](d.png) [e](#f)".matchAll(LINK)].map(([, link]) => link)).toEqual(["b.md#c", "#f"]);
});
