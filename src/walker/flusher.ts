/**
 * Collects what is not durable yet and writes it: one checkpoint in flight per execution.
 *
 * Invariants: (W1) at most one unacknowledged flush per execution; (W2) an effect whose result is recorded here is
 * durable before another one is begun after it ({@link Flusher.beforeEffect}); results of cheap nodes ride along;
 * (W3) a flush whose reply was lost is sent again with the same seq and id, so it applies once; (W4) after a flush that
 * failed for good nothing is written, since it would leave a gap; (W5) a checkpoint fits a transaction: what is recorded
 * beyond MAX_CHECKPOINT_BYTES becomes one of its own, with the position of that moment.
 */
import type { Position } from "../engine/position.js";
import { writePosition } from "../engine/storedPosition.js";
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
/** What is to be written as it was at a moment: the position then, and the effects recorded until then. */
type Batch = Pending & { position: Position; effects: number };
const nothing = (): Pending => ({ runs: [], variables: [], payloads: [], passEnds: [], bytes: 0 });

type PassEnd = Progress["passEnds"][number];

const MAX_SENDS = 6;
const RESEND_BASE_MS = 100;

export class Flusher {
  readonly #ports: StretchPorts;
  readonly #ticker: Ticker;
  readonly #state: { position: Position };
  #seq: number;
  #pending = nothing();
  /** Batches that are full, oldest first. */
  readonly #full: Batch[] = [];
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
    state: { position: Position },
  ) {
    this.#ports = ports;
    this.#ticker = ticker;
    this.#seq = stretch.lastSeq;
    this.#state = state;
    this.fencedAt = stretch.startedAt;
  }

  /** Call where a change begins, before any of it is recorded: there the position fits what has been recorded. */
  boundary(): void {
    if (this.#pending.bytes < MAX_CHECKPOINT_BYTES) return;
    this.#full.push(this.#batch());
    this.#pending = nothing();
  }

  /** Records a finished run. `effect`: it had side effects, so it must be durable before the next effect. */
  record(run: FinishedRun, effect: boolean): void {
    this.#pending.runs.push(run);
    this.#pending.bytes += 512 + (run.output?.length ?? 0);
    if (effect) this.#effects++;
  }

  /** The output of a run that cannot be loaded yet. */
  unsavedOutput(key: string): string | undefined {
    const unsaved = [this.#pending, ...this.#full, ...(this.#sending === null ? [] : [this.#sending])];
    for (const { runs } of unsaved) {
      const found = runs.find((run) => run.key === key);
      if (found !== undefined) return found.output;
    }
    return undefined;
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
    return this.#pending.runs.length === 0 && this.#full.length === 0 && this.#busy === null;
  }

  get isFull(): boolean {
    const { runs, bytes } = this.#pending;
    return this.#full.length > 0 || runs.length >= MAX_RUNS_PER_CHECKPOINT || bytes >= MAX_CHECKPOINT_BYTES;
  }

  /** Returns once every effect that is recorded by now is durable; those that come meanwhile are not waited for. */
  async beforeEffect(): Promise<void> {
    const recorded = this.#effects;
    while (this.#durableEffects < recorded || this.isFull) await this.#next(() => this.#send());
  }

  /** Writes everything that is pending and concludes the stretch. */
  async conclude(conclusion: Conclusion): Promise<void> {
    while (!this.#isMyTurn) await this.#next(() => this.#send());
    await this.#next(() => this.#send(conclusion));
  }

  /**
   * Runs the app's mutation together with everything that is pending. Rejects with what the mutation threw.
   * @param exit - moves the node's token on. Done before the next writer is let in, whose position would undo the move.
   * @param isWanted - asked when it is this writer's turn: the loop around may have been left while it waited.
   */
  async commit(
    run: CommittedRun,
    handle: string,
    args: Json,
    exit: (position: Position) => Position,
    isWanted: () => boolean,
  ): Promise<string> {
    while (!this.#isMyTurn) await this.#next(() => this.#send());
    let output = "";
    await this.#next(async () => {
      if (!isWanted()) throw new StretchStopped("stale");
      const sentAt = this.#ports.now();
      const taken = this.#take();
      const progress = this.#progress({ ...taken, position: exit(taken.position) });
      try {
        output = await this.#commitOnce(progress, run, handle, args);
      } catch (error) {
        // Nothing was written: what was pending is pending still, ahead of what came meanwhile.
        this.#putBack(taken);
        if (error instanceof StretchStopped) this.#failure = { error };
        throw error;
      }
      this.#seq = progress.seq;
      this.#durableEffects = taken.effects;
      this.fencedAt = sentAt;
      this.#state.position = exit(this.#state.position);
      for (const batch of this.#full) batch.position = exit(batch.position);
    });
    return output;
  }

  /** No one writes, and nothing but what is pending is left to write. Stays true only until the next await. */
  get #isMyTurn(): boolean {
    return this.#busy === null && this.#full.length === 0;
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
    const taken = this.#take();
    const progress = this.#progress(taken);
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
    this.#durableEffects = taken.effects;
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

  #progress({ runs, variables, payloads, passEnds, position }: Batch): Progress {
    const [seq, flushId] = [this.#seq + 1, this.#ports.newFlushId()];
    return { seq, flushId, runs, position: writePosition(position), variables, payloads, passEnds };
  }

  #batch(): Batch {
    return { ...this.#pending, position: this.#state.position, effects: this.#effects };
  }

  /** The oldest batch. */
  #take(): Batch {
    let taken = this.#full.shift();
    if (taken === undefined) {
      taken = this.#batch();
      this.#pending = nothing();
    }
    this.#sending = taken;
    return taken;
  }

  #putBack(taken: Batch): void {
    const later = this.#full[0] ?? this.#pending;
    later.runs.unshift(...taken.runs);
    later.variables.unshift(...taken.variables);
    later.payloads.unshift(...taken.payloads);
    later.passEnds.unshift(...taken.passEnds);
    later.bytes += taken.bytes;
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
