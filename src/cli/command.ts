/**
 * What a subcommand of `shardflow` is: the contract between main.ts and commands/.
 *
 * Owns: the exit codes. Invariant: a command reaches the outside through its {@link Io} only, so that a test can run it
 * in its own process; it throws a {@link CliError} for what its user can put right, and nothing else on purpose.
 */
import type { ParseArgsConfig } from "node:util";

/**
 * Exit codes: done; a plain "no" (invalid, different, not succeeded); wrong usage or unreadable files; a defect of this
 * program, or output that could not be written (EX_SOFTWARE); interrupted by Ctrl-C (128 and the number of SIGINT).
 */
export const EXIT = { ok: 0, no: 1, usage: 2, unexpected: 70, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export type Io = {
  /** Text as it is; no newline is added. */
  out: (text: string) => void;
  err: (text: string) => void;
  /** A file's text, or standard input for `-`. */
  read: (file: string) => Promise<string>;
  env: Readonly<Record<string, string | undefined>>;
  /** True when `out` is a terminal that shows colours. */
  colors: boolean;
};

export type Values = Record<string, string | boolean | string[] | boolean[] | undefined>;

export type Command = {
  name: string;
  /** One line for the list of commands. */
  summary: string;
  /** What `shardflow NAME --help` prints: usage, options, exit codes, an example. */
  help: string;
  options: NonNullable<ParseArgsConfig["options"]>;
  /** The least and the most positional arguments. */
  positionals: [min: number, max: number];
  run: (args: { values: Values; positionals: string[] }, io: Io) => Promise<ExitCode>;
};

/** Something the user can put right: a wrong argument, a file that cannot be read. Ends with exit code 2. */
export class CliError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CliError";
  }
}
