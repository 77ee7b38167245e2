/** `shardflow run`: what a flow with mocked functions comes to. */
import { describe, expect, test } from "vitest";
import { placeShard } from "../../src/engine/placement.js";
import { DEFAULT_ACTIVE_SHARDS } from "../../src/shared/limits.js";
import { run, sequence, steps } from "./runSupport.js";

const lookUp = (retry?: object) => ({
  type: "action",
  action: "crm.look-up",
  args: { id: "{{ input.id }}" },
  ...(retry ? { retry } : {}),
});
const oneCall = (retry?: object) => sequence({ look: lookUp(retry) }, "{{ nodes.look.output }}");
const input = { id: 7 };

describe("the report", () => {
  test("holds everything that was stored, in one object", async () => {
    const flow = sequence(
      { look: lookUp(), note: { type: "set", values: { tier: "{{ nodes.look.output.tier }}" } } },
      { found: "{{ nodes.look.output }}", $kept: true },
    );
    const mocks = { actions: { "crm.look-up": { kind: "query", returns: { tier: "gold" } } } };
    const { code, err, report } = await run({ flow, input, mocks });
    const ran = { attempt: 1, status: "succeeded", error: null };
    expect(report).toEqual({
      status: "succeeded",
      output: { found: { tier: "gold" }, $kept: true },
      error: null,
      shardIndex: expect.any(Number) as number,
      executionId: expect.any(String) as string,
      nodeRuns: [
        { node: "start", path: "start", port: "success", output: input, ...ran },
        { node: "look", path: "look", port: "success", output: { tier: "gold" }, ...ran },
        { node: "note", path: "note", port: "success", output: { tier: "gold" }, ...ran },
        { node: "end", path: "end", port: "success", output: { found: { tier: "gold" }, $kept: true }, ...ran },
      ],
      variables: { tier: "gold" },
      usage: { inputTokens: 0, outputTokens: 0, totalTokens: 0, calls: 0 },
    });
    expect({ code, err }).toEqual({ code: 0, err: "" });
  });

  test("is a table, the facts and the output for people", async () => {
    const flow = sequence({ note: { type: "set", values: { a: 1 } } }, "done\u001b[31m");
    const { code, out } = await run({ flow }, []);
    expect(code).toBe(0);
    expect(
      out
        .replace(/\d+ ms/g, "N ms")
        .replace(/shard \d, execution \w+/, "shard S, execution E")
        .replace(/ +/g, " "),
    ).toBe(
      [
        "node attempt status port duration",
        "start 1 succeeded success N ms",
        "note 1 succeeded success N ms",
        "end 1 succeeded success N ms",
        "",
        "succeeded in N ms, on shard S, execution E",
        "",
        'variables: {\n "a": 1\n}',
        "",
        '"done\\u001b[31m"',
        "",
      ].join("\n"),
    );
  });

  test("is coloured where that is wanted", async () => {
    const flow = sequence({}, 1);
    expect((await run({ flow }, [], {}, true)).out).toContain("\u001b[32msucceeded\u001b[39m in");
    expect((await run({ flow }, ["--json"], {}, true)).report.status).toBe("succeeded");
  });

  test("names the passes of loops", async () => {
    const flow = sequence(
      {
        each: { type: "loop", items: "{{ input }}", body: "look", next: { done: "end" } },
        look: { ...lookUp(), args: {}, next: {} },
      },
      "{{ nodes.each.output }}",
    );
    const mocks = { actions: { "crm.look-up": { kind: "mutation", throws: "no", times: 1, then: "yes" } } };
    const { report } = await run({
      flow: { ...flow, defaults: { retry: { maxAttempts: 2, initialMs: 0 } } },
      input: [1, 2],
      mocks,
    });
    expect(
      report.nodeRuns
        .filter(({ node }) => node === "look")
        .map(({ path, attempt, output }) => ({ path, attempt, output })),
    ).toEqual([
      { path: "each[0]/look", attempt: 2, output: "yes" },
      { path: "each[1]/look", attempt: 1, output: "yes" },
    ]);
    const { out } = await run(
      { flow, input: [1], mocks: { actions: { "crm.look-up": { kind: "query", returns: 1 } } } },
      [],
    );
    expect(out).toMatch(/^look +each\[0\]\/look +1 +succeeded/m);
  });

  test("holds every node run, however many there are", async () => {
    const items = Array.from({ length: 210 }, (_, i) => i);
    const flow = sequence(
      {
        each: { type: "loop", items, body: "note", next: { done: "end" } },
        note: { type: "set", values: { last: "{{ item }}" }, next: {} },
      },
      null,
    );
    const { report } = await run({ flow });
    const passes = report.nodeRuns.filter(({ node }) => node === "note");
    expect(passes.map(({ path }) => path)).toEqual(items.map((i) => `each[${i}]/note`));
    expect(report.variables).toEqual({ last: 209 });
  });

  test("holds large outputs whole", async () => {
    const flow = sequence({ look: { ...lookUp(), args: {} } }, { a: "{{ nodes.look.output }}" });
    const large = "x".repeat(1_500_000);
    const mocks = { actions: { "crm.look-up": { kind: "action", returns: [large, "y".repeat(9_000)] } } };
    const { report } = await run({ flow, mocks });
    expect(report.nodeRuns[1]?.output).toEqual([large, "y".repeat(9_000)]);
    expect(report.output).toEqual({ a: [large, "y".repeat(9_000)] });
  });
});

