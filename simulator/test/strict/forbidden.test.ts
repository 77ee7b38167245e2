/** What Convex's runtime refuses (traps 4, 5, 9 to 13 and 44). */
import { expect, test } from "vitest";
import { paginationOptsValidator } from "convex/server";
import { sourceProblems } from "../../src/strict/sources.js";
import { a, action, childQuery, m, modulesOf, mutation, outcome, q, query, rows, schema, start } from "./support.js";

const pages = {
  one: query({
    args: { paginationOpts: paginationOptsValidator },
    handler: async (ctx, { paginationOpts }) => (await ctx.db.query("rows").paginate(paginationOpts)).page.length,
  }),
  two: query({
    args: { paginationOpts: paginationOptsValidator },
    handler: async (ctx, { paginationOpts }) => {
      await ctx.db.query("rows").paginate(paginationOpts);
      return (await ctx.db.query("rows").paginate(paginationOpts)).isDone;
    },
  }),
};
const FIRST_PAGE = { paginationOpts: { numItems: 2, cursor: null } };

test("trap 4: paginate is refused in a component", async () => {
  const through = {
    page: query({
      args: {},
      handler: async (ctx) => (await ctx.runQuery(childQuery("c", "pages", "one"), FIRST_PAGE)) as number,
    }),
  };
  const app = start({ pages, through });
  app.registerComponent("c", schema, modulesOf({ pages }));
  expect(await app.query(q("pages:one"), FIRST_PAGE)).toBe(0);
  expect(await outcome(app.query(q("through:page")))).toContain("PaginationUnsupportedInComponents");
});

test("trap 5: a second paginate in one function is refused", async () => {
  expect(await outcome(start({ pages }).query(q("pages:two"), FIRST_PAGE))).toContain("multiple paginated queries");
});

