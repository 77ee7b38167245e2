/** The push check of one app: bundle, evaluate, test every rule. */
import path from "node:path";
import { bundleApp, type BundledDirectory } from "./bundle.js";
import type { CliBundler } from "./cliBundler.js";
import { checkDefinitions, checkMounts } from "./componentRules.js";
import { checkCrons, checkHttp } from "./entryRules.js";
import { checkFunctions } from "./functionRules.js";
import { Findings, type Note, type Problem } from "./problems.js";
import { checkSchema } from "./schemaRules.js";

export type DirectoryReport = { label: string; modules: number; functions: number; tables: number };
export type AppReport = { problems: Problem[]; notes: Note[]; directories: DirectoryReport[] };

/** `root` is the app's root, which holds `convex/`, and must be the working directory. */
export async function checkApp(
  cli: CliBundler,
  root: string,
): Promise<{ report: AppReport; bundled: BundledDirectory[] }> {
  const findings = new Findings();
  // The CLI's output directory, which is never written: source maps are relative to it.
  const sourceRoot = path.join(root, "out");
  const bundled = await bundleApp(cli, root, findings);
  const definitions = await checkDefinitions(bundled, root, findings);
  checkMounts(definitions, bundled, findings);
  const directories: DirectoryReport[] = [];
  for (const directory of bundled) {
    const tables = await checkSchema(directory, root, sourceRoot, findings);
    const analysis = await checkFunctions(directory, root, sourceRoot, findings);
    checkCrons(analysis, directory.label, findings);
    checkHttp(analysis, directory.label, findings);
    directories.push({
      label: directory.label,
      modules: analysis.exports.size,
      functions: analysis.functions.length,
      tables: tables.length,
    });
  }
  return { report: { problems: findings.problems, notes: findings.notes, directories }, bundled };
}
