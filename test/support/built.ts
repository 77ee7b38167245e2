/**
 * The built package, for tests of what its users get: `dist` is built when it is missing or older than its sources.
 *
 * Invariant: one build at a time, whichever test processes ask, so nobody reads a `dist` that is half written. In
 * `npm run verify` the build has just run and nothing is built here.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";

const LOCK_POLL_MS = 100;

let fresh: Promise<string> | undefined;

/** The package's root, with a fresh `dist`. */
export function built(): Promise<string> {
  fresh ??= withLock(path.join(REPO_ROOT, "node_modules/.cache/shardflow-build.lock"), async () => {
    if (isStale(REPO_ROOT)) await build();
    return REPO_ROOT;
  });
  return fresh;
}

/** The program of the command line: run it as `process.execPath`. */
export async function builtCli(): Promise<string> {
  return path.join(await built(), "dist/cli/main.js");
}

/** Whether `dist` lacks a module, has one without a source, or is older than what it is built from. */
export function isStale(root: string): boolean {
  const inputs = ["src", "types"].flatMap((folder) => filesBelow(path.join(root, folder)));
  const sources = inputs.flatMap(
    (file) => path.relative(path.join(root, "src"), file).match(/^(?!\.\.)(.*)\.ts$/)?.[1] ?? [],
  );
  const outputs = filesBelow(path.join(root, "dist"));
  const modules = outputs.flatMap(
    (file) => path.relative(path.join(root, "dist"), file).match(/^(.*)\.js$/)?.[1] ?? [],
  );
  const expected = sources.filter((name) => name !== "test");
  if (expected.sort().join() !== modules.sort().join()) return true;
  const configs = ["tsconfig.json", "tsconfig.build.json"].map((name) => path.join(root, name));
  const times = (files: string[]) => files.filter((file) => existsSync(file)).map((file) => statSync(file).mtimeMs);
  return Math.max(...times([...inputs, ...configs])) > Math.min(...times(outputs));
}

function filesBelow(dir: string): string[] {
  if (!existsSync(dir)) return [];
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

async function build(): Promise<void> {
  const child = spawn("npm", ["run", "build"], { cwd: REPO_ROOT, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += String(text)));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`npm run build failed:\n${output}`);
}

/** Runs alone among all processes that use the same file. The file names its owner; that of a dead one is taken over. */
export async function withLock<T>(file: string, run: () => Promise<T>): Promise<T> {
  mkdirSync(path.dirname(file), { recursive: true });
  while (!take(file)) await sleep(LOCK_POLL_MS);
  try {
    return await run();
  } finally {
    rmSync(file);
  }
}

function take(file: string): boolean {
  try {
    writeFileSync(file, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    if (isAbandoned(file)) rmSync(file, { force: true });
    return false;
  }
}

function isAbandoned(file: string): boolean {
  try {
    const owner = Number(readFileSync(file, "utf8"));
    // Between its creation and its content the file is empty.
    if (owner === 0) return false;
    process.kill(owner, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
