/**
 * Decides what goes wrong.
 *
 * Owns: the plan, the probabilities, and the record of what was injected. Invariants: chance is drawn from a generator of
 * its own, so that faults shift no other chance; every fault that was injected is recorded in a form that is a plan, and
 * the same program with the same seed and that plan does the same again.
 */
import type { Modules } from "../runtime/component.js";
import type { History } from "../engine/history.js";
import type { Loop } from "../engine/loop.js";
import { Rng } from "../engine/rng.js";
import { FAULT_POINTS, kindOfPoint, type FaultKind, type FaultPoint } from "./points.js";

/** One fault of a plan. What is left out matches everything. */
export type PlannedFault = {
  readonly kind: FaultKind;
  /** The second half of a {@link FaultPoint}: "afterMutation". */
  readonly point?: string;
  /** The function it strikes, as history names it: "path/module:name". */
  readonly source?: string;
  /** Which of the opportunities that match, from 1. Without it: the first. */
  readonly nth?: number;
  /**
   * Milliseconds since the start. The first opportunity from then on; a restart, a deploy, permits and killing an action
   * need none when no point is given: they happen at that time (in virtual time).
   */
  readonly atMs?: number;
  /** How long or how much, where that has a meaning: the delay, the downtime, the skew. */
  readonly ms?: number;
  /** What is left to chance about this fault: 0 to 1. */
  readonly draw?: number;
};

/** A fault that happened; also a plan for it to happen again. */
export type InjectedFault = Required<Omit<PlannedFault, "atMs">> & Pick<PlannedFault, "atMs">;

export type CodeToDeploy = { readonly path: string; readonly modules: Modules };

export type FaultOptions = {
  readonly plan?: readonly PlannedFault[];
  /** By kind, or by point, which goes before: { killAction: 0.01, "killAction:end": 0.1 }. Of every opportunity. */
  readonly probability?: Readonly<Partial<Record<FaultKind | FaultPoint, number>>>;
  /** Faults by probability: at most so many in a run. */
  readonly limit?: number;
  /** Faults by probability: only here. */
  readonly where?: (point: FaultPoint, source: string) => boolean;
  /** The largest (delays, skew) or usual (downtime, permits) magnitudes. */
  readonly magnitudes?: Partial<Magnitudes>;
  /** What deploys bring, one after the other and again from the first; without any, the code that is there already. */
  readonly deploys?: readonly CodeToDeploy[];
};

export type Magnitudes = {
  /** A delayed job starts up to so much later. */
  readonly jobDelayMs: number;
  /** For so long nobody gets a permit. */
  readonly permitsMs: number;
  /** A clock is wrong by up to so much, to either side. */
  readonly skewMs: number;
  /** From a restart until calls are answered again. */
  readonly downMs: number;
  /** A finished job is gone within so much. */
  readonly collectMs: number;
};

const DEFAULT_MAGNITUDES: Magnitudes = {
  jobDelayMs: 10_000,
  permitsMs: 2_000,
  skewMs: 60_000,
  downMs: 1_000,
  collectMs: 1_000,
};

export type Coverage = { asked: number; injected: number };
type Planned = { fault: PlannedFault; seen: number; done: boolean };

const TIMED: readonly FaultKind[] = ["restart", "deploy", "exhaustPermits", "killAction"];
const isTimed = ({ kind, point, atMs }: PlannedFault): boolean =>
  atMs !== undefined && (point ?? "time") === "time" && TIMED.includes(kind);

export class Faults {
  /** What was injected, in order. */
  readonly injected: InjectedFault[] = [];
  readonly coverage: ReadonlyMap<FaultPoint, Coverage>;
  readonly options: FaultOptions;
  /** Of the plan: what happens at its time, whatever runs then. */
  readonly timed: readonly PlannedFault[];
  readonly #planned = new Map<FaultKind, Planned[]>();
  readonly #probability = new Map<FaultPoint, number>();
  readonly #occurrences = new Map<string, number>();
  readonly #magnitudes: Magnitudes;
  readonly #rng: Rng;
  readonly #sinceStart: () => number;
  readonly #history: History;
  #byChance = 0;
  #calm = false;

