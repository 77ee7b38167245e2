/**
 * Crons of every component (section 3): an executor of their own, one run of a cron at a time.
 * Invariant: runs that came due while the last one was running are skipped.
 */
import type { JSONValue } from "convex/values";
import type { Deployment } from "../engine/deployment.js";
import { ConnectionLost } from "../faults/lifetime.js";
import type { Component } from "../runtime/component.js";

type Schedule =
  | { type: "interval"; seconds?: number; minutes?: number; hours?: number }
  | { type: "hourly"; minuteUTC: number }
  | { type: "daily"; hourUTC: number; minuteUTC: number }
  | { type: string };
type CronSpec = { name: string; args: JSONValue[]; schedule: Schedule };

const MINUTE = 60_000;

export class Crons {
  readonly #deployment: Deployment;
  /** Off until asked for: a test that counts jobs wants none of its own accord. */
  enabled = false;
  runs = 0;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  /** Starts the crons of a component, if it has any and they are wanted. */
  adopt(component: Component): void {
    if (!this.enabled) return;
    const crons = (component.module("crons")?.default as { crons?: Record<string, CronSpec> } | undefined)?.crons;
    for (const spec of Object.values(crons ?? {})) this.#plan(component, spec);
  }

  #plan(component: Component, spec: CronSpec): void {
    const { loop } = this.#deployment;
    loop.after(nextDelay(spec.schedule, loop.now()), () => {
      void this.#run(component, spec).finally(() => this.#plan(component, spec));
    });
  }

  async #run(component: Component, spec: CronSpec): Promise<void> {
    const { name, args } = spec;
    const fn = component.find(name.replace(/\.js:/, ":"));
    if (fn === null) return;
    this.runs++;
    const attempt = { target: { fn }, args: args[0] ?? {}, identity: null, request: this.#deployment.newRequest() };
    await this.#deployment.upheaval.whenUp();
    const { lifetime } = this.#deployment;
    try {
      if (fn.kind === "mutation") {
        await this.#deployment.transactions.runMutation(attempt, Infinity, null, { initialMs: 500, maxMs: 15_000 });
      } else await this.#deployment.actions.run(attempt, Infinity);
    } catch (error) {
      // Logged by a deployment; the next run comes all the same. A mutation that a restart took away runs again.
      const isLost = lifetime.ended && !(error instanceof ConnectionLost && error.wasWritten);
      if (isLost && fn.kind === "mutation") await this.#run(component, spec);
    }
  }
}

/** Milliseconds until the schedule is due next, strictly after `now`. */
function nextDelay(schedule: Schedule, now: number): number {
  const period = periodOf(schedule);
  const offset = offsetOf(schedule);
  return period - ((((now - offset) % period) + period) % period) || period;
}

function periodOf(schedule: Schedule): number {
  if ("seconds" in schedule && schedule.seconds !== undefined) return schedule.seconds * 1_000;
  if ("minutes" in schedule && schedule.minutes !== undefined) return schedule.minutes * MINUTE;
  if ("hours" in schedule && schedule.hours !== undefined) return schedule.hours * 60 * MINUTE;
  if (schedule.type === "hourly") return 60 * MINUTE;
  if (schedule.type === "daily") return 24 * 60 * MINUTE;
  throw new Error(`Crons of type "${schedule.type}" are not simulated.`);
}

function offsetOf(schedule: Schedule): number {
  const hours = "hourUTC" in schedule ? schedule.hourUTC : 0;
  return "minuteUTC" in schedule ? (hours * 60 + schedule.minuteUTC) * MINUTE : 0;
}
