/**
 * Every rule of eslint.config.js that guards a promise of this repository is shown to bite, and not to bite too much.
 * Snippets are linted in memory under a path; nothing has to exist there.
 */
import { ESLint } from "eslint";
import tseslint from "typescript-eslint";
import { describe, expect, it } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";

/** Without type information, which paths that do not exist cannot have. */
const eslint = new ESLint({ cwd: REPO_ROOT, overrideConfig: [tseslint.configs.disableTypeChecked] });

async function rulesBroken(filePath: string, code: string, using: ESLint = eslint): Promise<string[]> {
  const [result] = await using.lintText(code, { filePath });
  const messages = result?.messages ?? [];
  for (const { fatal, message } of messages) if (fatal === true) throw new Error(`${filePath}: ${message}`);
  // A snippet rarely uses all it declares.
  return [...new Set(messages.map(({ ruleId }) => ruleId ?? ""))].filter((rule) => !rule.endsWith("no-unused-vars"));
}

const BOUNDARIES = "shardflow/boundaries";

describe("boundaries between the layers", () => {
  const refused: Array<[file: string, code: string]> = [
    ["src/shared/a.ts", `import { x } from "../engine/plan.js";`],
    ["src/shared/a.ts", `import { x } from "convex/server";`],
    ["src/shared/a.ts", `import { z } from "zod";`],
    ["src/engine/a.ts", `import { v } from "convex/values";`],
    ["src/engine/a.ts", `import type { Doc } from "../component/_generated/dataModel.js";`],
    ["src/engine/expr/a.ts", `import { walk } from "../../walker/walk.js";`],
    ["src/walker/a.ts", `import { x } from "../models/call.js";`],
    ["src/walker/a.ts", `import { x } from "convex/server";`],
    ["src/walker/a.ts", `import { z } from "zod";`],
    ["simulator/src/a.ts", `import { x } from "../../src/shared/json.js";`],
    ["simulator/test/a.ts", `import { x } from "../../test/support/harness.js";`],
    ["simulator/test/a.ts", `import { x } from "../../convex/schema.js";`],
    ["src/models/a.ts", `import { x } from "../engine/expr/evaluate.js";`],
    ["src/models/a.ts", `import { x } from "../component/schema.js";`],
    ["src/component/executions.ts", `import { z } from "zod";`],
    ["src/component/executions.ts", `import { parse } from "@marcbachmann/cel-js";`],
    ["src/component/kick.ts", `import { evaluate } from "../engine/expr/evaluate.js";`],
    ["src/component/pump.ts", `import { compile } from "../engine/definition/compile.js";`],
    ["src/component/checkpoint.ts", `export * from "../engine/definition.js";`],
    ["src/component/cancel.ts", `const x = await import("../models/call.js");`],
    ["src/component/model/values.ts", `import { walk } from "../../walker/walk.js";`],
    ["src/component/claim.ts", `import { runStretch } from "./stretch.js";`],
    ["src/component/claim.ts", `import { Shardflow } from "../client/index.js";`],
    ["src/component/definitions.ts", `import { call } from "../models/call.js";`],
    ["src/component/definitions.ts", `import { generateText } from "ai";`],
    ["src/component/stretch.ts", `import { generateText } from "ai";`],
    ["src/component/schema.ts", `import { start } from "./executions.js";`],
    ["src/client/index.ts", `import { plan } from "../engine/plan.js";`],
    ["src/client/index.ts", `import { ComponentApi } from "../component/_generated/component.js";`],
    ["src/client/index.ts", `import type { Doc } from "../component/_generated/dataModel.js";`],
    ["src/client/index.ts", `type Doc = import("../component/_generated/dataModel.js").Doc;`],
    ["src/newFolder/a.ts", `import { x } from "./b.js";`],
    ["convex/orders.ts", `import { Shardflow } from "../src/client/index.js";`],
    ["convex/orders.ts", `import { generateText } from "ai";`],
    ["demo/run.ts", `import { json } from "../src/shared/json.js";`],
    ["test/component/a.test.ts", `import { openai } from "@ai-sdk/openai";`],
  ];
  it.each(refused)("refuse, in %s: %s", async (file, code) => {
    expect(await rulesBroken(file, code)).toEqual([BOUNDARIES]);
  });

  const allowed: Array<[file: string, code: string]> = [
    ["src/shared/a.ts", `import { v } from "convex/values"; import { toJsonText } from "./json.js";`],
    ["src/engine/expr/a.ts", `import { x } from "../../shared/json.js"; import { parse } from "@marcbachmann/cel-js";`],
    ["src/engine/a.ts", `import { z } from "zod"; import { Validator } from "@cfworker/json-schema";`],
    ["src/walker/nodes/a.ts", `import { x } from "../../engine/expr/evaluate.js"; import { y } from "../walk.js";`],
    ["simulator/src/a.ts", `import { v } from "convex/values"; import { x } from "./b.js";`],
    ["src/models/a.ts", `import { generateText } from "ai"; import { openai } from "@ai-sdk/openai";`],
    ["src/models/a.ts", `import { validate } from "../engine/jsonSchema.js"; import { x } from "../shared/json.js";`],
    ["src/component/kick.ts", `import type { Plan } from "../engine/definition/compile.js";`],
    ["src/component/kick.ts", `import { admit } from "../engine/admit.js"; import { v } from "convex/values";`],
    ["src/component/definitions.ts", `import { compile } from "../engine/definition/compile.js";`],
    ["src/component/stretch.ts", `import { call } from "../models/call.js"; import { walk } from "../walker/walk.js";`],
    ["src/component/schema.ts", `import { vStatus } from "../shared/status.js"; import { v } from "convex/values";`],
    ["src/component/convex.config.ts", `import workflow from "@convex-dev/workflow/convex.config";`],
    ["src/client/index.ts", `import type { ComponentApi } from "../component/_generated/component.js";`],
    [
      "src/test.ts",
      `import schema from "./component/schema.js"; import { register } from "@convex-dev/workflow/test";`,
    ],
    [
      "convex/orders.ts",
      `import { Shardflow } from "convex-shardflow"; import { query } from "./_generated/server.js";`,
    ],
    ["test/models/a.test.ts", `import { MockLanguageModelV3 } from "ai/test";`],
    ["test/engine/a.test.ts", `import { plan } from "../../src/engine/plan.js";`],
  ];
  it.each(allowed)("allow, in %s: %s", async (file, code) => {
    expect(await rulesBroken(file, code)).toEqual([]);
  });
});

