/** Action nodes: arguments, results, and what is made of what the app's function throws. */
import { ConvexError } from "convex/values";
import { describe, expect, it } from "vitest";
import type { Json, JsonObject } from "../../src/shared/json.js";
import {
  action,
  errorOf,
  failureOf,
  mutation,
  outputOf,
  query,
  resultOf,
  run,
  runOf,
  worldOf,
  type Nodes,
} from "../support/flows.js";

const KINDS = { query, mutation, action };
const call = (args: JsonObject, rest: Partial<Nodes[string]> = {}): Nodes => ({
  call: { type: "action", action: "app.it", args, next: { success: "end" }, ...rest } as Nodes[string],
  end: { type: "output", value: "{{ nodes.call.output }}" },
});
const throwing = (error: unknown) => () => {
  throw error;
};

describe.each(Object.entries(KINDS))("an action node bound to a %s", (kind, bind) => {
  it("calls it with its rendered arguments and hands on the result", async () => {
    const args = { n: "{{ input.n }}", text: "<{{ input.n }}>", list: [1, "{{ [input.n] }}"] };
    const world = await run(call(args), {
      input: { n: 7 },
      functions: { "app.it": bind((given) => ({ given })) },
    });
    expect(resultOf(world)).toEqual({ given: { n: 7, text: "<7>", list: [1, [7]] } });
    expect(runOf(world, "call")).toMatchObject({ status: "succeeded", port: "success", attempt: 1 });
    expect(world.calls).toMatchObject([{ kind, name: "app.it" }]);
  });

  it("takes nothing for null", async () => {
    const world = await run(call({}), { functions: { "app.it": bind(() => undefined) } });
    expect(resultOf(world)).toBeNull();
    expect(outputOf(world, "call")).toBeNull();
  });

  it("leaves through failure with what was thrown", async () => {
    const world = await run(call({}), { functions: { "app.it": bind(throwing(new Error("card declined"))) } });
    expect(failureOf(world)).toMatchObject({ code: "ACTION_FAILED", node: "call" });
    expect(errorOf(world, "call")).toMatchObject({
      code: "ACTION_FAILED",
      class: "app",
      retryable: true,
      cause: { message: "card declined" },
    });
    expect(failureOf(world).message).toContain("card declined");
  });

  it("keeps the data of a ConvexError and shows it to expressions", async () => {
    const data = { code: "DECLINED", reason: { bank: "no" }, retryable: false };
    const world = await run(
      {
        call: { type: "action", action: "app.it", next: { failure: "caught" } },
        caught: { type: "output", value: "{{ nodes.call.error.cause }}" },
      },
      { functions: { "app.it": bind(throwing(new ConvexError(data))) } },
    );
    expect(resultOf(world)).toMatchObject({ code: "DECLINED", data });
    expect(errorOf(world, "call").retryable).toBe(false);
  });

  it("refuses arguments that Convex would refuse, before anything is called", async () => {
    const refused: Json[] = [
      { $key: 1 },
      { größe: 1 },
      Array.from({ length: 8_193 }, () => 0),
      Object.fromEntries(Array.from({ length: 1_025 }, (_, i) => [`k${i}`, i])),
      Array.from({ length: 70 }).reduce<Json>((inner) => [inner], 0),
      "half of a pair: \ud800",
    ];
    for (const value of refused) {
      const world = await run(call({ value: "{{ input }}" }), {
        input: value,
        functions: { "app.it": bind(() => "called") },
      });
      expect(failureOf(world)).toMatchObject({ code: "VALUE_NOT_CONVEX", node: "call" });
      expect(world.calls).toEqual([]);
    }
  });

  it.each<[unknown, string]>([
    [10n, "VALUE_NOT_JSON"],
    [{ at: NaN }, "VALUE_NOT_JSON"],
    [{ bytes: new ArrayBuffer(4) }, "VALUE_NOT_JSON"],
    ["x".repeat(4 * 1024 * 1024), "VALUE_TOO_LARGE"],
  ])("fails with a typed error on a result that cannot be stored", async (result, code) => {
    const nodes = call({}, { next: { success: "end", failure: "caught" } });
    const caught: Nodes = { ...nodes, caught: { type: "output", value: "{{ nodes.call.error.code }}" } };
    const world = await run(caught, { functions: { "app.it": bind(() => result) } });
    expect(resultOf(world)).toBe(code);
  });
});

