/**
 * Small apps for the push check: a healthy one with something of everything, and for every rule a smaller one that breaks
 * that rule and no other.
 */
export type Fixture = {
  rule: string;
  /** Files that are added to the smallest app they make sense in, or replace its own ({@link project}). */
  files: Record<string, string>;
  /** Of the one problem: its code, where it is, and a part of what is said. */
  code: string;
  where: string;
  says: string;
};

const SERVER = `import { actionGeneric as action, httpActionGeneric as httpAction, mutationGeneric as mutation,
  internalMutationGeneric as internalMutation, queryGeneric as query } from "convex/server";
import { v } from "convex/values";
`;
const fn = (name: string, kind = "query"): string =>
  `${SERVER}export const ${name} = ${kind}({ args: {}, handler: async () => null });\n`;
const app = (body: string): string => `import { defineApp } from "convex/server";
import { v } from "convex/values";
import store from "../store/convex.config.js";
${body}
export default app;`;
const component = (body: string): string => `import { defineComponent } from "convex/server";
import { v } from "convex/values";
${body}`;
const schema = (tables: string): string => `import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({ ${tables} });`;
const indexed = (indexes: string): string =>
  schema(`items: defineTable({ a: v.string(), b: v.string(), deep: v.object({ c: v.string() }) })${indexes}`);
const fields = (count: number): string[] => Array.from({ length: count }, (_, index) => `f${index}`);

export const HEALTHY: Record<string, string> = {
  "package.json": JSON.stringify({ name: "app", type: "module" }),
  "convex/convex.config.ts": app(`
    const app = defineApp({ env: { APP_KEY: v.optional(v.string()) } });
    app.use(store, { env: { MODE: "fast", KEY: app.env.APP_KEY } });
    app.use(store, { name: "second", httpPrefix: "/second/", env: { MODE: "slow" } });`),
  "convex/schema.ts": indexed(`.index("by_a", ["a"]).index("by_a_b", ["a", "b"]).index("by_c", ["deep.c"])`),
  "convex/items.ts": `${fn("list")}
    export const KEY = process.env.APP_KEY;
    export const remove = mutation({ args: v.any(), returns: v.null(), handler: async () => null });
    export const helper = { stamp: Date.now(), luck: Math.random() };`,
  "convex/lazy.ts": `${SERVER}export const run = action({ args: {}, handler: async () => (await import("./items.js")).helper });`,
  "convex/inNode.ts": `"use node";
    import { createHash, randomUUID } from "node:crypto";
    ${fn("hash", "action")}
    export const id = randomUUID();
    export const digest = createHash("sha256").digest("hex");`,
  "convex/crons.ts": `import { cronJobs, anyApi } from "convex/server";
    const crons = cronJobs();
    crons.interval("tidy", { minutes: 5 }, anyApi.items.remove, {});
    export default crons;`,
  "store/convex.config.ts": component(
    `export default defineComponent("store", { env: { MODE: v.union(v.literal("fast"), v.literal("slow")), KEY: v.optional(v.string()) } });`,
  ),
  "store/schema.ts": schema(`entries: defineTable(v.any()).index("by_key", ["key"])`),
  "store/entries.ts": `${fn("get")}
    export const put = mutation({ args: { value: v.any() }, handler: async () => process.env.MODE });`,
  "store/http.ts": `import { httpRouter, httpActionGeneric } from "convex/server";
    const http = httpRouter();
    http.route({ path: "/", method: "GET", handler: httpActionGeneric(async () => new Response("here")) });
    export default http;`,
};

const ALONE = pick("package.json", "convex/items.ts");
const WITH_STORE = {
  ...pick("package.json", "store/convex.config.ts", "store/entries.ts"),
  ...appUsing(`app.use(store, { env: { MODE: "fast" } });`),
};

/** All files of a fixture's app. It has the component only if the fixture is about one: bundling takes the time here. */
export function project({ files }: Pick<Fixture, "files">): Record<string, string> {
  const hasStore = Object.keys(files).some((file) => file.startsWith("store/") || file === "convex/convex.config.ts");
  return { ...(hasStore ? WITH_STORE : ALONE), ...files };
}

function pick(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, HEALTHY[name] ?? ""]));
}

