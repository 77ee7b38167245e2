/**
 * The order of commits as the serial order: every committed transaction again, one after the other.
 *
 * Owns: the comparison. Invariant: each one runs with the clock and the chance that it had, so its result and its writes
 * must be the same to the byte; what the deployment wrote itself is applied as it was. Not for functions that ask for the
 * timestamp of their snapshot or read a stale one: in a serial order those differ.
 */
import type { Deployment } from "../engine/deployment.js";
import type { Attempt } from "../engine/transactions.js";
import type { Change } from "../store/database.js";
import type { Table } from "../store/table.js";
import { documentKey, type Entry, type Run, type Violation } from "./recorder.js";

/** @param fresh - a deployment of the same app on which nothing has happened; nothing may happen on it by itself. */
export async function checkReplay(
  history: readonly Entry[],
  original: Deployment,
  fresh: Deployment,
): Promise<Violation[]> {
  return await fresh.loop.drive(
    (async () => {
      await fresh.load();
      for (const entry of history) {
        const problem = await replay(entry, fresh);
        // What comes after a difference differs, too.
        if (problem !== null) {
          return [{ kind: "replay" as const, message: `${entry.source} (ts ${entry.ts}) ${problem}` }];
        }
      }
      return differences(stateOf(original), stateOf(fresh)).map((message) => ({ kind: "state" as const, message }));
    })(),
  );
}

async function replay({ run, commit, ts, source }: Entry, fresh: Deployment): Promise<string | null> {
  if (run !== null) {
    const problem = await compare(run, fresh);
    if (problem !== null) return problem;
  }
  if (commit === null) return null;
  const changes: Change[] = [];
  for (const { table, id, before, after } of commit.writes) {
    const there = tableLike(table, fresh);
    const current = there.get(id, fresh.database.published);
    if (current?.json !== before?.json)
      return `replaced a version of ${documentKey(table, id)} that was not its newest`;
    changes.push({ table: there, id, before: current, after });
  }
  fresh.database.publish(fresh.database.assign(source, changes, ts, (document) => document));
  return null;
}

async function compare(run: Run, fresh: Deployment): Promise<string | null> {
  // A job that was canceled before it ran has run no code.
  if (isSkipped(run)) return null;
  let again: Awaited<ReturnType<Deployment["transactions"]["rerun"]>>;
  try {
    again = await fresh.transactions.rerun(attemptOn(run.attempt, fresh), run.kind, run.start);
  } catch (error) {
    return `fails in the serial order: ${String(error)}`;
  }
  const [before, now] = [JSON.stringify(run.result), JSON.stringify(again.result)];
  if (before !== now) return `returned ${before}, in the serial order ${now}`;
  const job = run.attempt.request.scheduledFunctionId;
  const own = ({ table, id }: Change) => !(table.isSystem && id === job);
  const [first] = differences(writesOf(run.changes.filter(own)), writesOf(again.changes.filter(own)));
  return first === undefined ? null : `wrote otherwise than in the serial order: ${first}`;
}

function isSkipped({ attempt, kind, transaction, changes, result }: Run): boolean {
  const ofJob = attempt.request.scheduledFunctionId !== null && kind === "mutation";
  return ofJob && transaction.ownJob === null && changes.length === 0 && result === null;
}

function attemptOn({ target, args, identity, request }: Attempt, fresh: Deployment): Attempt {
  const isCanceled = () => false;
  if (!("fn" in target)) {
    const component = fresh.component(target.component.path);
    return { target: { ...target, component }, args, identity, request: { ...request, isCanceled } };
  }
  const fn = fresh.component(target.fn.component.path).find(target.fn.name);
  if (fn === null) throw new Error(`The app of the replay has no function ${target.fn.name}.`);
  return { target: { fn }, args, identity, request: { ...request, isCanceled } };
}

function tableLike(table: Table, { database }: Deployment): Table {
  const slash = table.path.lastIndexOf("/");
  const found = database.namespaces.get(table.path.slice(0, slash))?.table(table.path.slice(slash + 1));
  if (found === undefined) throw new Error(`The app of the replay has no table ${table.path}.`);
  return found;
}

function writesOf(changes: readonly Change[]): Map<string, string> {
  return new Map(
    changes.map(({ table, id, before, after }) => [
      documentKey(table, id),
      `${before?.json ?? "nothing"} -> ${after?.json ?? "nothing"}`,
    ]),
  );
}

function stateOf({ database }: Deployment): Map<string, string> {
  const state = new Map<string, string>();
  for (const namespace of database.namespaces.values()) {
    for (const table of namespace.tables()) {
      for (const { id, json } of table.documents()) state.set(documentKey(table, id), json);
    }
  }
  return state;
}

function differences(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const key of new Set([...a.keys(), ...b.keys()])) {
    if (a.get(key) !== b.get(key)) found.push(`${key}: ${a.get(key) ?? "nothing"}, then ${b.get(key) ?? "nothing"}`);
  }
  return found;
}
