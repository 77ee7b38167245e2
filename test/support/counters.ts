/**
 * Counts what functions do on convex-test, by component and function: the instrument behind docs/costs.md.
 *
 * It sees function runs by wrapping the handlers of registered modules, and database work by wrapping the syscalls of
 * those handlers, so nothing of what is measured knows about it. {@link Tally} says what each number means.
 * Invariants: (N1) work is counted when it is done, so work that was rolled back counts; (N2) what a test does itself,
 * outside of {@link Counters.client}, is not counted; (N3) counting changes no result and no order of transactions.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { getDocumentSize, jsonToConvex, type JSONValue, type Value } from "convex/values";

const FIELDS = [
  /** Function runs of kind action: the app's, the component's and those of the workpool. */
  "actions",
  /** Mutations that are a transaction of their own: called by a client or an action, or run by the scheduler. */
  "transactions",
  /** Mutations called by mutations; they are part of the caller's transaction. */
  "nestedMutations",
  /** Queries: called by actions, and inside transactions, with or without a snapshot. */
  "queries",
  /** Scheduled functions that ran; canceled ones did not. */
  "jobs",
  /** Documents: each `get` that found one, each row that a query yielded, and the one that each change reads. */
  "reads",
  /** Those of `reads` that queries with `useStaleSnapshot` made: they cost as much, but conflict with nothing. */
  "snapshotReads",
  /** Calls of insert, patch, replace and delete. */
  "writes",
  /** Sizes of the documents of `reads`, as Convex counts them. */
  "bytesRead",
  /** Sizes of the documents that were written; a delete writes nothing. Index entries are not counted. */
  "bytesWritten",
] as const;

export type Tally = Record<(typeof FIELDS)[number], number>;

/** Combines tallies field by field. */
export function combine(tallies: readonly Tally[], one: (...values: number[]) => number): Tally {
  const fields = FIELDS.map((field) => [field, one(...tallies.map((tally) => tally[field]))]);
  return Object.fromEntries(fields) as Tally;
}

export const sum = (tallies: readonly Tally[]): Tally =>
  combine(tallies, (...values) => values.reduce((total, value) => total + value, 0));

const nothing = (): Tally => sum([]);

type Kind = "query" | "mutation" | "action";
type Counted = { component: string; name: string; tally: Tally };

/** A function run that no transaction contains, with all that ran inside its transaction. An action has none. */
export type Root = {
  component: string;
  name: string;
  kind: Kind;
  isJob: boolean;
  /** By component and name. */
  runs: Map<string, Counted>;
};

/** A document that was read or written. */
export type Touch = { root: Root; component: string; table: string; id: string; row: Row; written: boolean };
export type Row = { [field: string]: Value };

export type Modules = Record<string, () => Promise<unknown>>;
type Handler = (ctx: unknown, args: unknown) => unknown;
/** A registered Convex function, as far as convex-test looks at it. */
type Registered = Handler & { isQuery?: true; isMutation?: true; isAction?: true; _handler?: Handler };

type Call = { counters: Counters; component: string; kind: Kind; root: Root; tally: Tally; isSnapshot: boolean };

const current = new AsyncLocalStorage<Call | "client">();
/** Set while a query with `useStaleSnapshot` is being called. */
const snapshotCall = new AsyncLocalStorage<boolean>();

export class Counters {
  /** Called for every document that is read or written. */
  onTouch: (touch: Touch) => void = () => undefined;
  /** Scheduled functions: those asked for, and those canceled before they ran. */
  scheduled = 0;
  canceled = 0;
  /** Runs that have ended, oldest first. */
  roots: Root[] = [];

  reset(): void {
    this.roots = [];
    this.scheduled = 0;
    this.canceled = 0;
  }

  /** Makes a call of the test a client's, which is counted. Without this it would look like a scheduled one. */
  async client<T>(call: () => Promise<T>): Promise<T> {
    installSyscalls();
    return await current.run("client", call);
  }

  /** The modules of a component with their functions counted: register these instead. */
  instrument(component: string, modules: Modules): Modules {
    const anchor = Object.keys(modules).find((path) => path.includes("_generated")) ?? "";
    const base = anchor.slice(0, anchor.indexOf("_generated"));
    const wrapped: Modules = {};
    for (const [path, load] of Object.entries(modules)) {
      const name = path.slice(base.length).replace(/\.[^.]+$/, "");
      let loaded: Promise<unknown> | undefined;
      wrapped[path] = () => (loaded ??= load().then((exports) => this.#instrumentExports(component, name, exports)));
    }
    return wrapped;
  }

  #instrumentExports(component: string, module: string, exports: unknown): Record<string, unknown> {
    const counted = Object.entries(exports as Record<string, unknown>).map(([name, value]) => {
      const kind = kindOf(value);
      if (kind === null) return [name, value];
      const registered = value as Registered;
      const handler = this.#counted(component, `${module}:${name}`, kind, registered._handler ?? registered);
      return [name, Object.assign(Object.create(registered) as Registered, { _handler: handler })];
    });
    return Object.fromEntries(counted) as Record<string, unknown>;
  }

  #counted(component: string, name: string, kind: Kind, handler: Handler): Handler {
    return async (ctx, args) => {
      const caller = current.getStore();
      const parent = caller === undefined || caller === "client" || caller.kind === "action" ? null : caller;
      const root: Root = parent?.root ?? { component, name, kind, isJob: caller === undefined, runs: new Map() };
      const key = `${component} ${name}`;
      const { tally } = root.runs.get(key) ?? { tally: nothing() };
      root.runs.set(key, { component, name, tally });
      if (caller === undefined) tally.jobs++;
      if (kind === "action") tally.actions++;
      else if (kind === "query") tally.queries++;
      else if (parent === null) tally.transactions++;
      else tally.nestedMutations++;
      const isSnapshot = parent !== null && (parent.isSnapshot || snapshotCall.getStore() === true);
      const call: Call = { counters: this, component, kind, root, tally, isSnapshot };
      try {
        return await current.run(call, () => snapshotCall.run(false, async () => handler(ctx, args)));
      } finally {
        if (parent === null) this.roots.push(root);
      }
    };
  }
}