describe("mocked functions", () => {
  test.each(["query", "mutation", "action"])("a %s gives its value", async (kind) => {
    const mocks = { actions: { "crm.look-up": { kind, returns: [kind, null, 1.5] } } };
    const { code, report } = await run({ flow: oneCall(), input, mocks });
    expect({ code, output: report.output }).toEqual({ code: 0, output: [kind, null, 1.5] });
  });

  test.each(["query", "mutation", "action"])("a %s throws so many times, then gives its value", async (kind) => {
    const mocks = { actions: { "crm.look-up": { kind, throws: "busy", times: 2, then: "there" } } };
    const { code, report } = await run({ flow: oneCall({ maxAttempts: 3, initialMs: 0 }), input, mocks });
    expect({ code, output: report.output, steps: steps(report) }).toEqual({
      code: 0,
      output: "there",
      steps: ["start 1 succeeded", "look 3 succeeded", "end 1 succeeded"],
    });
  });

  test("one that always throws fails the execution", async () => {
    const mocks = { actions: { "crm.look-up": { kind: "action", throws: "no such customer" } } };
    const { code, report } = await run({ flow: oneCall({ maxAttempts: 2, initialMs: 0 }), input, mocks });
    expect(code).toBe(1);
    expect(report.status).toBe("failed");
    expect(report.output).toBeNull();
    expect(report.error).toEqual({
      code: "ACTION_FAILED",
      node: "look",
      message: '"crm.look-up" threw: no such customer',
    });
    expect(steps(report)).toEqual(["start 1 succeeded", "look 2 failed"]);
    expect(report.nodeRuns[1]?.error).toMatchObject({ code: "ACTION_FAILED", cause: { message: "no such customer" } });
  });

  test("an error with data says itself whether it is tried again", async () => {
    const throws = { code: "GONE", message: "deleted", retryable: false, customer: 7 };
    const mocks = { actions: { "crm.look-up": { kind: "query", throws } } };
    const { code, report } = await run({ flow: oneCall({ maxAttempts: 3, initialMs: 0 }), input, mocks });
    expect(code).toBe(1);
    expect(steps(report)).toEqual(["start 1 succeeded", "look 1 failed"]);
    expect(report.nodeRuns[1]?.error?.cause).toMatchObject({ code: "GONE", data: throws });
    expect((await run({ flow: oneCall(), input, mocks }, [])).out).toContain("ACTION_FAILED at look: ");
  });
});

test("the shard is the stored one, which depends on the execution", async () => {
  const { report } = await run({ flow: sequence({}, 1) });
  expect(report.shardIndex).toBe(placeShard(report.executionId, DEFAULT_ACTIVE_SHARDS));
});

test("an execution that takes too long is canceled", async () => {
  const mocks = { actions: { "crm.look-up": { kind: "query", throws: { message: "later", retryAfterMs: 60_000 } } } };
  const { code, report } = await run({ flow: oneCall({ maxAttempts: 2 }), input, mocks }, [
    "--json",
    "--timeout",
    "0.3",
  ]);
  expect({ code, status: report.status, note: report.note }).toEqual({
    code: 1,
    status: "canceled",
    note: "Canceled after 0.3 s; --timeout gives it longer.",
  });
  expect(report.error).toBeNull();
});

test("the process is as it was before", async () => {
  const before = { log: console.log, key: process.env.OPENAI_API_KEY, level: process.env.LOG_LEVEL };
  await run({ flow: sequence({}, 1) }, ["--json"], { OPENAI_API_KEY: "a-key-of-this-run", LOG_LEVEL: "loud" });
  expect({ log: console.log, key: process.env.OPENAI_API_KEY, level: process.env.LOG_LEVEL }).toEqual(before);
});
