/**
 * The load that is put on a target, as the command line says it.
 *
 * Owns: the flags, their meaning and their bounds. Every one of them changes when executions are started: see arrivals.ts.
 */
export type Load = {
  /** Executions to start. */
  total: number;
  /** Executions in flight at most; further ones are started when earlier ones have ended. */
  concurrency: number;
  /** The rate of arrivals rises from nothing to its full height for so long. */
  rampUpSeconds: number;
  /** Then it stays there for so long. With neither, all executions are due at once. */
  durationMinutes: number;
  /** An execution that has not ended after so long is stuck: it is waited for no longer, and it holds no place. */
  stuckMs: number;
};

export type LoadFlag = keyof Load;

type Bounds = { min: number; max: number; whole: boolean; help: string };

export const LOAD_FLAGS: Record<LoadFlag, Bounds> = {
  total: { min: 1, max: 100_000, whole: true, help: "executions to start" },
  concurrency: { min: 1, max: 100_000, whole: true, help: "executions in flight at most" },
  rampUpSeconds: {
    min: 0,
    max: 86_400,
    whole: false,
    help: "time in which the rate of starts rises to its full height",
  },
  durationMinutes: { min: 0, max: 1_440, whole: false, help: "time for which it stays there" },
  stuckMs: { min: 1, max: 86_400_000, whole: true, help: "an execution that has not ended by then is stuck" },
};

export const SEED: Bounds = { min: 0, max: 2 ** 32 - 1, whole: true, help: "decides all chance of a run" };

/** The number that a flag was given. @throws {RangeError} that says what is allowed. */
export function readNumber(flag: string, text: string, bounds: Bounds): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  const isAllowed = value >= bounds.min && value <= bounds.max && (!bounds.whole || Number.isInteger(value));
  if (isAllowed) return value;
  throw new RangeError(`--${flag} is "${text}"; give ${allowed(bounds)}.`);
}

export function allowed({ min, max, whole }: Bounds): string {
  return `a ${whole ? "whole number" : "number"} from ${min} to ${max}`;
}
