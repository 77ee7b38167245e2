/** Attempts: when a node is tried again, how long that takes, and what is kept of it. */
import { ConvexError } from "convex/values";
import { describe, expect, it } from "vitest";
import { nodeError } from "../../src/shared/nodeError.js";
import { IN_PROCESS_BACKOFF_MS } from "../../src/shared/limits.js";
import type { AppFunction, World } from "../support/recordingPorts.js";
import {
  action,
  errorOf,
  failureOf,
  mutation,
  query,
  resultOf,
  run,
  runOf,
  worldOf,
  type Nodes,
} from "../support/flows.js";

type Retry = NonNullable<Nodes[string]["retry"]>;
const tried = (retry: Retry, rest: object = {}): Nodes => ({
  call: {
    type: "action",
    action: "app.it",
    args: { attempt: "{{ node.attempt }}" },
    retry,
    ...rest,
    next: { success: "end" },
  },
  end: { type: "output", value: "{{ nodes.call.output }}" },
});

/** Throws at its first calls. */
const failing = (
  bind: (run: AppFunction["run"]) => AppFunction,
  times: number,
  error: () => unknown = () => new Error("not yet"),
) =>
  bind((_args, call) => {
    if (call <= times) throw error();
    return `call ${call}`;
  });

const FAST: Retry = { maxAttempts: 5, initialMs: 100, factor: 2, maxMs: 1_000 };

describe("attempts", () => {
  it.each([
    ["query", query],
    ["mutation", mutation],
    ["action", action],
  ])("of a %s are made until one succeeds, and the failed ones are kept", async (_kind, bind) => {
    const world = await run(tried(FAST), { functions: { "app.it": failing(bind, 2) } });
    expect(resultOf(world)).toBe("call 3");
    const found = runOf(world, "call");
    expect(found).toMatchObject({ status: "succeeded", attempt: 3 });
    expect(found.failures).toMatchObject([
      { attempt: 1, kind: "initial", error: { code: "ACTION_FAILED", class: "app" } },
      { attempt: 2, kind: "retry", error: { code: "ACTION_FAILED" } },
    ]);
    for (const { startedAt, endedAt } of found.failures ?? []) expect(endedAt).toBeGreaterThanOrEqual(startedAt);
    expect(world.stretches).toEqual(["succeeded"]);
  });

  it("end with the last error when all have failed", async () => {
    const world = await run(tried({ ...FAST, maxAttempts: 3 }), { functions: { "app.it": failing(action, 9) } });
    expect(failureOf(world)).toMatchObject({ code: "ACTION_FAILED", node: "call" });
    expect(runOf(world, "call")).toMatchObject({ status: "failed", attempt: 3 });
    expect(runOf(world, "call").failures).toHaveLength(2);
    expect(world.calls.map(({ args }) => args)).toEqual([{ attempt: 1 }, { attempt: 2 }, { attempt: 3 }]);
  });

  it("that failed are remembered when the owner dies during the next", async () => {
    const functions = {
      "app.it": action(({ attempt }) => {
        if (attempt === 1) throw new Error("not yet");
        return world.clock.sleep(1_000).then(() => attempt);
      }),
    };
    const world: World = worldOf(tried({ maxAttempts: 3, initialMs: 10 }), { functions });
    const owner = world.startStretch();
    await world.clock.pass(500);
    owner.kill();
    await world.run();
    expect(world.calls.map(({ args }) => args?.attempt)).toEqual([1, 2, 2]);
    expect(runOf(world, "call")).toMatchObject({ attempt: 2, failures: [{ attempt: 1 }] });
  });

  it("are not made again without a policy", async () => {
    const world = await run(
      { call: { type: "action", action: "app.it" } },
      { functions: { "app.it": failing(action, 1) } },
    );
    expect(failureOf(world).code).toBe("ACTION_FAILED");
    expect(world.calls).toHaveLength(1);
  });

  it("are made again for the classes of the policy only", async () => {
    const only = (on: Retry["on"]) =>
      run(tried({ ...FAST, ...(on === undefined ? {} : { on }) }), { functions: { "app.it": failing(action, 1) } });
    expect(resultOf(await only(["app"]))).toBe("call 2");
    expect(resultOf(await only(undefined))).toBe("call 2");
    expect(failureOf(await only(["timeout", "rateLimit"])).code).toBe("ACTION_FAILED");
  });

  it("are not made again when the app says that it is no use", async () => {
    const refused = () => new ConvexError({ code: "DECLINED", retryable: false });
    const world = await run(tried(FAST), { functions: { "app.it": failing(action, 1, refused) } });
    expect(errorOf(world, "call")).toMatchObject({ retryable: false, cause: { code: "DECLINED" } });
    expect(world.calls).toHaveLength(1);
  });

  it("wait as long as the app asks for", async () => {
    const later = () => new ConvexError({ retryAfterMs: 3_000 });
    const world = await run(tried({ ...FAST, initialMs: 0 }), { functions: { "app.it": failing(action, 2, later) } });
    expect(resultOf(world)).toBe("call 3");
    const [first, second, third] = world.calls.map(({ at }) => at);
    expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(3_000);
    expect((third ?? 0) - (second ?? 0)).toBeGreaterThanOrEqual(3_000);
  });

  it("grow apart up to the longest delay", async () => {
    const world = await run(tried({ maxAttempts: 8, initialMs: 100, factor: 3, maxMs: 1_000 }), {
      functions: { "app.it": failing(action, 7) },
    });
    const delays = world.calls.slice(1).map(({ at }, i) => at - (world.calls[i]?.at ?? 0));
    // Full jitter: anything up to the full delay, rounded up to a tick.
    delays.forEach((delay, i) => expect(delay).toBeLessThanOrEqual(Math.min(100 * 3 ** i, 1_000) + 1));
    expect(Math.max(...delays)).toBeGreaterThan(300);
  });

  it("of expressions are never made again: the data would be the same", async () => {
    const world = await run(
      { ask: { type: "condition", if: "input.gone", retry: { maxAttempts: 5, initialMs: 0, on: ["expression"] } } },
      {},
    );
    expect(runOf(world, "ask")).toMatchObject({ status: "failed", attempt: 1 });
  });
});

