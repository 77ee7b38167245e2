/** `shardflow run`: what is refused before anything runs, and how it is told. */
import { describe, expect, test } from "vitest";
import { run, sequence } from "./runSupport.js";

const call = (action: string) => ({ type: "action", action });
const flow = sequence(
  {
    look: call("crm.look-up"),
    ask: { type: "llm", model: "openai:gpt-5-mini", prompt: "Say hello" },
    again: call("crm.look-up"),
  },
  1,
);
const mocks = { actions: { "crm.look-up": { kind: "query", returns: 1 } }, llm: { ask: ["hello"] } };

/** The problems of MOCKS, as they are printed. */
async function problemsOf(wrong: unknown): Promise<string[]> {
  const { code, out, err } = await run({ flow, mocks: wrong });
  expect({ code, out }).toEqual({ code: 2, out: "" });
  return err.split("\n").flatMap((line) => (line.startsWith("  ") ? [line.trim()] : []));
}

describe("an invalid flow", () => {
  const wrong = { ...flow, nodes: { ...flow.nodes, end: { type: "output", valu: 1 } } };

  test("is refused with every problem", async () => {
    const { code, out, err } = await run({ flow: wrong, mocks }, []);
    expect({ code, err }).toEqual({ code: 1, err: "" });
    expect(out.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^nodes\.end\.value: SCHEMA_INVALID /) as string,
      expect.stringMatching(/^nodes\.end\.valu: FIELD_UNKNOWN .* \(suggestion: value\)$/) as string,
      "flow.json: 2 problems",
    ]);
  });

  test("is refused as one object with --json", async () => {
    const { code, out } = await run({ flow: wrong, mocks });
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      status: "invalid",
      problems: [{ code: "SCHEMA_INVALID" }, { code: "FIELD_UNKNOWN", node: "end", path: "nodes.end.valu" }],
    });
  });

  test("may be one that names a provider that is not configured", async () => {
    const unknown = sequence({ ask: { type: "llm", model: "local:tiny", prompt: "Say hello" } }, 1);
    const { code, out } = await run({ flow: unknown });
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      status: "invalid",
      problems: [{ code: "MODEL_PROVIDER_UNKNOWN", node: "ask" }],
    });
    expect((await run({ flow: unknown, mocks: { llm: { ask: ["hello"] } } })).code).toBe(0);
  });
});

