/** The numbers that the comparison quotes are those of the page that is written when costs are counted. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, it } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";

const COUNTED = /^(per node|fixed): /;

/** Rows that begin with a counted name: name -> value by column. */
async function countedRows(page: string): Promise<Map<string, Record<string, string>>> {
  const rows = new Map<string, Record<string, string>>();
  let columns: string[] = [];
  for (const line of (await readFile(path.join(REPO_ROOT, page), "utf8")).split("\n")) {
    if (!line.startsWith("|")) columns = [];
    const [name = "", ...cells] = line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
    if (columns.length === 0) columns = cells;
    if (COUNTED.test(name)) rows.set(name, Object.fromEntries(columns.map((column, i) => [column, cells[i] ?? ""])));
  }
  return rows;
}

it("the comparison quotes what was counted", async () => {
  const counted = await countedRows("docs/costs.md");
  const quoted = await countedRows("docs/comparison.md");
  expect([...quoted.keys()]).toEqual(["per node: 4 shards", "per node: vanilla", "fixed: 4 shards", "fixed: vanilla"]);
  for (const [name, values] of quoted) expect(counted.get(name), name).toMatchObject(values);
});
