/** Passes of loops: at once, in order, and more of them than one stretch can run. */
import { describe, expect, it } from "vitest";
import type { Json } from "../../src/shared/json.js";
import { MAX_TOKENS } from "../../src/shared/limits.js";
import type { AppFunction, World } from "../support/recordingPorts.js";
import {
  action,
  collected,
  failureOf,
  loopOver,
  mutation,
  resultOf,
  runOf,
  worldOf,
  type LoopFields,
  type Nodes,
} from "../support/flows.js";

describe("concurrency", () => {
  const slow = (world: () => World, ms: (given: number) => number) =>
    action(({ item: given }) =>
      world()
        .clock.sleep(ms(Number(given)))
        .then(() => given),
    );
  const runSlow = async (fields: LoopFields, count: number, ms: (given: number) => number) => {
    const input = Array.from({ length: count }, (_, i) => i);
    const functions = { "app.pass": slow(() => world, ms) };
    const world: World = worldOf(loopOver(fields), { input, functions });
    await world.run();
    return world;
  };

  it.each([1, 2, 5])("%i passes run at once, and no more", async (concurrency) => {
    const world = await runSlow({ concurrency }, 10, () => 1_000);
    expect(world.mostInFlight).toBe(concurrency);
    // Ten seconds of work, shared.
    expect(world.clock.now).toBe(10_000 / concurrency);
    expect(resultOf(world)).toEqual(collected([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
  });

  it("starts the next pass as soon as any ends", async () => {
    // One pass takes as long as all the others together.
    const world = await runSlow({ concurrency: 2 }, 10, (given) => (given === 0 ? 9_000 : 1_000));
    expect(world.clock.now).toBe(9_000);
    expect(resultOf(world)).toEqual(collected([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
  });

  it("collects in the order of the items, whatever order they end in", async () => {
    const world = await runSlow({ concurrency: 4 }, 8, (given) => 1_000 - given * 100);
    expect(resultOf(world)).toEqual(collected([0, 1, 2, 3, 4, 5, 6, 7]));
    const ended = world.durableKeys.filter((key) => key.endsWith("/pass"));
    expect(ended).not.toEqual(ended.toSorted());
  });

  it("gives up what is in flight when a pass fails the loop", async () => {
    const functions = {
      "app.pass": action(({ item: given }) =>
        world.clock.sleep(given === 1 ? 100 : 50_000).then(() => {
          if (given === 1) throw new Error("no");
        }),
      ),
    };
    const world: World = worldOf(loopOver({ concurrency: 3 }), { input: [0, 1, 2, 3], functions });
    await world.run();
    expect(failureOf(world)).toMatchObject({ code: "LOOP_ITEM_FAILED", node: "each" });
    // Nothing was waited for, and no fourth pass began.
    expect(world.clock.now).toBe(100);
    expect(world.calls).toHaveLength(3);
    for (const key of ["each[0]/pass", "each[2]/pass"]) {
      expect(runOf(world, key)).toMatchObject({ status: "canceled", error: { code: "NODE_CANCELED" } });
    }
  });

  it("does not begin a mutation in a loop that has been left", async () => {
    const functions = {
      fail: action(() =>
        world.clock.sleep(122).then(() => {
          throw new Error("no");
        }),
      ),
      wait: action(() => world.clock.sleep(95)),
      write: mutation(() => null),
    };
    const world: World = worldOf(
      {
        each: { type: "loop", items: [0, 1, 2], concurrency: 3, body: "ask", next: { failure: "end" } },
        ask: {
          type: "switch",
          value: "{{ item }}",
          cases: [{ equals: 0, port: "zero" }],
          next: { zero: "fail", default: "wait" },
        },
        fail: { type: "action", action: "fail" },
        wait: { type: "action", action: "wait", next: { success: "write" } },
        write: { type: "action", action: "write" },
        end: { type: "output", value: "{{ nodes.each.error.code }}" },
      },
      // The first mutation is on its way when the loop is left, the second one waits for its turn.
      { functions, writeMs: 10 },
    );
    await world.run();
    expect(resultOf(world)).toBe("LOOP_ITEM_FAILED");
    expect(world.calls.filter(({ name }) => name === "write").map(({ at }) => at)).toEqual([120]);
    expect(world.runs.filter(({ node }) => node === "write").map(({ key }) => key)).toEqual(["each[1]/write"]);
  });

  it("waits for the passes in flight when one stops the loop", async () => {
    const functions = {
      "app.pass": action(({ item: given }) =>
        world.clock.sleep(given === 0 ? 100 : 1_000).then(() => {
          if (given === 0) throw new Error("no");
          return given;
        }),
      ),
    };
    const world: World = worldOf(loopOver({ concurrency: 3, onItemError: "stop" }), { input: [0, 1, 2, 3], functions });
    await world.run();
    expect(resultOf(world)).toMatchObject({ results: [null, 1, 2], passes: 3, exit: "stop" });
  });

  it("loses no result when passes end while a checkpoint is on its way", async () => {
    const functions = {
      "app.pass": action(({ item: given }) => world.clock.sleep(50 + Number(given) * 3).then(() => given)),
    };
    const world: World = worldOf(loopOver({ concurrency: 8 }), {
      input: Array.from({ length: 40 }, (_, i) => i),
      functions,
      writeMs: 25,
      readMs: 1,
    });
    await world.run();
    expect(resultOf(world)).toEqual(collected(Array.from({ length: 40 }, (_, i) => i)));
  });

  it("loses no result when a pass ends in the very moment in which a checkpoint begins", async () => {
    const turns = async (count: number) => {
      for (let i = 0; i < count; i++) await Promise.resolve();
    };
    // The last node of pass 0 and the first one of pass 1 end together, give or take a few turns.
    for (let lead = -12; lead <= 12; lead++) {
      const gate = () => world.clock.sleep(100);
      let opens: Promise<void> | null = null;
      const wait = async (ahead: number) => {
        await (opens ??= gate());
        await turns(ahead);
      };
      const functions = {
        first: action(({ item: given }) => (given === 1 ? wait(Math.max(0, -lead)) : null)),
        last: action(({ item: given }) => (given === 0 ? wait(Math.max(0, lead)).then(() => "kept") : "kept")),
      };
      const world: World = worldOf(
        {
          each: { type: "loop", items: [0, 1], concurrency: 2, body: "first", next: { done: "end" } },
          first: { type: "action", action: "first", args: { item: "{{ item }}" }, next: { success: "last" } },
          last: { type: "action", action: "last", args: { item: "{{ item }}" } },
          end: { type: "output", value: "{{ nodes.each.output.results }}" },
        },
        { functions, writeMs: 20 },
      );
      await world.run();
      expect(resultOf(world)).toEqual(["kept", "kept"]);
    }
  });

  it("of loops in loops stays within the bound on places, and all passes run", async () => {
    const functions = { tick: action(({ at }) => world.clock.sleep(10).then(() => at)) };
    const world: World = worldOf(
      {
        outer: {
          type: "loop",
          items: "{{ input }}",
          item: "o",
          index: "oi",
          concurrency: 16,
          body: "inner",
          next: { done: "end" },
        },
        inner: { type: "loop", items: "{{ input }}", item: "i", index: "ii", concurrency: 8, body: "tick" },
        tick: { type: "action", action: "tick", args: { at: "{{ [o, i] }}" } },
        end: { type: "output", value: "{{ size(nodes.outer.output.results) }}" },
      },
      { input: Array.from({ length: 20 }, (_, i) => i), functions },
    );
    await world.run();
    expect(resultOf(world)).toBe(20);
    expect(world.mostInFlight).toBe(MAX_TOKENS);
    const called = world.calls.map(({ args }) => JSON.stringify(args?.at));
    expect(new Set(called).size).toBe(400);
    expect(called).toHaveLength(400);
  });
});

describe("a loop of many passes", () => {
  const thousand = Array.from({ length: 1_000 }, (_, i) => i);
  const big = (fields: LoopFields = {}): Nodes => ({
    ...loopOver({ maxIterations: 1_000, ...fields }),
    end: { type: "output", value: "{{ nodes.each.output }}" },
  });

  it.each([
    ["the outputs of queries", "query", {}],
    ["the outputs of mutations", "mutation", {}],
    ["what collect makes of queries", "query", { collect: "{{ {'given': nodes.pass.output.given} }}" }],
    ["what collect makes of mutations", "mutation", { collect: "{{ {'given': nodes.pass.output.given} }}" }],
  ] as const)("collects %s over several stretches", async (_name, kind, fields) => {
    const called: AppFunction = {
      kind,
      run: ({ item: given }) => (kind === "query" ? world.clock.sleep(3).then(() => ({ given })) : { given }),
    };
    const world: World = worldOf(big(fields), {
      input: thousand,
      functions: { "app.pass": called },
      budgetMs: 500,
      writeMs: 3,
      readMs: 3,
    });
    await world.run();
    expect(resultOf(world)).toEqual(collected(thousand.map((given) => ({ given }))));
    expect(world.stretches.length).toBeGreaterThan(3);
    expect(world.calls).toHaveLength(1_000);
  });

  it("remembers over stretches which passes failed, also by what was evaluated at their end", async () => {
    const world = worldOf(big({ onItemError: "continue", collect: "{{ 10 / (item % 10) }}", concurrency: 4 }), {
      input: thousand.slice(0, 100),
      functions: {
        "app.pass": mutation(({ item: given }) => {
          if (Number(given) % 7 === 0) throw new Error("seven");
          return given;
        }),
      },
      budgetMs: 100,
      writeMs: 5,
      readMs: 1,
    });
    await world.run();
    expect(world.stretches.length).toBeGreaterThan(3);
    const { results, errors } = resultOf(world) as { results: Json[]; errors: Array<{ index: number; code: string }> };
    const expected = thousand.slice(0, 100).map((given) => {
      if (given % 7 === 0) return "ACTION_FAILED";
      return given % 10 === 0 ? "EXPRESSION_FAILED" : null;
    });
    expect(errors.map(({ index, code }) => [index, code])).toEqual(
      expected.flatMap((code, index) => (code === null ? [] : [[index, code]])),
    );
    expect(results).toEqual(expected.map((code, index) => (code === null ? 10 / (index % 10) : null)));
  });

  it("comes to the same when its owner dies at any moment", async () => {
    const nodes = loopOver({ onItemError: "continue", collect: "{{ {'tenth': 10 / (item % 3)} }}", concurrency: 2 });
    const begin = () =>
      worldOf(nodes, {
        input: [0, 1, 2, 3, 4, 5],
        functions: {
          "app.pass": mutation(({ item: given }) => {
            if (given === 4) throw new Error("not four");
            return given;
          }),
        },
        writeMs: 6,
        readMs: 2,
      });
    const undisturbed = begin();
    await undisturbed.run();
    const expected = resultOf(undisturbed);
    expect(expected).toMatchObject({
      results: [null, { tenth: 10 }, { tenth: 5 }, null, null, { tenth: 5 }],
      errors: [
        { index: 0, code: "EXPRESSION_FAILED" },
        { index: 3, code: "EXPRESSION_FAILED" },
        { index: 4, code: "ACTION_FAILED" },
      ],
    });
    for (let dies = 1; dies < undisturbed.clock.now; dies++) {
      const world = begin();
      const owner = world.startStretch();
      await world.clock.pass(dies);
      owner.kill();
      if (!world.ended) await world.run();
      expect(resultOf(world)).toEqual(expected);
    }
  });

  it("does not send more for a later pass than for an early one", async () => {
    const world = worldOf(big(), { input: thousand, functions: { "app.pass": mutation(({ item: given }) => given) } });
    await world.run();
    const bytes = world.flushes.map(({ progress }) => JSON.stringify(progress).length);
    // The first writes hold the items, the last one the results.
    const passes = bytes.slice(2, -2);
    expect(passes.length).toBeGreaterThan(900);
    expect(Math.max(...passes)).toBeLessThan(Math.min(...passes) * 2);
  });
});
