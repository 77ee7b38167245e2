/**
 * Faults that strike the whole deployment: restarts and deploys in the middle of everything.
 *
 * Owns: what survives them. Decided here: at a restart every action dies and every transaction that runs is lost; of the
 * commits that have a timestamp and are not published, those that were written are there afterwards and of the others each
 * one was written or was not, by chance (no one can build on a lost one: it would have conflicted); callers get an error
 * either way; jobs that were waiting or running as mutations wait again, jobs whose action had been started are failed.
 * A deploy is one commit that everything in flight has read: mutations in flight conflict, and retry on the new code.
 */
import type { Deployment } from "../engine/deployment.js";
import type { Modules } from "../runtime/component.js";
import { ConnectionLost } from "./lifetime.js";
import { Faults, type InjectedFault, type PlannedFault } from "./faults.js";
import type { FaultPoint } from "./points.js";

export class Upheaval {
  readonly #deployment: Deployment;
  readonly #swaps: Array<() => void> = [];
  #upAgain: Promise<void> | null = null;
  #deploys = 0;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  get isDown(): boolean {
    return this.#upAgain !== null;
  }

  /** Resolves when calls are answered (again). */
  async whenUp(): Promise<void> {
    while (this.#upAgain !== null) await this.#upAgain;
  }

  /** Loads what deploys will bring, so that a deploy in the middle takes no real time. */
  async prepare(): Promise<void> {
    const deploys = this.#deployment.faults?.options.deploys ?? [];
    for (const { path, modules } of deploys.slice(this.#swaps.length)) {
      this.#swaps.push(await this.#deployment.component(path).stage(modules));
    }
  }

  /** What the plan wants at its time. */
  planTimed(): void {
    const { loop, faults } = this.#deployment;
    for (const fault of faults?.timed ?? []) loop.after(fault.atMs ?? 0, () => this.#inject(fault), true);
  }

  #inject(planned: PlannedFault): void {
    const { faults, actions, permits } = this.#deployment;
    if (faults === null) return;
    const record = (point: FaultPoint) => faults.record(point, planned.source ?? "", 1, planned);
    if (planned.kind === "restart") this.restart(record("restart:time"));
    else if (planned.kind === "deploy") {
      record("deploy:time");
      this.#deployNext();
    } else if (planned.kind === "killAction") {
      const isMeant = (name: string) => (planned.source ?? "") === "" || planned.source === name;
      if (actions.kill(isMeant) > 0) record("killAction:time");
    } else {
      const { ms } = record("exhaustPermits:time");
      for (const kind of ["query", "mutation", "action"] as const) permits[kind].exhaust(ms);
    }
  }

  /** Asked where a restart or a deploy may strike; it does as soon as what runs now has come to rest. */
  mayStrike(where: "execute" | "assign" | "publish", source: string): void {
    const { faults, loop } = this.#deployment;
    if (faults === null) return;
    const restart = faults.strike(`restart:${where}`, source);
    if (restart !== null) loop.after(0, () => this.restart(restart));
    const deploy = faults.strike(`deploy:${where}`, source);
    if (deploy !== null) loop.after(0, () => this.#deployNext());
  }

  restart(fault: Pick<InjectedFault, "ms" | "draw">): void {
    const { loop, committer, jobs, actions, history } = this.#deployment;
    if (this.#upAgain !== null) return;
    history.fault("(restart)", "the machine is gone");
    this.#deployment.newLifetime();
    const chance = Faults.chanceOf(fault);
    committer.crash(() => chance() < 0.5);
    actions.kill();
    jobs.forgetRunning();
    this.#upAgain = loop.sleep(fault.ms).then(() => {
      this.#upAgain = null;
      history.fault("(restart)", "calls are answered again");
      jobs.recover();
    });
  }

  #deployNext(): void {
    const swap = this.#swaps.length === 0 ? () => undefined : this.#swaps[this.#deploys % this.#swaps.length];
    this.#deploys++;
    void this.push("(fault)", swap ?? (() => undefined));
  }

  async deploy(path: string, modules: Modules): Promise<void> {
    await this.push(path, await this.#deployment.loop.real(this.#deployment.component(path).stage(modules)));
  }

  async push(what: string, swap: () => void): Promise<void> {
    const { committer, history } = this.#deployment;
    await this.whenUp();
    try {
      await committer.push(() => {
        swap();
        history.fault("(deploy)", `new code of ${what === "" ? "the app" : what}`);
      });
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      // The machine went away meanwhile; the code is what it was, unless the push was written.
      history.fault("(deploy)", error.wasWritten ? "its answer is lost" : "lost");
    }
  }
}
