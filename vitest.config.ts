/**
 * Two projects: what runs under Convex's rules (`convex`, in an edge runtime) and everything else (`node`).
 * A new folder under test/ lands in `node` unless it is named here, so no test file is ever left out.
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import ClosingLineReporter from "./scripts/closingLine.js";

const root = path.dirname(fileURLToPath(import.meta.url));
const CONVEX_TESTS = ["test/component/**/*.test.ts", "test/host/**/*.test.ts", "test/cost/**/*.test.ts"];

/** The package by its own name, without a build. Mirrors `paths` in tsconfig.json. */
const SELF = {
  "": "src/client/index.ts",
  "/convex.config": "src/component/convex.config.ts",
  "/convex.config.js": "src/component/convex.config.ts",
  "/test": "src/test.ts",
};

export default defineConfig({
  root,
  resolve: {
    alias: Object.entries(SELF).map(([entry, file]) => ({
      find: new RegExp(`^convex-shardflow${entry.replaceAll(".", "\\.")}$`),
      replacement: path.join(root, file),
    })),
  },
  test: {
    testTimeout: 30_000,
    hookTimeout: 30_000,
    maxWorkers: 2,
    allowOnly: false,
    passWithNoTests: false,
    reporters: ["default", new ClosingLineReporter()],
    server: { deps: { inline: ["convex-test"] } },
    projects: [
      { extends: true, test: { name: "convex", environment: "edge-runtime", include: CONVEX_TESTS } },
      {
        extends: true,
        test: {
          name: "node",
          environment: "node",
          include: ["test/**/*.test.ts", "simulator/test/**/*.test.ts"],
          exclude: CONVEX_TESTS,
        },
      },
    ],
  },
});
