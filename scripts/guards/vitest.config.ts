/**
 * The test configuration with one guard removed: the text is replaced when the module is loaded, so the working tree is
 * never touched and there is nothing to restore. The guard is an index into the list, in the variable GUARD.
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { mergeConfig, type Plugin } from "vitest/config";
import base from "../../vitest.config.js";
import { GUARDS } from "./list.js";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

function without(index: number): Plugin {
  const guard = GUARDS[index];
  if (guard === undefined) throw new Error(`GUARD is ${index}; it must be an index below ${GUARDS.length}.`);
  return {
    name: "without-a-guard",
    enforce: "pre",
    transform: (code, id) =>
      path.relative(ROOT, id.split("?")[0] ?? id) === guard.file
        ? code.replace(guard.find, () => guard.put)
        : undefined,
  };
}

export default mergeConfig(base, { plugins: [without(Number(process.env.GUARD))] });
