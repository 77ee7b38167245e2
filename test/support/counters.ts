/**
 * Counts what functions do on convex-test, per component and function: the instrument behind docs/costs.md.
 *
 * It sees function runs by wrapping the handlers of registered modules, and database work by wrapping the syscalls of
 * the handlers, so nothing of what is measured knows about it. What each number means is said at {@link Tally}.
 * Invariants: (N1) what a test does itself, outside of {@link Counters.client}, is not counted; (N2) work is counted
 * when it is done, so work that was rolled back counts; (N3) counting changes no result and no order of transactions.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { getDocumentSize, jsonToConvex, type JSONValue, type Value } from "convex/values";

export type Tally = {
  /** Function runs of kind action: those of the app, of the component and the wrappers of the workpool. */
  actions: number;
  /** Mutations that are a transaction of their own: called by a client or an action, or run by the scheduler. */
  transactions: number;
  /** Mutations called by mutations; they are part of the caller's transaction. */
  nestedMutations: number;
  /** Queries: called by actions, and inside transactions, with or without a snapshot. */
  queries: number;
  /** Scheduled functions that ran; canceled ones did not. */
  jobs: number;
  /** Documents: each `get` that found one, each row that a query yielded, and the one that each change reads. */
  reads: number;
  /** Those of `reads` that queries with `useStaleSnapshot` made: they cost as much, but conflict with nothing. */
  snapshotReads: number;
  /** Calls of insert, patch, replace and delete. */
  writes: number;
  /** Sizes as Convex counts them, system fields included, index entries not; a delete writes nothing. */
  bytesRead: number;
  bytesWritten: number;
};

export const emptyTally = (): Tally => ({
  actions: 0,
  transactions: 0,
  nestedMutations: 0,
  queries: 0,
  jobs: 0,
  reads: 0,
  snapshotReads: 0,
  writes: 0,
  bytesRead: 0,
  bytesWritten: 0,
});

export const TALLY_FIELDS = Object.keys(emptyTally()) as Array<keyof Tally>;

export function sumTallies(tallies: Iterable<Tally>): Tally {
  const sum = emptyTally();
  for (const tally of tallies) for (const field of TALLY_FIELDS) sum[field] += tally[field];
  return sum;
}

/** Everything that one top-level function run does until it returns. Actions called by actions begin a new one. */
export type Root = { component: string; name: string; kind: Kind };

/** A document that was read or written. */
export type Touch = { root: Root; component: string; table: string; id: string; row: Row; written: boolean };

export type Row = { [field: string]: Value };
export type Modules = Record<string, () => Promise<unknown>>;
type Kind = "query" | "mutation" | "action";

/** A registered Convex function, as far as convex-test looks at it. */
type Registered = { isQuery?: true; isMutation?: true; isAction?: true; _handler?: Handler } & Handler;
type Handler = (ctx: unknown, args: unknown) => unknown;

type Call = { counters: Counters; component: string; kind: Kind | "client"; root: Root; tally: Tally; snapshot: boolean };

const current = new AsyncLocalStorage<Call>();
/** Set from the call of a query with `useStaleSnapshot` to the start of that query. */
const asSnapshot = new AsyncLocalStorage<boolean>();

export class Counters {
  readonly #tallies = new Map<string, { component: string; name: string; tally: Tally }>();
  readonly #onTouch: (touch: Touch) => void;
  /** Scheduled functions: those asked for, and those canceled before they ran. */
  scheduled = 0;
  canceled = 0;

  constructor(onTouch: (touch: Touch) => void = () => undefined) {
    this.#onTouch = onTouch;
  }

  /** What was counted, by function. */
  get byFunction(): Array<{ component: string; name: string; tally: Tally }> {
    return [...this.#tallies.values()];
  }

  /** Starts from nothing again; work in progress goes on counting into what was dropped. */
  reset(): void {
    this.#tallies.clear();
    this.scheduled = 0;
    this.canceled = 0;
  }

  /** Runs a call of the test as a client's, which is counted; other calls of the test are not. */
  async client<T>(call: () => Promise<T>): Promise<T> {
    installSyscalls();
    const root: Root = { component: "", name: "client", kind: "action" };
    return await current.run(
      { counters: this, component: "", kind: "client", root, tally: emptyTally(), snapshot: false },
      call,
    );
  }

  /** The modules of a component with their functions counted. Register these instead. */
  instrument(component: string, modules: Modules): Modules {
    const anchor = Object.keys(modules).find((path) => path.includes("_generated")) ?? "";
    const base = anchor.slice(0, anchor.indexOf("_generated"));
    const wrapped: Modules = {};
    for (const [path, load] of Object.entries(modules)) {
      let loaded: Promise<unknown> | undefined;
      const name = path.slice(base.length).replace(/\.[^.]+$/, "");
      wrapped[path] = () => (loaded ??= load().then((module) => this.#instrumentModule(component, name, module)));
    }
    return wrapped;
  }

  #instrumentModule(component: string, module: string, exports: unknown): Record<string, unknown> {
    return Object.fromEntries(
      Object.entries(exports as Record<string, unknown>).map(([name, value]) => {
        const kind = kindOf(value);
        if (kind === null) return [name, value];
        const registered = value as Registered;
        const handler = this.#counted(component, `${module}:${name}`, kind, registered._handler ?? registered);
        return [name, Object.assign(Object.create(registered) as Registered, { _handler: handler })];
      }),
    );
  }

  #counted(component: string, name: string, kind: Kind, handler: Handler): Handler {
    return async (ctx, args) => {
      const caller = current.getStore();
      const snapshot = kind === "query" && (asSnapshot.getStore() === true || caller?.snapshot === true);
      const isNested = caller !== undefined && (caller.kind === "mutation" || caller.kind === "query");
      const root = isNested ? caller.root : { component, name, kind };
      const tally = this.#tallyOf(component, name);
      if (caller === undefined) tally.jobs++;
      if (kind === "action") tally.actions++;
      else if (kind === "query") tally.queries++;
      else if (isNested) tally.nestedMutations++;
      else tally.transactions++;
      const call: Call = { counters: this, component, kind, root, tally, snapshot };
      return await current.run(call, async () => asSnapshot.run(false, () => handler(ctx, args)));
    };
  }

  #tallyOf(component: string, name: string): Tally {
    const key = `${component} ${name}`;
    let entry = this.#tallies.get(key);
    if (entry === undefined) this.#tallies.set(key, (entry = { component, name, tally: emptyTally() }));
    return entry.tally;
  }