function kindOf(value: unknown): Kind | null {
  if (typeof value !== "function") return null;
  const { isQuery, isMutation, isAction } = value as Registered;
  return isMutation === true ? "mutation" : isQuery === true ? "query" : isAction === true ? "action" : null;
}

// ── Syscalls ─────────────────────────────────────────────────────────────────────────────────────────────────────────

type AsyncSyscall = (op: string, args: string) => Promise<string>;
type Syscalls = { syscall: unknown; asyncSyscall: AsyncSyscall; jsSyscall: unknown };
type SyscallArgs = { table: string; id: string; value: JSONValue; udfType?: string };

let isInstalled = false;

/** convex-test puts its syscalls behind one global object, once; this puts a counting one in front of it, once. */
function installSyscalls(): void {
  if (isInstalled) return;
  isInstalled = true;
  const scope = globalThis as unknown as { Convex: Syscalls };
  const real = scope.Convex;
  scope.Convex = {
    get syscall() {
      return real.syscall;
    },
    get asyncSyscall(): AsyncSyscall {
      const run = real.asyncSyscall;
      return async (op, args) => {
        const call = current.getStore();
        return call === undefined || call === "client" ? await run(op, args) : await count(call, op, args, run);
      };
    },
    get jsSyscall() {
      return real.jsSyscall;
    },
  };
}

async function count(call: Call, op: string, json: string, run: AsyncSyscall): Promise<string> {
  const args = () => JSON.parse(json) as SyscallArgs;
  switch (op) {
    case "1.0/get":
    case "1.0/queryStreamNext":
    case "1.0/queryPage": {
      const result = await run(op, json);
      for (const row of rowsIn(op, result)) read(call, row);
      return result;
    }
    case "1.0/insert": {
      const result = await run(op, json);
      const { value } = args();
      const { _id } = JSON.parse(result) as { _id: string };
      write(call, rowOf({ ...(value as object), _id, _creationTime: 0 }));
      return result;
    }
    case "1.0/shallowMerge":
    case "1.0/replace":
    case "1.0/remove": {
      const { table, id, value } = args();
      const before = rowOf(JSON.parse(await run("1.0/get", JSON.stringify({ table, id }))) as JSONValue);
      const result = await run(op, json);
      read(call, before);
      if (op === "1.0/remove") write(call, before, 0);
      else if (op === "1.0/shallowMerge") write(call, { ...before, ...rowOf(value) });
      else write(call, { ...rowOf(value), _id: before._id!, _creationTime: before._creationTime! });
      return result;
    }
    case "1.0/schedule":
    case "1.0/actions/schedule":
      call.counters.scheduled++;
      // What is scheduled begins anew, also with timers that hand the context on.
      return await current.exit(() => run(op, json));
    case "1.0/cancel_job":
    case "1.0/actions/cancel_job":
      call.counters.canceled++;
      return await run(op, json);
    case "1.0/runUdf":
      return await snapshotCall.run(args().udfType === "snapshotQuery", () => run(op, json));
    default:
      return await run(op, json);
  }
}

function rowsIn(op: string, result: string): Row[] {
  const parsed = JSON.parse(result) as JSONValue & { value: JSONValue; page: JSONValue[] };
  const rows = op === "1.0/get" ? [parsed] : op === "1.0/queryPage" ? parsed.page : [parsed.value];
  return rows.filter((row) => row !== null).map(rowOf);
}

function read(call: Call, row: Row): void {
  call.tally.reads++;
  if (call.isSnapshot) call.tally.snapshotReads++;
  call.tally.bytesRead += getDocumentSize(row);
  touch(call, row, false);
}

function write(call: Call, row: Row, bytes = getDocumentSize(row)): void {
  call.tally.writes++;
  call.tally.bytesWritten += bytes;
  touch(call, row, true);
}

function touch({ counters, component, root }: Call, row: Row, written: boolean): void {
  const id = row._id as string;
  // Ids of convex-test are digits and the name of the table.
  counters.onTouch({ root, component, table: id.replace(/^\d+/, ""), id, row, written });
}

/** A patch names the fields that it removes, with a marker; they are left out. */
function rowOf(json: JSONValue): Row {
  const fields = Object.entries(json as Record<string, JSONValue>).filter(
    ([, value]) => !(typeof value === "object" && value !== null && "$undefined" in value),
  );
  return jsonToConvex(Object.fromEntries(fields)) as Row;
}
