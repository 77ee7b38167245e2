/**
 * docs/api.md is true: every public function is there with its arguments, each example can be run as it stands, in the
 * order of the page, and gives what the page says.
 */
import { makeFunctionReference } from "convex/server";
import { beforeAll, describe, expect, test } from "vitest";
import page from "../../../docs/api.md?raw";
import { ERROR_CODES } from "../../../src/shared/errors.js";
import type { Json } from "../../../src/shared/json.js";
import shardflow from "../../../src/test.js";
import { api } from "../../support/harness.js";
import { preload, startWorld, type World } from "../../support/hosts/api/world.js";

beforeAll(preload);

type Entry = { name: string; kind: string; text: string; args: Json; returns: Json };

/** A registered function, as far as Convex looks at it when it is pushed. */
type Registered = {
  isPublic?: boolean;
  isQuery?: boolean;
  isMutation?: boolean;
  exportArgs(): string;
  exportReturns(): string;
};
type ExportedArgs = { type: string; value: Record<string, { optional: boolean }> };

/** The sections of the page, each with its functions in order. */
const SECTIONS: Entry[][] = page
  .split(/^## /m)
  .slice(1)
  .map((section) => section.split(/^### /m).slice(1).map(readEntry));
const ENTRIES = SECTIONS.flat();

function readEntry(text: string): Entry {
  const [, name = "", kind = ""] = /^`([a-zA-Z]+:[a-zA-Z]+)` \((\w+)\)/.exec(text) ?? [];
  const block = (what: string): Json => {
    const found = new RegExp(`^\`\`\`json ${what}\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(text);
    if (found?.[1] === undefined) throw new Error(`${name} has no block "json ${what}"`);
    return JSON.parse(found[1]) as Json;
  };
  return { name, kind, text, args: block("args"), returns: block("returns") };
}

async function publicFunctions(): Promise<Map<string, Registered>> {
  const found = new Map<string, Registered>();
  for (const [path, load] of Object.entries(shardflow.modules)) {
    const module = /^\.\/component\/(\w+)\.ts$/.exec(path)?.[1];
    if (module === undefined || module === "convex.config") continue;
    for (const [name, value] of Object.entries((await load()) as Record<string, unknown>)) {
      if (typeof value === "function" && (value as unknown as Registered).isPublic === true) {
        found.set(`${module}:${name}`, value as unknown as Registered);
      }
    }
  }
  return found;
}

test("every public function is on the page once, as the kind it is, and nothing else is", async () => {
  const registered = await publicFunctions();
  expect(registered.size).toBeGreaterThan(20);
  expect(ENTRIES.map(({ name }) => name).toSorted()).toEqual([...registered.keys()].toSorted());
  for (const { name, kind } of ENTRIES) {
    const { isQuery, isMutation } = registered.get(name)!;
    expect([name, kind]).toEqual([name, isQuery === true ? "query" : isMutation === true ? "mutation" : "?"]);
  }
});

describe("every public function", () => {
  test("has validators of its arguments and of what it returns", async () => {
    for (const [name, registered] of await publicFunctions()) {
      const args = registered.exportArgs();
      expect([name, (JSON.parse(args) as ExportedArgs).type]).toEqual([name, "object"]);
      const returns = registered.exportReturns();
      expect([name, returns], "without a validator it is null").not.toEqual([name, "null"]);
      // Ids are strings outside, and nothing is left unsaid.
      for (const validator of [args, returns]) {
        expect([name, validator]).toEqual([name, expect.not.stringMatching(/"type":"(any|id)"/)]);
      }
    }
  });

  test("has its arguments on the page, all of them and no others", async () => {
    const registered = await publicFunctions();
    for (const { name, text } of ENTRIES) {
      const { value } = JSON.parse(registered.get(name)!.exportArgs()) as ExportedArgs;
      const documented = [...text.matchAll(/^- `(\w+)`( \(optional\))?/gm)];
      expect([
        name,
        Object.fromEntries(documented.map(([, field, optional]) => [field, optional !== undefined])),
      ]).toEqual([name, Object.fromEntries(Object.entries(value).map(([field, { optional }]) => [field, optional]))]);
    }
  });

  test("says its guarantee and its errors, by codes that exist", () => {
    for (const { name, text } of ENTRIES) {
      expect([name, text]).toEqual([name, expect.stringMatching(/^- \*\*Guarantee:\*\* \S/m)]);
      const errors = /^- \*\*Errors:\*\* ([\s\S]*?)(\n\n|\n*$)/m.exec(text)?.[1] ?? "";
      const codes = [...errors.matchAll(/`([A-Z_]+)`/g)].map(([, code]) => code!);
      if (codes.length === 0) expect([name, errors]).toEqual([name, expect.stringMatching(/^none\./)]);
      for (const code of codes) expect(Object.keys(ERROR_CODES)).toContain(code);
    }
  });
});

test("every example can be run as it stands, one after the other, and gives what the page says", async () => {
  const world = await startWorld();
  const { bindings } = await prepare(world);
  for (const section of SECTIONS) {
    for (const entry of section) {
      const { name, args, returns } = entry;
      const result = await run(world, entry, fill(args, bindings) as Record<string, Json>);
      bind(returns, result, bindings);
      expect({ [name]: result }).toEqual({ [name]: pattern(returns, bindings) });
    }
    // Time passes between the sections: what was started runs.
    await world.untilQuiet();
  }
  expect(JSON.parse(bindings.get("$exported") as string)).toMatchObject({
    format: "shardflow.definitions",
    definitions: [{ name: "greeting", activeVersion: 1, versions: [{ version: 1 }] }],
  });
  expect(await world.rows("executions"), "the story ends with nothing left").toEqual([]);
  expect(await world.rows("definitions")).toEqual([]);
});

async function prepare(world: World): Promise<{ bindings: Map<string, Json> }> {
  await world.t.mutation(api.bindings.sync, { bindings: [], prune: true });
  const sourceOf = (name: string) => (ENTRIES.find((entry) => entry.name === name)?.args as { source: string }).source;
  return {
    bindings: new Map<string, Json>([
      ["$handle", await world.handle("functions:lookup")],
      ["$draft", sourceOf("definitions:saveDraft")],
      ["$source", sourceOf("definitions:publish")],
    ]),
  };
}

/** As the dashboard does: the function by its name, with plain JSON. */
async function run(world: World, { name, kind }: Entry, args: Record<string, Json>): Promise<unknown> {
  return await world.within("shardflow", async (ctx) => {
    if (kind === "query") {
      return await ctx.runQuery(makeFunctionReference<"query", Record<string, Json>, unknown>(name), args);
    }
    return await ctx.runMutation(makeFunctionReference<"mutation", Record<string, Json>, unknown>(name), args);
  });
}

const isPlaceholder = (value: Json): value is string => typeof value === "string" && /^\$\w+$/.test(value);

/** Arguments with the placeholders replaced by what they stand for. */
function fill(value: Json, bindings: ReadonlyMap<string, Json>): Json {
  return JSON.parse(
    JSON.stringify(value, (_, part: Json) => (isPlaceholder(part) ? (bindings.get(part) ?? part) : part)),
  ) as Json;
}

/** Takes down what placeholders stand for that are met for the first time. */
function bind(documented: Json, actual: unknown, bindings: Map<string, Json>): void {
  if (isPlaceholder(documented)) {
    if (!bindings.has(documented) && typeof actual === "string") bindings.set(documented, actual);
  } else if (typeof documented === "object" && documented !== null && typeof actual === "object" && actual !== null) {
    for (const [key, part] of Object.entries(documented)) {
      bind(part, (actual as Record<string, unknown>)[key], bindings);
    }
  }
}

/** What is documented, as something to compare with: times and shards differ, "..." stands for more. */
function pattern(value: Json, bindings: ReadonlyMap<string, Json>, key = ""): unknown {
  if (isPlaceholder(value)) return bindings.get(value);
  if (typeof value === "number" && (key.endsWith("At") || key === "shardIndex")) return expect.any(Number);
  if (Array.isArray(value)) {
    const items = value.filter((item) => item !== "...").map((item) => pattern(item, bindings));
    return items.length === value.length ? items : expect.arrayContaining(items);
  }
  if (typeof value !== "object" || value === null) return value;
  const { "...": more, ...named } = value;
  const fields = Object.fromEntries(Object.entries(named).map(([name, part]) => [name, pattern(part, bindings, name)]));
  return more === undefined ? fields : expect.objectContaining(fields);
}
