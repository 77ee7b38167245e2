/** The directory's checks hold for the component, and each one fails for a component that breaks it. */
import { describe, expect, test } from "vitest";
import { REPO_ROOT } from "../../scripts/codegen/analysis.js";
import { ADVISORY, checkGate, CRITICAL, type Gate } from "../../scripts/package/directory.js";
import { functionFiles, parse, readSources, registrationsOf, type Sources } from "../../scripts/package/sources.js";

const real = readSources(REPO_ROOT);

/** A component that passes everything. */
const GOOD: Sources = {
  "package.json": JSON.stringify({
    description: "Counts things.",
    license: "Apache-2.0",
    keywords: ["convex", "component"],
    exports: { "./convex.config.js": "./x.js", "./_generated/component.js": "./x.d.ts" },
  }),
  "src/component/convex.config.ts": `
    import { defineComponent } from "convex/server";
    const component = defineComponent("counter");
    export default component;`,
  "src/component/counter.ts": `
    import { v } from "convex/values";
    import { internal } from "./_generated/api.js";
    import { internalMutation, mutation, query } from "./_generated/server.js";
    export const add = mutation({
      args: { name: v.string() },
      returns: v.null(),
      handler: async (ctx, { name }) => {
        await ctx.scheduler.runAfter(0, internal.counter.sum, { name });
      },
    });
    export const read = query({
      args: { name: v.string() },
      returns: v.number(),
      handler: async (ctx, { name }) =>
        (await ctx.db.query("counts").withIndex("by_name", (q) => q.eq("name", name)).collect()).filter(Boolean).length,
    });
    export const sum = internalMutation({ args: { name: v.string() }, returns: v.null(), handler: async () => null });`,
  "src/client/index.ts": `export { Counter, exposeApi } from "./counter.js"; export type { Authorize } from "./counter.js";`,
  "src/test.ts": `export function register() {}`,
};

/** For every check: how the component breaks it (file, text, what takes its place), and what the check then says. */
type Break = [file: string, find: string, replacement: string, says: RegExp];
const counter = "src/component/counter.ts";
const BREAKS: Record<keyof typeof CRITICAL | keyof typeof ADVISORY, Break[]> = {
  "defines a component": [
    ["src/component/convex.config.ts", `from "convex/server"`, `from "./mine.js"`, /defineComponent/],
    ["src/component/convex.config.ts", `export default component;`, ``, /must export/],
    ["src/component/convex.config.ts", `("counter")`, `(name)`, /defineComponent/],
  ],
  "exports its configuration and its API": [
    ["package.json", `"./convex.config.js"`, `"./convex.config"`, /no export \.\/convex\.config\.js/],
    ["package.json", `"./_generated/component.js"`, `"./api"`, /no export \.\/_generated\/component\.js/],
  ],
  "has functions": [[counter, GOOD[counter] ?? "", `export const nothing = 1;`, /no functions/]],
  "registers functions with its own builders": [
    [counter, `./_generated/server.js`, `convex/server`, /counter\.add: mutation is not from/],
    [counter, `add = mutation(`, `add = customMutation(`, /counter\.add: customMutation is not from/],
  ],
  "registers functions as objects": [
    [
      counter,
      `internalMutation({ args: { name: v.string() }, returns: v.null(), handler: async () => null })`,
      `internalMutation(async () => null)`,
      /counter\.sum: use/,
    ],
  ],
  "validates arguments": [[counter, `args: { name: v.string() },`, ``, /counter\.add: no args/]],
  "returns null for nothing": [[counter, `returns: v.null(),`, `returns: v.any(),`, /counter\.add: returns nothing/]],
  "knows no users": [
    [counter, `await ctx.scheduler`, `await ctx.auth.getUserIdentity(); await ctx.scheduler`, /no ctx\.auth/],
    [counter, `async (ctx, { name }) => {`, `async ({ scheduler, auth }, { name }) => {`, /no ctx\.auth/],
  ],
  "keeps public and internal apart": [
    [counter, `import { internal }`, `import { api, internal }`, /use `internal`, not `api`/],
    [counter, `sum = internalMutation`, `sum = mutation`, /counter\.sum is public/],
  ],
  "reads by index": [[counter, `.withIndex("by_name", `, `.filter(`, /use withIndex/]],
  "takes its types from validators": [
    [counter, `returns: v.number()`, `returns: v.any()`, /uses v\.any/],
    [counter, `(ctx, { name }) => {`, `(ctx: any, { name }) => {`, /a type is any/],
  ],
  "validates results": [[counter, `returns: v.number(),`, ``, /counter\.read: no returns/]],
  "asks the app who may call what it re-exports": [
    ["src/client/index.ts", `Authorize`, `Options`, /exposeApi must take/],
  ],
  "has a client that does nothing on import": [
    ["src/client/index.ts", `export type`, `globalThis.counter = 1; export type`, /runs on import/],
    ["src/client/index.ts", GOOD["src/client/index.ts"] ?? "", ``, /exports nothing/],
  ],
  "offers register for tests": [["src/test.ts", `register`, `install`, /no register/]],
  "can be listed": [
    ["package.json", `"component"]`, `"kit"]`, /No keyword component/],
    ["package.json", `"license"`, `"licence"`, /no license/],
    ["package.json", `Counts things.`, `Counts.`, /too short/],
  ],
};

test("the directory sees the component's functions, and the files it looks for", () => {
  expect(Object.keys(real)).toEqual(
    expect.arrayContaining(["package.json", "src/client/index.ts", "src/test.ts", "src/component/executions.ts"]),
  );
  expect(Object.keys(real).filter((file) => file.split("/").length > 3)).toEqual([]);
  const functions = functionFiles(parse(real)).flatMap(registrationsOf);
  expect(functions.map(({ path }) => path)).toEqual(
    expect.arrayContaining(["executions.startWorkflow", "definitions.publish", "stretch.runStretch"]),
  );
});

describe.each([
  ["critical", CRITICAL],
  ["advisory", ADVISORY],
])("%s", (_, gates: Record<string, Gate>) => {
  describe.each(Object.entries(gates))("%s", (name, gate) => {
    test("holds for the component", () => expect(checkGate(gate, real)).toEqual([]));

    test("fails for one that breaks it, and only then", () => {
      expect(checkGate(gate, GOOD)).toEqual([]);
      for (const [file, find, replacement, says] of BREAKS[name as keyof typeof BREAKS]) {
        const text = GOOD[file] ?? "";
        expect(text).toContain(find);
        const problems = checkGate(gate, { ...GOOD, [file]: text.replace(find, replacement) });
        expect(problems[0]).toMatch(says);
      }
    });
  });
});
