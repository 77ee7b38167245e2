/** The push check from its flags to its exit code: which apps are checked, and what is printed. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { PACKAGE_NAME, writeConsumer } from "./consumer.js";
import { checkApps, type Answer } from "./run.js";
import { oversized, table } from "./sizes.js";

export type Io = { out(line: string): void; err(line: string): void };

/** `hostRoot` holds `convex/`; `packageRoot` answers the folder with the built package. */
export async function pushCheck(
  flags: string[],
  { hostRoot, packageRoot }: { hostRoot: string; packageRoot: () => Promise<string> },
  io: Io,
): Promise<number> {
  if (flags.some((flag) => flag !== "--json")) {
    io.err(`Unknown option ${flags.join(" ")}. Usage: npm run check:push [-- --json]`);
    return 2;
  }
  const consumer = mkdtempSync(path.join(tmpdir(), "shardflow-push-"));
  try {
    writeConsumer(consumer, await packageRoot());
    const [host, user] = await checkApps([{ root: hostRoot }, { root: consumer, sizesOf: PACKAGE_NAME }]);
    if (host === undefined || user === undefined) throw new Error("The push check gave no answer.");
    const { sizes, ...built } = user;
    const tooBig = oversized(sizes);
    const bad = host.problems.length + built.problems.length + tooBig.length;
    if (flags.includes("--json")) {
      const report = { ok: bad === 0, host: { ...host, sizes: undefined }, built, sizes, oversized: tooBig };
      io.out(JSON.stringify(report, null, 2));
    } else {
      print("Host app, component from its sources", host, io);
      print("An app with the built package", user, io);
      if (sizes !== null) io.out(`Bytes per entry of the built component:\n${table(sizes)}`);
      for (const sentence of tooBig) io.err(`BAD SIZE ${sentence}`);
    }
    return bad === 0 ? 0 : 1;
  } finally {
    rmSync(consumer, { recursive: true });
  }
}

function print(title: string, { problems, notes, directories }: Answer, io: Io): void {
  io.out(`${title}: ${problems.length} problems`);
  for (const { label, modules, functions, tables } of directories) {
    io.out(`  ${label}: ${modules} modules, ${functions} functions, ${tables} tables`);
  }
  for (const { code, where, message } of notes) io.out(`  note ${code} ${where}: ${message}`);
  for (const { code, where, message, fix } of problems) io.err(`  BAD ${code} ${where}: ${message} ${fix}`);
}