describe("the backoff", () => {
  it("is slept in the stretch when it is short", async () => {
    const world = await run(tried({ maxAttempts: 2, initialMs: IN_PROCESS_BACKOFF_MS }), {
      functions: { "app.it": failing(action, 1) },
    });
    expect(world.stretches).toEqual(["succeeded"]);
    expect(world.flushes.some(({ progress }) => progress.conclusion?.kind === "park")).toBe(false);
  });

  it("gives the stretch back when it is long, and the next one goes on", async () => {
    const later = () => new ConvexError({ retryAfterMs: 60_000 });
    const world = worldOf(tried(FAST), { functions: { "app.it": failing(action, 1, later) } });
    expect(await world.stretch()).toBe("park");
    expect(world.conclusion).toMatchObject({ kind: "park", node: "call" });
    if (world.conclusion?.kind !== "park") throw new Error("it does not wait");
    expect(world.conclusion.wakeAt).toBeGreaterThanOrEqual(60_000);
    expect(world.conclusion.reason).toContain("ACTION_FAILED");
    // No stretch was held meanwhile.
    expect(world.clock.now).toBeLessThan(1_000);
    expect(world.clock.pending).toBe(0);
    await world.run();
    expect(resultOf(world)).toBe("call 2");
    expect(runOf(world, "call")).toMatchObject({ attempt: 2, failures: [{ attempt: 1, kind: "initial" }] });
  });

  it("of a stretch that is woken too early is waited for again", async () => {
    const later = () => new ConvexError({ retryAfterMs: 60_000 });
    const world = worldOf(tried(FAST), { functions: { "app.it": failing(action, 1, later) } });
    expect(await world.stretch()).toBe("park");
    world.clock.advanceTo(30_000);
    expect(await world.stretch()).toBe("park");
    await world.run();
    expect(world.calls).toHaveLength(2);
    expect(world.calls[1]?.at).toBeGreaterThanOrEqual(60_000);
  });

  it("of one pass does not hold up the others", async () => {
    const functions = {
      "app.pass": action(({ item, attempt }) =>
        world.clock.sleep(1_000).then(() => {
          if (item === 0 && attempt === 1) throw new ConvexError({ retryAfterMs: 20_000 });
          return item;
        }),
      ),
    };
    const world: World = worldOf(
      {
        each: { type: "loop", items: [0, 1, 2, 3, 4], concurrency: 2, body: "pass", next: { done: "end" } },
        pass: {
          type: "action",
          action: "app.pass",
          args: { item: "{{ item }}", attempt: "{{ node.attempt }}" },
          retry: { maxAttempts: 2, initialMs: 0 },
        },
        end: { type: "output", value: "{{ nodes.each.output.results }}" },
      },
      { functions },
    );
    await world.run();
    expect(resultOf(world)).toEqual([0, 1, 2, 3, 4]);
    // The others were done after five seconds; then the stretch ended, and the wait began.
    expect(world.stretches).toEqual(["park", "succeeded"]);
    expect(world.calls.map(({ args }) => args?.item)).toEqual([0, 1, 2, 3, 4, 0]);
  });

  it("that nothing needs any more is not waited for", async () => {
    const functions = {
      "app.pass": action(({ item }) => {
        if (item === 0) throw new ConvexError({ retryAfterMs: 4_000 });
        return world.clock.sleep(100).then(() => {
          throw new ConvexError({ retryable: false });
        });
      }),
    };
    const world: World = worldOf(
      {
        each: { type: "loop", items: [0, 1], concurrency: 2, body: "pass", next: { failure: "end" } },
        pass: { type: "action", action: "app.pass", args: { item: "{{ item }}" }, retry: { maxAttempts: 2 } },
        end: { type: "output", value: "{{ nodes.each.error.code }}" },
      },
      { functions },
    );
    await world.run();
    expect(resultOf(world)).toBe("LOOP_ITEM_FAILED");
    expect(world.clock.now).toBeLessThan(1_000);
  });
});

