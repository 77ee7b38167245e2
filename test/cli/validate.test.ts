import { describe, expect, test } from "vitest";
import { MIGRATIONS, type Migration } from "../../src/engine/definition/migrations.js";
import { GREETING, shardflow } from "./terminal.js";

const BROKEN = {
  name: "broken",
  nodes: {
    start: { type: "trigger", next: { succes: "done" } },
    ask: { type: "swich" },
    done: { type: "output", value: "{{ nodes.nobody.output }}" },
  },
};

describe("for people", () => {
  test("a valid definition", async () => {
    expect(await shardflow(["validate", "flow.json"], { "flow.json": GREETING })).toEqual({
      code: 0,
      out: "flow.json: valid\n",
      err: "",
    });
  });

  test("one line for each problem, with place, code and suggestion, then their number", async () => {
    const { code, out, err } = await shardflow(["validate", "flow.json"], { "flow.json": BROKEN });
    const lines = out.trimEnd().split("\n");
    expect(lines[0]).toBe(
      "nodes.start.next.succes: PORT_UNKNOWN A node of type trigger has no port `succes`. Its ports: success. (suggestion: success)",
    );
    expect(lines[1]).toMatch(/^nodes\.ask\.type: NODE_TYPE_UNKNOWN .*\(suggestion: switch\)$/);
    expect(lines[2]).toMatch(/^nodes\.done\.value: /);
    expect(lines.slice(3)).toEqual(["flow.json: 3 problems"]);
    expect([code, err]).toEqual([1, ""]);
  });

  test("several files, each by its name", async () => {
    const files = { "a.json": GREETING, "b.json": BROKEN, "c.json": "[]" };
    const { code, out } = await shardflow(["validate", "a.json", "b.json", "c.json"], files);
    const lines = out.trimEnd().split("\n");
    expect(lines).toHaveLength(8);
    expect(lines[0]).toBe("a.json: valid");
    expect(lines[1]).toMatch(/^b\.json: nodes\.start\.next\.succes: /);
    expect(lines.slice(4)).toEqual([
      "b.json: 3 problems",
      "c.json: definition: SCHEMA_INVALID The definition is not an object.",
      "c.json: 1 problem",
      "3 files: 4 problems in 2 of them",
    ]);
    expect(code).toBe(1);
    const all = await shardflow(["validate", "a.json", "-"], { ...files, "-": GREETING });
    expect(all).toEqual({ code: 0, out: "a.json: valid\nstandard input: valid\n2 files: valid\n", err: "" });
  });

  test("text that is not JSON is a problem, a file that is missing is none", async () => {
    const text = await shardflow(["validate", "-"], { "-": "{" });
    expect(text.code).toBe(1);
    expect(text.out).toMatch(/^definition: NOT_JSON .*\nstandard input: 1 problem\n$/);
    const missing = await shardflow(["validate", "a.json", "none.json"], { "a.json": BROKEN });
    expect(missing).toEqual({ code: 2, out: "", err: "shardflow: There is no file none.json.\n" });
  });

  test("text of the definition neither ends a line nor steers the terminal", async () => {
    const flow = {
      ...BROKEN,
      nodes: { ...BROKEN.nodes, start: { type: "trigger", next: { "a\n\u001b[2J\u202e": "done" } } },
    };
    const { out } = await shardflow(["validate", "flow.json"], { "flow.json": flow });
    expect(out.trimEnd().split("\n")).toHaveLength(4);
    expect(out).toContain("\\u001b[2J\\u202e");
    expect(out).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
  });
});

describe("as JSON", () => {
  test("one file gives its report", async () => {
    const { code, out } = await shardflow(["validate", "--json", "flow.json"], { "flow.json": BROKEN });
    const report = JSON.parse(out) as { problems: unknown[] };
    expect(report).toMatchObject({ valid: false });
    expect(Object.keys(report)).toEqual(["valid", "problems"]);
    expect(report.problems).toHaveLength(3);
    expect(report.problems[0]).toEqual({
      code: "PORT_UNKNOWN",
      node: "start",
      path: "nodes.start.next.succes",
      message: "A node of type trigger has no port `succes`. Its ports: success.",
      suggestion: "success",
    });
    expect(code).toBe(1);
    const valid = await shardflow(["validate", "flow.json", "--json"], { "flow.json": GREETING });
    expect([valid.code, JSON.parse(valid.out)]).toEqual([0, { valid: true, problems: [] }]);
  });

  test("several files give one report each", async () => {
    const { code, out } = await shardflow(["validate", "a.json", "b.json", "--json"], {
      "a.json": GREETING,
      "b.json": {},
    });
    expect(JSON.parse(out)).toMatchObject({
      valid: false,
      files: [
        { file: "a.json", valid: true, problems: [] },
        { file: "b.json", valid: false, problems: [{ path: "name" }, { path: "nodes" }] },
      ],
    });
    expect(code).toBe(1);
  });
});

test("a definition of a format from the future is refused", async () => {
  const { code, out } = await shardflow(["validate", "-"], { "-": { ...GREETING, format: 99 } });
  expect(code).toBe(1);
  expect(out).toMatch(/^format: FORMAT_UNSUPPORTED .*99/);
});

test("a definition of an older format is read as what it is in the current one, and that is told", async () => {
  const steps = MIGRATIONS as Migration[];
  steps.push({
    from: 0,
    describe: "`steps` became `nodes`.",
    migrate: ({ steps: nodes = {}, ...rest }) => ({ ...rest, nodes }),
  });
  try {
    const { nodes, ...rest } = GREETING;
    const files = { "old.json": { format: 0, ...rest, steps: nodes }, "new.json": GREETING };
    const { code, out } = await shardflow(["validate", "old.json"], files);
    expect([code, out]).toEqual([0, "old.json: valid (format 0, read as 1)\n"]);
    const json = await shardflow(["validate", "old.json", "--json"], files);
    expect(JSON.parse(json.out)).toEqual({
      valid: true,
      problems: [],
      migrated: { from: 0, to: 1, changes: ["`steps` became `nodes`."] },
    });
    expect((await shardflow(["diff", "old.json", "new.json"], files)).out).toBe("The definitions are equal.\n");
    expect((await shardflow(["graph", "old.json"], files)).out).toContain("node_start --> node_greet");
  } finally {
    steps.pop();
  }
});