describe("an action node", () => {
  it("that fails because its template does is not called", async () => {
    const world = await run(call({ value: "{{ input.gone }}" }), { functions: { "app.it": action(() => 1) } });
    expect(failureOf(world)).toMatchObject({ code: "EXPRESSION_FAILED", node: "call" });
    expect(world.calls).toEqual([]);
  });

  it("gives the same idempotency key to every attempt, and another to every pass", async () => {
    const world = await run(
      {
        each: { type: "loop", items: [1, 2], body: "call" },
        call: {
          type: "action",
          action: "app.it",
          args: { key: "{{ node.idempotencyKey }}", attempt: "{{ node.attempt }}" },
          retry: { maxAttempts: 2, initialMs: 1 },
        },
      },
      {
        functions: {
          "app.it": action(({ attempt }) => {
            if (attempt === 1) throw new Error("once more");
            return null;
          }),
        },
      },
    );
    expect(world.calls.map(({ args }) => args)).toEqual([
      { key: "execution1:each[0]/call", attempt: 1 },
      { key: "execution1:each[0]/call", attempt: 2 },
      { key: "execution1:each[1]/call", attempt: 1 },
      { key: "execution1:each[1]/call", attempt: 2 },
    ]);
  });

  it("waits for a function that is not bound, and goes on when it is", async () => {
    const world = worldOf(call({}));
    expect(await world.stretch()).toBe("park");
    expect(world.conclusion).toMatchObject({ kind: "park", node: "call" });
    if (world.conclusion?.kind !== "park") throw new Error("it does not wait");
    const waited = world.conclusion.wakeAt - world.clock.now;
    expect(waited).toBeGreaterThanOrEqual(10_000);
    world.functions.set(
      "app.it",
      action(() => "here now"),
    );
    world.clock.advanceTo(world.conclusion.wakeAt);
    await world.run();
    expect(resultOf(world)).toBe("here now");
    // A missing function was no attempt.
    expect(runOf(world, "call")).toMatchObject({ attempt: 1 });
    expect(runOf(world, "call").failures).toBeUndefined();
  });

  it("gives up on a function that is not bound after about half an hour", async () => {
    const world = await run(call({}));
    expect(failureOf(world)).toMatchObject({ code: "ACTION_UNBOUND", node: "call" });
    expect(world.clock.now).toBeGreaterThan(20 * 60_000);
    expect(world.clock.now).toBeLessThan(60 * 60_000);
  });

  const REFUSALS = [
    "FunctionHandleNotFound: Function handle not found",
    "Function handle not found",
    "Could not find public function for 'crm:lookup'. Did you forget to run `npx convex deploy`?",
  ];
  it.each(REFUSALS)("waits when Convex says that %s", async (message) => {
    const world = worldOf(call({}), {
      functions: {
        "app.it": action((_args, calls) => {
          if (calls === 1) throw new Error(message);
          return "back";
        }),
      },
    });
    expect(await world.stretch()).toBe("park");
    await world.run();
    expect(resultOf(world)).toBe("back");
    expect(runOf(world, "call")).toMatchObject({ attempt: 1 });
  });

  it.each([
    "Couldn't resolve host api.example.com",
    "the user says: Could not find public function rooms",
    'the value "x" is not a query',
    "Trying to call 555-1234 as a mutation",
  ])("takes %s for the app's own failure", async (message) => {
    const world = await run(call({}), { functions: { "app.it": action(throwing(new Error(message))) } });
    expect(failureOf(world)).toMatchObject({ code: "ACTION_FAILED" });
    expect(errorOf(world, "call")).toMatchObject({ retryable: true });
  });

  it("takes a ConvexError for the app's own failure, whatever it says", async () => {
    const thrown = new ConvexError("Function handle not found");
    const world = await run(call({}), { functions: { "app.it": action(throwing(thrown)) } });
    expect(failureOf(world)).toMatchObject({ code: "ACTION_FAILED" });
  });

  it.each([
    "Trying to execute crm.js:lookup as Action, but it is defined as Mutation.",
    'Expected an action function, but the function exported from module "crm" as `lookup` is not an action.',
  ])("is told apart from a function of another kind: %s", async (message) => {
    const world = await run(call({}), { functions: { "app.it": action(throwing(new Error(message))) } });
    expect(failureOf(world)).toMatchObject({ code: "ACTION_KIND_MISMATCH" });
    expect(errorOf(world, "call")).toMatchObject({ retryable: false });
  });

  it("is made again when Convex had no room, without counting as an attempt", async () => {
    const world = await run(call({}), {
      functions: {
        "app.it": action((_args, calls) => {
          if (calls <= 4)
            throw new Error("TooManyConcurrentRequests: Too many concurrent requests, backoff and try again");
          return calls;
        }),
      },
    });
    expect(resultOf(world)).toBe(5);
    expect(runOf(world, "call")).toMatchObject({ attempt: 1 });
    const starts = world.calls.map(({ at }) => at);
    const delays = starts.slice(1).map((at, i) => at - (starts[i] ?? 0));
    // Longer each time, and never at once.
    expect(delays).toEqual(delays.toSorted((a, b) => a - b));
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(500);
  });

  it("bound to a mutation that Convex cannot commit is made again, without counting as an attempt", async () => {
    const world = await run(call({}), {
      functions: { "app.it": mutation(() => "committed") },
      // Also after all that the writer tries by itself.
      isLost: (moment, write) => moment === "request" && write <= 8,
    });
    expect(resultOf(world)).toBe("committed");
    expect(runOf(world, "call")).toMatchObject({ attempt: 1 });
    expect(world.calls).toHaveLength(1);
  });
});