describe("mocks", () => {
  test("are needed for every action, and an example is given", async () => {
    const { code, out, err } = await run({ flow });
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain("The flow calls 1 action without a mock: crm.look-up.");
    const example = JSON.parse(err.slice(err.indexOf("{"))) as { actions: object };
    const { code: then, report } = await run({ flow, mocks: { ...mocks, ...example } });
    expect({ then, output: report.nodeRuns[1]?.output }).toEqual({ then: 0, output: null });
  });

  test("of a similar name are pointed out", async () => {
    const { err } = await run({ flow, mocks: { actions: { "crm.lookup": { kind: "query", returns: 1 } } } });
    expect(err).toContain('There is a mock for "crm.lookup"; the flow says "crm.look-up".');
  });

  test("that the flow never calls are warned about", async () => {
    const more = { ...mocks, actions: { ...mocks.actions, "crm.save": { kind: "mutation", returns: null } } };
    const { code, err } = await run({ flow, mocks: more });
    expect({ code, err }).toEqual({ code: 0, err: 'Warning: the flow never calls the mocked action "crm.save".\n' });
  });

  test("are checked as a whole", async () => {
    const wrong = {
      action: {},
      actions: {
        a: { kind: "querry", returns: 1 },
        b: { returns: 1, throws: "x" },
        c: { kind: "action" },
        d: { kind: "query", returns: { $x: 1 }, times: 2 },
        e: { kind: "query", throws: 5, times: 0, then: 1 },
        f: { kind: "query", throws: { code: 5, retryable: "no", retryAfterMs: -1 }, then: 1 },
        g: 7,
      },
      llm: {
        aks: ["x"],
        ask: {
          patterns: [
            { match: "(", answer: { $txt: 1 } },
            { match: "a", flags: "g" },
          ],
        },
      },
    };
    expect(await problemsOf(wrong)).toEqual([
      'action: unknown field. Did you mean "actions"?',
      'actions.a.kind: expected "query", "mutation" or "action", not the string "querry". Did you mean "query"?',
      'actions.b.kind: "query", "mutation" or "action" is missing.',
      "actions.b: Both `returns` and `throws` are given; exactly one is needed.",
      "actions.c: Neither `returns` nor `throws` is given; exactly one is needed.",
      "actions.d.times: it has no effect without `throws`.",
      'actions.d.returns: a Convex function cannot return this: $ has the field "$x", which starts with `$`.',
      "actions.e.times: expected 1, 2, 3, ..., not the number 0.",
      "actions.e.throws: expected a message, or an object {message, code, retryable, retryAfterMs}, not the number 5.",
      "actions.f.then: it has no effect without `times`: how many calls throw before.",
      "actions.f.throws.message: a text is missing.",
      "actions.f.throws.code: expected a text, not the number 5.",
      'actions.f.throws.retryable: expected true or false, not the string "no".',
      "actions.f.throws.retryAfterMs: expected a number of milliseconds, not the number -1.",
      "actions.g: expected an object, not the number 7.",
      "llm.ask.patterns[0].match: Invalid regular expression: /(/: Unterminated group.",
      'llm.ask.patterns[0].answer: expected {"$txt": ...} to be one of $text, $json, $error alone. Did you mean "$text"? JSON with such fields is written {"$json": ...}.',
      'llm.ask.patterns[1].flags: expected letters out of i, m, s and u, not the string "g".',
      "llm.ask.patterns[1].answer: it is missing.",
      'llm.aks: the flow has no llm node of that id. Did you mean "ask"?',
    ]);
  });

  test.each([
    [[], "expected an object, not a list."],
    [{ llm: { ask: [] } }, "llm.ask: the list holds no answer."],
    [{ llm: { ask: "x" } }, 'llm.ask: expected a list of answers, or {"patterns": [...]}, not the string "x".'],
    [{ llm: { ask: { patterns: [] } } }, "llm.ask.patterns: expected a list of {match, answer}, not a list."],
    [
      { llm: { ask: [{ $error: { status: 200 } }] } },
      "llm.ask[0].$error.status: expected an HTTP status from 400 to 599, not the number 200.",
    ],
    [{ llm: { ask: [{ $text: 1 }] } }, "llm.ask[0].$text: expected a text, not the number 1."],
    [{ llm: { look: ["x"] } }, "llm.look: the flow has no llm node of that id. Known: ask."],
  ])("that are %j are refused", async (wrong, problem) => {
    expect(await problemsOf(wrong)).toEqual([problem]);
  });
});

test.each([
  ["an input that is not JSON", { flow, mocks, input: "{" }, [], /^shardflow: input\.json is not JSON: /],
  ["mocks that are not JSON", { flow, mocks: "no" }, [], /^shardflow: mocks\.json is not JSON: /],
  [
    "a timeout that is no time",
    { flow, mocks },
    ["--timeout", "soon"],
    /--timeout takes a number of seconds over 0, .* not "soon"/,
  ],
  ["an input that does not match", { flow: { ...flow, input: { type: "array" } }, mocks }, [], /INPUT_INVALID: /],
])("%s is refused", async (_, files, args, message) => {
  const { code, out, err } = await run(files, ["--json", ...args]);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toMatch(message);
});

test("a configuration that cannot be read is told without its values", async () => {
  const { code, err } = await run({ flow, mocks: { actions: mocks.actions } }, [], { SHARDFLOW_PROVIDERS: "{a-key" });
  expect(code).toBe(2);
  expect(err).toContain("SHARDFLOW_PROVIDERS is not valid JSON");
  expect(err).not.toContain("a-key");
});
