import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createEvaluator, type Scope } from "../../../src/engine/expr/evaluate.js";
import { toJson } from "../../../src/engine/expr/result.js";
import { utf8Bytes, type Json } from "../../../src/shared/json.js";
import { errorOf } from "./support.js";

const SEED = { seed: 7_112_025, numRuns: 500 };
const evaluator = createEvaluator();
const value = (source: string, scope: Scope = {}): Json => evaluator.evaluate(source, scope);
const failure = (source: string, scope: Scope = {}): string => {
  const error = errorOf(() => value(source, scope));
  expect(error).toMatchObject({ code: "EXPRESSION_FAILED", source });
  return error.message;
};

describe("paths", () => {
  const input = JSON.parse(
    '{"user":{"name":"Ada"},"list":[10,[20]],"none":null,"$k":1,"":2,"ключ":3,"a.b":4,"__proto__":5,"constructor":6,' +
      '"hasOwnProperty":7,"toString":8,"in":9}',
  ) as Json;

  it.each<[string, Json]>([
    ["input.user.name", "Ada"],
    ['input["user"]["name"]', "Ada"],
    ["input.list[1][0]", 20],
    ['input["$k"]', 1],
    ['input[""]', 2],
    ['input["ключ"]', 3],
    ['input["a.b"]', 4],
    ['input["__proto__"]', 5],
    ["input.__proto__", 5],
    ["input.constructor", 6],
    ["input.hasOwnProperty", 7],
    ["input.toString", 8],
    ['input["in"]', 9],
    ["input.none", null],
  ])("reads %s", (source, result) => {
    expect(value(source, { input })).toEqual(result);
  });

  it.each<[string, string]>([
    [
      "input.user.nam",
      '`input.user` has no key "nam". Test with has(input.user.nam), or use default(input.user.nam, fallback).',
    ],
    ["input.gone.deep", '`input` has no key "gone".'],
    ["input.none.x", '`input.none` is null, so it has no key "x".'],
    ["input.user.name.x", '`input.user.name` is string, so it has no key "x".'],
    ["input.list[2]", "`input.list` has 2 items, so there is no index 2."],
    ["input.list[-1]", "`input.list` has 2 items, so there is no index -1."],
    ["input.list.x", "`input.list` is a list; its items are read by number, as in input.list[0]."],
    ["input.list[0.5]", "The index of a list must be a whole number, got 0.5."],
    ["input.user[0]", "`input.user` is an object; its keys are strings, got number."],
    ["vars.x", "`vars` is not available here."],
  ])("says what is wrong with %s", (source, message) => {
    expect(failure(source, { input })).toContain(message);
  });

  it("repeats no more than the beginning of a long key", () => {
    const message = failure("input[key]", { input, key: "k".repeat(100_000) });
    expect(message).toContain(`no key "${"k".repeat(64)}…"`);
    expect(message.length).toBeLessThan(300);
  });

  it.each(["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf", "__defineGetter__"])(
    "finds no inherited %s",
    (key) => {
      const scope = { input: { list: [1] } };
      failure(`input["${key}"]`, scope);
      failure(`input.list["${key}"]`, scope);
      failure(`"text"["${key}"]`, scope);
      expect(value(`has(input["${key}"])`, scope)).toBe(false);
      expect(value(`"${key}" in input`, scope)).toBe(false);
      expect(value(`default(input["${key}"], 0)`, scope)).toBe(0);
      if (key !== "__proto__") failure(key, scope);
    },
  );

  it("builds objects with any key and changes no prototype", () => {
    const result = value('{"__proto__": {"polluted": 1}, "constructor": 2}');
    expect(JSON.stringify(result)).toBe('{"__proto__":{"polluted":1},"constructor":2}');
    expect(Object.getPrototypeOf(result)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it("compares, lists and measures objects that hold such keys", () => {
    const scope = { a: input, b: JSON.parse(JSON.stringify(input)) as Json, c: JSON.parse('{"__proto__":{}}') as Json };
    expect(value("a == b && a in [b]", scope)).toBe(true);
    expect(value("c == {}", scope)).toBe(false);
    expect(value("size(c)", scope)).toBe(1);
    expect(value("c.map(k, k)", scope)).toEqual(["__proto__"]);
    expect(value("typeOf(a)", scope)).toBe("object");
  });
});

describe("has and default", () => {
  const scope = { input: { user: { name: "Ada", phone: null }, list: [1] } };

  it.each<[string, Json]>([
    ["has(input.user.name)", true],
    ["has(input.user.phone)", true],
    ["has(input.user.phone.mobile)", false],
    ["has(input.gone.deep.er)", false],
    ["has(input.list[0])", true],
    ["has(input.list[1])", false],
    ["has(vars.x)", false],
    ["default(input.user.name, 1)", "Ada"],
    ["default(input.user.phone, 1)", 1],
    ["default(input.gone.deep, 1)", 1],
    ["default(vars, 1)", 1],
    ["input.gone.default(2)", 2],
    ["default(false, true)", false],
    ['default("", "x")', ""],
    ["default(input.user.name, 1 / 0)", "Ada"],
  ])("%s", (source, result) => {
    expect(value(source, scope)).toEqual(result);
  });

  it("swallow a missing path only, no other failure", () => {
    expect(failure("default(1 / 0, 1)", scope)).toContain("Division by zero");
    expect(failure("default(input[vars.x], 1)", scope)).toContain("`vars` is not available");
  });
});

describe("logic", () => {
  it.each<[string, Json]>([
    ["true && true && false", false],
    ["false || false || true", true],
    ["input.gone || true", true],
    ["true || input.gone", true],
    ["input.gone && false", false],
    ["input.n && false", false],
    ["[1, 2].exists(x, x > 1 || x.gone)", true],
    ["[input, 2].exists(x, x == 2)", true],
    ["[1, 2].all(x, x.gone || x == 3) || true", true],
    ["[1, 0].all(x, 1 / x > 5)", false],
    ["[].all(x, false)", true],
    ["[].exists(x, true)", false],
    ["true ? 1 : 1 / 0", 1],
    ["!true == false", true],
  ])("%s", (source, result) => {
    expect(value(source, { input: { n: 1 } })).toEqual(result);
  });

  it.each<[string, string]>([
    ["input.gone || false", 'has no key "gone"'],
    ["input.gone && true", 'has no key "gone"'],
    ["1 && true", "An operand of `&&` must be true or false, got number."],
    ['"" || false', "An operand of `||` must be true or false, got string."],
    ["null ? 1 : 2", "The condition of `? :` must be true or false, got null."],
    ["![]", "The operand of `!` must be true or false, got list."],
    ["[1].filter(x, x)", "The test of filter() must be true or false, got number."],
    ["[0, 1].all(x, 1 / x > 0)", "Division by zero"],
    ["[0, 1].exists_one(x, 1 / x > 0)", "Division by zero"],
    ['"abc".map(x, x)', "map() needs a list or an object, got string."],
  ])("%s fails", (source, message) => {
    expect(failure(source, { input: {} })).toContain(message);
  });
});

describe("variables of macros", () => {
  it.each<[string, Json]>([
    [
      "[1, 2].map(x, [10, 20].map(y, x + y))",
      [
        [11, 21],
        [12, 22],
      ],
    ],
    ["[1, 2].map(x, [x].map(x, x + 1)[0] + x)", [3, 5]],
    ["[1].map(input, input)", [1]],
    ["[3].map(loop, loop)", [3]],
    ["cel.bind(x, 2, x * cel.bind(x, 3, x) + x)", 8],
    ["input.list.map(i, i)[0] + input.list[0]", 2],
    ["[1, 2, 3].map(x, x != 2, x * 10)", [10, 30]],
  ])("%s", (source, result) => {
    expect(value(source, { input: { list: [1] } })).toEqual(result);
  });

  it("are told from strings and fields of the same word", () => {
    const scope = { loop: { loop: "x", index: 2 } };
    expect(value('loop.loop + "loop" + string(loop["index"]) // loop', scope)).toBe("xloop2");
    expect(value("has(loop.loop) && [1].all(loop, loop == 1)", scope)).toBe(true);
    expect(value("L000 + loop", { L000: 1, loop: 2 })).toBe(3);
  });
});

describe("equality", () => {
  it("is deep equality of JSON, whatever the order of keys", () => {
    const json = fc.jsonValue({ maxDepth: 3 }).map((one) => JSON.parse(JSON.stringify(one)) as Json);
    const pair = fc.oneof(
      fc.tuple(json, json),
      json.map((one): [Json, Json] => [one, reversed(one)]),
    );
    fc.assert(
      fc.property(pair, ([a, b]) => {
        expect(value("a == b", { a, b })).toBe(isDeepStrictEqual(a, b));
        expect(value("a != b", { a, b })).toBe(!isDeepStrictEqual(a, b));
        expect(value("[a] == [b] && a in [b]", { a, b })).toBe(isDeepStrictEqual(a, b));
      }),
      SEED,
    );
  });

  it.each<[string, boolean]>([
    ["[1, [2.0]] == [1.0, [2]]", true],
    ['{"a": 1} == {"a": 1.0}', true],
    ['1 == "1"', false],
    ["null == false", false],
    ["[] == {}", false],
    ['timestamp("2026-01-01T00:00:00Z") == timestamp("2026-01-01T01:00:00+01:00")', true],
    ['duration("60s") == duration("1m")', true],
    ['duration("60s") == timestamp(60)', false],
    ['bytes("a") == b"a" && b"a" != b"b"', true],
    ["2 in [1, 2.0]", true],
    ['1 in {"1": 1}', false],
  ])("%s is %s", (source, result) => {
    expect(value(source)).toBe(result);
  });
});

function reversed(one: Json): Json {
  if (Array.isArray(one)) return one.map(reversed);
  if (typeof one !== "object" || one === null) return one;
  return JSON.parse(
    `{${Object.entries(one)
      .reverse()
      .map(([key, member]) => `${JSON.stringify(key)}:${JSON.stringify(reversed(member))}`)
      .join(",")}}`,
  ) as Json;
}

describe("results", () => {
  it("are measured exactly", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string({ unit: "binary" }), (json, text) => {
        const both = [json as Json, text, -0, 1e-7, 1e21];
        const { json: result, bytes } = toJson(both, Infinity);
        expect(bytes).toBe(utf8Bytes(JSON.stringify(result)));
        expect(JSON.stringify(result)).toBe(JSON.stringify(both));
      }),
      { seed: SEED.seed, numRuns: 200 },
    );
  });

  it("share the data that is passed through", () => {
    const input = { list: [1, { a: 2 }] };
    expect(value("input", { input })).toBe(input);
    expect((value("[input, 1]", { input }) as Json[])[0]).toBe(input);
  });

  it.each<[string, string]>([
    [
      'timestamp("2026-01-01T00:00:00Z")',
      "type timestamp, which JSON cannot carry. Convert it: string(x) for text or int(x)",
    ],
    [
      '[duration("1s")]',
      "type duration, which JSON cannot carry. Convert it: string(x) for text or x.getMilliseconds()",
    ],
    ['{"a": b"x"}', "type bytes, which JSON cannot carry. Convert it: x.base64(), x.hex() or string(x)"],
    ["9007199254740993", "too large for a JSON number to be exact"],
    ["[-9007199254740993]", "too large for a JSON number to be exact"],
  ])("%s cannot be one", (source, message) => {
    expect(failure(source)).toContain(message);
  });
});