const forbidden = {
  timeout: mutation({ args: {}, handler: () => void setTimeout(() => undefined, 1) }),
  interval: query({ args: {}, handler: () => void setInterval(() => undefined, 1) }),
  fetch: mutation({ args: {}, handler: async () => void (await fetch("http://localhost:1")) }),
  key: mutation({
    args: {},
    handler: async () => void (await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"])),
  }),
  hmac: mutation({
    args: {},
    handler: async () => {
      const name = { name: "HMAC", hash: "SHA-256" };
      const key = await crypto.subtle.importKey("raw", new Uint8Array(32), name, false, ["sign"]);
      return (await crypto.subtle.sign("HMAC", key, new Uint8Array(1))).byteLength;
    },
  }),
  sign: mutation({
    args: {},
    handler: async () =>
      void (await crypto.subtle.sign({ name: "ecdsa", hash: "SHA-256" }, {} as CryptoKey, new Uint8Array(1))),
  }),
  keyInAction: action({
    args: {},
    handler: async () => (await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"])).type,
  }),
};

test("trap 9: timers and fetch are refused in queries and mutations, and there again afterwards", async () => {
  const app = start({ forbidden });
  const before = [setTimeout, fetch];
  expect(await outcome(app.mutation(m("forbidden:timeout")))).toContain("Can't use setTimeout() in queries");
  expect(await outcome(app.query(q("forbidden:interval")))).toContain("Can't use setInterval() in queries");
  expect(await outcome(app.mutation(m("forbidden:fetch")))).toContain("Can't use fetch() in queries");
  expect([setTimeout, fetch]).toEqual(before);
});

test("trap 10: keys and signatures that need chance are refused in mutations, others are not", async () => {
  const app = start({ forbidden });
  expect(await outcome(app.mutation(m("forbidden:key")))).toContain("Can't use crypto.subtle.generateKey()");
  expect(await outcome(app.mutation(m("forbidden:sign")))).toContain("Can't use crypto.subtle.sign()");
  expect(await app.mutation(m("forbidden:hmac"))).toBe(32);
  expect(await app.action(a("forbidden:keyInAction"))).toBe("secret");
});

const lazy = {
  inMutation: mutation({ args: {}, handler: async () => Object.keys(await import("./fixtures/lazy.js")).length }),
};

test("trap 11: a handler that imports is refused by its text, and by what it waits for", async () => {
  const strict = await outcome(start({ lazy }, { strict: true }).mutation(m("lazy:inMutation")));
  expect(strict).toContain("lazy:inMutation: a mutation cannot import while it runs");
  // Not imported yet: nothing that a mutation may wait for makes it go on.
  expect(await outcome(start({ lazy }).mutation(m("lazy:inMutation")))).toContain("will never resolve");
  const text =
    'import { mutation } from "./_generated/server";\nexport const f = mutation(async () => import("./a.js"));';
  expect(sourceProblems("", { "f.ts": text })).toMatchObject([{ trap: 11, where: "f.ts" }]);
  const types = 'type A = typeof import("./a.js");\ntype B = import("./a.js").B;\nexport const f = mutation(() => 1);';
  expect(sourceProblems("", { "f.ts": types })).toEqual([]);
});

test("trap 12: files of a component that need Node are refused", () => {
  const sources = {
    "node.ts": '"use node";\nimport fs from "node:fs";\nexport const x = 1;',
    "plain.ts": 'import { createHash } from "crypto";\nexport const y = createHash;',
    "types.ts": 'import type { Buffer } from "node:buffer";\n// import "node:fs";\nexport type B = Buffer;',
  };
  const strict = { sources: { c: sources, "": { "node.ts": sources["node.ts"] } } };
  const app = start({}, { strict });
  expect(() => app.registerComponent("c", schema, modulesOf({}))).toThrow("use node");
  expect(app.problems.found).toMatchObject([
    { trap: 12, where: "c: node.ts" },
    { trap: 12, where: "c: plain.ts" },
  ]);
});

test("trap 13: code of a component sees only the variables that are bound for it", async () => {
  process.env.SIMULATED_SECRET = "of the process";
  const env = {
    read: query({
      args: {},
      handler: () => [
        process.env.SIMULATED_SECRET ?? null,
        process.env.MODEL ?? null,
        process.env.CONVEX_SITE_URL ?? null,
      ],
    }),
  };
  const through = {
    read: query({ args: {}, handler: async (ctx) => (await ctx.runQuery(childQuery("c", "env", "read"))) as string[] }),
  };
  const url = expect.stringContaining("convex.site") as unknown;
  const app = start({ env, through });
  app.registerComponent("c", schema, modulesOf({ env }), { MODEL: "small" });
  expect(await app.query(q("through:read"))).toEqual([null, "small", url]);
  expect(await app.query(q("env:read"))).toEqual(["of the process", null, url]);
  const unbound = start({ through });
  unbound.registerComponent("c", schema, modulesOf({ env }));
  expect(await unbound.query(q("through:read"))).toEqual([null, null, url]);
  delete process.env.SIMULATED_SECRET;
});

test("trap 13: while a component is imported it sees no variables; the app sees its own", async () => {
  process.env.SIMULATED_SECRET = "of the process";
  const seen: Array<string | undefined> = [];
  const env = () => {
    seen.push(process.env.SIMULATED_SECRET);
    return Promise.resolve(rows);
  };
  const app = start({ env });
  app.registerComponent("c", schema, modulesOf({ env }));
  await app.query(q("env:keys"));
  expect(seen.sort()).toEqual(["of the process", undefined]);
  expect(process.env.SIMULATED_SECRET).toBe("of the process");
  delete process.env.SIMULATED_SECRET;
});

const importing: Array<[string, () => unknown, string]> = [
  ["a timer", () => setTimeout(() => undefined, 1), "Can't use setTimeout() while a module is imported"],
  ["a request", () => fetch("http://localhost:1"), "Can't use fetch() while a module is imported"],
  ["randomness", () => crypto.randomUUID(), "Can't use crypto.randomUUID while a module is imported"],
  ["an error", () => JSON.parse("{") as unknown, "Importing bad failed"],
];

test.each(importing)("trap 44: %s while a module is imported fails the push", async (_, effect, message) => {
  const bad = async () => {
    await Promise.resolve();
    effect();
    return rows;
  };
  const [timer, request] = [setTimeout, fetch];
  expect(await outcome(start({ bad }).query(q("bad:keys")))).toContain(message);
  expect([setTimeout, fetch]).toEqual([timer, request]);
});

test("trap 44: the database is out of reach while a module is imported", async () => {
  const bad = async () => {
    const { Convex } = globalThis as { Convex?: { asyncSyscall: (op: string, args: string) => Promise<string> } };
    if (Convex === undefined) throw new Error("There is no Convex here");
    await Convex.asyncSyscall("1.0/insert", "{}");
    return rows;
  };
  expect(await outcome(start({ bad }).query(q("bad:keys")))).toContain("There is no Convex here");
});

test("what a module draws as it is imported is the same for every import", async () => {
  const drawn: unknown[] = [];
  const draws = () => {
    drawn.push([Math.random(), Date.now(), new Date().getTime(), new Date(5) instanceof Date]);
    return Promise.resolve(rows);
  };
  await start({ draws }).query(q("draws:keys"));
  await start({ draws }).query(q("draws:keys"));
  expect(drawn[0]).toEqual(drawn[1]);
});

test("an app with its own validators is none of these", async () => {
  const app = start({ rows }, { strict: true });
  await app.mutation(m("rows:add"), { key: "a", n: 1 });
  expect(await app.query(q("rows:keys"))).toEqual(["a"]);
  expect(app.problems.found).toEqual([]);
});
