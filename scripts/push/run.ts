/**
 * Runs push checks in a process of their own, because they need a Node flag, change the working directory, and import code
 * that is expected to misbehave.
 */
import { fork } from "node:child_process";
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { REPO_ROOT } from "../codegen/analysis.js";
import type { AppReport } from "./check.js";
import type { Sizes } from "./sizes.js";

/** `root` holds `convex/`. `sizesOf` is the package of the component whose entries are measured. */
export type Task = { root: string; sizesOf?: string };
/** `sizes` is null when they were not asked for, or the component does not bundle. */
export type Answer = AppReport & { sizes: Sizes | null };

/** One answer per task, in order. */
export function checkApps(tasks: Task[]): Promise<Answer[]> {
  const worker = fork(fileURLToPath(new URL("./worker.ts", import.meta.url)), {
    cwd: REPO_ROOT,
    execArgv: ["--import", "tsx", "--experimental-vm-modules", "--no-warnings"],
  });
  return new Promise((resolve, reject) => {
    worker.once("message", (answers) => resolve(answers as Answer[]));
    worker.once("error", reject);
    worker.once("exit", (code) => reject(new Error(`The push check's process ended with code ${code} and no answer.`)));
    // Bundlers tell files by their real paths.
    worker.send(tasks.map((task) => ({ ...task, root: realpathSync(task.root) })));
  });
}
