import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createEvaluator, type Scope } from "../../../src/engine/expr/evaluate.js";
import type { Json } from "../../../src/shared/json.js";
import { errorOf } from "./support.js";

const SEED = { seed: 1_234, numRuns: 500 };
const evaluator = createEvaluator();
const value = (source: string, scope: Scope = {}): Json => evaluator.evaluate(source, scope);

function table(rows: Array<[string, Json]>): void {
  it.each(rows)("%s", (source, result) => {
    expect(value(source)).toEqual(result);
  });
}

function misuse(rows: Array<[string, string]>): void {
  it.each(rows)("%s fails", (source, message) => {
    const error = errorOf(() => value(source));
    expect(error.code).toBe("EXPRESSION_FAILED");
    expect(error.message).toContain(message);
  });
}

describe("text", () => {
  table([
    ['"abc".contains("bc") && !"abc".contains("x") && "abc".contains("") && "".contains("")', true],
    ['startsWith("abc", "ab") && endsWith("abc", "bc") && !"abc".startsWith("b")', true],
    [
      '["abcabc".indexOf("c"), "abcabc".indexOf("c", 3), "abc".indexOf("x"), "abc".indexOf(""), "abc".indexOf("", 2)]',
      [2, 5, -1, 0, 2],
    ],
    [
      '["abcabc".lastIndexOf("c"), "abcabc".lastIndexOf("c", 4), "abc".lastIndexOf("x"), "abc".lastIndexOf("")]',
      [5, 2, -1, 3],
    ],
    ['["aaa".indexOf("aa", 1), "aaa".lastIndexOf("aa")]', [1, 1]],
    ['["a😀b".indexOf("b"), "a😀b".lastIndexOf("b"), size("a😀b")]', [2, 2, 3]],
    ['["a😀b".substring(1, 2), "a😀b".substring(2), "abc".substring(3), "abc".substring(0, 0)]', ["😀", "b", "", ""]],
    ['["a😀b".slice(1, 9), "abc".slice(5), "abc".slice(2, 1)]', ["😀b", "", ""]],
    ['"ÀB".lower() + "àß".upper() + " x\t".trim()', "àbÀSSx"],
    ['"a,b,,c".split(",")', ["a", "b", "", "c"]],
    ['"".split(",")', [""]],
    ['"a😀b".split("")', ["a", "😀", "b"]],
    [
      '["a-b-c".split("-", 2), "a-b-c".split("-", 1), "a-b-c".split("-", 0), "a-b".split("-", 9), "abc".split("", 2)]',
      [["a", "b-c"], ["a-b-c"], [], ["a", "b"], ["a", "bc"]],
    ],
    ['"banana".replace("an", "AN") + "aaa".replace("aa", "b") + "x".replace("y", "z")', "bANANabax"],
    ['"a.b".replace(".", "$&")', "a$&b"],
  ]);
  misuse([
    ["contains(1, 'a')", "The value of contains() must be a string, got number."],
    ["'a'.contains(1)", "The text sought by contains() must be a string, got number."],
    ["['a'].contains('a')", "for lists use `item in list`"],
    ["null.lower()", "The value of lower() must be a string, got null."],
    ["'abc'.substring(-1)", "must not be negative, got -1"],
    ["'abc'.substring(2, 1)", "substring(2, 1) is outside of a text of 3 characters"],
    ["'abc'.substring(0, 4)", "slice() takes what there is"],
    ["'abc'.substring(0.5)", "must be a whole number, got 0.5"],
    ["'abc'.indexOf('a', -1)", "must not be negative"],
    ["'abc'.slice('a')", "must be a whole number, got string"],
    ["'abc'.split(1)", "The separator of split() must be a string"],
    ["'abc'.replace('', 'x')", "must not be empty"],
    ["'abc'.replace('a', null)", "The replacement of replace() must be a string, got null."],
    ["[].matches('a')", "matches() needs a string, got list."],
  ]);

  /** Few different characters and parts of every length, also longer than the built-in search is used for. */
  const repetitive = fc
    .array(fc.tuple(fc.constantFrom("a", "b", "ab", "aab", "😀"), fc.integer({ min: 1, max: 25 })), { maxLength: 5 })
    .map((runs) => runs.map(([unit, times]) => unit.repeat(times)).join(""));

  it("is searched as JavaScript does, in characters", () => {
    const chars = (text: string, units: number): number => (units < 0 ? -1 : Array.from(text.slice(0, units)).length);
    fc.assert(
      fc.property(repetitive, repetitive, (text, part) => {
        const scope = { text, part };
        expect(value("text.contains(part)", scope)).toBe(text.includes(part));
        expect(value("text.indexOf(part)", scope)).toBe(chars(text, text.indexOf(part)));
        expect(value("text.lastIndexOf(part)", scope)).toBe(chars(text, text.lastIndexOf(part)));
        expect(value("(text + part + text).contains(part)", scope)).toBe(true);
        if (part === "") return;
        expect(value("text.split(part)", scope)).toEqual(text.split(part));
        expect(value('text.replace(part, "<" + part + ">")', scope)).toBe(text.split(part).join(`<${part}>`));
        expect(value("text.split(part).join(part)", scope)).toBe(text);
      }),
      SEED,
    );
  });

  it("is cut by characters", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "é", "😀"), maxLength: 12 });
    const position = fc.integer({ min: 0, max: 14 });
    fc.assert(
      fc.property(text, position, position, (one, from, to) => {
        const expected = Array.from(one).slice(from, to).join("");
        expect(value("text.slice(from, to)", { text: one, from, to })).toBe(expected);
        expect(value("size(text)", { text: one })).toBe(Array.from(one).length);
        if (from <= to && to <= Array.from(one).length) {
          expect(value("text.substring(from, to)", { text: one, from, to })).toBe(expected);
        }
      }),
      SEED,
    );
  });
});