describe("the timeout", () => {
  const slow = (world: () => World, ms: (call: number) => number): AppFunction =>
    action((_args, call) =>
      world()
        .clock.sleep(ms(call))
        .then(() => `call ${call}`),
    );

  it("ends an attempt, and the next one may succeed", async () => {
    const functions = {
      "app.it": slow(
        () => world,
        (call) => (call === 1 ? 60_000 : 10),
      ),
    };
    const world: World = worldOf(tried({ maxAttempts: 2, initialMs: 0 }, { timeoutMs: 5_000 }), { functions });
    await world.run();
    expect(resultOf(world)).toBe("call 2");
    expect(runOf(world, "call")).toMatchObject({
      attempt: 2,
      failures: [{ error: { code: "NODE_TIMEOUT", class: "timeout" } }],
    });
    // The late result of the first attempt changed nothing.
    expect(world.durableKeys.filter((key) => key === "call")).toHaveLength(1);
    expect(world.clock.now).toBeLessThan(7_000);
  });

  it("fails the node when no attempt is left", async () => {
    const functions = {
      "app.it": slow(
        () => world,
        () => 60_000,
      ),
    };
    const world: World = worldOf(tried({ maxAttempts: 1 }, { timeoutMs: 5_000 }), { functions });
    await world.run();
    expect(failureOf(world)).toMatchObject({ code: "NODE_TIMEOUT", node: "call" });
    expect(failureOf(world).message).toContain("5000 ms");
    expect(world.clock.now).toBe(5_000);
  });

  it("comes from the defaults, and from a minute where nothing is said", async () => {
    const functions = {
      "app.it": slow(
        () => world,
        () => 1e9,
      ),
    };
    const world: World = worldOf({ call: { type: "action", action: "app.it" } }, { functions });
    await world.run();
    expect(world.clock.now).toBe(60_000);
  });

  it("aborts the call of a model", async () => {
    let aborted = false;
    const world = worldOf(
      { ask: { type: "llm", model: "openai:test", prompt: "Say", timeoutMs: 1_000, retry: { maxAttempts: 1 } } },
      {
        model: (_request, signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => {
              aborted = true;
              reject(new Error("aborted"));
            });
          }),
      },
    );
    await world.run();
    expect(failureOf(world)).toMatchObject({ code: "NODE_TIMEOUT", node: "ask" });
    expect(aborted).toBe(true);
  });
});

