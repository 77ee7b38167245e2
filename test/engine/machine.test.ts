import type { Infer } from "convex/values";
import fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import { EXECUTION_MACHINE } from "../../src/engine/machine/execution.js";
import {
  canMove,
  defineMachine,
  eventsOf,
  isTerminal,
  type Machine,
  move,
  type StateOf,
  statesOf,
  toMermaid,
  toTable,
} from "../../src/engine/machine/machine.js";
import { NODE_RUN_MACHINE } from "../../src/engine/machine/nodeRun.js";
import { TASK_MACHINE } from "../../src/engine/machine/task.js";
import {
  EXECUTION_STATUSES,
  type ExecutionStatus,
  NODE_RUN_STATUSES,
  type NodeRunStatus,
  TASK_STATES,
  type TaskState,
  vExecutionStatus,
  vNodeRunStatus,
  vTaskState,
} from "../../src/shared/status.js";
import { thrownBy } from "./thrown.js";

/** Written out by hand: the moves that the product promises. */
const LEGAL: Array<[Machine, string[]]> = [
  [
    EXECUTION_MACHINE,
    [
      "pending claim running",
      "pending cancel canceled",
      "pending fail failed",
      "running park waiting",
      "running succeed succeeded",
      "running fail failed",
      "running cancel canceled",
      "waiting claim running",
      "waiting cancel canceled",
      "waiting fail failed",
    ],
  ],
  [
    NODE_RUN_MACHINE,
    [
      "ready start running",
      "ready cancel canceled",
      "running succeed succeeded",
      "running fail failed",
      "running retry backoff",
      "running cancel canceled",
      "running crash ready",
      "backoff start running",
      "backoff cancel canceled",
    ],
  ],
  [
    TASK_MACHINE,
    [
      "queued claim claimed",
      "queued drop done",
      "claimed finish done",
      "claimed yield queued",
      "claimed park done",
      "claimed reclaim queued",
      "claimed drop done",
    ],
  ],
];

describe.each(LEGAL.map(([machine, legal]) => [machine.name, machine, legal] as const))("%s", (_, machine, legal) => {
  const targets = new Map(legal.map((row) => [row.slice(0, row.lastIndexOf(" ")), row.split(" ")[2]]));
  const pairs = statesOf(machine).flatMap((from) => eventsOf(machine).map((event) => [from, event] as const));

  it.each(pairs)("%s + %s", (from, event) => {
    const target = targets.get(`${from} ${event}`);
    expect(canMove(machine, from, event)).toBe(target !== undefined);
    if (target !== undefined) expect(move(machine, from, event)).toBe(target);
    else {
      const error = thrownBy(() => move(machine, from, event));
      expect(error.code).toBe("INTERNAL");
      expect(error.message).toContain(`"${event}" from "${from}"`);
    }
  });

  it("has exactly the promised moves", () => {
    const moves = Object.entries(machine.table).flatMap(([from, row]) =>
      Object.entries(row).map(([event, to]) => `${from} ${event} ${to}`),
    );
    expect(moves.sort()).toEqual([...legal].sort());
  });

  it("can be left from every state that is not terminal, and ends", () => {
    for (const state of statesOf(machine)) {
      const leaving = legal.some((row) => row.startsWith(`${state} `));
      expect(isTerminal(machine, state)).toBe(!leaving);
    }
  });

  it("never leaves its states or a terminal one, on any walk", () => {
    const event = fc.constantFrom(...eventsOf(machine));
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        let state = statesOf(machine)[0] as string;
        for (const next of events) {
          const before = state;
          if (canMove(machine, state, next)) state = move(machine, state, next);
          expect(statesOf(machine)).toContain(state);
          if (isTerminal(machine, before)) expect(state).toBe(before);
        }
      }),
      { seed: 101 },
    );
  });

  it("refuses states and events that every object inherits", () => {
    for (const text of ["constructor", "__proto__", "toString", ""]) {
      expect(canMove(machine, text, text)).toBe(false);
      expect(thrownBy(() => move(machine, text, text)).code).toBe("INTERNAL");
      expect(thrownBy(() => move(machine, statesOf(machine)[0] ?? "", text)).code).toBe("INTERNAL");
    }
  });

  it("is frozen", () => {
    expect(Object.isFrozen(machine.table)).toBe(true);
    for (const row of Object.values(machine.table)) expect(Object.isFrozen(row)).toBe(true);
  });
});

