/**
 * One life of the deployment's machine, from a start to the next restart.
 *
 * Invariant: what began in a life that is over does nothing more: it looks here whenever it has waited, and ends.
 */
import { SystemError } from "../runtime/errors.js";

export class Lifetime {
  #ended = false;

  get ended(): boolean {
    return this.#ended;
  }

  end(): void {
    this.#ended = true;
  }

  /** Throws when the machine that the caller ran on is gone. */
  check(): void {
    if (this.#ended) throw connectionLost();
  }
}

/** What a restart leaves callers with. Only the simulation itself may ask whether the commit was written. */
export class ConnectionLost extends SystemError {
  readonly wasWritten: boolean;

  constructor(wasWritten: boolean) {
    super("ConnectionLost", "The deployment was restarted; whether the call took effect is not known.");
    this.wasWritten = wasWritten;
  }
}

export function connectionLost(wasWritten = false): ConnectionLost {
  return new ConnectionLost(wasWritten);
}

export function replyLost(): SystemError {
  return new SystemError("ConnectionLost", "The connection broke; whether the call took effect is not known.");
}
