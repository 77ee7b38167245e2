/** What is durable when: effects before effects, cancels and takeovers, lost messages, and an owner that dies. */
import { describe, expect, it } from "vitest";
import type { WorldOptions } from "../support/recordingPorts.js";
import { World } from "../support/recordingPorts.js";
import { action, failureOf, mutation, query, resultOf, run, worldOf, type Nodes } from "../support/flows.js";

/** A rendered argument that these tests know to be text. */
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** A chain of calls, told apart by the key of their node run. */
const chain = (names: string[]): Nodes =>
  Object.fromEntries(
    names.map((name, i) => [
      `n${i}`,
      {
        type: "action" as const,
        action: name,
        args: { key: "{{ node.key }}" },
        ...(i + 1 < names.length ? { next: { success: `n${i + 1}` } } : {}),
      },
    ]),
  );
const keysOf = (world: World) => world.calls.map(({ args }) => args?.key);

describe("effects", () => {
  it("begin when those before them are durable; queries ride along", async () => {
    const functions = { act: action(() => 1), write: mutation(() => 2), look: query(() => 3) };
    const world = await run(chain(["act", "write", "look", "look", "act", "act", "look"]), { functions, writeMs: 10 });
    const kinds = new Map(world.calls.map(({ args, kind }) => [args?.key, kind]));
    for (const [i, call] of world.calls.entries()) {
      if (call.kind === "query") continue;
      const before = keysOf(world)
        .slice(0, i)
        .filter((key) => kinds.get(key) !== "query");
      expect(call.durable).toEqual(expect.arrayContaining(before));
    }
    // act | write with what was before it | act with the queries | act | the end.
    expect(world.flushes.map(({ progress }) => progress.runs.length)).toEqual([2, 0, 3, 1, 1]);
  });

  it("of the same pass wait for each other while checkpoints of other passes are on their way", async () => {
    const functions = { act: action(({ key }) => world.clock.sleep(7 + textOf(key).length).then(() => key)) };
    const world: World = worldOf(
      {
        each: { type: "loop", items: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], concurrency: 4, body: "n0" },
        ...chain(["act", "act", "act"]),
      },
      { functions, writeMs: 25 },
    );
    await world.run();
    expect(world.calls).toHaveLength(36);
    for (const call of world.calls) {
      const pass = textOf(call.args?.key).split("/")[0] ?? "";
      const before = world.calls
        .filter(({ args, at }) => textOf(args?.key).startsWith(`${pass}/`) && at < call.at)
        .map(({ args }) => args?.key);
      expect(call.durable).toEqual(expect.arrayContaining(before));
    }
  });

  it("of other passes are not held up by a checkpoint that does not concern them", async () => {
    const functions = { act: action(() => world.clock.sleep(100)) };
    const world: World = worldOf(
      { each: { type: "loop", items: [1, 2, 3, 4], concurrency: 4, body: "n0" }, ...chain(["act"]) },
      {
        functions,
        writeMs: 50,
      },
    );
    await world.run();
    expect(world.calls.map(({ at }) => at)).toEqual([0, 0, 0, 0]);
    expect(world.mostInFlight).toBe(4);
  });
});

