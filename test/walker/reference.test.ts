/**
 * The walker against a naive interpreter: random definitions come to the same, node run by node run, in a world without
 * trouble, in a slow one, in many stretches, and with owners that die and messages that are lost.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Definition } from "../../src/engine/definition/schema.js";
import { validateDefinition } from "../../src/engine/definition/validate.js";
import { isJsonObject, type Json, type JsonObject } from "../../src/shared/json.js";
import { definitions, inputs } from "../support/arbitraries/definitions.js";
import { comparable, expected, type Comparable } from "../support/comparing.js";
import { callGenerated, GENERATED_ACTIONS, KINDS, prepared } from "../support/generatedApp.js";
import { World, type AppFunction, type WorldOptions } from "../support/recordingPorts.js";

const generated = fc.tuple(definitions({ actions: GENERATED_ACTIONS }).map(prepared), inputs());

/** Functions that take as long as their arguments say, as far as their kind may take time. */
function appFunctions(world: () => World, ms: (args: JsonObject) => number): Record<string, AppFunction> {
  const functions: Record<string, AppFunction> = {};
  for (const name of GENERATED_ACTIONS) {
    const finish = (args: JsonObject): Json => {
      const end = callGenerated(name, args);
      if (end === null) throw new Error(`${name} does not like it`);
      return end.result;
    };
    const kind = KINDS[name];
    functions[name] = {
      kind,
      run: (args) => {
        if (kind === "mutation" || ms(args) === 0) return finish(args);
        return world()
          .clock.sleep(ms(args))
          .then(() => finish(args));
      },
    };
  }
  return functions;
}

const durationOf = ({ key }: JsonObject) => (typeof key === "string" ? (key.length * 67) % 400 : 0);

function worldOf(definition: Definition, input: Json, options: Partial<WorldOptions> = {}, isSlow = false): World {
  let world: World | null = null;
  const here = () => {
    if (world === null) throw new Error("the world has not begun");
    return world;
  };
  world = new World({ definition, input, functions: appFunctions(here, isSlow ? durationOf : () => 0), ...options });
  return world;
}

function found(world: World): Comparable {
  const { conclusion, variables, runs } = world;
  if (conclusion?.kind !== "succeeded" && conclusion?.kind !== "failed") throw new Error("it has not ended");
  const output = conclusion.kind === "succeeded" ? (JSON.parse(conclusion.output) as Json) : null;
  const code = conclusion.kind === "failed" ? conclusion.error.code : null;
  return comparable({ status: conclusion.kind, output, code, variables }, runs);
}

/** Compares, and counts what was seen, so that a generator that has gone dull is noticed. */
function compare(definition: Definition, input: Json, world: World, seen: Map<string, number>): void {
  const note = (what: string) => void seen.set(what, (seen.get(what) ?? 0) + 1);
  const { isTimingDependent, ...result } = expected(definition, input, world.runs);
  expect(world.durableKeys).toHaveLength(new Set(world.durableKeys).size);
  if (isTimingDependent) return note("timing");
  expect(found(world)).toEqual(result);
  note(result.status);
  for (const run of Object.values(result.runs)) {
    const { port, attempt, code, output } = run as JsonObject;
    if (typeof port === "string") note(`port ${port}`);
    if (Number(attempt) > 1) note("retry");
    if (typeof code === "string") note(code);
    if (isJsonObject(output) && typeof output.exit === "string") note(`exit ${output.exit}`);
  }
  if (world.stretches.length > 1) note("stretches");
}

/** So that a counterexample is shown before the test is timed out. */
const LIMIT = { interruptAfterTimeLimit: 20_000, markInterruptAsFailure: true };

