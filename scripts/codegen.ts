/**
 * Writes `_generated` of the component and of the host app, without a deployment: `npm run codegen`.
 * With `--check` it writes nothing, names the files that are not fresh, and exits 1 if there are any.
 *
 * Why not `npx convex codegen`: it pushes to a backend and needs credentials. The output is the same (codegen/templates.ts).
 */
import path from "node:path";
import { REPO_ROOT } from "./codegen/analysis.js";
import { removeUnexpected, staleFiles, unexpectedFiles, writeStale } from "./codegen/folder.js";
import { generateComponent, generateHost, type Generated } from "./codegen/generate.js";

const TARGETS = [
  { folder: "src/component", generate: generateComponent },
  { folder: "convex", generate: generateHost },
];

async function write(dir: string, { declared, evaluate }: Generated): Promise<string[]> {
  const first = writeStale(dir, declared);
  const evaluated = await evaluate();
  return [...first, ...writeStale(dir, evaluated), ...removeUnexpected(dir, { ...declared, ...evaluated })];
}

async function check(dir: string, { declared, evaluate }: Generated): Promise<string[]> {
  const files = { ...declared, ...(await evaluate()) };
  return [...staleFiles(dir, files), ...unexpectedFiles(dir, files)];
}

async function main(flags: string[]): Promise<number> {
  const unknown = flags.filter((flag) => flag !== "--check");
  if (unknown.length > 0) {
    console.error(`Unknown option ${unknown.join(" ")}. Usage: npm run codegen [-- --check]`);
    return 2;
  }
  const isCheck = flags.includes("--check");
  let changes = 0;
  for (const { folder, generate } of TARGETS) {
    const dir = path.join(REPO_ROOT, folder);
    const names = await (isCheck ? check : write)(dir, await generate(dir));
    changes += names.length;
    for (const name of names) console.log(`${isCheck ? "stale" : "wrote"} ${folder}/_generated/${name}`);
  }
  if (changes === 0) console.log("Generated files are fresh.");
  if (!isCheck || changes === 0) return 0;
  console.error("Run `npm run codegen` and commit the result.");
  return 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`Code generation failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
