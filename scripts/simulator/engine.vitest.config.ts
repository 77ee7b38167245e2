/**
 * `npm run simulator:engine`: the engine's own tests on the simulator instead of convex-test.
 *
 * Owns: the alias, and which tests run: every test of the component, the example app and the client, unchanged, and the
 * proof that the alias is in force. Nothing is left out.
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, mergeConfig } from "vitest/config";
import base from "../../vitest.config.js";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const { projects: _, ...settings } = base.test ?? {};

export default mergeConfig(
  { ...base, test: settings },
  defineConfig({
    resolve: { alias: [{ find: /^convex-test$/, replacement: path.join(root, "simulator/src/convexTest.ts") }] },
    test: {
      // A file takes a little longer than on convex-test, and two of them share the machine.
      testTimeout: 60_000,
      hookTimeout: 60_000,
      projects: [
        {
          extends: true,
          test: {
            name: "edge",
            environment: "edge-runtime",
            include: ["test/component/**/*.test.ts", "test/host/**/*.test.ts", "scripts/simulator/alias.test.ts"],
          },
        },
        { extends: true, test: { name: "node", environment: "node", include: ["test/client/**/*.test.ts"] } },
      ],
    },
  }),
);
