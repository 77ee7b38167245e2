/**
 * What a stretch leaves behind after a timeout, an abort or a cancel: no timer, no listener, no open call, fetch or
 * response body, and no write that comes late. Counted from outside, by the process it runs in.
 */
import { beforeAll, expect, test, vi } from "vitest";
import { MINUTE, SECOND } from "../../../src/shared/limits.js";
import { startMeasuredWorld } from "../../support/faultChecks.js";
import { answerModel, startWorld, type Tables, type World } from "../../support/faults.js";
import { preload, runUntil } from "../../support/harness.js";
import { notify, record } from "../../support/hosts/faults/flows.js";
import type { Fetch } from "../../support/stretchProcess.js";

beforeAll(preload);

const NOTHING_LEFT = { openCalls: 0, openFetches: 0, openBodies: 0, listeners: 0, timers: 0 };

const ASK = { type: "llm", model: "openai:gpt-4o-mini", prompt: "hello", retry: { maxAttempts: 1 } };
const flow = (work: object) => ({
  name: "flow",
  nodes: {
    start: { type: "trigger", next: { success: "work" } },
    work: { ...work, next: { success: "end" } },
    end: { type: "output", value: "{{ nodes.work.output }}" },
  },
});

/** A response whose body sends a first part and then nothing; `isCanceled` once nobody waits for the rest. */
function halfResponse() {
  const state = { isCanceled: false };
  const body = new ReadableStream<Uint8Array>({
    start: (stream) => stream.enqueue(new TextEncoder().encode('{"id":')),
    cancel: () => {
      state.isCanceled = true;
    },
  });
  return { state, response: new Response(body, { headers: { "content-type": "application/json" } }) };
}

function expectNothingLeft(world: World): void {
  expect(world.processes.length).toBeGreaterThan(0);
  for (const process of world.processes) {
    expect(process.end).not.toBeNull();
    expect(process.left).toEqual(NOTHING_LEFT);
  }
}

/** The component's rows; what its shards' loops keep for themselves moves with time. */
const recorded = (tables: Tables) =>
  Object.fromEntries(
    Object.entries(tables).filter(([name]) => /^shardflow\/(?!executors)\w+$/.test(name) || name === "effects"),
  );

test("after a flow over all node types", async () => {
  const { world } = await startMeasuredWorld();
  await world.untilQuiet();
  expectNothingLeft(world);
  expect(vi.getTimerCount()).toBe(0);
});

test.for(["timeout", "cancel"] as const)("a provider that never answers, and a %s", async (how) => {
  const world = await startWorld();
  await world.publish(flow({ ...ASK, timeoutMs: 5_000 }));
  let answer: (response: Response) => void = () => undefined;
  // Heeds no signal: the runtime's fetch may not either.
  const fetch: Fetch = async () => await new Promise<Response>((resolve) => (answer = resolve));
  const calls = vi.fn(fetch);
  world.answer(calls);
  const id = await world.start("flow", null);
  await runUntil(() => calls.mock.calls.length === 1);
  if (how === "cancel") await world.cancel(id);
  await runUntil(() => world.processes.every(({ end }) => end !== null), 10 * SECOND);
  expect((await world.describe(id)).status).toBe(how === "cancel" ? "canceled" : "failed");
  await world.untilQuiet();
  const before = recorded(await world.tables());

  const late = halfResponse();
  answer(late.response);
  await world.elapse(MINUTE);
  expect(late.state.isCanceled).toBe(true);
  expect(recorded(await world.tables())).toEqual(before);
  expect(calls.mock.calls[0]![0].signal.aborted).toBe(true);
  expectNothingLeft(world);
});

