/**
 * Actions: code outside of transactions (section 6.3), which can die at any point.
 *
 * Owns: their permits, their calls and their deaths. Invariants: each call of an action is a transaction or an action of
 * its own, with a permit of its own; what a killed action asked for last may have happened, and nothing of it goes on.
 */
import type { JSONValue } from "convex/values";
import type { ConvexFunction, Kind } from "../runtime/component.js";
import { withAmbientGlobals } from "../runtime/ambientGlobals.js";
import { OverloadError, SystemError, crossing } from "../runtime/errors.js";
import { frames, type ActionFrame } from "../runtime/frame.js";
import { checkArgs, checkReturns, componentOf, nameOf } from "../runtime/transactionCalls.js";
import type { Deployment } from "./deployment.js";
import { operationOf, type FaultPoint } from "../faults/points.js";
import type { Timer } from "./loop.js";
import { PERMIT_WAIT_MS } from "./profile.js";
import { tooMany, type Attempt } from "./transactions.js";

type Running = {
  readonly frame: ActionFrame;
  readonly kill: (error: Error) => void;
  readonly deadline: number;
  /** The action that called this one, and takes it along when it dies. */
  readonly parent: ActionFrame | null;
};

/** What is asked for by a call that is over never comes. */
export const NEVER: Promise<never> = new Promise(() => undefined);

export class Actions {
  readonly #deployment: Deployment;
  readonly #timeoutMs: number;
  /** In the order of their starts, which is that of their deadlines. */
  readonly #running = new Set<Running>();
  /** One timer for all of them, at the first deadline. */
  #watch: Timer | null = null;

  /** @param timeoutMs - an action that runs for longer is ended. */
  constructor(deployment: Deployment, timeoutMs: number) {
    this.#deployment = deployment;
    this.#timeoutMs = timeoutMs;
  }

  get running(): number {
    return this.#running.size;
  }

  async run(attempt: Attempt, patienceMs: number = PERMIT_WAIT_MS.action): Promise<JSONValue> {
    try {
      return await this.#run(attempt, patienceMs);
    } catch (error) {
      // A call that failed is one all the same, unless the deployment itself refused or ended it (section 5).
      if (!(error instanceof SystemError) && !(error instanceof OverloadError)) this.#deployment.calls.action++;
      throw error;
    }
  }

  async #run({ target, args, identity, request, parent }: Attempt, patienceMs: number): Promise<JSONValue> {
    if ("fn" in target) checkArgs(target.fn, args, false);
    const { loop, permits, lifetime, faults } = this.#deployment;
    const name = nameOf(target);
    const shortage = faults?.strike("exhaustPermits:action", name);
    if (shortage) permits.action.exhaust(shortage.ms);
    const isAdmitted = await permits.action.acquire(patienceMs);
    lifetime.check();
    if (!isAdmitted) throw tooMany("action", { target, args, identity, request });
    if (parent?.ended === true) {
      permits.action.release();
      throw crash();
    }
    let kill: (error: Error) => void = () => undefined;
    const killed = new Promise<never>((_, reject) => void (kill = reject));
    killed.catch(() => undefined);
    const frame: ActionFrame = {
      component: componentOf(target),
      fn: "fn" in target ? target.fn : null,
      kind: "action",
      identity,
      request,
      depth: 0,
      rng: this.#deployment.fork(),
      ended: false,
      killed,
      fail: (error) => kill(error instanceof Error ? error : new Error(String(error))),
      clockSkewMs: faults?.strike("skewClock:action", name)?.ms ?? 0,
    };
    const entry: Running = { frame, kill, deadline: loop.now() + this.#timeoutMs, parent: parent ?? null };
    this.#running.add(entry);
    this.#watchDeadlines();
    try {
      const startMs = this.#deployment.latency(this.#deployment.latencies.actionStartMs);
      if (startMs > 0) await Promise.race([loop.sleep(startMs), killed]);
      this.#deployment.history.action(name, `started by ${request.scheduledFunctionId ?? request.id}`);
      if (this.diesAt(frame, "killAction:start")) await killed;
      const code = "fn" in target ? target.fn.code : target.code;
      const invoke = async () => await code.invokeAction(request.id, JSON.stringify([args]));
      const running = frames.run(frame, async () =>
        loop.mode === "ambient" ? await withAmbientGlobals(frame, invoke) : await invoke(),
      );
      const result = JSON.parse(await Promise.race([running, killed])) as JSONValue;
      if (this.diesAt(frame, "killAction:end")) await killed;
      if ("fn" in target) checkReturns(target.fn, result);
      this.#deployment.calls.action++;
      this.#deployment.history.action(name, "ended");
      return result;
    } finally {
      frame.ended = true;
      this.#running.delete(entry);
      this.#watchDeadlines();
      permits.action.release();
    }
  }

