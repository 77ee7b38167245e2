/** JSON Schema as definitions and answers use it: what is usable, what matches, and that nothing hostile gets far. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { validateJson } from "../../src/engine/jsonSchema.js";
import { checkJsonSchema } from "../../src/engine/jsonSchemaCheck.js";
import { isJsonObject, type Json, type JsonObject } from "../../src/shared/json.js";
import { MAX_JSON_DEPTH, MAX_REGEX_LENGTH } from "../../src/shared/limits.js";

function freeze<T extends Json>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(value).forEach(freeze);
  return Object.freeze(value);
}

/** The problems as `path: message`, of a schema that must be usable. */
function problems(schema: Json, value: Json): string[] {
  expect(checkJsonSchema(schema)).toEqual([]);
  return validateJson(schema, value).map(({ path, message }) => `${path}: ${message}`);
}

/** An object of many members, as a client may send it. */
function manyMembers(count: number): JsonObject {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, i]));
}

describe("values", () => {
  it("all problems of a small value, each at its place", () => {
    const schema: Json = {
      type: "object",
      properties: {
        name: { type: "string", minLength: 2 },
        tags: { type: "array", items: { type: "string" } },
        "a/b~c": { type: "number" },
        ключ: { enum: ["да", "нет"] },
      },
      required: ["name", "id"],
      additionalProperties: false,
    };
    const value = { name: "A", tags: ["x", 1, 2], "a/b~c": "no", ключ: "может", "100%": true };
    expect(problems(schema, value)).toEqual([
      '$: Instance does not have required property "id".',
      "$.name: String is too short (1 < 2).",
      '$.tags[1]: Instance type "number" is invalid. Expected "string".',
      '$.tags[2]: Instance type "number" is invalid. Expected "string".',
      '$.a/b~c: Instance type "string" is invalid. Expected "number".',
      '$.ключ: Instance does not match any of ["да","нет"].',
      "$.100%: Not allowed by the schema.",
    ]);
    expect(problems(schema, { name: "Ada", id: 1 })).toEqual(["$.id: Not allowed by the schema."]);
    expect(problems({ ...schema, required: [] }, { name: "Ada", tags: [] })).toEqual([]);
  });

  it.each<[string, Json, Json[], Json[]]>([
    ["true", true, [null, 1, {}], []],
    ["false", false, [], [null, 1, {}]],
    ["integer", { type: "integer" }, [1, 1.0, -3], [1.5, "1"]],
    ["several types", { type: ["string", "null"] }, ["a", null], [1, []]],
    ["bounds", { minimum: 1, exclusiveMaximum: 3 }, [1, 2.9, "text"], [0.9, 3]],
    ["multipleOf", { multipleOf: 0.01 }, [0.07, 19.99], [0.005]],
    ["length in characters", { minLength: 2, maxLength: 2 }, ["ab", "👋👋"], ["a", "abc"]],
    ["pattern", { pattern: "^[a-z]+-\\d{2}$" }, ["ab-12"], ["ab-1"]],
    ["format", { format: "date-time" }, ["2026-01-15T12:00:00Z"], ["yesterday"]],
    ["format of another kind is a note", { format: "credit-card" }, ["anything"], []],
    ["const", { const: { a: [1] } }, [{ a: [1] }], [{ a: [2] }]],
    ["anyOf", { anyOf: [{ type: "string" }, { minimum: 5 }] }, ["a", 6], [4]],
    ["oneOf", { oneOf: [{ minimum: 5 }, { multipleOf: 2 }] }, [7, 4], [6, 3]],
    ["not", { not: { type: "string" } }, [1], ["a"]],
    ["if, then, else", { if: { type: "string" }, then: { minLength: 1 }, else: { minimum: 0 } }, ["a", 1], ["", -1]],
    ["contains", { contains: { const: 1 }, maxContains: 2 }, [[1], [1, 1]], [[], [1, 1, 1]]],
    ["prefixItems", { prefixItems: [{ type: "string" }], items: false }, [["a"], []], [["a", 1], [1]]],
    ["a list in items", { items: [{ type: "string" }], additionalItems: false }, [["a"]], [["a", 1]]],
    ["uniqueItems", { uniqueItems: true }, [[1, 2, [1]]], [[{ a: 1 }, { a: 1 }]]],
    ["patternProperties", { patternProperties: { "^x-": { type: "string" } } }, [{ "x-a": "1", y: 1 }], [{ "x-a": 1 }]],
    ["propertyNames", { propertyNames: { maxLength: 2 } }, [{ ab: 1 }], [{ abc: 1 }]],
    ["dependentRequired", { dependentRequired: { a: ["b"] } }, [{ a: 1, b: 1 }, {}], [{ a: 1 }]],
    ["dependencies", { dependencies: { a: ["b"], c: { required: ["d"] } } }, [{ a: 1, b: 1 }], [{ a: 1 }, { c: 1 }]],
    [
      "unevaluatedProperties",
      { allOf: [{ properties: { a: true } }], unevaluatedProperties: false },
      [{ a: 1 }],
      [{ b: 1 }],
    ],
    ["minProperties", { minProperties: 1, maxProperties: 2 }, [{ a: 1 }], [{}, { a: 1, b: 1, c: 1 }]],
    ["$ref and $defs", { $ref: "#/$defs/a", $defs: { a: { type: "string" } } }, ["a"], [1]],
    [
      "$ref next to other keywords",
      { $ref: "#/$defs/a", minLength: 2, $defs: { a: { type: "string" } } },
      ["ab"],
      ["a", 1],
    ],
    ["$ref through escapes", { $ref: "#/$defs/%D1%8F~1%20~0", $defs: { "я/ ~": { type: "string" } } }, ["a"], [1]],
    ["$ref through an escaped slash", { $ref: "#%2F$defs%2Fa", $defs: { a: { type: "string" } } }, ["a"], [1]],
    ["$anchor", { $ref: "#name", $defs: { x: { $anchor: "name", type: "string" } } }, ["a"], [1]],
    [
      "a tree",
      { properties: { next: { $ref: "#" } }, required: ["v"] },
      [{ v: 1, next: { v: 2 } }],
      [{ v: 1, next: {} }],
    ],
    [
      "an $id at the root",
      { $id: "https://example.com/s.json", $ref: "#/$defs/a", $defs: { a: { type: "null" } } },
      [null],
      [1],
    ],
    [
      "properties named like keywords",
      { properties: { type: { type: "string" }, $ref: { type: "number" }, enum: false, id: { type: "null" } } },
      [{ type: "a", $ref: 1, id: null }],
      [{ type: 1 }, { $ref: "#" }, { enum: 1 }, { id: "x" }],
    ],
    [
      "annotations that look like schemas",
      { title: "t", default: { $ref: "#/nope" }, examples: [{ $ref: 1 }], "x-note": { $ref: 5 } },
      [1],
      [],
    ],
  ])("%s", (_keyword, schema, matching, failing) => {
    freeze(schema);
    for (const value of matching) expect([value, problems(schema, freeze(value))]).toEqual([value, []]);
    for (const value of failing) expect([value, problems(schema, freeze(value)).length > 0]).toEqual([value, true]);
  });

  it("names of object prototypes are names like any other", () => {
    const parse = (text: string): Json => JSON.parse(text) as Json;
    const schema = parse(
      '{"properties":{"__proto__":{"type":"string"},"constructor":{"type":"string"}},"additionalProperties":false}',
    );
    expect(problems(schema, parse('{"__proto__":"a","constructor":"b"}'))).toEqual([]);
    expect(problems(schema, parse('{"__proto__":1}'))).toHaveLength(1);
    expect(problems(schema, parse('{"toString":1}'))).toEqual(["$.toString: Not allowed by the schema."]);
    expect(problems({ required: ["__proto__"] }, {})).toHaveLength(1);
  });

  it("gives at most 20 problems, each of bounded length", () => {
    const list = Array.from({ length: 100 }, () => "x".repeat(10_000));
    const found = problems({ items: { enum: ["y".repeat(5_000)] } }, list);
    expect(found).toHaveLength(20);
    for (const problem of found) expect(problem.length).toBeLessThan(700);
  });
});

