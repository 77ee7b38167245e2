/**
 * What strictness has found.
 *
 * Owns: the record of problems. Invariant: a problem is recorded before the error that tells of it is thrown, so that code
 * which catches the error cannot hide it.
 */

export type Problem = {
  /** Number of the trap in {@link TRAPS}. */
  readonly trap: number;
  /** The function, module or table. */
  readonly where: string;
  readonly message: string;
};

/** Code that would do something else on a deployment, or could not be deployed at all. */
export class StrictError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(({ trap, where, message }) => `${where}: ${message} (trap ${trap})`).join("\n"));
    this.name = "StrictError";
    this.problems = problems;
  }
}

export class Problems {
  readonly #found: Problem[] = [];

  get found(): readonly Problem[] {
    return this.#found;
  }

  /** Records and throws; nothing happens when there are none. */
  refuse(problems: readonly Problem[]): void {
    if (problems.length === 0) return;
    this.#found.push(...problems);
    throw new StrictError(problems);
  }

  /** Throws when anything was found, also where the error was caught. */
  assertNone(): void {
    if (this.#found.length > 0) throw new StrictError(this.#found);
  }
}
