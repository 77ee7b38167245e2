import { queryGeneric } from "convex/server";
import { jsonToConvex, v, type GenericValidator, type Value } from "convex/values";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeId } from "../../src/values/ids.js";
import { validate, type IdResolver, type ValidatorJson } from "../../src/values/validate.js";
import { bigints, bytes, numbers, primitives, strings, values } from "./arbitraries.js";

const TABLES = new Map([
  ["users", 10001],
  ["posts", 10002],
]);
const resolve: IdResolver = { tableNumber: (name) => TABLES.get(name) ?? null };
const user = encodeId(10001, new Uint8Array(16));
const post = encodeId(10002, new Uint8Array(16));
const commitTs = jsonToConvex({ $commitTs: null });

/** The JSON of a validator by the way it takes in a deployment: the export of a function. */
function exported(validator: GenericValidator): ValidatorJson {
  const query = queryGeneric({ args: { field: validator }, handler: () => null });
  const args = JSON.parse((query as unknown as { exportArgs(): string }).exportArgs()) as ValidatorJson;
  if (args.type !== "object" || args.value.field === undefined) throw new Error("Arguments are an object.");
  return args.value.field.fieldType;
}

function check(validator: GenericValidator, value: Value | undefined): string | null {
  return validate(exported(validator), value, resolve);
}

/** A second implementation, over the validators themselves. */
function matches(validator: GenericValidator, value: Value | undefined): boolean {
  switch (validator.kind) {
    case "any":
      return true;
    case "null":
      return value === null;
    case "float64":
      return typeof value === "number";
    case "int64":
    case "commitTs":
      return typeof value === "bigint" || value === commitTs;
    case "boolean":
    case "string":
      return typeof value === validator.kind;
    case "bytes":
      return value instanceof ArrayBuffer;
    case "literal":
      return Object.is(value, validator.value) || (value === commitTs && validator.value === 2n ** 63n - 1n);
    case "id":
      return value === (validator.tableName === "users" ? user : post);
    case "array":
      return Array.isArray(value) && value.every((item) => matches(validator.element as GenericValidator, item));
    case "union":
      return validator.members.some((member: GenericValidator) => matches(member, value));
    case "record":
      return entries(value).every(
        ([name, field]) =>
          /^[^$_]/.test(name) &&
          matches(validator.key as GenericValidator, name) &&
          matches(validator.value as GenericValidator, field),
      );
    case "object": {
      const fields = validator.fields as Record<string, GenericValidator>;
      const found = new Map(entries(value));
      const known = Object.entries(fields).every(([name, field]) =>
        found.has(name) ? matches(field, found.get(name)) : field.isOptional === "optional",
      );
      return known && isObject(value) && [...found.keys()].every((name) => Object.keys(fields).includes(name));
    }
  }
}

function isObject(value: Value | undefined): value is { [key: string]: Value | undefined } {
  return Object.prototype.toString.call(value) === "[object Object]" && value !== commitTs;
}

/** The fields of an object; of anything else one that matches nothing. */
function entries(value: Value | undefined): [string, Value | undefined][] {
  return isObject(value) ? Object.entries(value).filter(([, field]) => field !== undefined) : [["$", undefined]];
}

interface Case {
  readonly validator: GenericValidator;
  readonly value: fc.Arbitrary<Value>;
}

function leaf(validator: GenericValidator, value: fc.Arbitrary<Value>): Case {
  return { validator, value };
}

const LEAVES: Case[] = [
  leaf(v.any(), values),
  leaf(v.null(), fc.constant(null)),
  leaf(v.number(), numbers),
  leaf(v.int64(), fc.oneof(bigints, fc.constant(commitTs))),
  leaf(v.commitTs(), fc.oneof(bigints, fc.constant(commitTs))),
  leaf(v.boolean(), fc.boolean()),
  leaf(v.string(), strings),
  leaf(v.bytes(), bytes),
  leaf(v.id("users"), fc.constant(user)),
  leaf(v.id("posts"), fc.constant(post)),
  ...["a", true, 0, -0, NaN, 1.5, 1n, 2n ** 63n - 1n].map((value) => leaf(v.literal(value), fc.constant(value))),
];
const NAMES = ["a", "b", "constructor", "toString", "~"];
const names = fc.constantFrom(...NAMES);
const KEYS: { key: GenericValidator; name: fc.Arbitrary<string> }[] = [
  { key: v.string(), name: names },
  { key: v.id("users"), name: fc.constant(user) },
  { key: v.union(v.id("users"), v.id("posts")), name: fc.constantFrom(user, post) },
];

