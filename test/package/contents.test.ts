/** Every rule on the tarball's contents, publint and attw bite; an allowance covers what it names and nothing else. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkContents } from "../../scripts/package/contents.js";
import { ALLOWED, judge, type Finding } from "../../scripts/package/findings.js";
import { pack, type Packed } from "../../scripts/package/pack.js";
import { runAttw, runPublint } from "../../scripts/package/tools.js";

const GOOD: Packed = {
  tarball: "demo-1.0.0.tgz",
  size: 1000,
  manifest: {
    name: "demo",
    version: "1.0.0",
    bin: { demo: "./dist/cli/main.js" },
    scripts: { build: "tsc" },
    exports: {},
    dependencies: { "@scope/kit": "^1.0.0" },
    peerDependencies: { convex: "^1.0.0" },
  },
  files: {
    "package.json": "{}",
    "dist/cli/main.js": '#!/usr/bin/env node\nimport "node:fs";\nimport "../index.js";\n',
    "dist/index.js":
      'import "@scope/kit/deep";\nimport { v } from "convex/values";\nexport { v };\n//# sourceMappingURL=index.js.map\n',
    "dist/index.js.map": '{"sources":["../src/index.ts"]}',
    "src/index.ts": 'export { v } from "convex/values";\n',
    "src/test.ts": 'import "./index.js";\n',
  },
};

const withFiles = (files: Packed["files"]): Packed => ({ ...GOOD, files: { ...GOOD.files, ...files } });
const withManifest = (manifest: Partial<Packed["manifest"]>): Packed => ({
  ...GOOD,
  manifest: { ...GOOD.manifest, ...manifest },
});
const without = (file: string): Packed => ({
  ...GOOD,
  files: Object.fromEntries(Object.entries(GOOD.files).filter(([name]) => name !== file)),
});

test("a package with nothing wrong has no findings", () => expect(checkContents(GOOD)).toEqual([]));

// The secrets are put together here, so that no scanner takes this file for a leak.
test.each<[code: string, where: string, packed: Packed]>([
  ["unexpected-file", "vitest.config.ts", withFiles({ "vitest.config.ts": "" })],
  ["test-file", "src/engine/plan.test.ts", withFiles({ "src/engine/plan.test.ts": "" })],
  ["test-file", "src/fixtures/flow.json", withFiles({ "src/fixtures/flow.json": "" })],
  ["test-file", "dist/test.js", withFiles({ "dist/test.js": "" })],
  ["private-file", "src/.env.local", withFiles({ "src/.env.local": "" })],
  ["secret", "src/key.ts", withFiles({ "src/key.ts": `export const key = "sk-${"a1".repeat(20)}";` })],
  ["secret", "src/key.ts", withFiles({ "src/key.ts": `-----BEGIN RSA ${"PRIVATE"} KEY-----` })],
  ["source-map", "dist/index.js.map", without("src/index.ts")],
  ["missing-map", "dist/index.js", without("dist/index.js.map")],
  ["import", "dist/cli/main.js", without("dist/index.js")],
  ["import", "dist/index.js", withManifest({ dependencies: {} })],
  ["import", "dist/index.js", withManifest({ peerDependencies: {} })],
  ["import", "dist/walk.js", withFiles({ "dist/walk.js": 'import "node:fs";' })],
  ["bin", "./dist/cli/main.js", without("dist/cli/main.js")],
  ["bin", "./dist/cli/main.js", withFiles({ "dist/cli/main.js": 'import "../index.js";\n' })],
  ["install-script", "scripts.postinstall", withManifest({ scripts: { postinstall: "node setup.js" } })],
  ["size", "packed", { ...GOOD, size: 2 * 1024 * 1024 }],
  ["size", "unpacked", withFiles({ "src/large.ts": "x".repeat(6 * 1024 * 1024) })],
])("%s is found: %s", (code, where, packed) => {
  expect(checkContents(packed)).toContainEqual(expect.objectContaining({ tool: "contents", code, where }));
});

describe("publint and attw", () => {
  let folder: string;
  beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "shardflow-broken-"))));
  afterEach(async () => await rm(folder, { recursive: true }));

  test("find what is wrong with a package, whose allowances do not cover it", async () => {
    const root = path.join(folder, "broken");
    await mkdir(root);
    const files = {
      "index.js": "module.exports = 1;",
      "index.d.ts": "declare const x: 1; export = x;",
      "untyped.js": "export default 1;",
      "package.json": JSON.stringify({
        name: "broken",
        version: "1.0.0",
        type: "module",
        exports: {
          ".": { types: "./index.d.ts", default: "./index.js" },
          "./untyped": "./untyped.js",
          "./gone": "./gone.js",
        },
      }),
    };
    for (const [name, text] of Object.entries(files)) await writeFile(path.join(root, name), text);
    const packed = await pack(root, folder);
    const findings = [...(await runPublint(packed)), ...(await runAttw(packed))];
    const { refused } = judge(findings, ALLOWED);
    const codes = refused.map(({ tool, code, where }) => `${tool} ${code} ${where}`);
    expect(codes).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^publint FILE_DOES_NOT_EXIST exports\.\.\/gone/),
        "attw UntypedResolution bundler ./untyped",
        "attw NoResolution node16-esm ./gone",
      ]),
    );
  });
});

describe("an allowance", () => {
  const found: Finding = { tool: "attw", code: "NoResolution", where: "node10 ./test", message: "not resolved" };
  const allowance = { tool: "attw", code: "NoResolution", where: "node10 ", reason: "meant to be so" } as const;

  test("covers the findings it names", () => {
    expect(judge([found], [allowance])).toEqual({
      refused: [],
      allowed: [{ ...found, reason: "meant to be so" }],
      unused: [],
    });
  });

  test.each([{ tool: "publint" }, { code: "NoTypes" }, { where: "bundler ./test" }] as Array<Partial<Finding>>)(
    "covers no others, and is reported when nothing needs it: %j",
    (difference) => {
      const other = { ...found, ...difference };
      expect(judge([other], [allowance])).toEqual({ refused: [other], allowed: [], unused: [allowance] });
    },
  );
});