/** Breaks nothing, and is worth a word. */
export const NOTED: Fixture[] = [
  {
    rule: "a table has more indexes than are documented",
    files: {
      "convex/schema.ts": schema(
        `items: defineTable(v.any())${fields(33)
          .map((field) => `.index("by_${field}", ["${field}"])`)
          .join("")}`,
      ),
    },
    code: "INDEX_COUNT",
    where: `convex: table "items"`,
    says: "33 indexes; the documentation allows 32",
  },
  {
    rule: "a module of queries and actions can import()",
    files: {
      "convex/mixed.ts": `${fn("list")}export const run = action({ args: {}, handler: () => import("./items.js") });`,
    },
    code: "DYNAMIC_IMPORT",
    where: "convex/mixed.ts",
    says: `import("./items.js")`,
  },
  {
    rule: "a package looks for a variable while it is imported",
    files: {
      "node_modules/greedy/package.json": JSON.stringify({ name: "greedy", type: "module", main: "index.js" }),
      "node_modules/greedy/index.js": "export const key = process.env.GREEDY_KEY;",
      "store/entries.ts": `import { key } from "greedy";\n${fn("get")}export const greedyKey = key;`,
    },
    code: "IMPORT_ENV",
    where: "greedy/index.js:1",
    says: "process.env.GREEDY_KEY",
  },
];

const NAMES: Fixture[] = [
  {
    rule: "a function's name has 65 characters",
    files: { "convex/more.ts": fn("f".repeat(65)) },
    code: "FUNCTION_NAME",
    where: `convex/more:${"f".repeat(65)}`,
    says: "has 65 characters; 64 are allowed",
  },
  {
    rule: "a function's name has a hyphen",
    files: { "convex/more.ts": `${fn("ok")}export { ok as "not-ok" };` },
    code: "FUNCTION_NAME",
    where: "convex/more:not-ok",
    says: `"not-ok" has characters other than`,
  },
  {
    rule: "a module's path has a hyphen",
    files: { "store/by-key.ts": fn("get") },
    code: "MODULE_PATH",
    where: "store/by-key",
    says: `"by-key.js" of its path has characters other than`,
  },
  {
    rule: "a module's path has a part of 65 characters with .js",
    files: { [`convex/${"m".repeat(62)}.ts`]: fn("get") },
    code: "MODULE_PATH",
    where: `convex/${"m".repeat(62)}`,
    says: "has 65 characters with its ending",
  },
  {
    rule: "a function has the path of a module",
    files: { "store/a.ts": fn("b"), "store/a/b.ts": fn("c") },
    code: "EXPORT_CONFLICT",
    where: "store/a:b",
    says: `the module "a/b"`,
  },
  {
    rule: "a component's name has a hyphen",
    files: { "store/convex.config.ts": component(`export default defineComponent("my-store");`), ...appUsing() },
    code: "COMPONENT_NAME",
    where: "store/convex.config.ts",
    says: `"my-store" has characters`,
  },
  {
    rule: "a child component's name starts with a digit",
    files: plainApp(`app.use(store, { name: "2nd" });`),
    code: "COMPONENT_NAME",
    where: "convex/convex.config.ts",
    says: `"2nd" starts with neither`,
  },
  {
    rule: "two child components have one name",
    files: plainApp(`app.use(store, { name: "one" }); app.use(store, { name: "one" });`),
    code: "COMPONENT_DUPLICATE",
    where: "convex/convex.config.ts",
    says: `Two child components have the name "one"`,
  },
  {
    rule: "a variable's name has a hyphen",
    files: {
      "store/convex.config.ts": component(
        `export default defineComponent("store", { env: { "A-B": v.optional(v.string()) } });`,
      ),
      ...appUsing(),
    },
    code: "ENV_NAME",
    where: "store/convex.config.ts",
    says: `"A-B" has characters`,
  },
];

/** The app with a component that declares no variables. */
function plainApp(uses = `app.use(store, { name: "store" });`): Record<string, string> {
  return {
    "store/convex.config.ts": component(`export default defineComponent("store");`),
    ...appUsing(uses),
  };
}

function appUsing(uses = `app.use(store, { name: "store" });`): Record<string, string> {
  return { "convex/convex.config.ts": app(`const app = defineApp();\n${uses}`) };
}

