import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nameProblem, nodeIdProblem, portNameProblem, suggestName } from "../../../src/engine/definition/names.js";
import { formatPath, problem } from "../../../src/engine/definition/problems.js";
import { createSuggester, nearest } from "../../../src/engine/definition/suggest.js";
import { analyzeExpression } from "../../../src/engine/expr/analyze.js";

const scope = (locals: string[], nodes: string[] = []) => ({
  nodes: new Set(nodes),
  locals: new Set(locals),
  loops: new Set<string>(),
  inLoop: true,
  secrets: false,
});

describe("names", () => {
  const anyName = fc.oneof(
    fc.string({ maxLength: 70 }),
    fc.stringMatching(/^[A-Za-z_0-9]{1,66}$/),
    fc.constantFrom(
      "in",
      "true",
      "null",
      "loop",
      "loops",
      "nodes",
      "while",
      "__proto__",
      "constructor",
      "toString",
      "has",
    ),
  );

  test("a name that is allowed works in expressions and as a key", () => {
    fc.assert(
      fc.property(anyName, (name) => {
        if (nodeIdProblem(name) === null) {
          expect(analyzeExpression(`nodes.${name}.output == ${name}`, scope([name], [name])).problems).toEqual([]);
        }
        if (nameProblem(name) === null) {
          expect(analyzeExpression(`vars.${name} == loop.carry.${name}`, scope([])).problems).toEqual([]);
        }
        for (const wrong of [nodeIdProblem(name), nameProblem(name), portNameProblem(name)]) {
          if (wrong === null) expect(({} as Record<string, unknown>)[name]).toBeUndefined();
        }
      }),
      { seed: 41, numRuns: 1_000 },
    );
  });

  test("each rule refuses what it is for", () => {
    const longest = "n".repeat(64);
    expect([longest, "_", "a1", "Item", "type", "string", "default"].map(nodeIdProblem)).toEqual(Array(7).fill(null));
    for (const id of ["", "1a", "a-b", "a b", "é", `${longest}n`, "input", "loops", "in", "package", "__proto__"]) {
      expect(nodeIdProblem(id), id).not.toBeNull();
    }
    expect(["input", "loops", "nodes"].map(nameProblem)).toEqual([null, null, null]);
    expect(["true", "in", "hasOwnProperty"].filter((name) => nameProblem(name) === null)).toEqual([]);
    expect(["success", "true", "input", "while"].map(portNameProblem)).toEqual([null, null, null, null]);
    expect(["default", "failure", "valueOf", "a.b"].filter((port) => portNameProblem(port) === null)).toEqual([]);
  });

  test("a suggested name is always allowed", () => {
    fc.assert(
      fc.property(anyName, (name) => {
        const suggested = suggestName(name);
        if (suggested !== null) expect(nodeIdProblem(suggested), suggested).toBeNull();
      }),
      { seed: 42, numRuns: 1_000 },
    );
    expect(["two words", "1st", "while", "--", "ünïcode"].map(suggestName)).toEqual([
      "two_words",
      "_1st",
      "while_",
      null,
      "u_ni_code",
    ]);
  });
});

describe("did you mean", () => {
  test.each([
    ["clasify", ["start", "classify"], "classify"],
    ["clasisfy", ["classify"], "classify"],
    ["Item", ["items", "item"], "item"],
    ["crm.lokup", ["crm.lookup", "crm.look"], "crm.lookup"],
    ["acton", ["action", "actor"], "action"],
    ["yes", ["true", "false"], null],
    ["ab", ["ac", "ba"], null],
    ["classify", [], null],
    ["x".repeat(300), ["x".repeat(301)], null],
  ])("%s of %j is %j", (unknown, known, expected) => {
    expect(nearest(unknown, known)).toBe(expected);
  });

  test("what is suggested is at most three edits away, and nothing else is nearer", () => {
    const word = fc.stringMatching(/^[ab]{0,14}$/);
    fc.assert(
      fc.property(word, fc.array(word, { maxLength: 6 }), (unknown, known) => {
        const limit = Math.min(3, Math.floor(unknown.length / 3));
        const distances = known.map((one) => distance(unknown, one));
        const least = Math.min(...distances);
        const expected = least <= limit ? known[distances.indexOf(least)] : null;
        expect(nearest(unknown, known)).toBe(expected);
      }),
      { seed: 43, numRuns: 2_000 },
    );
  });

  test("a suggester stops answering after many questions", () => {
    const suggest = createSuggester();
    const answers = Array.from({ length: 1_000 }, () => suggest("acton", ["action"]));
    expect(answers[0]).toBe("action");
    expect(answers.at(-1)).toBeNull();
  });
});

test("a place is written as one would write it in code", () => {
  expect(formatPath([])).toBe("");
  expect(formatPath(["nodes", "a", "cases", 0, "port"])).toBe("nodes.a.cases[0].port");
  expect(formatPath(["nodes", "two words", "args", "", "$ref", "1", '"', "__proto__"])).toBe(
    'nodes["two words"].args[""].$ref["1"]["\\""].__proto__',
  );
  expect(problem("TARGET_UNKNOWN", ["nodes", "a", "body"], "x").node).toBe("a");
  expect(problem("TRIGGER_MISSING", ["nodes"], "x").node).toBeNull();
});

/** Edits between two words by the textbook, with swaps of neighbours. */
function distance(a: string, b: string): number {
  const table = new Map<string, number>();
  const at = (i: number, j: number): number => {
    const key = `${i},${j}`;
    const known = table.get(key);
    if (known !== undefined) return known;
    let least = i === 0 || j === 0 ? i + j : Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1);
    if (i > 0 && j > 0) least = Math.min(least, at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1));
    if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, at(i - 2, j - 2) + 1);
    table.set(key, least);
    return least;
  };
  return at(a.length, b.length);
}
