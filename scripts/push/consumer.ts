/**
 * An app as a user of the package has it: the built package in its node_modules, found through its own exports, and one
 * function that does nothing, to measure what every function costs.
 *
 * The package is copied, not linked: a link would be resolved to this repository, where tsconfig.json has other paths.
 */
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { REPO_ROOT } from "../codegen/analysis.js";

export const PACKAGE_NAME = "convex-shardflow";
/** The module with the empty function. */
export const EMPTY_MODULE = "empty";

const FILES: Record<string, string> = {
  "package.json": JSON.stringify({ name: "consumer", type: "module", private: true }),
  "convex/convex.config.ts": `
    import { defineApp } from "convex/server";
    import shardflow from "${PACKAGE_NAME}/convex.config";
    const app = defineApp();
    app.use(shardflow);
    export default app;
  `,
  [`convex/${EMPTY_MODULE}.ts`]: `
    import { internalMutationGeneric } from "convex/server";
    export const empty = internalMutationGeneric({ args: {}, handler: async () => null });
  `,
};

/** Writes the app into an empty folder. `packageRoot` holds package.json and dist. */
export function writeConsumer(folder: string, packageRoot: string): void {
  writeProject(folder, FILES);
  const installed = path.join(folder, "node_modules", PACKAGE_NAME);
  mkdirSync(installed);
  for (const item of ["package.json", "dist"]) {
    cpSync(path.join(packageRoot, item), path.join(installed, item), { recursive: true });
  }
}

/** Writes files, and links every package of this repository into the folder's node_modules. */
export function writeProject(folder: string, files: Record<string, string>): void {
  const target = path.join(folder, "node_modules");
  mkdirSync(target, { recursive: true });
  const source = path.join(REPO_ROOT, "node_modules");
  for (const name of readdirSync(source)) {
    if (!name.startsWith(".")) symlinkSync(path.join(source, name), path.join(target, name), "dir");
  }
  for (const [file, text] of Object.entries(files)) {
    const full = path.join(folder, file);
    mkdirSync(path.dirname(full), { recursive: true });
    writeFileSync(full, text);
  }
}