  touched(call: Call, table: string, row: Row, written: boolean): void {
    const { root, component } = call;
    this.#onTouch({ root, component, table, id: String(row._id), row, written });
  }
}

function kindOf(value: unknown): Kind | null {
  if (typeof value !== "function") return null;
  const { isQuery, isMutation, isAction } = value as Registered;
  return isMutation === true ? "mutation" : isQuery === true ? "query" : isAction === true ? "action" : null;
}

// ── Syscalls ─────────────────────────────────────────────────────────────────────────────────────────────────────────

type Syscalls = {
  syscall: (op: string, args: string) => string;
  asyncSyscall: (op: string, args: string) => Promise<string>;
  jsSyscall: (op: string, args: unknown) => unknown;
};

let installed = false;

/** convex-test puts its syscalls behind one global object, once; this puts a counting one in front of it, once. */
function installSyscalls(): void {
  if (installed) return;
  installed = true;
  const scope = globalThis as unknown as { Convex: Syscalls };
  const real = scope.Convex;
  scope.Convex = {
    get syscall() {
      return real.syscall;
    },
    get asyncSyscall() {
      const run = real.asyncSyscall;
      return async (op: string, args: string) => {
        const call = current.getStore();
        return call === undefined ? await run(op, args) : await count(call, op, args, run);
      };
    },
    get jsSyscall() {
      return real.jsSyscall;
    },
  };
}

async function count(call: Call, op: string, json: string, run: Syscalls["asyncSyscall"]): Promise<string> {
  const args = () => JSON.parse(json) as { table: string; id: string; value: JSONValue; udfType?: string };
  switch (op) {
    case "1.0/get": {
      const result = await run(op, json);
      read(call, args().table, JSON.parse(result) as JSONValue);
      return result;
    }
    case "1.0/queryStreamNext": {
      const result = await run(op, json);
      read(call, null, (JSON.parse(result) as { value: JSONValue }).value);
      return result;
    }
    case "1.0/queryPage": {
      const result = await run(op, json);
      for (const row of (JSON.parse(result) as { page: JSONValue[] }).page) read(call, null, row);
      return result;
    }
    case "1.0/insert": {
      const result = await run(op, json);
      const { table, value } = args();
      const { _id } = JSON.parse(result) as { _id: string };
      write(call, table, { ...rowOf(value), _id, _creationTime: 0 });
      return result;
    }
    case "1.0/shallowMerge":
    case "1.0/replace":
    case "1.0/remove": {
      const { table, id, value } = args();
      const before = JSON.parse(await run("1.0/get", JSON.stringify({ table, id }))) as JSONValue;
      const result = await run(op, json);
      read(call, table, before);
      const { _id, _creationTime } = rowOf(before);
      if (op === "1.0/shallowMerge") write(call, table, { ...rowOf(before), ...rowOf(value) });
      else if (op === "1.0/replace") write(call, table, { ...rowOf(value), _id: _id!, _creationTime: _creationTime! });
      else write(call, table, rowOf(before), 0);
      return result;
    }
    case "1.0/schedule":
    case "1.0/actions/schedule":
      call.counters.scheduled++;
      return await run(op, json);
    case "1.0/cancel_job":
    case "1.0/actions/cancel_job":
      call.counters.canceled++;
      return await run(op, json);
    case "1.0/runUdf":
      return await asSnapshot.run(args().udfType === "snapshotQuery", () => run(op, json));
    default:
      return await run(op, json);
  }
}

function read(call: Call, table: string | null, json: JSONValue): void {
  if (json === null) return;
  const row = rowOf(json);
  call.tally.reads++;
  if (call.snapshot) call.tally.snapshotReads++;
  call.tally.bytesRead += getDocumentSize(row);
  call.counters.touched(call, table ?? tableOf(row), row, false);
}

function write(call: Call, table: string, row: Row, bytes = getDocumentSize(row)): void {
  call.tally.writes++;
  call.tally.bytesWritten += bytes;
  call.counters.touched(call, table, row, true);
}

/** Ids of convex-test are digits and the name of the table. */
const tableOf = (row: Row): string => String(row._id).replace(/^\d+/, "");

/** A patch says which fields it removes by a marker. */
function rowOf(json: JSONValue): Row {
  const fields = Object.entries(json as Record<string, JSONValue>).filter(
    ([, value]) => !(typeof value === "object" && value !== null && "$undefined" in value),
  );
  return jsonToConvex(Object.fromEntries(fields)) as Row;
}
