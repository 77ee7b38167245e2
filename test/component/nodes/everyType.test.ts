/** Every node type leaves through every port it has, on the real component. */
import { beforeAll, expect, test, vi } from "vitest";
import type { NodeType } from "../../../src/engine/plan.js";
import { EXECUTORS } from "../../../src/walker/nodes/executors.js";
import { preload, startWorld } from "../../support/hosts/nodes/world.js";
import { CASE_INPUT, flowOf, NODE_CASES } from "../../support/nodeCases.js";

beforeAll(preload);

const TYPES = Object.keys(EXECUTORS) as NodeType[];

test.each(TYPES)("%s", async (type) => {
  vi.stubEnv("OPENAI_API_KEY", "sk-of-the-tests-0123456789");
  vi.stubGlobal("fetch", async (_url: unknown, { body }: { body: string }) => {
    const { messages } = JSON.parse(body) as { messages: Array<{ content: string }> };
    const message = { role: "assistant", content: messages.at(-1)?.content };
    const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
    return Response.json({
      id: "1",
      object: "chat.completion",
      created: 0,
      model: "test",
      usage,
      choices: [{ index: 0, message, finish_reason: "stop" }],
    });
  });
  const world = await startWorld();
  await world.bind([{ name: "app.check", kind: "action", fn: "actCheck" }]);
  for (const [port, one] of Object.entries(NODE_CASES[type])) {
    const definition = { ...flowOf(port, one), name: `${type}-${port}` };
    await world.publish(definition);
    const id = await world.start(definition.name, CASE_INPUT);
    await world.untilEnded(id);
    const found = await world.runOf(id, "it");
    expect(found).toMatchObject({ type, port, status: port === "failure" ? "failed" : "succeeded" });
    if (one.code === undefined) expect(await world.outputOf(id, "it")).toEqual(one.output);
    else expect(found.error?.code).toBe(one.code);
    expect(await world.resultOf(id)).toEqual(type === "output" && port === "success" ? one.output : "after");
  }
  await world.untilQuiet();
  // Nothing is left but what was asked to be kept.
  const counts = await world.counts();
  expect(Object.keys(counts).filter((table) => /tasks|waits|workflow|pending|runStatus/.test(table))).toEqual([]);
});
