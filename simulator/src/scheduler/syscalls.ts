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
  const scheduledMs = Number(args.ts) * 1_000;
  if (!Number.isFinite(scheduledMs) || Math.abs(scheduledMs - frame.frozenNow) > FIVE_YEARS_MS) {
    throw new Error("InvalidScheduledTime: a function can be scheduled at most five years ahead.");
  }
  const fn = resolve(deployment, frame.component, args);
  const { transaction } = frame;
  const functionArgs = (args.args ?? {}) as JSONValue;
  transaction.meter.add("functionsScheduled", 1);
  transaction.meter.add("scheduledFunctionArgsBytes", getConvexSize(jsonToConvex(functionArgs)));
  const table = frame.component.namespace.table(JOBS_TABLE);
  if (table === undefined) throw new Error("Unreachable: every namespace has the table of jobs.");
  const id = newId(table.number, () => frame.rng.next(), Math.floor(frame.frozenNow / 86_400_000));
  const isCanceled = frame.request.isCanceled();
  const { documentsWritten, bytesWritten } = transaction.meter.used;
  transaction.insert(table, id, {
    name: fn.name.replace(":", ".js:"),
    args: [jsonToConvex(functionArgs)] as Value,
    scheduledTime: scheduledMs,
    ...(isCanceled ? { completedTime: frame.frozenNow } : {}),
    state: { kind: isCanceled ? "canceled" : "pending" },
  });
  // System rows have limits of their own, far away.
  transaction.meter.used.documentsWritten = documentsWritten;
  transaction.meter.used.bytesWritten = bytesWritten;
  deployment.jobs.remember(id, {
    fn,
    args: functionArgs,
    dueAt: Math.max(scheduledMs, deployment.loop.now()),
    namespace: frame.component.path,
  });
  return id;
}

export function cancelJob(frame: TransactionFrame, id: string, component: Component): void {
  const table = component.namespace.table(JOBS_TABLE);
  if (table === undefined || decodeId(id)?.tableNumber !== table.number) return;
  const job = frame.transaction.get(table, id);
  const kind = (job?.value.state as { kind?: string } | undefined)?.kind;
  if (kind !== "pending" && kind !== "inProgress") return;
  if (frame.request.scheduledFunctionId === id) return;
  frame.transaction.update(table, id, (old) => ({
    ...old,
    completedTime: frame.frozenNow,
    state: { kind: "canceled" },
  }));
}
