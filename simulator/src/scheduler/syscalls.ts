/**
 * Scheduling and canceling as part of a transaction (section 3).
 *
 * Owns: the rows of jobs. Invariants: a job exists exactly when the transaction that scheduled it commits; arguments are
 * not validated here; what a canceled job schedules is canceled at once.
 */
import { getConvexSize, jsonToConvex, type JSONValue, type Value } from "convex/values";
import type { Deployment } from "../engine/deployment.js";
import type { Component } from "../runtime/component.js";
import type { TransactionFrame } from "../runtime/frame.js";
import { resolve } from "../runtime/references.js";
import { decodeId, newId } from "../values/ids.js";
import { JOBS_TABLE } from "./systemTables.js";

const FIVE_YEARS_MS = 5 * 365 * 86_400_000;

export function schedule(deployment: Deployment, frame: TransactionFrame, args: Record<string, JSONValue>): string {
  // The time comes in seconds: to the nearest microsecond it is the time that was meant.
  const scheduledMs = Math.round(Number(args.ts) * 1e6) / 1_000;
  if (!Number.isFinite(scheduledMs) || Math.abs(scheduledMs - frame.frozenNow) > FIVE_YEARS_MS) {
    throw new Error("InvalidScheduledTime: a function can be scheduled at most five years ahead.");
  }
  const fn = resolve(deployment, frame.component, args);
  const { transaction } = frame;
  const functionArgs = (args.args ?? {}) as JSONValue;
  if (JSON.stringify(functionArgs).includes('"$commitTs"')) {
    throw new Error(`The arguments of the scheduled ${fn.name} hold a placeholder of the commit timestamp.`);
  }
  transaction.meter.add("functionsScheduled", 1);
  transaction.meter.add("scheduledFunctionArgsBytes", getConvexSize(jsonToConvex(functionArgs)));
  const table = frame.component.namespace.table(JOBS_TABLE);
  if (table === undefined) throw new Error("Unreachable: every namespace has the table of jobs.");
  const id = newId(table.number, () => frame.rng.next(), Math.floor(frame.frozenNow / 86_400_000));
  const isCanceled = frame.request.isCanceled(transaction);
  transaction.insert(table, id, {
    name: fn.name.replace(":", ".js:"),
    args: [jsonToConvex(functionArgs)] as Value,
    scheduledTime: scheduledMs,
    ...(isCanceled ? { completedTime: frame.frozenNow } : {}),
    state: { kind: isCanceled ? "canceled" : "pending" },
  });
  // What is due at once is due at the time of the call, so such jobs keep the order of their calls.
  const now = deployment.loop.now();
  const isDue = scheduledMs <= Math.max(now, frame.frozenNow);
  deployment.jobs.remember(id, {
    fn,
    args: functionArgs,
    dueAt: isDue ? now : scheduledMs,
    order: isDue ? deployment.jobs.nextOrder() : 0,
    attempts: 0,
    namespace: frame.component.path,
  });
  return id;
}

export function cancelJob(frame: TransactionFrame, id: string, component: Component): void {
  const table = component.namespace.table(JOBS_TABLE);
  if (table === undefined || decodeId(id)?.tableNumber !== table.number) return;
  // A scheduled mutation cannot cancel itself: its own transaction ends the job.
  if (frame.transaction.ownJob === id) return;
  const job = frame.transaction.look(table, id);
  const kind = (job?.value.state as { kind?: string } | undefined)?.kind;
  if (kind !== "pending" && kind !== "inProgress") return;
  frame.transaction.update(table, id, (old) => ({
    ...old,
    completedTime: frame.frozenNow,
    state: { kind: "canceled" },
  }));
}
