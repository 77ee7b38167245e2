/**
 * An action of the component as an operating system would see it: a process that can be stopped at every await.
 *
 * Each run of an action gets a context, timers, a fetch and abort signals of its own, which count what is
 * open and pass every await by a breakpoint. A process that is killed makes no call and fires no timer any more; one
 * that is frozen does both later. The code under test is untouched.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { FunctionReference } from "convex/server";
import { getFunctionName } from "convex/server";
import type { ActionCtx } from "../../src/component/_generated/server.js";
import { countedControllers, watchedBody } from "./counted.js";

export type PointKind = "begin" | "query" | "mutation" | "action" | "fetch" | "timer" | "return";
export type When = "before" | "after";
/**
 * One await of one process: before it, the call has not been made; after it, the reply has not arrived.
 * `n` counts those of an execution over all its processes. Timers and looks at the lease have none: they depend on how
 * much time has passed.
 */
export type Point = { n: number | null; execution: string; kind: PointKind; name: string };
/**
 * What happens at a point. kill: the process is gone, and nothing of it settles. fail: the call fails; before it, it was
 * never made, after it, it was made and its reply is lost. hold: this call waits until it is released. freeze: the whole
 * process does.
 */
export type Stop = "kill" | "fail" | "hold" | "freeze";
export type Fetch = (request: { url: string; body: string; signal: AbortSignal }) => Promise<Response>;

/** What the processes share: the numbering of awaits, what happens at them, and the network. */
export type Kernel = {
  pass(execution: string, kind: PointKind, name: string): Point;
  stop(point: Point, when: When): Stop | null;
  held(held: Held): void;
  fetch: Fetch;
};

type Gate = { wait: Promise<void>; open: () => void };

function gate(): Gate {
  let open: () => void = () => undefined;
  const wait = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { wait, open };
}

const never = new Promise<never>(() => undefined);

/** A call that waits, or a process that is frozen at it. */
export type Held = { point: Point; process: StretchProcess; release: () => void };

export class StretchProcess {
  readonly execution: string;
  /** The action it runs. */
  readonly name: string;
  readonly #kernel: Kernel;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #dead = false;
  #frozen: Gate | null = null;
  #wasFrozen = false;
  /** What it was about to call when it was frozen, elsewhere than where it was stopped. */
  readonly madeFrozen: string[] = [];
  /** Calls made and not answered. */
  openCalls = 0;
  openFetches = 0;
  openBodies = 0;
  listeners = 0;
  /** How it ended; null while it runs, and for ever when it was killed before. */
  end: { returned: unknown } | { threw: unknown } | null = null;

  constructor(execution: string, name: string, kernel: Kernel) {
    this.execution = execution;
    this.name = name;
    this.#kernel = kernel;
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Everything that a process which has ended must not leave behind. */
  get left(): Record<string, number> {
    const { openCalls, openFetches, openBodies, listeners, timers } = this;
    return { openCalls, openFetches, openBodies, listeners, timers };
  }

  kill(): void {
    this.#dead = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  async run(handler: (ctx: ActionCtx) => Promise<unknown>, ctx: ActionCtx): Promise<unknown> {
    this.#takeGlobals();
    await this.#call("begin", this.name, async () => undefined);
    const end = await handler(this.#context(ctx)).then(
      (returned: unknown) => ({ returned }),
      (threw: unknown) => ({ threw }),
    );
    this.end = end;
    await this.#call("return", this.name, async () => undefined);
    // Convex ignores what an action returns after its job was canceled; convex-test fails on it.
    if (this.#wasFrozen) await never;
    if ("threw" in end) throw end.threw;
    return end.returned;
  }

  async #call<T>(kind: PointKind, name: string, make: () => Promise<T>): Promise<T> {
    if (this.#frozen !== null) this.madeFrozen.push(name);
    await this.#alive();
    const point = this.#kernel.pass(this.execution, kind, name);
    await this.#stopAt(point, "before");
    this.openCalls++;
    const answer = await make().then(
      (value) => () => value,
      (error: unknown) => () => {
        throw error;
      },
    );
    this.openCalls--;
    await this.#alive();
    await this.#stopAt(point, "after");
    return answer();
  }

  async #alive(): Promise<void> {
    if (this.#dead) await never;
    if (this.#frozen !== null) await this.#frozen.wait;
  }

  async #stopAt(point: Point, when: When): Promise<void> {
    const stop = this.#kernel.stop(point, when);
    if (stop === null) return;
    if (stop === "kill") {
      this.kill();
      return await never;
    }
    if (stop === "fail") throw new Error(when === "before" ? "the connection was refused" : "the connection was lost");
    const held = gate();
    if (stop === "freeze") {
      this.#frozen = held;
      this.#wasFrozen = true;
    }
    const release = () => {
      this.#frozen = null;
      held.open();
    };
    this.#kernel.held({ point, process: this, release });
    await held.wait;
    await this.#alive();
  }

  #context(ctx: ActionCtx): ActionCtx {
    const runQuery = async (fn: FunctionReference<"query">, args: never) =>
      await this.#call("query", nameOf(fn), async () => ctx.runQuery(fn, args) as Promise<unknown>);
    const runMutation = async (fn: FunctionReference<"mutation">, args: never) =>
      await this.#call("mutation", nameOf(fn), async () => ctx.runMutation(fn, args) as Promise<unknown>);
    const runAction = async (fn: FunctionReference<"action">, args: never) =>
      await this.#call("action", nameOf(fn), async () => ctx.runAction(fn, args) as Promise<unknown>);
    return { ...ctx, runQuery, runMutation, runAction } as ActionCtx;
  }

  /** Assigned inside a handler, these are the globals of this handler only (see convex-test). */
  #takeGlobals(): void {
    const { setTimeout, clearTimeout } = globalThis;
    globalThis.setTimeout = ((callback: () => void, ms?: number) => {
      if (this.#dead) return 0;
      // Fake timers call back from the test; a real runtime calls back in the action that set the timer.
      const bound = AsyncLocalStorage.bind(() => void this.#fire(callback));
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        bound();
      }, ms);
      this.#timers.add(timer);
      return timer;
    }) as typeof globalThis.setTimeout;
    globalThis.clearTimeout = ((timer: ReturnType<typeof setTimeout>) => {
      this.#timers.delete(timer);
      clearTimeout(timer);
    }) as typeof globalThis.clearTimeout;
    globalThis.fetch = async (input, init) => await this.#fetch(input, init);
    globalThis.AbortController = countedControllers(globalThis.AbortController, (change) => (this.listeners += change));
    // Jitter and sampling that come out the same every time.
    globalThis.Math = Object.assign(Object.create(Math) as Math, { random: () => 0.5 });
  }

  async #fire(callback: () => void): Promise<void> {
    await this.#call("timer", "tick", async () => undefined);
    callback();
  }

  async #fetch(input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> {
    const url = input instanceof Request ? input.url : String(input);
    const signal = init.signal ?? new AbortController().signal;
    const body = typeof init.body === "string" ? init.body : "";
    return await this.#call("fetch", new URL(url).host, async () => {
      this.openFetches++;
      try {
        return watchedBody(await this.#kernel.fetch({ url, body, signal }), (change) => (this.openBodies += change));
      } finally {
        this.openFetches--;
      }
    });
  }
}

/** A handle ends with the name of its function, after "#" on Convex and ";" on convex-test. */
function nameOf(fn: FunctionReference<"query" | "mutation" | "action"> | string): string {
  return typeof fn === "string" ? (fn.split(/[;#]/)[1] ?? fn) : getFunctionName(fn);
}
