/**
 * What one transaction may use (section 4), and the errors of using more.
 *
 * Owns: the counters and their ceilings. Invariants: usage over a ceiling throws, usage equal to it does not; a nested
 * call's own budgets never widen its caller's.
 */

export const METRICS = [
  "bytesRead",
  "bytesWritten",
  "databaseQueries",
  "documentsRead",
  "documentsWritten",
  "functionsScheduled",
  "scheduledFunctionArgsBytes",
] as const;
export type Metric = (typeof METRICS)[number];
export type Usage = Record<Metric, number>;

const MIB = 1024 * 1024;
export const TRANSACTION_LIMITS: Readonly<Usage> = {
  bytesRead: 16 * MIB,
  bytesWritten: 16 * MIB,
  databaseQueries: 4_096,
  documentsRead: 32_000,
  documentsWritten: 16_000,
  functionsScheduled: 1_000,
  scheduledFunctionArgsBytes: 16 * MIB,
};

const CODES: Record<Metric, string> = {
  bytesRead: "TooManyBytesRead",
  bytesWritten: "TooManyBytesWritten",
  databaseQueries: "TooManyReads",
  documentsRead: "TooManyDocumentsRead",
  documentsWritten: "TooManyWrites",
  functionsScheduled: "TooManyFunctionsScheduled",
  scheduledFunctionArgsBytes: "ScheduledFunctionsArgumentsTooLarge",
};

/** A limit that the function ran into. Catchable, like every error of a transaction. */
export class LimitError extends Error {
  readonly code: string;

  constructor(metric: Metric, used: number, limit: number) {
    super(`${CODES[metric]}: ${metric} of this function execution is ${used} (limit: ${limit})`);
    this.name = "LimitError";
    this.code = CODES[metric];
  }
}

export class Meter {
  readonly used: Usage;
  #ceilings: Usage;

  constructor(limits: Readonly<Usage>) {
    this.used = { ...limits };
    for (const metric of METRICS) this.used[metric] = 0;
    this.#ceilings = { ...limits };
  }

  add(metric: Metric, amount: number): void {
    this.used[metric] += amount;
    if (this.used[metric] > this.#ceilings[metric]) {
      throw new LimitError(metric, this.used[metric], this.#ceilings[metric]);
    }
  }

  /** What `getTransactionMetrics` returns. */
  report(): Record<Metric, { used: number; remaining: number }> {
    const entries = METRICS.map((metric) => [
      metric,
      { used: this.used[metric], remaining: Math.max(0, this.#ceilings[metric] - this.used[metric]) },
    ]);
    return Object.fromEntries(entries) as Record<Metric, { used: number; remaining: number }>;
  }

  /** Budgets of a nested call, on top of what is used so far and within the ceilings of the caller. */
  narrow(budgets: Partial<Usage>, defaults: Readonly<Usage>): Usage {
    const before = this.#ceilings;
    const next = { ...before };
    for (const metric of METRICS) {
      next[metric] = Math.min(before[metric], this.used[metric] + (budgets[metric] ?? defaults[metric]));
    }
    this.#ceilings = next;
    return before;
  }

  restore(ceilings: Usage): void {
    this.#ceilings = ceilings;
  }
}
