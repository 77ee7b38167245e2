/** Every node type leaves through every port it has: the table of executors is the measure, not this file. */
import { describe, expect, it } from "vitest";
import { portsOf } from "../../src/engine/definition/ports.js";
import { validateDefinition } from "../../src/engine/definition/validate.js";
import type { NodeType } from "../../src/engine/plan.js";
import { EXECUTORS } from "../../src/walker/nodes/executors.js";
import { CASE_INPUT, flowOf, NODE_CASES } from "../support/nodeCases.js";
import { World } from "../support/recordingPorts.js";
import { action, errorOf, outputOf, resultOf, runOf } from "../support/flows.js";

const TYPES = Object.keys(EXECUTORS) as NodeType[];
const CASES = TYPES.flatMap((type) => Object.keys(NODE_CASES[type]).map((port) => ({ type, port })));

describe("every node type", () => {
  it.each(TYPES)("%s has a case for each of its ports", (type) => {
    const switchCases = type === "switch" ? [{ port: "seven" }] : [];
    // An output node ends the execution: success is where it ends, and no port that a flow can wire.
    const ports = type === "output" ? [...portsOf(type), "success"] : portsOf(type, switchCases);
    expect(Object.keys(NODE_CASES[type]).toSorted()).toEqual(ports.toSorted());
  });

  it.each(CASES)("$type leaves through $port", async ({ type, port }) => {
    const one = NODE_CASES[type][port]!;
    const definition = flowOf(port, one);
    expect(validateDefinition(JSON.stringify(definition)).problems).toEqual([]);
    const world = new World({
      definition,
      input: CASE_INPUT,
      functions: {
        "app.check": action((args) => {
          if (args.fail === true) throw new Error("told to fail");
          return args;
        }),
      },
      model: ({ messages }) => ({
        ok: true,
        output: messages.at(-1)?.content ?? "",
        usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3, calls: 1, latencyMs: 4 },
        finishReason: "stop",
      }),
    });
    await world.run();
    expect(runOf(world, "it")).toMatchObject({ port, type, status: port === "failure" ? "failed" : "succeeded" });
    if (one.code === undefined) expect(outputOf(world, "it")).toEqual(one.output);
    else expect(errorOf(world, "it").code).toBe(one.code);
    expect(resultOf(world)).toEqual(type === "output" && port === "success" ? one.output : "after");
  });

  it("writes nothing but what has run", async () => {
    const world = new World({ definition: flowOf("true", NODE_CASES.condition.true!), input: CASE_INPUT });
    await world.run();
    expect(world.durableKeys).toEqual(["start", "it", "after"]);
    // Cheap nodes ride along: one write for the whole execution.
    expect(world.flushes).toHaveLength(1);
  });
});