describe("lists", () => {
  table([
    ["[size([1, 2]), size({'a': 1}), size('ab'), size(b'abc'), [].size()]", [2, 1, 2, 3, 0]],
    ["[[1, 2].first(), [1, 2].last(), [].first(), [].last()]", [1, 2, null, null]],
    [
      "[[1, 2, 3].slice(1), [1, 2, 3].slice(0, 2), [1].slice(5), [1, 2].slice(1, 99), [1, 2].slice(2, 1)]",
      [[2, 3], [1, 2], [], [2], []],
    ],
    [
      "[[3, 1, 2].sort(), ['b', 'a', 'C'].sort(), [2.5, 1].sort(), [].sort(), [[1]].sort()]",
      [[1, 2, 3], ["C", "a", "b"], [1, 2.5], [], [[1]]],
    ],
    ["[1, 2, 3].reverse()", [3, 2, 1]],
    [
      "[1, 1.0, '1', 1, null, null, [1], [1.0], {'a': 1}, {'a': 1}, true, true].distinct()",
      [1, "1", null, [1], { a: 1 }, true],
    ],
    ["flatten([[1, [2]], 3, []])", [1, [2], 3]],
    ["[[1, 2].sum(), [1, 0.5].sum(), [].sum()]", [3, 1.5, 0]],
    ["[[2, 1.5].min(), [2, 3].max(), ['b', 'a'].min(), [].max(), [].min()]", [1.5, 3, "a", null, null]],
    ["[['a', 1, true, 2.5].join('-'), ['a', 'b'].join(), [].join(',')]", ["a-1-true-2.5", "ab", ""]],
    ["[range(3), range(1, 3), range(3, 1), range(0), range(-2, 1)]", [[0, 1, 2], [1, 2], [], [], [-2, -1, 0]]],
  ]);
  misuse([
    ["size(1)", "size() needs a string, list, object or bytes, got number."],
    ["first('abc')", "first() needs a list, got string."],
    ["sum(null)", "sum() needs a list, got null."],
    ["[1, '2'].sum()", "sum() needs numbers, got string."],
    ["[1, 'a'].sort()", "sort() needs a list of numbers or a list of strings"],
    ["[true, false].sort()", "sort() needs a list of numbers or a list of strings"],
    ["[[1], [2]].max()", "max() needs a list of numbers or a list of strings"],
    ["[null].join()", "join() needs strings, numbers or bools, got null."],
    ["['a'].join(1)", "The separator of join() must be a string"],
    ["[1].slice(-1)", "must not be negative, got -1"],
    ["slice(1, 2)", "slice() needs a list, got number."],
    ["range(1.5)", "must be a whole number, got 1.5"],
    ["range('a')", "must be a whole number, got string"],
    ["1 in 2", "`in` needs a list or an object on its right, got number."],
    ["'a' in 'abc'", "For text use `text.contains(part)`."],
    ["{'a': 1, 'a': 2}", 'has the key "a" twice'],
  ]);

  it("leave the data as it was", () => {
    const input = Object.freeze([3, 1, [2]]);
    value("[input.sort().size() > 0 || true, input.reverse(), input.flatten(), input + [1], input.distinct()]", {
      input: input as Json,
    });
    expect(input).toEqual([3, 1, [2]]);
  });
});

