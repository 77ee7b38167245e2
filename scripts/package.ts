/**
 * Checks the tarball as npm would publish it: `npm run check:package`.
 *
 * Runs publint, "are the types wrong?" and rules of our own (package/contents.ts) over it. Exits with 1 on every finding,
 * suggestions included, that package/findings.ts does not explain, and on explanations that nothing needs any more.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { built } from "../test/support/built.js";
import { checkContents } from "./package/contents.js";
import { ALLOWED, judge } from "./package/findings.js";
import { pack } from "./package/pack.js";
import { runAttw, runPublint } from "./package/tools.js";

async function main(): Promise<number> {
  const folder = await mkdtemp(path.join(tmpdir(), "shardflow-package-"));
  try {
    const packed = await pack(await built(), folder);
    const found = {
      publint: await runPublint(packed),
      attw: await runAttw(packed),
      contents: checkContents(packed),
    };
    const count = Object.keys(packed.files).length;
    console.log(`${path.basename(packed.tarball)}: ${count} files, ${Math.round(packed.size / 1024)} KB`);
    let bad = 0;
    for (const [tool, findings] of Object.entries(found)) {
      const { refused, allowed, unused } = judge(
        findings,
        ALLOWED.filter((one) => one.tool === tool),
      );
      bad += refused.length + unused.length;
      console.log(`${tool}: ${refused.length} findings, ${allowed.length} allowed`);
      for (const reason of new Set(allowed.map((one) => one.reason))) console.log(`  ${reason}`);
      for (const { code, where, message } of refused) console.error(`  BAD ${code} ${where}: ${message}`);
      for (const { code, where } of unused) console.error(`  BAD nothing needs the allowance ${code} ${where.trim()}`);
    }
    return bad > 0 ? 1 : 0;
  } finally {
    await rm(folder, { recursive: true });
  }
}

process.exitCode = await main();