  /** Only in virtual time: a test that runs all of its own timers would end every action with them. */
  #watchDeadlines(): void {
    const { loop } = this.#deployment;
    if (loop.mode !== "virtual") return;
    const [first] = this.#running;
    if (first === undefined) {
      this.#watch?.cancel();
      this.#watch = null;
      return;
    }
    this.#watch ??= loop.after(first.deadline - loop.now(), () => {
      this.#watch = null;
      const seconds = this.#timeoutMs / 1_000;
      const error = new SystemError("ActionTimeout", `Function execution timed out (maximum duration: ${seconds}s)`);
      for (const entry of this.#running) if (entry.deadline <= loop.now()) this.#end(entry, "timed out", error);
      this.#watchDeadlines();
    });
  }

  #end({ frame, kill }: Running, detail: string, error: Error): void {
    if (frame.ended) return;
    frame.ended = true;
    this.#deployment.history.action(actionName(frame), detail);
    kill(error);
    for (const child of this.#running) if (child.parent === frame) this.#end(child, `${detail} with its caller`, error);
  }

  /** Kills actions that run, as a crash of their machine does: what they asked for last may have happened. */
  kill(which: (name: string) => boolean = () => true): number {
    let count = 0;
    for (const entry of this.#running) {
      if (!which(actionName(entry.frame))) continue;
      this.#end(entry, "killed", crash());
      count++;
    }
    return count;
  }

  /** Asked at every point of an action: whether it ends here. */
  diesAt(frame: ActionFrame, point: FaultPoint): boolean {
    const { faults } = this.#deployment;
    if (faults === null || frame.ended || faults.strike(point, actionName(frame)) === null) return frame.ended;
    const detail = `killed at ${point.slice(point.indexOf(":") + 1)}`;
    for (const entry of this.#running) if (entry.frame === frame) this.#end(entry, detail, crash());
    return true;
  }

  /** An operation of an action, with the points before and after it. */
  async step<T>(frame: ActionFrame, before: FaultPoint, after: FaultPoint, work: () => Promise<T>): Promise<T> {
    if (this.diesAt(frame, before)) return await NEVER;
    try {
      const result = await work();
      if (after === "killAction:afterMutation" && this.diesAt(frame, "loseReply:inAction")) return await NEVER;
      return this.diesAt(frame, after) ? await NEVER : result;
    } catch (error) {
      if (this.diesAt(frame, after)) return await NEVER;
      throw error;
    }
  }

  /** An operation by its name, other than calls: they are {@link call}s. */
  async operation<T>(frame: ActionFrame, op: string, work: () => Promise<T>): Promise<T> {
    if (/^1\.0\/actions\/(query|mutation|action)$/.test(op)) return await work();
    const what = operationOf(op);
    return await this.step(frame, `killAction:before${what}`, `killAction:after${what}`, work);
  }

  /** `ctx.runQuery`, `runMutation` and `runAction` of an action: each takes a permit and is a call of its own. */
  async call(frame: ActionFrame, fn: ConvexFunction, kind: Kind, args: JSONValue): Promise<JSONValue> {
    const identity = frame.component === fn.component ? frame.identity : null;
    const attempt: Attempt = { target: { fn }, args, identity, request: frame.request, parent: frame };
    const what = CALLS[kind];
    try {
      return await this.step(frame, `killAction:before${what}`, `killAction:after${what}`, () =>
        this.#deployment.run(attempt, kind),
      );
    } catch (error) {
      throw crossing(error, this.#deployment.isVerbose);
    }
  }
}

const CALLS = { query: "Query", mutation: "Mutation", action: "Action" } as const;
const actionName = ({ fn }: ActionFrame): string => (fn === null ? "inline" : nameOf({ fn }));
const crash = (): Error => new SystemError("ActionKilled", "Transient error while executing action");
