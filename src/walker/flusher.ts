/**
 * Collects what is not durable yet and writes it: one checkpoint in flight per execution.
 *
 * Invariants: (W1) at most one unacknowledged flush per execution; (W2) an effect whose result is recorded here is
 * durable before another one is begun after it ({@link Flusher.beforeEffect}); results of cheap nodes ride along;
 * (W3) a flush whose reply was lost is sent again with the same seq and id, so it applies once; (W4) after a flush that
 * failed for good nothing is written, since it would leave a gap.
 */
import type { Conclusion, FinishedRun, Progress, Reply } from "../shared/checkpoint.js";
import type { Json, JsonObject } from "../shared/json.js";
import { MAX_CHECKPOINT_BYTES, MAX_RUNS_PER_CHECKPOINT } from "../shared/limits.js";
import type { CommittedRun, StretchPorts } from "./ports.js";
import type { Ticker } from "./ticker.js";

/** Why a stretch may not go on. Thrown inside the walker only. */
export class StretchStopped extends Error {
  readonly reason: "canceled" | "stale" | "conflict";
  constructor(reason: "canceled" | "stale" | "conflict") {
    super(`the stretch was stopped: ${reason}`);
    this.reason = reason;
  }
}

type Pending = {
  runs: FinishedRun[];
  variables: string[];
  payloads: Array<{ name: string; text: string }>;
  passEnds: PassEnd[];
  bytes: number;
};
const nothing = (): Pending => ({ runs: [], variables: [], payloads: [], passEnds: [], bytes: 0 });

type PassEnd = Progress["passEnds"][number];

const MAX_SENDS = 6;
const RESEND_BASE_MS = 100;

export class Flusher {
  readonly #ports: StretchPorts;
  readonly #ticker: Ticker;
  readonly #position: () => string;
  #seq: number;
  #pending = nothing();
  /** What is on its way: recorded, and not durable yet. */
  #sending: Pending | null = null;
  /** Effects recorded, and how many of them are durable. */
  #effects = 0;
  #durableEffects = 0;
  #failure: { error: unknown } | null = null;
  #busy: Promise<void> | null = null;
  /** When the database last said that this stretch owns the execution (ms); the start of the call counts. */
  fencedAt: number;

  /** @param stretch - loading it was the first proof of ownership, and it was begun with the stretch. */
  constructor(
    ports: StretchPorts,
    ticker: Ticker,
    stretch: { lastSeq: number; startedAt: number },
    position: () => string,
  ) {
    this.#ports = ports;
    this.#ticker = ticker;
    this.#seq = stretch.lastSeq;
    this.#position = position;
    this.fencedAt = stretch.startedAt;
  }

  /** Records a finished run. `effect`: it had side effects, so it must be durable before the next effect. */
  record(run: FinishedRun, effect: boolean): void {
    this.#pending.runs.push(run);
    this.#pending.bytes += 512 + (run.output?.length ?? 0);
    if (effect) this.#effects++;
  }