describe("a stretch", () => {
  const waiting = (world: () => World, ms: number) => action(() => world().clock.sleep(ms));

  it("that was canceled begins nothing more and writes nothing more", async () => {
    const world: World = worldOf(chain(["wait", "wait", "wait"]), {
      functions: { wait: waiting(() => world, 60_000) },
    });
    const { end } = world.startStretch();
    await world.clock.pass(1_000);
    world.canceled = true;
    const before = world.runs.length;
    expect(await world.clock.until(end)).toBe("stale");
    // It noticed within seconds, not when the call came back.
    expect(world.clock.now).toBeLessThan(10_000);
    expect(world.calls).toHaveLength(1);
    expect(world.runs).toHaveLength(before);
  });

  it("whose checkpoint is refused begins nothing more, in no pass", async () => {
    for (const reason of ["canceled", "stale"] as const) {
      const functions = { act: action(({ key }) => world.clock.sleep(10 + textOf(key).length).then(() => key)) };
      const world: World = worldOf(
        {
          each: { type: "loop", items: [1, 2, 3, 4, 5, 6], concurrency: 3, body: "n0" },
          ...chain(["act", "act"]),
        },
        { functions, writeMs: 5 },
      );
      const { end } = world.startStretch();
      await world.clock.pass(12);
      if (reason === "canceled") world.canceled = true;
      else world.leaseEpoch++;
      const calls = world.calls.length;
      expect(await world.clock.until(end)).toBe(reason);
      expect(world.calls).toHaveLength(calls);
    }
  });

  it("that was overtaken writes nothing; the new owner goes on from what was written", async () => {
    const world: World = worldOf({ ...chain(["wait", "wait"]) }, { functions: { wait: waiting(() => world, 10_000) } });
    const old = world.startStretch();
    await world.clock.pass(11_000);
    expect(world.durableKeys).toContain("n0");
    const next = world.startStretch();
    expect(await world.clock.until(old.end)).toBe("stale");
    expect(await world.clock.until(next.end)).toBe("succeeded");
    expect(keysOf(world)).toEqual(["n0", "n1", "n1"]);
    expect(world.durableKeys).toEqual(["start", "n0", "n1"]);
  });

  it("gives way when its time is used up, and runs to its end in others", async () => {
    const names = Array.from({ length: 12 }, () => "wait");
    const world: World = worldOf(chain(names), { functions: { wait: waiting(() => world, 1_000) }, budgetMs: 2_500 });
    await world.run();
    expect(world.stretches).toEqual(["yield", "yield", "yield", "succeeded"]);
    expect(keysOf(world)).toEqual(names.map((_, i) => `n${i}`));
  });

  it("that gives way lets what is in flight end", async () => {
    const nodes = {
      each: { type: "loop", items: [1, 2, 3, 4], concurrency: 2, body: "n0" },
      ...chain(["wait"]),
    } as Nodes;
    const world: World = worldOf(nodes, { functions: { wait: waiting(() => world, 3_000) }, budgetMs: 1_000 });
    expect(await world.stretch()).toBe("yield");
    expect(world.durableKeys).toEqual(["start", "each[0]/n0", "each[1]/n0"]);
    await world.run();
    expect(world.calls).toHaveLength(4);
  });

  it("leaves no timer behind", async () => {
    const world: World = worldOf(chain(["wait", "wait"]), { functions: { wait: waiting(() => world, 1_000) } });
    await world.run();
    expect(world.clock.pending).toBe(0);
  });

  it("tells that it lives while a node takes long", async () => {
    const world: World = worldOf(
      { n0: { type: "action", action: "wait", timeoutMs: 300_000 } },
      { functions: { wait: waiting(() => world, 250_000) } },
    );
    await world.run();
    expect(world.renewals).toBeGreaterThanOrEqual(3);
  });
});

describe("messages", () => {
  const functions = { act: action(() => 1), write: mutation(() => 2) };
  const lossy = (isLost: NonNullable<WorldOptions["isLost"]>) =>
    worldOf(chain(["act", "write", "act", "write"]), { functions, isLost, writeMs: 5 });

  it("whose reply is lost are written once", async () => {
    const lost = new Set<number>();
    // The first try of every flush is written, and not heard of.
    const world = lossy((moment, write) => {
      if (moment === "request" || lost.has(write - 1)) return false;
      lost.add(write);
      return true;
    });
    await world.run();
    expect(lost.size).toBeGreaterThan(3);
    expect(keysOf(world)).toEqual(["n0", "n1", "n2", "n3"]);
    expect(world.durableKeys).toEqual(["start", "n0", "n1", "n2", "n3"]);
  });

  it("of one checkpoint that never arrive leave no gap behind those of another", async () => {
    let first = 0;
    const functions = {
      act: action(({ key }) => world.clock.sleep(key === "each[1]/n0" ? 500 : 10).then(() => key)),
    };
    const world: World = worldOf(
      { each: { type: "loop", items: [1, 2], concurrency: 2, body: "n0" }, ...chain(["act", "act"]) },
      {
        functions,
        // All tries of the first checkpoint, but none of those that waited behind it.
        isLost: (moment) => moment === "request" && ++first <= 6,
      },
    );
    await expect(world.stretch()).rejects.toThrow("OptimisticConcurrencyControlFailure");
    expect(world.runs).toEqual([]);
    await world.run();
    expect(world.durableKeys.toSorted()).toEqual(
      ["each", "each[0]/n0", "each[0]/n1", "each[1]/n0", "each[1]/n1", "start"].toSorted(),
    );
  });

  it("that never arrive end the stretch, and leave no gap", async () => {
    let isDown = false;
    const slow = { act: action(({ key }) => world.clock.sleep(textOf(key).length).then(() => key)) };
    const world: World = worldOf(
      {
        each: { type: "loop", items: [1, 2, 3, 4, 5, 6], concurrency: 3, body: "n0" },
        ...chain(["act", "act"]),
      },
      { functions: slow, isLost: (moment) => isDown && moment === "request" },
    );
    const { end } = world.startStretch();
    end.catch(() => undefined);
    await world.clock.pass(12);
    isDown = true;
    await world.clock.pass(1);
    const calls = world.calls.length;
    // Down for longer than a checkpoint is tried; back while others of the stretch may still be trying.
    await world.clock.pass(60_000);
    isDown = false;
    await expect(world.clock.until(end)).rejects.toThrow("OptimisticConcurrencyControlFailure");
    expect(world.calls.length - calls).toBeLessThanOrEqual(3);
    await world.run();
    const keys = [1, 2, 3, 4, 5, 6].flatMap((_, i) => [`each[${i}]/n0`, `each[${i}]/n1`]);
    expect(world.durableKeys.toSorted()).toEqual(["start", "each", ...keys].toSorted());
  });
});