describe("an llm node", () => {
  const usage = (tokens: number) => ({
    inputTokens: tokens,
    outputTokens: 1,
    totalTokens: tokens + 1,
    calls: 1,
    latencyMs: 5,
  });
  const ask = (rest: object = {}): Nodes => ({
    ask: { type: "llm", model: "openai:test", prompt: "Say {{ input }}", ...rest, next: { success: "end" } },
    end: { type: "output", value: "{{ nodes.ask.output }}" },
  });

  it("is tried again by itself when the provider refuses for now, after the time it asks for", async () => {
    const limited = nodeError("MODEL_RATE_LIMITED", "slow down", { retryAfterMs: 30_000 });
    const world = await run(ask(), {
      input: "hello",
      model: ({ messages }, _signal, call) =>
        call < 3
          ? { ok: false, error: limited, usage: usage(10) }
          : { ok: true, output: messages[0]?.content ?? "", usage: usage(100), finishReason: "stop" },
    });
    expect(resultOf(world)).toBe("Say hello");
    expect(world.stretches).toEqual(["park", "park", "succeeded"]);
    expect(world.calls[1]!.at - world.calls[0]!.at).toBeGreaterThanOrEqual(30_000);
    const found = runOf(world, "ask");
    expect(found).toMatchObject({ attempt: 3, failures: [{ error: { code: "MODEL_RATE_LIMITED" } }, {}] });
    // What the failed attempts used is counted, too.
    expect(found.usage).toEqual({ inputTokens: 120, outputTokens: 3, totalTokens: 123, calls: 3, latencyMs: 15 });
  });

  it("is not tried again when the provider refuses for good, and what it used is kept", async () => {
    const world = await run(ask(), {
      input: "hello",
      model: () => ({ ok: false, error: nodeError("MODEL_REFUSED", "I would rather not"), usage: usage(10) }),
    });
    expect(failureOf(world)).toMatchObject({ code: "MODEL_REFUSED", node: "ask" });
    expect(runOf(world, "ask").usage).toEqual(usage(10));
    expect(world.calls).toHaveLength(1);
  });

  it("sends system, prompt and messages as they were rendered", async () => {
    const seen: unknown[] = [];
    const model = ({ messages, ...request }: { messages: unknown }) => {
      seen.push({ ...request, messages });
      return { ok: true as const, output: "ok", usage: usage(1), finishReason: "stop" };
    };
    await run(ask({ system: "Be {{ input }}", temperature: 0, maxOutputTokens: 9 }), { input: "brief", model });
    await run(ask({ prompt: undefined, messages: "{{ input }}" }), {
      input: [
        { role: "user", content: "{{ 1 + 1 }}" },
        { role: "assistant", content: { two: 2 } },
      ],
      model,
    });
    expect(seen).toMatchObject([
      {
        model: "openai:test",
        temperature: 0,
        maxOutputTokens: 9,
        schema: null,
        messages: [
          { role: "system", content: "Be brief" },
          { role: "user", content: "Say brief" },
        ],
      },
      {
        // Braces in data are text.
        messages: [
          { role: "user", content: "{{ 1 + 1 }}" },
          { role: "assistant", content: '{"two":2}' },
        ],
      },
    ]);
  });

  it.each([
    ["no list", "text"],
    ["an empty list", []],
    ["a list of texts", ["hello"]],
    ["an unknown role", [{ role: "tool", content: "x" }]],
  ])("fails on messages that are %s, and calls nothing", async (_name, input) => {
    const world = await run(ask({ prompt: undefined, messages: "{{ input }}" }), {
      input,
      model: () => Promise.reject(new Error("called")),
    });
    expect(failureOf(world)).toMatchObject({ code: "MODEL_REQUEST_INVALID", node: "ask" });
    expect(world.calls).toEqual([]);
  });
});
