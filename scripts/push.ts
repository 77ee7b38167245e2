/**
 * What a push would refuse, without a backend: `npm run check:push`.
 *
 * Bundles the host app (which takes the component from src) and an app that uses the built package, both with the Convex
 * CLI's own bundler, evaluates the result as a push does, and tests the rules; then prints the sizes of the component's
 * entries. Exits with 1 on any problem and on a hot entry that is too big. `--json` prints all of it as one object.
 */
import { built } from "../test/support/built.js";
import { REPO_ROOT } from "./codegen/analysis.js";
import { pushCheck } from "./push/program.js";

try {
  process.exitCode = await pushCheck(
    process.argv.slice(2),
    { hostRoot: REPO_ROOT, packageRoot: built },
    { out: (line) => console.log(line), err: (line) => console.error(line) },
  );
} catch (error) {
  console.error(`The push check did not come to an end: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