/** Validators together with values that match them. */
const cases: fc.Arbitrary<Case> = fc.letrec<{ case: Case }>((tie) => ({
  case: fc.oneof(
    { maxDepth: 3, depthSize: "small" },
    fc.constantFrom(...LEAVES),
    tie("case").map((element) =>
      leaf(v.array(element.validator), fc.array(element.value, { maxLength: 3 }) as fc.Arbitrary<Value>),
    ),
    fc
      .array(tie("case"), { minLength: 1, maxLength: 3 })
      .map((members) =>
        leaf(v.union(...members.map((member) => member.validator)), fc.oneof(...members.map((member) => member.value))),
      ),
    fc
      .tuple(fc.constantFrom(...KEYS), tie("case"))
      .map(([{ key, name }, field]) =>
        leaf(
          v.record(key as ReturnType<typeof v.string>, field.validator),
          fc.dictionary(name, field.value, { maxKeys: 2, noNullPrototype: true }),
        ),
      ),
    fc
      .dictionary(names, fc.tuple(tie("case"), fc.boolean()), { maxKeys: 4, noNullPrototype: true })
      .map((fields) => objectCase(Object.entries(fields))),
  ),
})).case;

function objectCase(fields: [string, [Case, boolean]][]): Case {
  const validators = fields.map(([name, [field, optional]]): [string, GenericValidator] => [
    name,
    optional ? v.optional(field.validator) : field.validator,
  ]);
  const shape = Object.fromEntries(
    fields.map(([name, [field, optional]]): [string, fc.Arbitrary<Value | undefined>] => [
      name,
      optional ? fc.option(field.value, { nil: undefined }) : field.value,
    ]),
  );
  return leaf(v.object(Object.fromEntries(validators)), fc.record(shape, { noNullPrototype: true }));
}

/** The same value with one thing changed, somewhere inside of it. */
function mutated(value: Value, where: readonly number[], other: Value): Value {
  const [step = 0, ...rest] = where;
  if (Array.isArray(value) && value.length > 0 && where.length > 0) {
    const index = step % value.length;
    return value.map((item, i) => (i === index ? mutated(item, rest, other) : item));
  }
  if (isObject(value) && where.length > 0) {
    const name = NAMES[step % NAMES.length] ?? "a";
    const field = Object.hasOwn(value, name) ? value[name] : undefined;
    const change = field === undefined ? other : step % 2 === 0 ? undefined : mutated(field, rest, other);
    return { ...value, [name]: change };
  }
  return other;
}

const others = fc.oneof(primitives, fc.constantFrom<Value>(user, post, commitTs, [], {}, "a", 0, -0));