const SCHEMAS: Fixture[] = [
  {
    rule: "a table's name starts with an underscore",
    files: { "convex/schema.ts": schema(`_items: defineTable(v.any())`) },
    code: "TABLE_NAME",
    where: `convex: table "_items"`,
    says: "starts with an underscore",
  },
  {
    rule: "a table's name has 65 characters",
    files: { "store/schema.ts": schema(`${"t".repeat(65)}: defineTable(v.any())`) },
    code: "TABLE_NAME",
    where: `store: table "${"t".repeat(65)}"`,
    says: "has 65 characters",
  },
  {
    rule: "an index's name has a hyphen",
    files: { "convex/schema.ts": indexed(`.index("by-a", ["a"])`) },
    code: "INDEX_NAME",
    where: `index "by-a"`,
    says: "characters other than",
  },
  {
    rule: "an index's name is reserved",
    files: { "convex/schema.ts": indexed(`.index("by_creation_time", ["a"])`) },
    code: "INDEX_NAME",
    where: `index "by_creation_time"`,
    says: "every table has",
  },
  {
    rule: "two indexes have one name",
    files: { "convex/schema.ts": indexed(`.index("by_x", ["a"]).index("by_x", ["b"])`) },
    code: "INDEX_NAME",
    where: `index "by_x"`,
    says: "has this name",
  },
  {
    rule: "an index has 16 fields",
    files: {
      "convex/schema.ts": schema(`items: defineTable(v.any()).index("by_all", ${JSON.stringify(fields(16))})`),
    },
    code: "INDEX_FIELDS",
    where: `index "by_all"`,
    says: "has 16 fields; 15 are allowed",
  },
  {
    rule: "an index has no field",
    files: { "convex/schema.ts": indexed(`.index("by_nothing", [])`) },
    code: "INDEX_FIELDS",
    where: `index "by_nothing"`,
    says: "has no field",
  },
  ...["_creationTime", "_id"].map((field) => ({
    rule: `an index declares ${field}`,
    files: { "convex/schema.ts": indexed(`.index("by_a", ["a", "${field}"])`) },
    code: "INDEX_FIELDS",
    where: `index "by_a"`,
    says: `names "${field}"`,
  })),
  {
    rule: "an index names a field twice",
    files: { "convex/schema.ts": indexed(`.index("by_a", ["a", "b", "a"])`) },
    code: "INDEX_FIELDS",
    where: `index "by_a"`,
    says: `names "a" twice`,
  },
  {
    rule: "an index names a field that documents do not have",
    files: { "convex/schema.ts": indexed(`.index("by_d", ["deep.d"])`) },
    code: "INDEX_FIELDS",
    where: `index "by_d"`,
    says: `names "deep.d", which`,
  },
  {
    rule: "two indexes have the same fields",
    files: { "convex/schema.ts": indexed(`.index("one", ["a", "b"]).index("two", ["a", "b"])`) },
    code: "INDEX_DUPLICATE",
    where: `index "two"`,
    says: `the index "one"`,
  },
  {
    rule: "a table has 65 indexes",
    files: {
      "convex/schema.ts": schema(
        `items: defineTable(v.any())${fields(65)
          .map((field) => `.index("by_${field}", ["${field}"])`)
          .join("")}`,
      ),
    },
    code: "INDEX_COUNT",
    where: `table "items"`,
    says: "has 65 indexes; 64 are allowed",
  },
  {
    rule: "the schema is not exported as default",
    files: { "convex/schema.ts": "export const schema = 1;" },
    code: "SCHEMA",
    where: "convex/schema",
    says: "is not a schema",
  },
  {
    rule: "the schema reads the environment",
    files: {
      "convex/schema.ts": `const table = process.env.TABLE ?? "items";\n${schema("[table]: defineTable(v.any())")}`,
    },
    code: "IMPORT_ENV",
    where: "convex/schema.ts:1",
    says: "process.env.TABLE",
  },
];