describe("hostile schemas and values end", () => {
  it("a value of many members", () => {
    const [problem] = validateJson({ additionalProperties: false }, manyMembers(400_000));
    expect(problem?.message).toContain("cannot be checked");
    // Far within the limit, and far over what is needed.
    expect(validateJson({ additionalProperties: { type: "integer" } }, manyMembers(50_000))).toEqual([]);
    expect(validateJson({ additionalProperties: { type: "string" } }, manyMembers(50_000))).toHaveLength(20);
  });

  it("a long list: every item is checked", () => {
    const list: Json[] = Array.from({ length: 300_000 }, (_, i) => i);
    expect(validateJson({ items: { type: "integer" } }, list)).toEqual([]);
    list[299_999] = "last";
    expect(validateJson({ items: { type: "integer" } }, list)).toEqual([
      { path: "$[299999]", message: 'Instance type "string" is invalid. Expected "integer".' },
    ]);
  });

  it("a long list of wrong items: the first one is enough", () => {
    const list = Array.from({ length: 300_000 }, (_, i) => i);
    expect(validateJson({ items: { type: "string" } }, list).map(({ path }) => path)).toEqual(["$[0]"]);
  });

  it("a long list that must be unique", () => {
    const list = Array.from({ length: 200_000 }, (_, i) => i);
    const schema: Json = { properties: { ids: { uniqueItems: true } } };
    expect(problems(schema, { ids: list })[0]).toContain("uniqueItems");
    expect(problems(schema, { ids: list.slice(0, 1_000) })).toEqual([]);
  });

  it("branches that double at each level", () => {
    const defs: JsonObject = { last: { type: "string" } };
    for (let i = 0; i < 40; i++) {
      const next = { $ref: i === 39 ? "#/$defs/last" : `#/$defs/level${i + 1}` };
      defs[`level${i}`] = { anyOf: [next, next] };
    }
    expect(problems({ $ref: "#/$defs/level0", $defs: defs }, 1)[0]).toContain("cannot be checked");
  });

  it("a schema that is only itself, also unchecked", () => {
    expect(validateJson({ $ref: "#" }, 1)[0]?.message).toContain("refers to itself");
    expect(validateJson({ $ref: "#/nowhere" }, 1)[0]?.message).toContain("cannot be checked");
  });

  it("nothing is thrown and nothing changed, whatever the schema and the value are", () => {
    const keyword = fc.constantFrom(
      "type",
      "$ref",
      "$id",
      "$anchor",
      "properties",
      "items",
      "anyOf",
      "not",
      "enum",
      "pattern",
      "required",
      "dependencies",
      "format",
      "$defs",
      "uniqueItems",
      "if",
      "minimum",
      "patternProperties",
      "x",
    );
    const { schema } = fc.letrec<{ schema: Json; leaf: Json }>((tie) => ({
      leaf: fc.oneof(
        fc.constantFrom<Json[]>("#", "#/$defs/a", "string", "object", "(", "(a+)+", "%", 1, -1, true, false, null, []),
        fc.jsonValue() as fc.Arbitrary<Json>,
      ),
      schema: fc.oneof(
        { depthSize: "small", withCrossShrink: true },
        tie("leaf"),
        fc.array(tie("schema"), { maxLength: 3 }),
        fc.dictionary(keyword, tie("schema"), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(schema, fc.jsonValue(), (anySchema, anyValue) => {
        const before = JSON.stringify([anySchema, anyValue]);
        expect(checkJsonSchema(anySchema).length).toBeLessThanOrEqual(20);
        expect(validateJson(anySchema, anyValue as Json).length).toBeLessThanOrEqual(20);
        expect(JSON.stringify([anySchema, anyValue])).toBe(before);
      }),
      { seed: 20260115, numRuns: 2_000 },
    );
  });

  it("a value matches the schema that lists it, and no schema that lists another", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
        const schema: Json = { properties: { a: { const: one as Json } } };
        expect(validateJson(schema, { a: one as Json })).toEqual([]);
        const isSame = JSON.stringify(sorted(one as Json)) === JSON.stringify(sorted(other as Json));
        expect(validateJson(schema, { a: other as Json }).length === 0).toBe(isSame);
      }),
      { seed: 20260116, numRuns: 500 },
    );
  });
});

