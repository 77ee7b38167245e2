/** Definitions of older formats become ones of the current format, step by step, or say why not. */
import { describe, expect, test } from "vitest";
import { isSameDefinition, migrateDefinition } from "../../../src/engine/definition/migrate.js";
import {
  CURRENT_DEFINITION_FORMAT,
  MIGRATIONS,
  UNMARKED_FORMAT,
  type Migration,
} from "../../../src/engine/definition/migrations.js";
import { validateDefinition } from "../../../src/engine/definition/validate.js";
import { assertJson, type Json, type JsonObject } from "../../../src/shared/json.js";
import { MAX_DEFINITION_BYTES, MAX_JSON_DEPTH } from "../../../src/shared/limits.js";
import { newEcho, oldEcho, STEPS_TO_NODES } from "../../support/oldFormat.js";

/** In the format before, the name stood in `info`. */
const INFO_TO_TITLE: Migration = {
  from: -1,
  describe: "`info.title` became `title`",
  migrate: ({ info, ...rest }) => ({ ...rest, title: (info as JsonObject).title ?? null }),
};
const CHAIN = [INFO_TO_TITLE, STEPS_TO_NODES];

function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(value).forEach(frozen);
  return Object.freeze(value);
}

test("the steps of the product lead from the first format to the current one, without a gap", () => {
  const formats = Array.from({ length: CURRENT_DEFINITION_FORMAT - UNMARKED_FORMAT }, (_, i) => UNMARKED_FORMAT + i);
  expect(MIGRATIONS.map(({ from }) => from)).toEqual(formats);
});

describe("a definition of the current format", () => {
  test.each([
    ["that says so", newEcho("x")],
    ["that says none", { name: "x", nodes: {} }],
  ])("%s comes back as it is", (_, definition) => {
    const result = migrateDefinition(definition, CHAIN);
    expect(result.definition).toBe(definition);
    expect(result).toMatchObject({ migrated: null, problem: null });
  });

  test("may say its format, and nothing else in its place", () => {
    const { format: _, ...unmarked } = newEcho("x");
    for (const definition of [newEcho("x"), unmarked]) {
      expect(validateDefinition(definition)).toEqual({ problems: [], definition });
    }
    for (const format of ["1", 1.5, null, true, [1]]) {
      expect(validateDefinition({ ...unmarked, format }).problems).toMatchObject([
        { code: "SCHEMA_INVALID", path: "format" },
      ]);
    }
  });
});

describe("a definition of an older format", () => {
  test("takes every step from its own on, in order, and is left as it was", () => {
    const { title, ...rest } = oldEcho("x");
    const older = frozen({ ...rest, format: -1, info: { title: title ?? null } });
    expect(migrateDefinition(older, CHAIN)).toEqual({
      definition: newEcho("x"),
      migrated: { from: -1, to: 1, changes: [INFO_TO_TITLE.describe, STEPS_TO_NODES.describe] },
      problem: null,
    });
    expect(migrateDefinition(frozen(oldEcho("x")), CHAIN)).toEqual({
      definition: newEcho("x"),
      migrated: { from: 0, to: 1, changes: [STEPS_TO_NODES.describe] },
      problem: null,
    });
  });

  test("keeps every key of its data, also those that JavaScript has its own ideas about", () => {
    const json: Json = JSON.parse('{"format":0,"steps":[],"input":{"__proto__":{"a":1},"$ref":"#","":0}}') as Json;
    assertJson(json, "it");
    const { definition } = migrateDefinition(json as JsonObject, CHAIN);
    expect(JSON.stringify(definition)).toBe(
      '{"format":1,"input":{"__proto__":{"a":1},"$ref":"#","":0},"name":null,"nodes":{}}',
    );
  });

  const deep = (levels: number): Json => (levels === 0 ? null : [deep(levels - 1)]);
  const giving = (result: unknown): Migration => ({ ...STEPS_TO_NODES, migrate: () => result as JsonObject });
  test.each<[string, readonly Migration[], string, RegExp]>([
    ["no step begins at its format", [], "FORMAT_UNSUPPORTED", /no way from format 0/],
    ["a step is missing on the way", [INFO_TO_TITLE], "FORMAT_UNSUPPORTED", /no way from format 0/],
    ["a step gives nothing", [giving(undefined)], "FORMAT_UNSUPPORTED", /older format 0/],
    ["a step gives no JSON", [giving({ n: 1n })], "NOT_JSON", /bigint/],
    ["a step gives too much", [giving({ n: "x".repeat(MAX_DEFINITION_BYTES) })], "TOO_LARGE", /larger/],
    ["a step gives what is too deep", [giving({ n: deep(MAX_JSON_DEPTH) })], "NOT_JSON", /nesting/],
  ])("is a problem when %s", (_, chain, code, message) => {
    const { definition, migrated, problem } = migrateDefinition(oldEcho("x"), chain);
    expect({ definition, migrated }).toEqual({ definition: null, migrated: null });
    expect(problem).toMatchObject({ code, message: expect.stringMatching(message) as unknown });
  });

  test("that does not have the shape of its format is a problem with the reason, not an error", () => {
    const { problem } = migrateDefinition({ format: 0, steps: "none" }, CHAIN);
    expect(problem).toMatchObject({ code: "FORMAT_UNSUPPORTED", node: null, path: "format" });
    expect(problem?.message).toContain("`steps` is not a list.");
  });
});

test.each([CURRENT_DEFINITION_FORMAT + 1, 1_000, Number.MAX_SAFE_INTEGER])(
  "a definition of the newer format %i asks for an upgrade, and has that problem only",
  (format) => {
    const { problems, definition } = validateDefinition({ format, name: "", steps: [], nodez: 1 });
    expect(definition).toBeNull();
    expect(problems).toMatchObject([{ code: "FORMAT_UNSUPPORTED", path: "format" }]);
    expect(problems[0]?.message).toMatch(/newer version: upgrade/);
  },
);

describe("two definitions", () => {
  const base: JsonObject = { name: "x", nodes: { a: { list: [1, { k: null, l: -0.5 }], text: "t" } } };
  test.each<[string, JsonObject]>([
    ["with other order of fields", { nodes: { a: { text: "t", list: [1, { l: -0.5, k: null }] } }, name: "x" }],
    ["of which one names its format", { ...base, format: 1 }],
  ])("%s are the same", (_, other) => {
    expect([isSameDefinition(base, other), isSameDefinition(other, base)]).toEqual([true, true]);
  });

  test.each<[string, JsonObject]>([
    ["with another value", { ...base, nodes: { a: { list: [1, { k: null, l: 0.5 }], text: "t" } } }],
    ["with another order in a list", { ...base, nodes: { a: { list: [{ k: null, l: -0.5 }, 1], text: "t" } } }],
    ["with a field more", { ...base, description: "" }],
    ["with null for an absent field", { ...base, nodes: { a: { list: [1, { l: -0.5, m: null }], text: "t" } } }],
    ["with a list for an object", { ...base, nodes: { a: { list: [1, []], text: "t" } } }],
    ["with inherited names", { ...base, nodes: { toString: { list: [1, { k: null, l: -0.5 }], text: "t" } } }],
  ])("%s are not the same", (_, other) => {
    expect([isSameDefinition(base, other), isSameDefinition(other, base)]).toEqual([false, false]);
  });
});
