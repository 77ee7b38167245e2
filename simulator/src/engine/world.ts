/**
 * The simulation's place in the process: the globals that functions find while it runs.
 * Invariant: between two bursts of events the process is as it was before.
 */
import { installEnvironment, VirtualGlobals } from "../runtime/globals.js";
import { convexGlobal } from "../runtime/syscalls.js";
import type { Deployment } from "./deployment.js";

export class World {
  readonly #deployment: Deployment;
  readonly #virtual: VirtualGlobals | null;
  #restore: (() => void) | null = null;

  constructor(deployment: Deployment, fetchIn: typeof fetch | undefined) {
    this.#deployment = deployment;
    this.#virtual =
      deployment.loop.mode === "virtual" ? new VirtualGlobals(deployment.loop, fetchIn ?? this.#fetch()) : null;
  }

  /** Timers that were cleared before their time, and whose closures are held until then. */
  get clearedTimers(): number {
    return this.#virtual?.clearedTimers.size ?? 0;
  }

  enter(): void {
    if (this.#restore !== null) return;
    const holder = globalThis as { Convex?: unknown };
    const before = holder.Convex;
    holder.Convex = convexGlobal(this.#deployment);
    const restoreEnvironment = installEnvironment();
    this.#virtual?.install();
    this.#restore = () => {
      this.#virtual?.uninstall();
      restoreEnvironment();
      holder.Convex = before;
    };
  }

  leave(): void {
    this.#restore?.();
    this.#restore = null;
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