  /** The output of a run that cannot be loaded yet. */
  unsavedOutput(key: string): string | undefined {
    const runs = [...this.#pending.runs, ...(this.#sending?.runs ?? [])];
    return runs.find((run) => run.key === key)?.output;
  }

  /** Records what a pass came to: with the run that ended it, or after it when that is on its way or written. */
  endPass({ key, result, error }: PassEnd): void {
    this.#pending.bytes += 512 + (result?.length ?? 0);
    const run = this.#pending.runs.find((one) => one.key === key);
    const end = { ...(result === undefined ? {} : { result }), ...(error === undefined ? {} : { error }) };
    if (run === undefined) this.#pending.passEnds.push({ key, ...end });
    else {
      if (result !== undefined) run.passResult = result;
      if (error !== undefined) run.passError = error;
    }
  }

  setVariables(writer: string, values: JsonObject): void {
    const text = JSON.stringify({ writer, values });
    this.#pending.variables.push(text);
    this.#pending.bytes += text.length;
  }

  savePayload(name: string, text: string): void {
    this.#pending.payloads.push({ name, text });
    this.#pending.bytes += text.length;
  }

  /** The position changed in a way that must be durable before the next effect (an attempt was counted). */
  requireFlush(): void {
    this.#effects++;
  }

  /** Everything recorded is durable. */
  get isClean(): boolean {
    return this.#pending.runs.length === 0 && this.#busy === null;
  }

  get isFull(): boolean {
    return this.#pending.runs.length >= MAX_RUNS_PER_CHECKPOINT || this.#pending.bytes >= MAX_CHECKPOINT_BYTES;
  }

  /** Returns once every effect that is recorded by now is durable; those that come meanwhile are not waited for. */
  async beforeEffect(): Promise<void> {
    const recorded = this.#effects;
    while (this.#durableEffects < recorded || this.isFull) await this.#next(() => this.#send());
  }

  /** Writes everything that is pending and concludes the stretch. */
  async conclude(conclusion: Conclusion): Promise<void> {
    while (this.#busy !== null) await this.#busy.catch(() => undefined);
    await this.#next(() => this.#send(conclusion));
  }

  /**
   * Runs the app's mutation together with everything that is pending. Rejects with what the mutation threw.
   * @param exitedPosition - the position with the node's token moved on, as text.
   * @param moveOn - moves that token; called before the next writer is let in, whose position would undo the move.
   * @param isWanted - asked when it is this writer's turn: the loop around may have been left while it waited.
   */
  async commit(
    run: CommittedRun,
    handle: string,
    args: Json,
    exitedPosition: () => string,
    moveOn: () => void,
    isWanted: () => boolean,
  ): Promise<string> {
    while (this.#busy !== null) await this.#busy.catch(() => undefined);
    let output = "";
    await this.#next(async () => {
      if (!isWanted()) throw new StretchStopped("stale");
      const recorded = this.#effects;
      const sentAt = this.#ports.now();
      const taken = this.#take();
      const progress = this.#progress(taken, exitedPosition());
      try {
        output = await this.#commitOnce(progress, run, handle, args);
      } catch (error) {
        // Nothing was written: what was pending is pending still, ahead of what came meanwhile.
        this.#putBack(taken);
        if (error instanceof StretchStopped) this.#failure = { error };
        throw error;
      }
      this.#seq = progress.seq;
      this.#durableEffects = recorded;
      this.fencedAt = sentAt;
      moveOn();
    });
    return output;
  }

  /** Lets one writer in; others wait and look again. */
  async #next(write: () => Promise<void>): Promise<void> {
    if (this.#busy !== null) await this.#busy.catch(() => undefined);
    else await this.#exclusively(write);
    if (this.#failure !== null) throw this.#failure.error;
  }

  async #exclusively(write: () => Promise<void>): Promise<void> {
    if (this.#failure !== null) return;
    const busy = write();
    this.#busy = busy;
    try {
      await busy;
    } finally {
      this.#sending = null;
      this.#busy = null;
    }
  }

  async #send(conclusion?: Conclusion): Promise<void> {
    const sentAt = this.#ports.now();
    const recorded = this.#effects;
    const progress = this.#progress(this.#take(), this.#position());
    if (conclusion !== undefined) progress.conclusion = conclusion;
    try {
      const reply = await this.#resend(
        () => this.#ports.checkpoint(progress),
        () => true,
      );
      stopUnlessApplied(reply);
    } catch (error) {
      this.#failure = { error };
      return;
    }
    this.#seq = progress.seq;
    this.#durableEffects = recorded;
    this.fencedAt = sentAt;
  }

  async #commitOnce(progress: Progress, run: CommittedRun, handle: string, args: Json): Promise<string> {
    const send = () => this.#ports.commitUserMutation(progress, run, handle, args);
    let reply;
    try {
      reply = await this.#resend(send, isTransient);
    } catch (error) {
      // Either the mutation threw, or it committed and the reply was lost: the database knows.
      const landed = await this.#resend(
        () => this.#ports.hasLanded(progress.seq, progress.flushId),
        () => true,
      );
      if (!landed) throw error;
      reply = await this.#resend(send, () => true);
    }
    if (reply.kind !== "committed") throw new StretchStopped(reply.kind);
    return reply.output;
  }

  async #resend<T>(call: () => Promise<T>, again: (error: unknown) => boolean): Promise<T> {
    for (let sent = 1; ; sent++) {
      try {
        return await call();
      } catch (error) {
        if (sent >= MAX_SENDS || !again(error)) throw error;
        await this.#ticker.sleep(RESEND_BASE_MS * 2 ** sent * this.#ports.random());
      }
    }
  }

  #progress(taken: Pending, position: string): Progress {
    const { runs, variables, payloads, passEnds } = taken;
    return { seq: this.#seq + 1, flushId: this.#ports.newFlushId(), runs, position, variables, payloads, passEnds };
  }

  #take(): Pending {
    const taken = this.#pending;
    this.#pending = nothing();
    this.#sending = taken;
    return taken;
  }

  #putBack(taken: Pending): void {
    const later = this.#pending;
    this.#pending = {
      runs: [...taken.runs, ...later.runs],
      variables: [...taken.variables, ...later.variables],
      payloads: [...taken.payloads, ...later.payloads],
      passEnds: [...taken.passEnds, ...later.passEnds],
      bytes: taken.bytes + later.bytes,
    };
  }
}

function stopUnlessApplied(reply: Reply): void {
  if (reply.kind !== "applied" && reply.kind !== "repeated") throw new StretchStopped(reply.kind);
}

/**
 * Convex's own refusals, which arrive as plain errors without a code: conflicts that outlived the retries of
 * ctx.runMutation, and no room for another function (docs/architecture.md, "Errors that are not failures").
 */
export function isTransient(error: unknown): boolean {
  const text = error instanceof Error ? error.message : String(error);
  return /OptimisticConcurrencyControlFailure|changed while this mutation was being run|TooManyConcurrentRequests|TooManyWrites/.test(
    text,
  );
}
