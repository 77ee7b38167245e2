/**
 * State machines as data.
 *
 * Owns: the shape of a transition table, the only function that makes a move, and its printed forms. Rows are states,
 * cells are the legal moves; there is no other way from one state to another. docs/state-machines.md and the tests of
 * every legal and illegal pair are made from the same tables.
 */
import { shardflowError } from "../../shared/errors.js";

type Row = Readonly<Record<string, string>>;
type Table = Readonly<Record<string, Row>>;
/** A table whose targets are states of the same table. */
type Closed<T> = { readonly [State in keyof T]: Readonly<Record<string, keyof T & string>> };

export type Machine<T extends Table = Table> = { readonly name: string; readonly table: T };

/** The states of a machine. */
export type StateOf<M extends Machine> = keyof M["table"] & string;
/** The events that state `S` of a machine knows; for a union of states, those that any of them knows. */
export type EventOf<M extends Machine, S extends StateOf<M> = StateOf<M>> =
  S extends StateOf<M> ? keyof M["table"][S] & string : never;
/** Where event `E` leads from state `S`. */
export type TargetOf<M extends Machine, S extends StateOf<M>, E extends string> =
  S extends StateOf<M> ? (E extends keyof M["table"][S] ? M["table"][S][E] & StateOf<M> : never) : never;

/** Defines a machine: state -> event -> next state. A target that is not a state does not compile. */
export function defineMachine<const T extends Table & Closed<T>>(name: string, table: T): Machine<T> {
  for (const row of Object.values(table)) Object.freeze(row);
  return Object.freeze({ name, table: Object.freeze(table) });
}

/**
 * Makes a move. An illegal pair of literals does not compile; where the types are wider, it is a broken invariant.
 * @throws {INTERNAL} when `from` has no such event; nothing may be written then.
 */
export function move<M extends Machine, S extends StateOf<M>, E extends EventOf<M, S>>(
  machine: M,
  from: S,
  event: E,
): TargetOf<M, S, E> {
  const target = lookUp(machine, from, event);
  if (target !== null) return target as TargetOf<M, S, E>;
  const known = Object.keys(rowOf(machine, from)).join(", ") || "none, it is terminal or unknown";
  throw shardflowError("INTERNAL", {
    message: `${machine.name} has no move "${event}" from "${from}" (moves from there: ${known}). Please report it.`,
    machine: machine.name,
    from,
    event,
  });
}

/** Whether {@link move} would succeed. */
export function canMove<M extends Machine>(machine: M, from: StateOf<M>, event: EventOf<M>): boolean {
  return lookUp(machine, from, event) !== null;
}

/** Whether a state is never left. */
export function isTerminal<M extends Machine>(machine: M, state: StateOf<M>): boolean {
  return Object.keys(rowOf(machine, state)).length === 0;
}

/** All states, in the order of the table. */
export function statesOf<M extends Machine>(machine: M): Array<StateOf<M>> {
  return Object.keys(machine.table);
}

/** All events, each once, in the order of the table. */
export function eventsOf<M extends Machine>(machine: M): Array<EventOf<M>> {
  return [...new Set(Object.values(machine.table).flatMap((row) => Object.keys(row)))] as Array<EventOf<M>>;
}

/** The machine as a Mermaid state diagram. The first state of the table is the initial one. */
export function toMermaid(machine: Machine): string {
  const [initial] = statesOf(machine);
  const lines = ["stateDiagram-v2", `  [*] --> ${initial}`];
  for (const [from, row] of Object.entries(machine.table)) {
    for (const [event, target] of Object.entries(row)) lines.push(`  ${from} --> ${target}: ${event}`);
    if (isTerminal(machine, from)) lines.push(`  ${from} --> [*]`);
  }
  return lines.join("\n");
}

/** The machine as a Markdown table: a row per state, a column per event, the next state in the cell. */
export function toTable(machine: Machine): string {
  const events = eventsOf(machine);
  const line = (cells: string[]): string => `| ${cells.join(" | ")} |`;
  const rows = statesOf(machine).map((state) =>
    line([state, ...events.map((event) => lookUp(machine, state, event) ?? "")]),
  );
  return [line(["from \\ event", ...events]), line(["from", ...events].map(() => "---")), ...rows].join("\n");
}

function rowOf(machine: Machine, state: string): Row {
  // A stored state may be any text, "constructor" among them.
  return Object.hasOwn(machine.table, state) ? (machine.table[state] ?? {}) : {};
}

function lookUp(machine: Machine, from: string, event: string): string | null {
  const row = rowOf(machine, from);
  return Object.hasOwn(row, event) ? (row[event] ?? null) : null;
}
