import { expect, test } from "vitest";
import { GREETING, shardflow } from "./terminal.js";

const DRAWN = `  node_start(["start"])
  node_greet("greet<br/>openai:gpt-5-mini")
  node_done(["done"])
  node_start --> node_greet
  node_greet --> node_done
`;

test("a definition is drawn from the top down, or from left to right", async () => {
  const files = { "flow.json": GREETING };
  expect(await shardflow(["graph", "flow.json"], files)).toEqual({ code: 0, out: `flowchart TD\n${DRAWN}`, err: "" });
  const wide = await shardflow(["graph", "-", "--direction", "LR"], { "-": GREETING });
  expect(wide).toEqual({ code: 0, out: `flowchart LR\n${DRAWN}`, err: "" });
});

test("another direction is wrong usage", async () => {
  expect(await shardflow(["graph", "flow.json", "--direction=UP"], { "flow.json": GREETING })).toEqual({
    code: 2,
    out: "",
    err: "shardflow: --direction is UP. Use TD or LR.\n",
  });
});

test("an invalid definition is not drawn; its problems are told", async () => {
  const flow = { ...GREETING, nodes: { ...GREETING.nodes, start: { type: "trigger", next: { success: "gret" } } } };
  const { code, out, err } = await shardflow(["graph", "flow.json"], { "flow.json": flow });
  expect([code, out]).toEqual([1, ""]);
  expect(err).toMatch(
    /^nodes\.start\.next\.success: TARGET_UNKNOWN .*\(suggestion: greet\)\nflow\.json: 1 problem, nothing is drawn\.\n$/,
  );
});