  constructor(
    options: FaultOptions,
    seed: number,
    startMs: number,
    { loop, history }: { loop: Loop; history: History },
  ) {
    this.options = options;
    this.#sinceStart = () => loop.now() - startMs;
    this.#history = history;
    this.#rng = new Rng(seed ^ 0x5f4a7c15);
    this.#magnitudes = { ...DEFAULT_MAGNITUDES, ...options.magnitudes };
    this.coverage = new Map(FAULT_POINTS.map((point) => [point, { asked: 0, injected: 0 }]));
    const plan = options.plan ?? [];
    this.timed = plan.filter(isTimed);
    for (const fault of plan) {
      if (isTimed(fault)) continue;
      const planned = { fault, seen: 0, done: false };
      const list = this.#planned.get(fault.kind);
      if (list === undefined) this.#planned.set(fault.kind, [planned]);
      else list.push(planned);
    }
    for (const point of FAULT_POINTS) {
      const p = options.probability?.[point] ?? options.probability?.[kindOfPoint(point)] ?? 0;
      if (p > 0) this.#probability.set(point, p);
    }
  }

  /** No faults from now on: what is under way can come to rest, or a scenario can be set up. */
  calm(): void {
    this.#calm = true;
  }

  resume(): void {
    this.#calm = false;
  }

  /** Asked at a point, once for each opportunity: the fault that strikes there now, or null. */
  strike(point: FaultPoint, source: string): InjectedFault | null {
    if (this.#calm) return null;
    const coverage = this.coverage.get(point) as Coverage;
    coverage.asked++;
    const key = `${point}|${source}`;
    const nth = (this.#occurrences.get(key) ?? 0) + 1;
    this.#occurrences.set(key, nth);
    const kind = kindOfPoint(point);
    const planned = this.#byPlan(kind, point, source);
    if (planned === null && !this.#chance(point, source)) return null;
    return this.record(point, source, nth, planned ?? {});
  }

  /** Writes down a fault, also one that was asked for by hand or by time. */
  record(
    point: FaultPoint,
    source: string,
    nth: number,
    given: Pick<PlannedFault, "ms" | "draw" | "atMs">,
  ): InjectedFault {
    const kind = kindOfPoint(point);
    const draw = given.draw ?? this.#rng.next();
    const ms = given.ms ?? this.#magnitude(kind, draw);
    const when = given.atMs !== undefined && point.endsWith(":time") ? { atMs: given.atMs } : {};
    const fault: InjectedFault = { kind, point: point.slice(kind.length + 1), source, nth, ms, draw, ...when };
    (this.coverage.get(point) as Coverage).injected++;
    this.injected.push(fault);
    this.#history.fault(source, `${kind} ${fault.point}${ms === 0 ? "" : ` ${ms.toFixed(3)} ms`}`);
    return fault;
  }

  /** Chance that belongs to one fault: the same for the same fault. */
  static chanceOf({ draw }: Pick<InjectedFault, "draw">): () => number {
    const rng = new Rng(Math.floor(draw * 2 ** 32));
    return () => rng.next();
  }

  #byPlan(kind: FaultKind, point: FaultPoint, source: string): PlannedFault | null {
    const list = this.#planned.get(kind);
    if (list === undefined) return null;
    let hit: PlannedFault | null = null;
    for (const entry of list) {
      const { fault } = entry;
      if (entry.done || (fault.point !== undefined && point !== `${kind}:${fault.point}`)) continue;
      if (fault.source !== undefined && fault.source !== source) continue;
      if (fault.atMs !== undefined && this.#sinceStart() < fault.atMs) continue;
      entry.seen++;
      // Each counts its opportunities, also while another one strikes.
      if (entry.seen < (fault.nth ?? 1)) continue;
      entry.done = true;
      hit ??= fault;
    }
    return hit;
  }

  #chance(point: FaultPoint, source: string): boolean {
    const probability = this.#probability.get(point);
    if (probability === undefined) return false;
    if (this.#byChance >= (this.options.limit ?? Infinity)) return false;
    if (this.options.where?.(point, source) === false) return false;
    if (this.#rng.next() >= probability) return false;
    this.#byChance++;
    return true;
  }

  #magnitude(kind: FaultKind, draw: number): number {
    const { jobDelayMs, permitsMs, skewMs, downMs, collectMs } = this.#magnitudes;
    switch (kind) {
      case "delayJob":
        return draw * jobDelayMs;
      case "exhaustPermits":
        return permitsMs;
      case "skewClock":
        return (2 * draw - 1) * skewMs;
      case "restart":
        return downMs;
      case "collectJobs":
        return draw * collectMs;
      default:
        return 0;
    }
  }
}