describe("the walker comes to what the naive interpreter comes to", () => {
  it("generated definitions are valid with what the tests add to them", () => {
    fc.assert(
      fc.property(generated, ([definition]) => {
        expect(validateDefinition(JSON.stringify(definition)).problems).toEqual([]);
      }),
      { seed: 11, numRuns: 100, ...LIMIT },
    );
  });

  it("in a world without trouble", async () => {
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(generated, async ([definition, input]) => {
        const world = worldOf(definition, input);
        await world.run();
        expect(world.stretches).toHaveLength(1);
        compare(definition, input, world, seen);
      }),
      { seed: 12, numRuns: 600, ...LIMIT },
    );
    for (const what of ["succeeded", "failed", "port failure", "port break", "port done", "port default", "retry"])
      expect([what, seen.get(what) ?? 0]).toEqual([what, expect.toSatisfy((count: number) => count >= 20)]);
    for (const what of [
      "ACTION_FAILED",
      "EXPRESSION_FAILED",
      "VALUE_NOT_CONVEX",
      "SWITCH_NO_MATCH",
      "LOOP_ITEM_FAILED",
    ])
      expect([what, seen.get(what) ?? 0]).toEqual([what, expect.toSatisfy((count: number) => count >= 10)]);
    for (const what of ["exit done", "exit break", "exit stop", "LOOP_TOO_MANY_ITEMS"])
      expect([what, seen.get(what) ?? 0]).toEqual([what, expect.toSatisfy((count: number) => count >= 1)]);
    expect(seen.get("timing") ?? 0).toBeLessThan(100);
  });

  it("when functions, writes and reads take time", async () => {
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(generated, async ([definition, input]) => {
        const world = worldOf(definition, input, { writeMs: 30, readMs: 10 }, true);
        await world.run();
        expect(world.stretches).toHaveLength(1);
        compare(definition, input, world, seen);
      }),
      { seed: 13, numRuns: 400, ...LIMIT },
    );
    expect(seen.get("port done")).toBeGreaterThan(50);
  });

  it("in many short stretches", async () => {
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(generated, fc.integer({ min: 1, max: 200 }), async ([definition, input], budgetMs) => {
        const world = worldOf(definition, input, { writeMs: 30, readMs: 10, budgetMs }, true);
        await world.run();
        compare(definition, input, world, seen);
      }),
      { seed: 14, numRuns: 400, ...LIMIT },
    );
    expect(seen.get("stretches")).toBeGreaterThan(60);
    expect(seen.get("port done")).toBeGreaterThan(50);
  });

  it("when requests and replies are lost", async () => {
    const seen = new Map<string, number>();
    let lost = 0;
    await fc.assert(
      fc.asyncProperty(generated, fc.infiniteStream(fc.nat({ max: 9 })), async ([definition, input], chances) => {
        const isLost = () => {
          const is = chances.next().value === 0;
          if (is) lost++;
          return is;
        };
        const world = worldOf(definition, input, { isLost, writeMs: 5 }, true);
        await world.run();
        compare(definition, input, world, seen);
      }),
      { seed: 15, numRuns: 400, ...LIMIT },
    );
    expect(lost).toBeGreaterThan(100);
    expect(seen.get("port done")).toBeGreaterThan(50);
  });

  it("when owners die and are taken over from", async () => {
    const seen = new Map<string, number>();
    let kills = 0;
    await fc.assert(
      fc.asyncProperty(
        generated,
        fc.array(fc.nat({ max: 250 }), { minLength: 1, maxLength: 6 }),
        async ([definition, input], times) => {
          const world = worldOf(definition, input, { writeMs: 20, readMs: 5 }, true);
          for (const ms of times) {
            const owner = world.startStretch();
            await world.clock.pass(ms);
            if (world.ended) break;
            owner.kill();
            kills++;
          }
          if (!world.ended) await world.run();
          compare(definition, input, world, seen);
          // A mutation takes effect with its record or not at all, whoever dies.
          const effects = world.calls.filter(({ kind, failed }) => kind === "mutation" && !failed);
          const records = world.runs.filter(
            ({ node, status }) => isMutation(definition, node) && status === "succeeded",
          );
          expect(effects.map(({ args }) => args?.key).toSorted()).toEqual(records.map(({ key }) => key).toSorted());
        },
      ),
      { seed: 16, numRuns: 400, ...LIMIT },
    );
    expect(kills).toBeGreaterThan(200);
    expect(seen.get("port done")).toBeGreaterThan(50);
  });
});

function isMutation(definition: Definition, id: string): boolean {
  const node = definition.nodes[id];
  return node?.type === "action" && (node.action === "store" || node.action === "refuse");
}
