/**
 * What the simulation is strict about.
 *
 * Owns: the options and their defaults. Invariant: what Convex refuses or does for certain holds in virtual time without
 * being asked for; what costs time, or tells of code that Convex would still run, is asked for with `strict`. In ambient
 * time, where tests written for convex-test run, nothing of it holds unless it is asked for.
 */
import type { Modules } from "../runtime/component.js";
import type { TimeMode } from "../engine/loop.js";

/** File name -> text, by component path ("" is the app): what the rules of bundling are checked on. */
export type Sources = Readonly<Record<string, Readonly<Record<string, string>>>>;

export type StrictOptions = {
  /** Every query and every attempt of a mutation runs twice on the same snapshot, and both must come to the same. */
  doubleRun?: boolean;
  /** Each answer of a syscall comes in a turn of its own, so that a rejection nobody waits for yet fails the function. */
  turns?: boolean;
  /** The first insert into a table that no schema declares: it conflicts with all in flight, or is refused. */
  undeclaredTables?: "ignore" | "conflict" | "error";
  /** The rules of a push: names, indexes, validators, and what is done while a module is imported. */
  push?: boolean;
  /** Handlers of queries and mutations that show a dynamic import in their text are refused. */
  dynamicImport?: boolean;
  /** Texts of the deployed files: no Node, no "use node" in components, dynamic imports only in files of actions. */
  sources?: Sources;
  /**
   * Modules of a component, imported anew: every attempt of a transaction gets its own, as each call does in Convex. Null for
   * a component whose modules stay. How a module is imported anew is up to the module system (`vi.resetModules()`, a
   * query after the file name).
   */
  freshModules?: (componentPath: string) => Modules | null;
  /** Milliseconds of JavaScript from which a call is reported in `slowCalls`. */
  slowCallMs?: number;
};

export type Strictness = {
  readonly doubleRun: boolean;
  readonly turns: boolean;
  readonly undeclaredTables: "ignore" | "conflict" | "error";
  readonly push: boolean;
  readonly dynamicImport: boolean;
  readonly sources: Sources;
  readonly freshModules: ((componentPath: string) => Modules | null) | null;
  readonly slowCallMs: number;
};

/** A fifth of the second that Convex gives a call with all that it calls. */
const SLOW_CALL_MS = 200;

export function strictness(given: boolean | StrictOptions | undefined, mode: TimeMode): Strictness {
  const asked: StrictOptions = typeof given === "object" ? given : {};
  const all = given === true;
  const isVirtual = mode === "virtual";
  return {
    doubleRun: asked.doubleRun ?? all,
    turns: asked.turns ?? all,
    undeclaredTables: asked.undeclaredTables ?? (all ? "error" : isVirtual ? "conflict" : "ignore"),
    push: asked.push ?? (all || isVirtual),
    dynamicImport: asked.dynamicImport ?? all,
    sources: asked.sources ?? {},
    freshModules: asked.freshModules ?? null,
    slowCallMs: asked.slowCallMs ?? SLOW_CALL_MS,
  };
}