test.for(["timeout", "cancel"] as const)("a provider whose answer stops half way, and a %s", async (how) => {
  const world = await startWorld();
  await world.publish(flow({ ...ASK, timeoutMs: 5_000 }));
  const half = halfResponse();
  world.answer(async () => half.response);
  const id = await world.start("flow", null);
  await runUntil(() => world.processes.some(({ openBodies }) => openBodies === 1));
  if (how === "cancel") await world.cancel(id);
  await world.untilQuiet();
  const { status, error } = await world.describe(id);
  expect([status, error?.code]).toEqual(how === "cancel" ? ["canceled", undefined] : ["failed", "NODE_TIMEOUT"]);
  expect(half.state.isCanceled).toBe(true);
  expectNothingLeft(world);
});

test.for(["timeout", "cancel"] as const)("an app's action that hangs, and a %s", async (how) => {
  const world = await startWorld();
  await world.publish(flow({ ...(notify(null) as object), timeoutMs: 5_000 }));
  world.stopAt(({ name }, when) => (name === "functions:notify" && when === "after" ? "hold" : null));
  const id = await world.start("flow", null);
  const held = await world.untilHeld();
  if (how === "cancel") await world.cancel(id);
  await runUntil(() => held.process.end !== null, 10 * SECOND);
  expect((await world.describe(id)).status).toBe(how === "cancel" ? "canceled" : "failed");
  await world.untilQuiet();
  const before = recorded(await world.tables());
  held.release();
  await world.elapse(MINUTE);
  expect(recorded(await world.tables())).toEqual(before);
  expectNothingLeft(world);
});

test("passes that are given up because another one failed", async () => {
  const world = await startWorld();
  await world.flip("refuse", true);
  await world.publish({
    name: "flow",
    nodes: {
      start: { type: "trigger", next: { success: "each" } },
      each: { type: "loop", items: ["ask", "tell", "fail"], concurrency: 3, body: "route", next: { failure: "after" } },
      route: {
        type: "switch",
        value: "{{ item }}",
        cases: ["ask", "tell", "fail"].map((port) => ({ equals: port, port })),
        next: { ask: "ask", tell: "tell", fail: "pause" },
      },
      ask: ASK,
      tell: notify(null),
      pause: { type: "action", action: "app.lookup", args: { word: "now" }, next: { success: "fail" } },
      fail: { type: "action", action: "app.refuse", args: { key: "{{ node.idempotencyKey }}", note: "no" } },
      after: record("{{ nodes.each.error.code }}", "end"),
      end: { type: "output", value: "{{ nodes.after.output.note }}" },
    },
  });
  const signals: AbortSignal[] = [];
  world.answer(async (request) => {
    signals.push(request.signal);
    return await new Promise<Response>(() => undefined);
  });
  world.stopAt(({ name }, when) =>
    (name === "functions:notify" && when === "after") || (name === "functions:lookup" && when === "after")
      ? "hold"
      : null,
  );
  const id = await world.start("flow", null);
  await runUntil(() => world.held.length === 2 && signals.length === 1);
  world.held.find(({ point }) => point.name === "functions:lookup")!.release();
  await world.untilEnded(id);
  expect(await world.describe(id)).toMatchObject({ status: "succeeded", output: '"LOOP_ITEM_FAILED"' });
  expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  const before = recorded(await world.tables());
  world.held.find(({ point }) => point.name === "functions:notify")!.release();
  await world.untilQuiet();
  expect(recorded(await world.tables())).toEqual(before);
  expect((await world.rows("effects")).map(({ note }) => note)).toEqual(["LOOP_ITEM_FAILED"]);
  for (const { left } of world.processes) expect(left).toMatchObject({ openBodies: 0, listeners: 0, timers: 0 });
});

test("the answers of a provider are read to their end", async () => {
  const world = await startWorld();
  await world.publish(flow(ASK));
  let calls = 0;
  world.answer(async (request) => {
    calls++;
    return await answerModel(request);
  });
  const id = await world.start("flow", null);
  await world.untilEnded(id);
  expect([calls, (await world.describe(id)).output]).toEqual([1, '"heard: hello"']);
  await world.untilQuiet();
  expectNothingLeft(world);
});