const FUNCTIONS: Fixture[] = [
  {
    rule: "an args validator is not an object",
    files: { "convex/more.ts": `${SERVER}export const bad = query({ args: v.string(), handler: async () => null });` },
    code: "ARGS_VALIDATOR",
    where: "convex/more:bad",
    says: "of type string",
  },
  {
    rule: "a circular import leaves a part of args undefined",
    files: {
      "convex/a.ts": `import { shape } from "./b.js";\n${SERVER}export const name = v.string();
        export const bad = query({ args: { list: shape }, handler: async () => null });`,
      "convex/b.ts": `import { name } from "./a.js";\nimport { v } from "convex/values";\nexport const shape = name;`,
    },
    code: "ARGS_VALIDATOR",
    where: "convex/a:bad",
    says: "undefined",
  },
  {
    rule: "a circular import leaves a part of returns undefined",
    files: {
      "convex/a.ts": `import { shape } from "./b.js";\n${SERVER}export const name = v.string();
        export const bad = query({ args: {}, returns: { list: shape }, handler: async () => null });`,
      "convex/b.ts": `import { name } from "./a.js";\nimport { v } from "convex/values";\nexport const shape = name;`,
    },
    code: "RETURNS_VALIDATOR",
    where: "convex/a:bad",
    says: "undefined",
  },
  {
    rule: `a file with "use node" has a query`,
    files: { "convex/more.ts": `"use node";\n${fn("bad")}` },
    code: "NODE_FUNCTION",
    where: "convex/more:bad",
    says: "It is a query",
  },
  {
    rule: "a module of queries has an import()",
    files: {
      "convex/more.ts": `${SERVER}export const bad = query({ args: {}, handler: () => import("./items.js") });`,
    },
    code: "DYNAMIC_IMPORT",
    where: "convex/more.ts",
    says: `import("./items.js") and is part of convex/more`,
  },
  {
    rule: "a cron runs a function that is not there",
    files: {
      "convex/crons.ts": `import { cronJobs, anyApi } from "convex/server";
        const crons = cronJobs();
        crons.interval("tidy", { minutes: 5 }, anyApi.items.gone, {});
        export default crons;`,
    },
    code: "CRON_FUNCTION",
    where: "convex/crons",
    says: `"tidy" runs items:gone, which is not there`,
  },
  {
    rule: "a cron runs a query",
    files: {
      "convex/crons.ts": `import { cronJobs, anyApi } from "convex/server";
        const crons = cronJobs();
        crons.interval("tidy", { minutes: 5 }, anyApi.items.list, {});
        export default crons;`,
    },
    code: "CRON_FUNCTION",
    where: "convex/crons",
    says: "is a query",
  },
  {
    rule: "crons are not exported as default",
    files: { "convex/crons.ts": "export const crons = 1;" },
    code: "CRONS",
    where: "convex/crons",
    says: "not a set of crons",
  },
  {
    rule: "http exports no router",
    files: { "convex/http.ts": "export default 1;" },
    code: "HTTP",
    where: "convex/http",
    says: "not a router",
  },
];

const BUNDLING: Fixture[] = [
  {
    rule: "a component imports a Node built-in",
    files: { "store/files.ts": `import { readFileSync } from "node:fs";\nexport const read = readFileSync;` },
    code: "NODE_BUILTIN",
    where: "store/files.ts:1",
    says: `"node:fs"`,
  },
  {
    rule: `an app imports a Node built-in without "use node"`,
    files: { "convex/files.ts": `import path from "path";\nexport const join = path.join;` },
    code: "NODE_BUILTIN",
    where: "convex/files.ts:1",
    says: `"path"`,
  },
  {
    rule: `a component has "use node"`,
    files: { "store/inNode.ts": `"use node";\n${fn("run", "action")}` },
    code: "USE_NODE",
    where: "store/inNode.ts",
    says: "cannot have",
  },
  {
    rule: "a dependency is missing",
    files: { "store/more.ts": `import { x } from "no-such-package";\nexport const y = x;` },
    code: "UNRESOLVED_IMPORT",
    where: "store/more.ts:1",
    says: `"no-such-package"`,
  },
  {
    rule: "a component is missing",
    files: {
      "convex/convex.config.ts": app(`import gone from "no-such-component/convex.config";
        const app = defineApp(); app.use(store, { env: { MODE: "fast" } }); app.use(gone);`),
    },
    code: "UNRESOLVED_IMPORT",
    where: "convex/convex.config.ts:4",
    says: `"no-such-component/convex.config"`,
  },
  {
    rule: "a source does not parse",
    files: { "convex/more.ts": `export const = 1;` },
    code: "BUNDLE_FAILED",
    where: "convex/more.ts:1",
    says: "Expected identifier",
  },
  {
    rule: 'a file in actions/ lacks "use node"',
    files: { "convex/actions/more.ts": fn("run", "action") },
    code: "BUNDLER",
    where: "convex",
    says: "actions/more.ts is in /actions subfolder",
  },
];

const effect = (rule: string, line: string, says: string, imports = ""): Fixture => ({
  rule: `a module uses ${rule} while it is imported`,
  files: { "store/more.ts": `${imports}\nexport const eager = ${line};` },
  code: "IMPORT_EFFECT",
  where: "store/more.ts:2",
  says,
});

