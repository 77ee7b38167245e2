import { describe, expect, test } from "vitest";
import { GREETING, shardflow } from "./terminal.js";

const { start, greet, done } = GREETING.nodes;
const CHANGED = {
  description: "Greets\nby name.",
  ...GREETING,
  input: { type: "object" },
  nodes: {
    failed: { type: "output", value: { ok: false } },
    start,
    greet: {
      ...greet,
      prompt: "Be kind.\nGreet {{ input.name }}.\nBe short.",
      retry: { on: ["timeout"] },
      next: { success: "finish", failure: "failed" },
    },
    finish: done,
  },
};
const files = { "a.json": GREETING, "b.json": CHANGED };

describe("for people", () => {
  test("differences are grouped by node, with + for what is new, - for what is gone, ~ for what has changed", async () => {
    const { code, out, err } = await shardflow(["diff", "a.json", "b.json"], files);
    expect(out).toBe(`~ definition
    + description: "Greets\\nby name."
    + input: {"type":"object"}
~ node greet (llm)
    ~ prompt:
        - Greet {{ input.name }}.
        + Be kind.
        + Greet {{ input.name }}.
        + Be short.
    + retry: {"on":["timeout"]}
    ~ next.success -> finish (was done)
    + next.failure -> failed
- node done (output)
    - value: "{{ nodes.greet.output }}"
+ node failed (output)
    + value: {"ok":false}
+ node finish (output)
    + value: "{{ nodes.greet.output }}"
2 fields of the definition changed; nodes: 2 added, 1 removed, 1 changed.
`);
    expect([code, err]).toEqual([1, ""]);
  });

  test("of long texts the lines between the first and the last difference are shown", async () => {
    const text = (line: string) => ({ ...GREETING, description: `one\ntwo\n${line}\nfour` });
    const { out } = await shardflow(["diff", "a", "b"], { a: text("three"), b: text("3\u001b[2J") });
    expect(out).toBe(`~ definition
    ~ description:
          (after line 2)
        - three
        + 3\\u001b[2J
1 field of the definition changed; nodes: 0 added, 0 removed, 0 changed.
`);
  });

  test("definitions that mean the same are equal", async () => {
    const same = JSON.stringify({ nodes: { done, greet, start }, format: 1, name: "greeting" }, null, 4);
    const ended = await shardflow(["diff", "a.json", "-"], { ...files, "-": `\n${same}` });
    expect(ended).toEqual({ code: 0, out: "The definitions are equal.\n", err: "" });
  });

  test("colours are for terminals that show them", async () => {
    const { out } = await shardflow(["diff", "a.json", "b.json"], files, { colors: true });
    const lines = out.split("\n");
    expect(lines).toContain("\u001b[33m~ node greet (llm)\u001b[39m");
    expect(lines).toContain("\u001b[32m    + next.failure -> failed\u001b[39m");
    expect(lines).toContain("\u001b[31m- node done (output)\u001b[39m");
    const plain = await shardflow(["diff", "a.json", "b.json"], files);
    expect(out.replace(/\u001b\[\d+m/g, "")).toBe(plain.out);
    expect(plain.out).not.toContain("\u001b");
  });
});

test("as JSON", async () => {
  const { code, out } = await shardflow(["diff", "a.json", "b.json", "--json"], files);
  expect(JSON.parse(out)).toEqual({
    equal: false,
    definition: [
      { kind: "added", path: ["description"], after: "Greets\nby name." },
      { kind: "added", path: ["input"], after: { type: "object" } },
    ],
    nodes: [
      {
        kind: "changed",
        node: "greet",
        fields: [
          { kind: "changed", path: ["prompt"], before: greet.prompt, after: CHANGED.nodes.greet.prompt },
          { kind: "added", path: ["retry"], after: { on: ["timeout"] } },
        ],
        connections: [
          { kind: "retargeted", port: "success", before: "done", after: "finish" },
          { kind: "added", port: "failure", after: "failed" },
        ],
      },
      { kind: "removed", node: "done", before: done },
      { kind: "added", node: "failed", after: CHANGED.nodes.failed },
      { kind: "added", node: "finish", after: done },
    ],
  });
  expect(code).toBe(1);
  const equal = await shardflow(["diff", "a.json", "a.json", "--json"], files);
  expect([equal.code, JSON.parse(equal.out)]).toEqual([0, { equal: true, definition: [], nodes: [] }]);
});

test("invalid definitions can be compared", async () => {
  const broken = { nodes: { start: { type: "nothing" }, odd: 1 }, format: 99 };
  const { code, out } = await shardflow(["diff", "a", "b"], {
    a: broken,
    b: { ...broken, nodes: { start: {}, odd: null } },
  });
  expect(out).toBe(`~ node start (nothing)
    - type: "nothing"
~ node odd
    ~ the whole node: 1 -> null
nodes: 0 added, 0 removed, 2 changed.
`);
  expect(code).toBe(1);
});

test("what is no definition is trouble", async () => {
  const cases: Array<[content: unknown, message: RegExp]> = [
    ["{", /^shardflow: b: The definition is not valid JSON: .*\n$/],
    [[], /^shardflow: b holds no definition: it is not an object\.\n$/],
    [{}, /^shardflow: b holds no definition: "nodes" is missing\.\n$/],
    [{ nodes: [] }, /^shardflow: b holds no definition: "nodes" is no object\.\n$/],
    [undefined, /^shardflow: There is no file b\.\n$/],
  ];
  for (const [b, message] of cases) {
    const { code, out, err } = await shardflow(["diff", "a", "b"], { a: GREETING, b });
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(message);
  }
});