describe("evaluateBoolean", () => {
  it("gives true or false", () => {
    expect(evaluator.evaluateBoolean("input.n > 1", { input: { n: 2 } })).toBe(true);
    expect(evaluator.evaluateBoolean("input.n > 1", { input: { n: 1 } })).toBe(false);
  });

  it.each([
    ["1", "number"],
    ["size([])", "number"],
    ['"true"', "string"],
    ["null", "null"],
    ["[]", "list"],
    ["{}", "object"],
    ["timestamp(0)", "timestamp"],
  ])("refuses %s and names the type", (source, type) => {
    const error = errorOf(() => evaluator.evaluateBoolean(source, {}));
    expect(error).toMatchObject({ code: "EXPRESSION_NOT_BOOLEAN", source });
    expect(error.message).toContain(`but gave ${type}`);
  });
});

describe("secret", () => {
  it("gives the marker", () => {
    const marked = createEvaluator({ secretMarker: (name) => `<${name}>` });
    expect(marked.evaluate('"Bearer " + secret("KEY")', {})).toBe("Bearer <KEY>");
  });

  it("fails without one", () => {
    expect(failure('secret("KEY")')).toContain("secret() cannot be used here");
  });

  it.each(["secret(input.name)", "secret()", 'secret("A", "B")', '"A".secret()', 'secret("A" + "B")'])(
    "refuses %s: the name must be written out",
    (source) => {
      const marked = createEvaluator({ secretMarker: (name) => `<${name}>` });
      expect(errorOf(() => marked.evaluate(source, { input: { name: "KEY" } })).code).toBe("EXPRESSION_INVALID");
    },
  );
});

describe("expressions that publishing would have refused", () => {
  it.each(["", "1 +", "nope(1)", '"a".matches("(a+)+")', "1u", "for", "input.?a", "size(1, 2, 3)"])("%j", (source) => {
    expect(errorOf(() => value(source))).toMatchObject({ code: "EXPRESSION_INVALID", source });
  });
});