describe("the pure core", () => {
  const SYNTAX = "no-restricted-syntax";
  const GLOBALS = "no-restricted-globals";
  it.each([
    ["a clock", `export const a = Date.now();`, SYNTAX],
    ["the current date", `export const a = new Date();`, SYNTAX],
    ["the current date as text", `export const a = Date();`, SYNTAX],
    ["chance", `export const a = Math.random();`, SYNTAX],
    ["async functions", `export async function a() {}`, SYNTAX],
    ["async methods", `export const a = { async b() {} };`, SYNTAX],
    ["async arrows", `export const a = async () => 1;`, SYNTAX],
    ["waiting", `await a;`, SYNTAX],
    ["output", `console.log(1);`, GLOBALS],
    ["the environment", `export const a = process.env.A;`, GLOBALS],
    ["random ids", `export const a = crypto.randomUUID();`, GLOBALS],
    ["timers", `setTimeout(() => {}, 1);`, GLOBALS],
    ["the network", `export const a = fetch("https://example.com");`, GLOBALS],
  ])("has no %s", async (_what, code, rule) => {
    expect(await rulesBroken("src/engine/a.ts", code)).toEqual([rule]);
    expect(await rulesBroken("src/shared/a.ts", code)).toEqual([rule]);
  });

  it("may read and write dates it was given", async () => {
    const code = `export const text = (at: number): string => new Date(at).toISOString();`;
    expect(await rulesBroken("src/engine/a.ts", code)).toEqual([]);
  });

  it("ends where the component begins", async () => {
    const code = `export const a = async (): Promise<number> => Date.now() + Math.random();`;
    expect(await rulesBroken("src/component/a.ts", code)).toEqual([]);
  });
});

describe("errors and size in src", () => {
  it.each([
    `throw new Error("no");`,
    `throw new TypeError("no");`,
    `throw Error("no");`,
    `import { ConvexError } from "convex/values"; throw new ConvexError("no");`,
  ])("refuse %s", async (code) => {
    expect(await rulesBroken("src/component/a.ts", code)).toEqual(["no-restricted-syntax"]);
    expect(await rulesBroken("src/shared/a.ts", code)).toEqual(["no-restricted-syntax"]);
  });

  it("allow shardflowError, and rethrowing", async () => {
    const code = `import { shardflowError } from "./errors.js";
      export function a(error: unknown): never {
        if (error === null) throw shardflowError("INTERNAL", { message: "" });
        throw error;
      }`;
    expect(await rulesBroken("src/shared/a.ts", code)).toEqual([]);
  });

  it("refuse process in the component, whose env comes from its own server file", async () => {
    expect(await rulesBroken("src/component/a.ts", `export const a = process.env.A;`)).toEqual([
      "no-restricted-globals",
    ]);
  });

  it("count 400 lines of code, not comments", async () => {
    const lines = (count: number, line: string): string => Array.from({ length: count }, () => line).join("\n");
    expect(await rulesBroken("src/engine/a.ts", lines(401, "f();"))).toEqual(["max-lines"]);
    expect(await rulesBroken("src/engine/a.ts", `${lines(400, "f();")}\n${lines(50, "// why")}`)).toEqual([]);
  });
});

