/**
 * Actions: code outside of transactions (section 6.3), which can die at any point.
 *
 * Owns: their permits, their calls and their deaths. Invariants: each call of an action is a transaction or an action of
 * its own, with a permit of its own; what a killed action asked for last may have happened, and nothing of it goes on.
 */
import type { JSONValue } from "convex/values";
import type { ConvexFunction, Kind } from "../runtime/component.js";
import { SystemError, crossing } from "../runtime/errors.js";
import { frames, type ActionFrame } from "../runtime/frame.js";
import { checkArgs, checkReturns, componentOf, nameOf } from "../runtime/transactionCalls.js";
import type { Deployment } from "./deployment.js";
import { PERMIT_WAIT_MS } from "./profile.js";
import { tooMany, type Attempt } from "./transactions.js";

export class Actions {
  readonly #deployment: Deployment;
  readonly #running = new Set<{ frame: ActionFrame; kill: (error: Error) => void }>();

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  async run(
    { target, args, identity, request }: Attempt,
    patienceMs: number = PERMIT_WAIT_MS.action,
  ): Promise<JSONValue> {
    if ("fn" in target) checkArgs(target.fn, args, false);
    if (!(await this.#deployment.permits.action.acquire(patienceMs))) {
      throw tooMany("action", { target, args, identity, request });
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
    };
    const entry = { frame, kill };
    this.#running.add(entry);
    try {
      const startMs = this.#deployment.latency(this.#deployment.latencies.actionStartMs);
      if (startMs > 0) await this.#deployment.loop.sleep(startMs);
      const code = "fn" in target ? target.fn.code : target.code;
      const running = frames.run(frame, async () => await code.invokeAction(request.id, JSON.stringify([args])));
      const result = JSON.parse(await Promise.race([running, killed])) as JSONValue;
      if ("fn" in target) checkReturns(target.fn, result);
      this.#deployment.history.action(nameOf(target), "ended");
      return result;
    } finally {
      frame.ended = true;
      this.#running.delete(entry);
      this.#deployment.permits.action.release();
    }
  }

  /** Kills actions that run, as a crash of their machine does: what they asked for last may have happened. */
  kill(which: (name: string) => boolean = () => true): number {
    let count = 0;
    for (const { frame, kill } of this.#running) {
      const name = frame.fn === null ? "inline" : nameOf({ fn: frame.fn });
      if (!which(name)) continue;
      frame.ended = true;
      this.#deployment.history.action(name, "killed");
      kill(new SystemError("ActionKilled", "Transient error while executing action"));
      count++;
    }
    return count;
  }

  async #killPoint(frame: ActionFrame, point: string): Promise<void> {
    if (frame.fn === null || this.#deployment.faults === null) return;
    const name = nameOf({ fn: frame.fn });
    if (!this.#deployment.faults.killsAt(name, point)) return;
    for (const entry of this.#running) {
      if (entry.frame !== frame) continue;
      frame.ended = true;
      this.#deployment.history.action(name, `killed ${point}`);
      entry.kill(new SystemError("ActionKilled", "Transient error while executing action"));
    }
    // Nothing of it goes on.
    await new Promise<never>(() => undefined);
  }

  /** `ctx.runQuery`, `runMutation` and `runAction` of an action: each takes a permit and is a call of its own. */
  async call(frame: ActionFrame, fn: ConvexFunction, kind: Kind, args: JSONValue): Promise<JSONValue> {
    await this.#killPoint(frame, `before ${kind} ${fn.name}`);
    const identity = frame.component === fn.component ? frame.identity : null;
    try {
      const result = await this.#deployment.run({ target: { fn }, args, identity, request: frame.request }, kind);
      await this.#killPoint(frame, `after ${kind} ${fn.name}`);
      return result;
    } catch (error) {
      throw crossing(error, this.#deployment.isVerbose);
    }
  }
}