/** A form in which equal values have equal text: members in order, and objects told from lists. */
function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isJsonObject(value)) return Object.is(value, -0) ? 0 : value;
  const members = Object.keys(value).sort();
  return { members, values: members.map((key) => sorted(value[key]!)) };
}

describe("which schemas are usable", () => {
  it.each<[Json, string]>([
    [5, "$ must be a schema"],
    [null, "$ must be a schema"],
    [[], "$ must be a schema"],
    [{ type: "strng" }, "$.type must be one of array, boolean"],
    [{ type: [] }, "$.type must be"],
    [{ properties: [] }, "$.properties must be an object"],
    [{ properties: { a: 1 } }, "$.properties.a must be a schema"],
    [{ items: 1 }, "$.items must be a schema"],
    [{ items: [{}, 1] }, "$.items[1] must be a schema"],
    [{ anyOf: [] }, "$.anyOf must be a list"],
    [{ allOf: {} }, "$.allOf must be a list"],
    [{ additionalProperties: "no" }, "$.additionalProperties must be a schema"],
    [{ required: "name" }, "$.required must be a list"],
    [{ required: [1] }, "$.required must be a list"],
    [{ enum: [] }, "$.enum must be a list"],
    [{ minLength: -1 }, "$.minLength must be a whole number"],
    [{ maxItems: 1.5 }, "$.maxItems must be a whole number"],
    [{ minimum: "0" }, "$.minimum must be a number"],
    [{ exclusiveMinimum: true }, "$.exclusiveMinimum must be a number"],
    [{ multipleOf: 0 }, "$.multipleOf must be a number over 0"],
    [{ uniqueItems: 1 }, "$.uniqueItems must be true or false"],
    [{ dependentRequired: { a: "b" } }, "$.dependentRequired must be"],
    [{ dependencies: { a: [1] } }, "$.dependencies must be"],
    [{ format: "url" }, '$.format is not supported as "url"'],
    [{ $ref: "https://example.com/s.json" }, "$.$ref must be a reference within this schema"],
    [{ $ref: "other.json#/a" }, "$.$ref must be a reference within this schema"],
    [{ $ref: 1 }, "$.$ref must be a reference"],
    [{ $ref: "#/$defs/a" }, '$.$ref points at "#/$defs/a"'],
    [{ $ref: "#/x-hidden", "x-hidden": { pattern: "(a+)+" } }, "$.$ref points at"],
    [{ $ref: "#%" }, "$.$ref points at"],
    [{ $ref: "#nowhere" }, "$.$ref points at"],
    [{ $anchor: "" }, "$.$anchor must be a name"],
    [{ $defs: { a: { $id: "https://example.com/a" } } }, "$.$defs.a.$id is not supported"],
    [{ $dynamicRef: "#a" }, "$.$dynamicRef is not supported"],
    [{ $recursiveRef: "#" }, "$.$recursiveRef is not supported"],
    [{ $ref: "#" }, "$ refers to itself"],
    [{ anyOf: [{ type: "string" }, { $ref: "#/$defs/a" }], $defs: { a: { not: { $ref: "#" } } } }, "refers to itself"],
    [{ pattern: 1 }, "$.pattern must be a string"],
    [{ pattern: "(" }, "$.pattern is not a regular expression"],
    [{ pattern: "a".repeat(MAX_REGEX_LENGTH + 1) }, "$.pattern is longer than"],
    [{ patternProperties: { "(a*)*": {} } }, '$.patternProperties has the pattern "(a*)*"'],
  ])("%j: %s", (schema, problem) => {
    const found = checkJsonSchema(freeze(schema));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(problem);
  });

  it.each(["(a+)+", "([a-z]*)*x", "(?:a{2,})+", "((ab*)c)+", "(a+){4}", "(?:(\\w+)\\s?)*$", "(a|b+)*"])(
    "refuses the pattern %s",
    (pattern) => {
      expect(checkJsonSchema({ pattern })).toHaveLength(1);
    },
  );

  it.each([
    "^[a-z]+$",
    "^(\\d+\\.){2}\\d+$",
    "(foo|bar)+",
    "[(+)*]+",
    "\\(a+\\)+",
    "^\\p{L}+$",
    "a{2,5}",
    "(ab?c)*",
    "(?=.*\\d).{8,}",
  ])("takes the pattern %s", (pattern) => expect(checkJsonSchema({ pattern })).toEqual([]));

  it("uses the check of patterns that it is given", () => {
    const schema: Json = { items: { pattern: "(a+)+", patternProperties: { b: true } } };
    expect(checkJsonSchema(schema, () => null)).toEqual([]);
    expect(checkJsonSchema(schema, (pattern) => `is ${pattern}`)).toEqual([
      "$.items.pattern is (a+)+",
      '$.items.patternProperties has the pattern "b", which is b',
    ]);
  });

  it("says everything at once, up to 20 problems of bounded length", () => {
    expect(checkJsonSchema({ type: 1, minLength: "a", $defs: { a: { type: 2 } } })).toHaveLength(3);
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`p${i}`.padEnd(1_000, "x"), { type: 1 }]));
    const found = checkJsonSchema({ properties: many });
    expect(found).toHaveLength(20);
    for (const problem of found) expect(problem.length).toBeLessThan(700);
  });

  it("names a problem once, however the schema can be reached", () => {
    expect(
      checkJsonSchema({ $ref: "#a", allOf: [{ $ref: "#/$defs/x" }], $defs: { x: { $anchor: "a", type: 1 } } }),
    ).toHaveLength(1);
  });

  it("a format that takes long to check is not checked", () => {
    expect(validateJson({ format: "url" }, "no address")).toEqual([]);
  });

  it("bounds nesting and chains of references", () => {
    let deep: Json = {};
    for (let i = 0; i < 20_000; i++) deep = { not: deep };
    expect(checkJsonSchema(deep)[0]).toContain(`deeper than ${MAX_JSON_DEPTH}`);
    const links = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`l${i}`, { $ref: `#/$defs/l${i + 1}` }]));
    expect(checkJsonSchema({ $ref: "#/$defs/l0", $defs: { ...links, l5000: {} } }).length).toBeGreaterThan(0);
  });
});