describe("validate", () => {
  it("accepts what was made for the validator", () => {
    const pairs = cases.chain(({ validator, value }) => fc.tuple(fc.constant(validator), value));
    fc.assert(
      fc.property(pairs, ([validator, value]) => {
        expect(check(validator, value)).toBeNull();
        expect(matches(validator, value)).toBe(true);
      }),
      { seed: 101, numRuns: 1500 },
    );
  });

  it("decides as the second implementation does for changed and for foreign values", () => {
    const changes = fc.tuple(fc.array(fc.nat(20), { minLength: 1, maxLength: 3 }), others);
    const pairs = fc.tuple(cases, cases).chain(([first, second]) =>
      fc.tuple(
        fc.constant(first.validator),
        fc.oneof(
          fc.tuple(first.value, changes).map(([value, [where, other]]) => mutated(value, where, other)),
          fc.tuple(first.value, first.value, changes).map(([value, other, [where]]) => mutated(value, where, other)),
          second.value,
        ),
      ),
    );
    let refused = 0;
    fc.assert(
      fc.property(pairs, ([validator, value]) => {
        const message = check(validator, value);
        expect(message === null, message ?? "no message").toBe(matches(validator, value));
        if (message !== null) refused += 1;
      }),
      { seed: 102, numRuns: 4000 },
    );
    // Both answers are common, or the comparison would show little.
    expect(refused).toBeGreaterThan(1000);
    expect(refused).toBeLessThan(3300);
  });

  it("compiles a validator once", () => {
    const json = exported(v.object({ a: v.array(v.string()) }));
    expect(validate(json, { a: ["x"] }, resolve)).toBeNull();
    if (json.type === "object") json.value = {};
    expect(validate(json, { a: ["x"] }, resolve)).toBeNull();
  });

  it("takes ids of the tables the resolver knows", () => {
    const other: IdResolver = { tableNumber: (name) => (name === "users" ? 10002 : null) };
    const json = exported(v.id("users"));
    expect(validate(json, post, other)).toBeNull();
    expect(validate(json, user, other)).toContain("Value does not match validator.");
    expect(validate(exported(v.id("posts")), post, other)).not.toBeNull();
    expect(check(v.id("users"), post)).not.toBeNull();
    // Neither the table nor an id is known: two unknowns are no match.
    expect(check(v.id("gone"), "no id")).not.toBeNull();
    expect(check(v.id("users"), `${user.slice(0, -1)}${user.endsWith("0") ? "1" : "0"}`)).not.toBeNull();
  });

  it("takes any value for any, but a field of any has to be there", () => {
    for (const value of [undefined, null, 1n, [1], { a: 1 }, commitTs]) expect(check(v.any(), value)).toBeNull();
    expect(check(v.object({ a: v.any() }), {})).toContain("missing the required field `a`");
    expect(check(v.null(), undefined)).toContain("Value: undefined");
  });

  it("takes an unknown commit timestamp for the largest int64", () => {
    for (const validator of [v.commitTs(), v.int64(), v.literal(2n ** 63n - 1n)]) {
      expect(check(validator, commitTs)).toBeNull();
    }
    for (const validator of [v.number(), v.object({}), v.record(v.string(), v.any()), v.literal(2n ** 63n - 2n)]) {
      expect(check(validator, commitTs)).not.toBeNull();
    }
  });

  it("refuses validators it does not know", () => {
    expect(() => validate({ type: "decimal" } as unknown as ValidatorJson, 1, resolve)).toThrow("decimal");
  });

  it.each(["", "$a", "_a", "ä", "a\n", "\x7f"])("refuses %j as the key of a record", (name) => {
    const message = check(v.object({ r: v.record(v.string(), v.any()) }), { r: { [name]: 1 } });
    expect(message).toContain(`Record key ${JSON.stringify(name)} is not allowed`);
    expect(message).toContain("\nPath: .r");
  });

  it.each<[string, GenericValidator, Value, string]>([
    ["a type at the top", v.string(), 1, "Value does not match validator.\nValue: 1.0\nValidator: v.string()"],
    [
      "a type inside",
      v.object({ a: v.object({ b: v.array(v.string()) }) }),
      { a: { b: ["x", 2n] } },
      "Value does not match validator.\nPath: .a.b[1]\nValue: 2\nValidator: v.string()",
    ],
    [
      "a missing field",
      v.object({ o: v.object({ b: v.id("users"), a: v.optional(v.number()) }) }),
      { o: { a: -0 } },
      "Object is missing the required field `b`. Consider wrapping the field validator in `v.optional(...)` if this is expected." +
        '\nPath: .o\nObject: {a: -0.0}\nValidator: v.object({a: v.optional(v.float64()), b: v.id("users")})',
    ],
    [
      "an extra field",
      v.object({}),
      { b: true, a: new Uint8Array([1, 2]).buffer },
      'Object contains extra field `a` that is not in the validator.\nObject: {a: b"AQI=", b: true}\nValidator: v.object({})',
    ],
    [
      "a literal",
      v.object({ kind: v.literal("x") }),
      { kind: "y" },
      '`"y"` does not match literal validator `v.literal("x")`.\nPath: .kind',
    ],
    ["a literal that is a bigint", v.literal(5n), 5, "`5.0` does not match literal validator `v.literal(5n)`."],
    [
      "a union",
      v.object({ u: v.union(v.null(), v.int64(), v.commitTs(), v.boolean(), v.bytes(), v.any()) }),
      {},
      "Object is missing the required field `u`. Consider wrapping the field validator in `v.optional(...)` if this is expected." +
        "\nObject: {}\nValidator: v.object({u: v.union(v.null(), v.int64(), v.commitTs(), v.boolean(), v.bytes(), v.any())})",
    ],
    [
      "a union of objects, as a whole",
      v.array(v.union(v.object({ a: v.string() }), v.null())),
      [null, { a: commitTs }],
      'Value does not match validator.\nPath: [1]\nValue: {a: {"$commitTs":null}}\nValidator: v.union(v.object({a: v.string()}), v.null())',
    ],
    [
      "a union of one, as its member",
      v.union(v.object({ a: v.string() })),
      { a: null },
      "Value does not match validator.\nPath: .a\nValue: null\nValidator: v.string()",
    ],
    [
      "the value of a record",
      v.record(v.string(), v.array(v.number())),
      { a: [1], b: ["x"] },
      'Value does not match validator.\nPath: .values()[0]\nValue: "x"\nValidator: v.float64()',
    ],
    [
      "the key of a record",
      v.record(v.id("users"), v.number()),
      { a: 1 },
      'Value does not match validator.\nPath: .keys()\nValue: "a"\nValidator: v.id("users")',
    ],
    [
      "an object where an array is due",
      v.array(v.record(v.string(), v.null())),
      { a: [NaN, 1e21] },
      "Value does not match validator.\nValue: {a: [NaN, 1e+21]}\nValidator: v.array(v.record(v.string(), v.null()))",
    ],
  ])("explains %s", (_, validator, value, message) => {
    expect(check(validator, value)).toBe(message);
  });
});