const IMPORTING: Fixture[] = [
  effect("fetch", `fetch("https://example.com")`, "fetch()"),
  effect("a timer", "setTimeout(() => {}, 1)", "setTimeout()"),
  effect("randomness of crypto", "crypto.randomUUID()", "crypto.randomUUID()"),
  effect(
    "Convex",
    "createFunctionHandle(anyApi.entries.put).catch(() => null)",
    "1.0/createFunctionHandle",
    `import { anyApi, createFunctionHandle } from "convex/server";`,
  ),
  effect("import()", `import("./entries.js").catch(() => null)`, "import("),
  {
    rule: "a module throws while it is imported, and others import it",
    files: {
      "convex/broken.ts": `export const limit: number = 1;\nif (limit < 2) throw new Error("limit is too small");`,
      "convex/one.ts": `import { limit } from "./broken.js";\nexport const one = limit;`,
      "convex/two.ts": `import { limit } from "./broken.js";\nexport const two = limit;`,
    },
    code: "IMPORT_THROWS",
    where: "convex/broken.ts:2",
    says: "limit is too small",
  },
  {
    rule: "a module leaves a rejection behind while it is imported",
    files: { "convex/broken.ts": `export const later = Promise.reject(new Error("nobody waits"));` },
    code: "IMPORT_THROWS",
    where: "convex/broken.ts:1",
    says: "nobody waits",
  },
  {
    rule: "a module waits in vain while it is imported",
    files: { "convex/broken.ts": `export const never = await new Promise(() => undefined);` },
    code: "IMPORT_THROWS",
    where: "convex/broken",
    says: "never comes",
  },
  {
    rule: "a module needs Node's globals",
    files: {
      "convex/broken.ts": `declare const Buffer: { from(text: string): unknown };\nexport const bytes = Buffer.from("a");`,
    },
    code: "IMPORT_THROWS",
    where: "convex/broken.ts:2",
    says: "Buffer is not defined",
  },
  {
    rule: "a component reads the environment while it is imported",
    files: { "store/more.ts": `${SERVER}\nexport const mode = process.env.MODE;` },
    code: "IMPORT_ENV",
    where: "store/more.ts:5",
    says: "process.env.MODE",
  },
];

const DEFINITIONS: Fixture[] = [
  {
    rule: "a required variable is not given",
    files: appUsing("app.use(store);"),
    code: "ENV_MISSING",
    where: "convex/convex.config.ts",
    says: `"store" requires the variable MODE`,
  },
  {
    rule: "a variable is given that the component does not declare",
    files: appUsing(`app.use(store, { env: { MODE: "fast", EXTRA: "1" } } as never);`),
    code: "ENV_UNKNOWN",
    where: "convex/convex.config.ts",
    says: "variable EXTRA",
  },
  {
    rule: "a variable has a value that the component does not take",
    files: appUsing(`app.use(store, { env: { MODE: "idle" as "fast" } });`),
    code: "ENV_VALUE",
    where: "convex/convex.config.ts",
    says: `does not take "idle" as MODE`,
  },
  {
    rule: "a variable is bound to one that the app does not declare",
    files: appUsing(`app.use(store, { env: { MODE: app.env.NOPE } });`),
    code: "IMPORT_THROWS",
    where: "convex/convex.config.ts:5",
    says: `"NOPE" is not declared`,
  },
  {
    rule: "a component within a component lacks a required variable",
    files: {
      "outer/convex.config.ts": component(`import store from "../store/convex.config.js";
        const outer = defineComponent("outer"); outer.use(store); export default outer;`),
      "convex/convex.config.ts": `import { defineApp } from "convex/server";
        import outer from "../outer/convex.config.js";
        const app = defineApp(); app.use(outer); export default app;`,
    },
    code: "ENV_MISSING",
    where: "outer/convex.config.ts",
    says: `"store" requires the variable MODE`,
  },
  {
    rule: "a definition is not exported as default",
    files: { "store/convex.config.ts": component(`export default 1;`), ...appUsing() },
    code: "DEFINITION",
    where: "store/convex.config.ts",
    says: "is no definition",
  },
  {
    rule: "a definition reads the environment",
    files: appUsing(`app.use(store, { env: { MODE: process.env.MODE === "x" ? "fast" : "slow" } });`),
    code: "IMPORT_ENV",
    where: "convex/convex.config.ts:5",
    says: "process.env.MODE",
  },
  {
    rule: "a component without routes is mounted",
    files: {
      "store/http.ts": "",
      ...appUsing(`app.use(store, { httpPrefix: "/store/", env: { MODE: "fast" } });`),
    },
    code: "HTTP_MOUNT",
    where: "convex/convex.config.ts",
    says: `"store" is mounted at /store/`,
  },
];

export const BROKEN: Fixture[] = [...NAMES, ...SCHEMAS, ...FUNCTIONS, ...BUNDLING, ...IMPORTING, ...DEFINITIONS];