describe("the lists of statuses", () => {
  it("are the states of the machines and the members of the validators", () => {
    const members = (validator: { members: ReadonlyArray<{ value: string }> }) => validator.members.map((m) => m.value);
    expect(statesOf(EXECUTION_MACHINE)).toEqual([...EXECUTION_STATUSES]);
    expect(statesOf(NODE_RUN_MACHINE)).toEqual([...NODE_RUN_STATUSES]);
    expect(statesOf(TASK_MACHINE)).toEqual([...TASK_STATES]);
    expect(members(vExecutionStatus)).toEqual([...EXECUTION_STATUSES]);
    expect(members(vNodeRunStatus)).toEqual([...NODE_RUN_STATUSES]);
    expect(members(vTaskState)).toEqual([...TASK_STATES]);
  });

  it("agree with them as types, both ways", () => {
    expectTypeOf<StateOf<typeof EXECUTION_MACHINE>>().toEqualTypeOf<ExecutionStatus>();
    expectTypeOf<StateOf<typeof NODE_RUN_MACHINE>>().toEqualTypeOf<NodeRunStatus>();
    expectTypeOf<StateOf<typeof TASK_MACHINE>>().toEqualTypeOf<TaskState>();
    expectTypeOf<Infer<typeof vExecutionStatus>>().toEqualTypeOf<ExecutionStatus>();
    expectTypeOf<Infer<typeof vNodeRunStatus>>().toEqualTypeOf<NodeRunStatus>();
    expectTypeOf<Infer<typeof vTaskState>>().toEqualTypeOf<TaskState>();
  });
});

describe("types of a machine", () => {
  it("infers where a move leads", () => {
    expectTypeOf(move(EXECUTION_MACHINE, "pending", "claim")).toEqualTypeOf<"running">();
    const status = "pending" as ExecutionStatus;
    expectTypeOf(move(EXECUTION_MACHINE, status, "cancel")).toEqualTypeOf<"canceled">();
    expectTypeOf(move(NODE_RUN_MACHINE, "running", "crash")).toEqualTypeOf<"ready">();
  });

  it("does not compile an illegal pair, an unknown event or an unknown target", () => {
    const illegal = [
      // @ts-expect-error -- a pending execution cannot wait
      () => move(EXECUTION_MACHINE, "pending", "park"),
      // @ts-expect-error -- a terminal status has no move at all
      () => move(EXECUTION_MACHINE, "failed", "claim"),
      // @ts-expect-error -- no machine knows this event
      () => move(TASK_MACHINE, "queued", "explode"),
    ];
    for (const attempt of illegal) expect(thrownBy(attempt).code).toBe("INTERNAL");
    // @ts-expect-error -- "lost" is not a state of this machine
    expect(defineMachine("broken", { idle: { go: "lost" }, gone: {} }).name).toBe("broken");
  });
});

describe("printed forms", () => {
  const door = defineMachine("door", { shut: { open: "ajar" }, ajar: { close: "shut", remove: "gone" }, gone: {} });

  it("prints a Mermaid diagram", () => {
    expect(toMermaid(door).split("\n")).toEqual([
      "stateDiagram-v2",
      "  [*] --> shut",
      "  shut --> ajar: open",
      "  ajar --> shut: close",
      "  ajar --> gone: remove",
      "  gone --> [*]",
    ]);
  });

  it("prints a table", () => {
    expect(toTable(door).split("\n")).toEqual([
      "| from \\ event | open | close | remove |",
      "| --- | --- | --- | --- |",
      "| shut | ajar |  |  |",
      "| ajar |  | shut | gone |",
      "| gone |  |  |  |",
    ]);
  });
});
