/**
 * What must hold after every commit.
 *
 * Owns: the checks. Invariants: a check sees exactly the state that the commit left behind; the first violation ends the
 * simulation at that commit, and everything that is driven fails with it.
 */
import type { Deployment } from "../engine/deployment.js";
import type { Commit } from "../store/database.js";
import { rowOf, Snapshot, type Row } from "./snapshot.js";

export type CommittedChange = {
  /** Of the component. */
  readonly path: string;
  readonly table: string;
  readonly id: string;
  readonly before: Row | null;
  readonly after: Row | null;
};

export type Committed = {
  /** The function that wrote, "(scheduler)", "(deploy)" or "(retention)". */
  readonly source: string;
  readonly ts: number;
  readonly changes: readonly CommittedChange[];
};

/** What a check answers or throws is what is wrong; nothing, null and true mean that all is well. */
export type Check = (snapshot: Snapshot, commit: Committed) => string | boolean | null | undefined | void;
export type InvariantOptions = {
  /** Only after every so many commits: for checks that read much. */
  readonly everyNth?: number;
  /** Only after commits that change one of these tables: "table" of the app, or "component/table". */
  readonly tables?: readonly string[];
};
/** Name -> check. */
export type InvariantChecks = Readonly<Record<string, Check | (InvariantOptions & { readonly check: Check })>>;

/** Transactions around a violation that its report shows. */
const SHOWN_EVENTS = 40;

export class InvariantError extends Error {
  readonly invariant: string;
  readonly problem: string;
  /** What led to it. */
  readonly report: string;

  constructor(invariant: string, problem: string, report: string) {
    super(`Invariant "${invariant}" does not hold: ${problem}\n${report}`);
    this.name = "InvariantError";
    this.invariant = invariant;
    this.problem = problem;
    this.report = report;
  }
}

type Registered = InvariantOptions & { readonly name: string; readonly check: Check; seen: number };

export class Invariants {
  readonly #deployment: Deployment;
  readonly #snapshot: Snapshot;
  readonly #checks: Registered[] = [];
  /** The first one. */
  violation: InvariantError | null = null;
  /** Checks that were made. */
  checked = 0;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
    this.#snapshot = new Snapshot(deployment.database);
  }

  /** The newest published state, for a look at any time. */
  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  add(name: string, check: Check, options: InvariantOptions = {}): void {
    this.#checks.push({ ...options, name, check, seen: 0 });
  }

  addAll(checks: InvariantChecks): void {
    for (const [name, given] of Object.entries(checks)) {
      if (typeof given === "function") this.add(name, given);
      else this.add(name, given.check, given);
    }
  }

  /** A commit has been published. */
  check(commit: Commit): void {
    if (this.#checks.length === 0 || this.violation !== null) return;
    let committed: Committed | null = null;
    for (const one of this.#checks) {
      if (one.tables !== undefined && !touches(commit, one.tables)) continue;
      one.seen++;
      if (one.seen % (one.everyNth ?? 1) !== 0) continue;
      committed ??= committedOf(commit);
      this.checked++;
      const problem = this.#problem(one, committed);
      if (problem === null) continue;
      this.#violated(one.name, problem);
      return;
    }
  }

  #problem({ check }: Registered, committed: Committed): string | null {
    try {
      const answer = check(this.#snapshot, committed);
      if (answer === false) return "its check answered false";
      return typeof answer === "string" ? answer : null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #violated(name: string, problem: string): void {
    const { history, loop, seed } = this.#deployment;
    history.invariant(name, problem);
    history.seal();
    this.violation = new InvariantError(
      name,
      problem,
      `Seed ${seed}. What led to it:\n${history.toText(SHOWN_EVENTS)}`,
    );
    loop.stop(this.violation);
  }
}

function touches({ writes }: Commit, tables: readonly string[]): boolean {
  return writes.some(({ table }) => tables.includes(table.path.replace(/^\//, "")));
}

function committedOf({ source, ts, writes }: Commit): Committed {
  const changes = writes.map(({ table, id, before, after }): CommittedChange => {
    const path = table.path.slice(0, table.path.lastIndexOf("/"));
    return {
      path,
      table: table.name,
      id,
      before: before === null ? null : rowOf(before),
      after: after === null ? null : rowOf(after),
    };
  });
  return { source, ts, changes };
}
