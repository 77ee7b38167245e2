/**
 * The simulation's place in the process: the globals that functions find while it runs.
 * Invariants: in virtual time the process is between two bursts of events as it was before. In ambient time there are no
 * bursts: what stays in place finds the deployment by the call that asks.
 */
import type { Component } from "../runtime/component.js";
import { frames, type Frame } from "../runtime/frame.js";
import { installEnvironment, VirtualGlobals } from "../runtime/globals.js";
import { convexGlobal, type ConvexGlobal } from "../runtime/syscalls.js";
import { NEVER } from "./actions.js";
import { watchRejections } from "../strict/rejections.js";
import type { Deployment } from "./deployment.js";

export class World {
  readonly #deployment: Deployment;
  readonly #virtual: VirtualGlobals | null;
  #convex: ConvexGlobal | null = null;
  #restore: (() => void) | null = null;

  constructor(deployment: Deployment, fetchIn: typeof fetch | undefined) {
    this.#deployment = deployment;
    this.#virtual =
      deployment.loop.mode === "virtual"
        ? new VirtualGlobals(deployment.loop, this.#mortal(fetchIn ?? this.#fetch()), (frame) => this.#mayRun(frame))
        : null;
  }

  /** Its functions find this deployment. */
  adopt(component: Component): void {
    if (this.#virtual !== null) return;
    (globalThis as { Convex?: unknown }).Convex = ambientConvex;
    deployments.set(component, convexGlobal(this.#deployment));
  }

  /** Timers that were cleared before their time, and whose closures are held until then. */
  get clearedTimers(): number {
    return this.#virtual?.clearedTimers.size ?? 0;
  }

  enter(): void {
    if (this.#restore !== null) return;
    const holder = globalThis as { Convex?: unknown };
    const before = holder.Convex;
    holder.Convex = this.#convex ??= convexGlobal(this.#deployment);
    const restoreEnvironment = installEnvironment();
    this.#virtual?.install();
    // A test in ambient time hears of rejections from its runner.
    const unwatch = this.#virtual === null ? () => undefined : watchRejections();
    this.#restore = () => {
      unwatch();
      this.#virtual?.uninstall();
      restoreEnvironment();
      holder.Convex = before;
    };
  }

  leave(): void {
    this.#restore?.();
    this.#restore = null;
  }

  /** An action can die before it asks, while it waits, and before it hears of the answer. */
  #mortal(inner: typeof fetch): typeof fetch {
    return async (input, init) => {
      const frame = frames.getStore();
      if (frame?.kind !== "action") return await inner(input, init);
      const { actions } = this.#deployment;
      return await actions.step(frame, "killAction:beforeFetch", "killAction:afterFetch", async () => {
        const answer = inner(input, init);
        if (!actions.diesAt(frame, "killAction:duringFetch")) return await answer;
        // The request is made all the same; nobody hears of what becomes of it.
        answer.catch(() => undefined);
        return await NEVER;
      });
    };
  }

  #mayRun(frame: Frame): boolean {
    return frame.kind !== "action" || !this.#deployment.actions.diesAt(frame, "killAction:timer");
  }

  /** Real HTTP, whose answer comes when the clock has nothing else to do. */
  #fetch(): typeof fetch {
    const realFetch = globalThis.fetch;
    return async (input, init) => {
      const response = await this.#deployment.loop.real(
        realFetch(input, init).then(async (answer) => ({ answer, body: await answer.arrayBuffer() })),
      );
      const { status, statusText, headers } = response.answer;
      const hasBody = ![101, 204, 205, 304].includes(status);
      return new Response(hasBody ? response.body : null, { status, statusText, headers });
    };
  }
}

/** Of the deployments in ambient time, by their components. */
const deployments = new WeakMap<Component, ConvexGlobal>();
const ambientConvex: ConvexGlobal = {
  syscall: (op, args) => running().syscall(op, args),
  asyncSyscall: (op, args) => running().asyncSyscall(op, args),
  jsSyscall: (op, args) => running().jsSyscall(op, args),
};

function running(): ConvexGlobal {
  const frame = frames.getStore();
  const found = frame === undefined ? undefined : deployments.get(frame.component);
  if (found === undefined) throw new Error("A function of Convex was used outside of a query, mutation or action.");
  return found;
}