describe("a checkpoint", () => {
  const MEGABYTE = 1024 * 1024;
  /** Passes that write, and passes whose output is large, all at once. */
  const mixed: Nodes = {
    each: {
      type: "loop",
      items: [0, 1, 2, 3, 4, 5],
      concurrency: 6,
      collect: "{{ index }}",
      body: "which",
      next: { done: "end" },
    },
    which: {
      type: "switch",
      value: "{{ item % 2 }}",
      cases: [{ equals: 0, port: "even" }],
      next: { even: "write", default: "fetch" },
    },
    fetch: { type: "action", action: "fetch", args: { item: "{{ item }}" }, next: { success: "last" } },
    last: { type: "action", action: "fetch", args: { item: "{{ item }}" } },
    write: {
      type: "action",
      action: "write",
      args: { key: "{{ node.key }}" },
      next: { success: "last", failure: "last" },
    },
    end: { type: "output", value: "{{ nodes.each.output.results }}" },
  };
  const begin = () => {
    const text = "x".repeat(1.1 * MEGABYTE);
    const world: World = worldOf(mixed, {
      functions: {
        fetch: action(({ item }) => world.clock.sleep(10 + Number(item)).then(() => text)),
        write: mutation(({ key }) => {
          if (key === "each[0]/write") throw new Error("not this one");
          return key;
        }),
      },
      writeMs: 60,
      readMs: 3,
    });
    return world;
  };

  it("fits a transaction, however much comes at once", async () => {
    const world = begin();
    await world.run();
    expect(resultOf(world)).toEqual([0, 1, 2, 3, 4, 5]);
    const bytes = world.flushes.map(({ progress }) => JSON.stringify(progress).length);
    expect(bytes.reduce((sum, one) => sum + one, 0)).toBeGreaterThan(9 * MEGABYTE);
    expect(Math.max(...bytes)).toBeLessThan(2.5 * MEGABYTE);
  });

  it("that was split holds what its position says, and no write of a mutation is undone by it", async () => {
    const undisturbed = begin();
    await undisturbed.run();
    for (let dies = 20; dies < undisturbed.clock.now; dies += 47) {
      const world = begin();
      const owner = world.startStretch();
      await world.clock.pass(dies);
      owner.kill();
      if (!world.ended) await world.run();
      expect(resultOf(world)).toEqual([0, 1, 2, 3, 4, 5]);
      expect(world.durableKeys.toSorted()).toEqual(undisturbed.durableKeys.toSorted());
      const written = world.calls
        .filter(({ name, failed }) => name === "write" && !failed)
        .map(({ args }) => args?.key);
      expect(written.toSorted()).toEqual([2, 4].map((index) => `each[${index}]/write`));
    }
  });
});

describe("an owner that dies", () => {
  it("is taken over from at every moment, and mutations take effect once", async () => {
    const names = ["act", "write", "look", "write", "act"];
    const functionsOf = (world: () => World) => ({
      act: action(({ key }) =>
        world()
          .clock.sleep(20)
          .then(() => key),
      ),
      look: query(({ key }) =>
        world()
          .clock.sleep(10)
          .then(() => key),
      ),
      write: mutation(({ key }) => key),
    });
    for (let dies = 0; dies <= 120; dies += 4) {
      const functions = functionsOf(() => world);
      const world: World = worldOf({ ...chain(names) }, { functions, writeMs: 10, readMs: 2 });
      const owner = world.startStretch();
      await world.clock.pass(dies);
      owner.kill();
      if (!world.ended) await world.run();
      expect(world.durableKeys).toEqual(["start", ...names.map((_, i) => `n${i}`)]);
      const written = world.calls.filter(({ name }) => name === "write").map(({ args }) => args?.key);
      expect(written).toEqual(["n1", "n3"]);
      // Anything else is called at least once, and again only where the owner died.
      expect(world.calls.length).toBeLessThanOrEqual(names.length + 1);
    }
  });

  it("that was stuck on a corrupt position is no reason to guess", async () => {
    const world = worldOf(chain(["act"]), { functions: { act: action(() => 1) } });
    world.position = JSON.stringify({ tokens: [{ pass: "gone[0]", node: "n0" }], loops: [] });
    expect(() => world.startStretch()).toThrow(/CORRUPT_ROW/);
    expect(world.calls).toEqual([]);
  });
});

describe("node runs", () => {
  it("are counted, and there is an end to them", async () => {
    const world = worldOf({ ask: { type: "condition", if: "true" } }, { nodeRuns: 999_999 });
    await world.run();
    expect(failureOf(world)).toMatchObject({ code: "NODE_RUN_LIMIT", node: "ask" });
    expect(resultOf(await run({ ask: { type: "condition", if: "true" } }, { nodeRuns: 999_998 }))).toBeNull();
  });
});
