/** Every snippet of the documentation does what the page says, as a user would run it: with the built command line. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";
import { NODE_TYPES } from "../../src/engine/definition/ports.js";
import type { Json } from "../../src/shared/json.js";
import { builtCli } from "../support/built.js";
import { partOf, readSnippets, type Snippet } from "./snippets.js";

const RUNS_AT_ONCE = 2;

const docs = await readdir(path.join(REPO_ROOT, "docs"), { recursive: true });
const texts = new Map(
  await Promise.all(
    ["README.md", ...docs.filter((file) => file.endsWith(".md")).map((file) => `docs/${file}`)].map(
      async (page) => [page, await readFile(path.join(REPO_ROOT, page), "utf8")] as const,
    ),
  ),
);
const nodePages = [...texts.keys()].filter((page) => page.startsWith("docs/nodes/")).sort();

/** Pages without a snippet have lost theirs. Others join them with their first one. */
const pages = new Set([...nodePages, "docs/cli.md", "docs/from-workflow.md"]);
for (const [page, text] of texts) if (/^```json (flow|mocks|result)$/m.test(text)) pages.add(page);
const read = [...pages].map((page) => ({ page, ...readSnippets(page, texts.get(page) ?? "") }));
const snippets = read.flatMap((one) => one.snippets);

type Outcome = { exitCode: number; report: Json; said: string };
const outcomes = new Map<Snippet, Outcome>();
let dir: string;

beforeAll(async () => {
  const cli = await builtCli();
  dir = await mkdtemp(path.join(os.tmpdir(), "shardflow-docs-"));
  const waiting = [...snippets];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      outcomes.set(next, await run(cli, next));
  };
  await Promise.all(Array.from({ length: RUNS_AT_ONCE }, work));
}, 300_000);

afterAll(() => rm(dir, { recursive: true }));

async function run(cli: string, { flow, input, mocks }: Snippet): Promise<Outcome> {
  const folder = await mkdtemp(path.join(dir, "snippet-"));
  const save = async (file: string, value: Json) => {
    await writeFile(path.join(folder, file), JSON.stringify(value));
    return file;
  };
  const args = ["run", await save("flow.json", flow), "--json"];
  if (input !== undefined) args.push("--input", await save("input.json", input));
  if (mocks !== undefined) args.push("--mocks", await save("mocks.json", mocks));
  return await new Promise((resolve) => {
    // Without keys: what is not mocked must not be called.
    execFile(process.execPath, [cli, ...args], { cwd: folder, env: {} }, (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : Number(error.code ?? -1);
      resolve({ exitCode, report: stdout === "" ? null : (JSON.parse(stdout) as Json), said: stderr });
    });
  });
}

describe("the pages", () => {
  it("have one for every node type, and no other", () => {
    expect(nodePages).toEqual([...NODE_TYPES, "README"].map((name) => `docs/nodes/${name}.md`).sort());
  });

  it.each(read)("$page has whole snippets", ({ snippets, problems }) => {
    expect(problems).toEqual([]);
    expect(snippets.length).toBeGreaterThan(0);
  });

  it.each(NODE_TYPES)("docs/nodes/%s.md runs a node of that type, and has its generated part", (type) => {
    const own = snippets.filter(({ page }) => page === `docs/nodes/${type}.md`);
    expect(JSON.stringify(own.map(({ flow }) => flow))).toContain(`"type":"${type}"`);
    expect(texts.get(`docs/nodes/${type}.md`)).toContain(`<!-- generated: ${type} -->`);
  });
});

describe("the snippets", () => {
  it.each(snippets)("$name ($page:$line)", (snippet) => {
    const { exitCode, report, said } = outcomes.get(snippet)!;
    expect(partOf(report, snippet.result), said).toEqual(snippet.result);
    expect(exitCode).toBe((snippet.result as { status?: string }).status === "succeeded" ? 0 : 1);
    expect(said).toBe("");
  });
});

describe("readSnippets", () => {
  const block = (part: string, body = "{}") => `\`\`\`json ${part}\n${body}\n\`\`\`\n`;
  const of = (...blocks: string[]) => {
    const { snippets, problems } = readSnippets("page.md", blocks.join(""));
    return [snippets.map(({ line }) => line), problems];
  };

  it("finds groups, with and without input and mocks", () => {
    expect(
      of(block("flow"), "text\n", block("result"), block("flow"), block("input"), block("mocks"), block("result")),
    ).toEqual([[1, 8], []]);
  });

  it("reports what belongs to no whole group", () => {
    expect(of(block("flow"), block("flow"), block("result"))).toEqual([[4], ["page.md:1: flow without result"]]);
    expect(of(block("mocks"), block("result"))).toEqual([[], ["page.md:1: mocks, result without flow"]]);
    expect(of(block("flow"), block("input"))).toEqual([[], ["page.md:1: flow, input without result"]]);
    expect(of(block("flow"), block("results"))).toEqual([
      [],
      [
        "page.md:4: a block cannot be `results`; it is one of flow, input, mocks, result",
        "page.md:1: flow without result",
      ],
    ]);
    expect(of(block("flow", "{,}"))).toEqual([[], [expect.stringMatching(/^page\.md:1: SyntaxError/)]]);
  });

  it("compares lists as a whole and objects by the fields that are named", () => {
    expect(partOf({ a: 1, b: [{ c: 1, d: 2 }, 3] }, { b: [{ c: 9 }] })).toEqual({ b: [{ c: 1 }, 3] });
    expect(partOf({ a: 1 }, { b: 1 })).toEqual({});
  });
});