describe("conversions", () => {
  table([
    [
      "[string('a'), string(true), string(1), string(1.5), string(1e21), string(b'hi')]",
      ["a", "true", "1", "1.5", "1e+21", "hi"],
    ],
    [
      "[string(timestamp('2026-01-31T08:00:00.5Z')), string(duration('1h30m')), string(duration('-1500ms'))]",
      ["2026-01-31T08:00:00.500Z", "5400s", "-1.5s"],
    ],
    [
      "[int(1.9), int(-1.9), int('12'), int('-12'), int('+1'), int(timestamp('1970-01-01T00:00:01.9Z'))]",
      [1, -1, 12, -12, 1, 1],
    ],
    ["[double(1), double('1.5'), double('.5'), double('-2e-1'), double('1.')]", [1, 1.5, 0.5, -0.2, 1]],
    ["[bool('true'), bool('false'), bool('1'), bool('F' + 'alse'), bool(true)]", [true, false, true, false, true]],
    ["json({'b': [1, 2.5, null, true, 'ä\"'], 'a': {}})", '{"b":[1,2.5,null,true,"ä\\""],"a":{}}'],
    ["[json(1), json('a'), json(null)]", ["1", '"a"', "null"]],
    [
      "[null, true, 1, 1.5, '', [], {}, timestamp(0), duration('1s'), b''].map(x, typeOf(x))",
      ["null", "bool", "number", "number", "string", "list", "object", "timestamp", "duration", "bytes"],
    ],
    ["[abs(-1), abs(-1.5), floor(-1.5), ceil(-1.5), floor(2), ceil(2.1)]", [1, 1.5, -2, -1, 2, 3]],
    [
      "[round(2.5), round(-2.5), round(1.005, 2), round(12.345, 1), round(3), round(1e20, 2), round(1e-9, 3), round(0.1 + 0.2, 15)]",
      [3, -3, 1.01, 12.3, 3, 1e20, 0, 0.3],
    ],
    [
      "[hex(b'\\x00\\xff'), base64(b'\\x00\\xff'), bytes('é').hex(), (b'a' + b'b').hex()]",
      ["00ff", "AP8=", "c3a9", "6162"],
    ],
  ]);
  misuse([
    ["string(null)", 'string() cannot convert null. Use default(x, "") first.'],
    ["string([])", "Use json(x) for JSON text."],
    ["int('1.5')", 'int() cannot convert "1.5".'],
    ["int('')", 'int() cannot convert "".'],
    ["int(null)", "int() cannot convert null."],
    ["int('9223372036854775808')", "does not fit 64 bits"],
    ["double('abc')", 'double() cannot convert "abc".'],
    ["double('Infinity')", "double() cannot convert"],
    ["double('1e999')", "double() cannot convert"],
    ["double(' 1')", "double() cannot convert"],
    ["bool(1)", "compare numbers with `!= 0`"],
    ["bool('yes')", 'bool() cannot convert "yes".'],
    ["json(timestamp(0))", "type timestamp, which JSON cannot carry"],
    ["abs('1')", "abs() needs a number, got string."],
    ["round('1')", "round() needs a number, got string."],
    ["round(1.5, 16)", "round() takes 0 to 15 digits, got 16."],
    ["base64('a')", "Use bytes(text).base64()."],
    ["bytes(1)", "The value of bytes() must be a string"],
  ]);
});

describe("time", () => {
  const t = "timestamp('2026-01-31T23:30:45.123Z')";
  table([
    [
      `[${t}.getFullYear(), ${t}.getMonth(), ${t}.getDate(), ${t}.getDayOfMonth(), ${t}.getDayOfWeek()]`,
      [2026, 0, 31, 30, 6],
    ],
    [`[${t}.getHours(), ${t}.getMinutes(), ${t}.getSeconds(), ${t}.getMilliseconds()]`, [23, 30, 45, 123]],
    [`[${t}.getDate("Europe/Berlin"), ${t}.getHours("Asia/Kolkata"), ${t}.getMinutes("Asia/Kolkata")]`, [1, 5, 0]],
    [
      "[duration('1h30m').getHours(), duration('1h30m').getMinutes(), duration('90s').getSeconds(), duration('1.5s').getMilliseconds()]",
      [1, 90, 90, 1500],
    ],
    [`${t} + duration('30m') > ${t} && duration('1h') + ${t} == ${t} + duration('60m')`, true],
    [`string(${t} - timestamp('2026-01-31T23:00:45.123Z'))`, "1800s"],
    ["[timestamp(1), timestamp(2)].all(x, x > timestamp(0.5))", true],
    ["string(timestamp('2026-01-31T08:00:00+02:00'))", "2026-01-31T06:00:00Z"],
    ["string(duration('1h') - duration('15m'))", "2700s"],
  ]);
  misuse([
    ["timestamp('2026-01-31')", "with a time zone, or Unix seconds"],
    ["timestamp('2026-01-31T08:00:00')", "with a time zone, or Unix seconds"],
    ["timestamp('2026-13-01T00:00:00Z')", "timestamp() cannot convert"],
    ["timestamp(null)", "timestamp() cannot convert null."],
    ["timestamp(1e300)", "timestamp() cannot convert number."],
    ["duration('1d')", "Invalid duration"],
    ["duration(60)", "duration() cannot convert number."],
    [`${t}.getHours("Mars/Base")`, "Invalid time zone"],
    [`${t}.getHours(1)`, "The time zone must be a name such as"],
    ["{'constructor': 1}.getHours()", "getHours() cannot be applied to object."],
    ["duration('1s').getHours('UTC')", "getHours() cannot be applied to duration."],
    ["'2026'.getHours()", "getHours() cannot be applied to string. Convert with timestamp(x)."],
    [`${t} + ${t}`, "`+` cannot be applied to timestamp and timestamp."],
    [`${t} * 2`, "`*` cannot be applied to timestamp and number."],
    [`${t} < duration('1s')`, "`<` cannot be applied to timestamp and duration."],
    ["timestamp(8.64e12) + duration('1h')", "out of range"],
  ]);
});
