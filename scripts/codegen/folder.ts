/**
 * A `_generated` folder on disk against what it should hold.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { GeneratedFiles } from "./generate.js";

/** `_generated/ai` belongs to `npx convex ai-files`, which the CLI leaves alone as well. */
const FOREIGN = new Set(["ai"]);

/** Names of files that are missing or differ; sorted. */
export function staleFiles(dir: string, files: GeneratedFiles): string[] {
  return Object.entries(files)
    .filter(([name, text]) => {
      const file = path.join(dir, "_generated", name);
      return !existsSync(file) || readFileSync(file, "utf8") !== text;
    })
    .map(([name]) => name)
    .sort();
}

/** Names of files that are there and should not be; sorted. */
export function unexpectedFiles(dir: string, files: GeneratedFiles): string[] {
  const folder = path.join(dir, "_generated");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => !FOREIGN.has(name) && !Object.hasOwn(files, name))
    .sort();
}

/** Writes what is stale and returns the names. Fresh files keep their time stamp. */
export function writeStale(dir: string, files: GeneratedFiles): string[] {
  const folder = path.join(dir, "_generated");
  mkdirSync(folder, { recursive: true });
  const names = staleFiles(dir, files);
  for (const name of names) writeFileSync(path.join(folder, name), files[name] ?? "");
  return names;
}

export function removeUnexpected(dir: string, files: GeneratedFiles): string[] {
  const names = unexpectedFiles(dir, files);
  for (const name of names) rmSync(path.join(dir, "_generated", name), { recursive: true });
  return names;
}