describe("types", () => {
  it("are never any, and errors of the compiler are not silenced", async () => {
    expect(await rulesBroken("src/shared/a.ts", `export const a = (b: any) => b as string;`)).toEqual([
      "@typescript-eslint/no-explicit-any",
    ]);
    expect(await rulesBroken("src/shared/a.ts", `// @ts-ignore\nexport const a: string = 1;`)).toEqual([
      "@typescript-eslint/ban-ts-comment",
    ]);
  });

  it("name what is left unused", async () => {
    const unused = async (code: string): Promise<boolean> => {
      const [result] = await eslint.lintText(code, { filePath: "src/shared/a.ts" });
      return result?.messages.some(({ ruleId }) => ruleId === "@typescript-eslint/no-unused-vars") ?? false;
    };
    expect(await unused(`export const f = (used: number, left: number): number => used;`)).toBe(true);
    expect(await unused(`export const f = (used: number, _left: number): number => used;`)).toBe(false);
  });

  it("show promises that nobody waits for", async () => {
    // Rules that need types look at the file's neighbours: it has to be one that exists.
    const typed = new ESLint({ cwd: REPO_ROOT });
    const file = "src/shared/json.ts";
    expect(await rulesBroken(file, `const f = async (): Promise<void> => {}; f();`, typed)).toContain(
      "@typescript-eslint/no-floating-promises",
    );
    expect(await rulesBroken(file, `const f = (): Promise<void> => Promise.resolve(); void f();`, typed)).toEqual([]);
  });
});

describe("Convex functions", () => {
  const cases: Array<[code: string, rule: string]> = [
    [`export const a = query(async (ctx) => null);`, "@convex-dev/no-old-registered-function-syntax"],
    [`export const a = query({ handler: async (ctx, args) => args });`, "@convex-dev/require-args-validator"],
    [
      `export const a = mutation({ args: {}, handler: async (ctx) => { await ctx.db.delete("x" as Id<"runs">); } });`,
      "@convex-dev/explicit-table-ids",
    ],
    [
      `export const a = query({ args: {}, handler: (ctx) => ctx.db.query("runs").filter((q) => true).take(1) });`,
      "@convex-dev/no-filter-in-query",
    ],
    [
      `export default defineSchema({ a: defineTable({}).index("x", ["b"]).index("y", ["b"]) });`,
      "@convex-dev/no-duplicate-indexes",
    ],
  ];
  it.each(cases)("refuse %s", async (code, rule) => {
    const imports = `import { query, mutation } from "./_generated/server.js";
      import { defineSchema, defineTable } from "convex/server";`;
    expect(await rulesBroken("src/component/a.ts", `${imports}\n${code}`)).toContain(rule);
    expect(await rulesBroken("convex/a.ts", `${imports}\n${code}`)).toContain(rule);
  });
});

describe("tests", () => {
  const FILE = "test/engine/a.test.ts";
  const SEEDED = "shardflow/seeded-properties";
  it.each([
    [`fc.assert(property);`, SEEDED],
    [`fc.assert(property, { numRuns: 10 });`, SEEDED],
    [`fc.check(property);`, SEEDED],
    [`fc.sample(arbitrary, 10);`, SEEDED],
    [`const RUNS = { numRuns: 10 }; fc.assert(property, RUNS);`, SEEDED],
    [`let RUNS = { seed: 1 }; fc.assert(property, RUNS);`, SEEDED],
    [`import { RUNS } from "./runs.js"; fc.assert(property, RUNS);`, SEEDED],
    [`const a = Math.random();`, "no-restricted-syntax"],
    [`const a = crypto.randomUUID();`, "no-restricted-syntax"],
    [`const a = globalThis.crypto.getRandomValues(new Uint8Array(1));`, "no-restricted-syntax"],
    [`import { randomBytes } from "node:crypto";`, "no-restricted-syntax"],
    [`it.skip("later", () => {});`, "no-restricted-syntax"],
    [`describe.only("this", () => {});`, "no-restricted-syntax"],
    [`it.todo("later");`, "no-restricted-syntax"],
  ])("refuse %s", async (code, rule) => {
    expect(await rulesBroken(FILE, `import fc from "fast-check";\n${code}`)).toContain(rule);
  });

  it.each([
    `fc.assert(property, { seed: 42 });`,
    `await fc.assert(fc.asyncProperty(arbitrary, check), { seed: 42, numRuns: 10 });`,
    `const RUNS = { seed: 7 } as const; fc.assert(property, RUNS);`,
    `fc.sample(arbitrary, { seed: 1, numRuns: 3 });`,
    `import { createHash } from "node:crypto";`,
    `it.each([1])("runs", () => {});`,
  ])("allow %s", async (code) => {
    expect(await rulesBroken(FILE, `import fc from "fast-check";\n${code}`)).toEqual([]);
  });
});
