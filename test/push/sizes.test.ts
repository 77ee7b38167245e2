/** The sizes of bundled entries, and that a hot entry which grows too big fails the check. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";
import { pushCheck } from "../../scripts/push/program.js";
import { HOT_ENTRIES, MAX_HOT_BYTES, type Sizes } from "../../scripts/push/sizes.js";

let folder: string;
let out: string[];
let err: string[];

function put(files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), text);
  }
}

const run = (...flags: string[]): Promise<number> =>
  pushCheck(
    flags,
    { hostRoot: path.join(folder, "host"), packageRoot: async () => path.join(folder, "package") },
    { out: (line) => out.push(line), err: (line) => err.push(line) },
  );

const module = (text = ""): string => `
  import { internalMutationGeneric } from "convex/server";
  import { shared } from "./shared.js";
  export const fn = internalMutationGeneric({ args: {}, handler: async () => shared + "${text}" });`;

beforeEach(() => {
  out = [];
  err = [];
  folder = mkdtempSync(path.join(tmpdir(), "shardflow-sizes-test-"));
  symlinkSync(path.join(REPO_ROOT, "node_modules"), path.join(folder, "node_modules"), "dir");
  put({
    "host/package.json": "{}",
    "host/convex/one.ts": "export const one = 1;",
    "package/package.json": readFileSync(path.join(REPO_ROOT, "package.json"), "utf8"),
    "package/dist/component/convex.config.js": `import { defineComponent } from "convex/server";
      export default defineComponent("shardflow");`,
    "package/dist/component/shared.js": `export const shared = "${"s".repeat(1_000)}";`,
    "package/dist/component/cold.js": module("c".repeat(2 * MAX_HOT_BYTES)),
  });
  for (const name of Object.keys(HOT_ENTRIES)) put({ [`package/dist/component/${name}.js`]: module() });
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("entries of the built package", () => {
  it("are measured with what they share, apart from Convex's library, beside an empty function", async () => {
    expect(await run("--json")).toBe(0);
    const { sizes } = JSON.parse(out.join("\n")) as { sizes: Sizes };
    const { entry, emitted, convex, own, alone } = sizes.baseline;
    expect(entry).toBe("empty");
    expect(emitted).toBeGreaterThan(MAX_HOT_BYTES);
    expect(emitted).toBe(convex + own);
    expect(sizes.baseline.libraries).toEqual({});
    expect(own).toBeLessThan(5_000);
    expect(alone).toBeLessThan(emitted);

    const kick = sizes.entries.find((size) => size.entry === "kick");
    expect(kick?.own).toBeGreaterThan(1_000);
    expect(kick?.own).toBeLessThan(own + 2_000);
    expect((kick?.alone ?? 0) - alone).toBeGreaterThan(900);
    expect((kick?.alone ?? 0) - alone).toBeLessThan(1_100);
    const cold = sizes.entries.find((size) => size.entry === "cold");
    expect(cold?.own).toBeGreaterThan(2 * MAX_HOT_BYTES);
    expect(err).toEqual([]);
  });

  it("may be big when they are not hot; a hot one fails by its own bytes", async () => {
    put({ "package/dist/component/kick.js": module("k".repeat(MAX_HOT_BYTES)) });
    expect(await run()).toBe(1);
    expect(err).toHaveLength(2);
    expect(err[0]).toMatch(/^BAD SIZE kick \(kick\) has 6\d{4} own bytes; 61440 are allowed/);
    expect(err[0]).toMatch(/Biggest: convex-shardflow\/dist\/component\/kick\.js \(6\d{4}\), /);
    expect(err[1]).toMatch(/^BAD SIZE kick \(kick\) has \d+ bytes alone and minified/);
    expect(out.join("\n")).toMatch(/^kick +1\d\d,\d{3} .* hot: kick$/m);
    expect(out.join("\n")).toMatch(/^cold .*\d$/m);
  });

  it("a hot one fails by what it weighs with Convex's library, too", async () => {
    put({ "package/dist/component/pump.js": module("p".repeat(MAX_HOT_BYTES / 2)) });
    expect(await run()).toBe(1);
    expect(err).toEqual([expect.stringMatching(/^BAD SIZE pump \(claim\) has 6\d{4} bytes alone and minified/)]);
  });

  it("a hot one fails by a library that is not meant for it, whatever its size", async () => {
    const comparing = `import { deepCompareStrict } from "@cfworker/json-schema";
      ${module().replace("shared +", "String(deepCompareStrict(1, shared)) +")}`;
    put({ "package/dist/component/executions.js": comparing, "package/dist/component/kick.js": comparing });
    expect(await run()).toBe(1);
    expect(err).toEqual([expect.stringMatching(/^BAD SIZE kick \(kick\) loads @cfworker\/json-schema/)]);
  });

  it("fail the check when a hot one is missing, and when the package would be refused", async () => {
    rmSync(path.join(folder, "package/dist/component/checkpoint.js"));
    put({ "package/dist/component/not-ok.js": module() });
    expect(await run()).toBe(1);
    expect(err).toEqual([
      expect.stringMatching(/BAD MODULE_PATH convex-shardflow\/dist\/component\/not-ok: /),
      expect.stringMatching(/^BAD SIZE checkpoint \(checkpoint\) is not among the entries/),
    ]);
  });

  it("cannot be measured when the package does not bundle, and the check says why", async () => {
    put({ "package/dist/component/kick.js": `export { gone } from "./gone.js";` });
    expect(await run()).toBe(1);
    expect(err).toEqual([
      expect.stringContaining("BAD UNRESOLVED_IMPORT convex-shardflow/dist/component/kick.js:1"),
      expect.stringMatching(/^BAD SIZE The entries cannot be measured/),
    ]);
  });

  it("are not looked at with an option that nobody knows", async () => {
    expect(await run("--jsno")).toBe(2);
    expect(err).toEqual([expect.stringContaining("--jsno")]);
  });
});
