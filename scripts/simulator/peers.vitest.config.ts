/**
 * The published suite of one package of Convex, where npm has put it: PEERS_PACKAGE is its name, PEERS_ENGINE what it runs
 * on. Its files are as published; the only thing put right is where workflow's tests look for workpool's sources.
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vitest/config";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const { PEERS_PACKAGE: name, PEERS_ENGINE: engine } = process.env;
if (name === undefined || (engine !== "convex-test" && engine !== "simulator")) {
  throw new Error(`PEERS_PACKAGE is ${name} and PEERS_ENGINE is ${engine}; run npm run simulator:peers.`);
}

/** In its repository a package has its dependencies in a folder of its own; here they are beside it. */
const ownDependencies: Plugin = {
  name: "own-dependencies",
  enforce: "pre",
  transform: (code, id) =>
    id.includes(`/node_modules/${name}/src/`)
      ? code.replaceAll("../../node_modules/@convex-dev/", "../../../")
      : undefined,
};

export default defineConfig({
  root,
  plugins: [ownDependencies],
  resolve: {
    alias:
      engine === "simulator"
        ? [{ find: /^convex-test$/, replacement: path.join(root, "simulator/src/convexTest.ts") }]
        : [],
  },
  test: {
    environment: "edge-runtime",
    include: [`node_modules/${name}/src/**/*.test.ts`],
    exclude: [],
    maxWorkers: 1,
    passWithNoTests: false,
    server: { deps: { inline: ["convex-test", /\/node_modules\/@convex-dev\//] } },
  },
});
