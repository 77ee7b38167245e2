import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { admit, type AdmitState, type AdmitTask } from "../../src/engine/admit.js";

const TASK: AdmitTask = { executionId: "e1", notBefore: null };
const READY: AdmitState = {
  now: 1000,
  inFlight: 0,
  capacity: 2,
  paused: false,
  execution: { status: "pending" },
  versionExists: true,
};

const decide = (task: Partial<AdmitTask>, state: Partial<AdmitState>): string => {
  const admission = admit({ ...TASK, ...task }, { ...READY, ...state });
  return admission.admit ? "admit" : `${admission.action} ${admission.reason.code}`;
};

const anyNumber = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: -1, max: 5 }) },
  { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity) },
);
const anyTask: fc.Arbitrary<AdmitTask> = fc.record({
  executionId: fc.string(),
  notBefore: fc.option(anyNumber, { nil: null }),
});
const anyExecution = fc.option(
  fc.record(
    {
      status: fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom("pending", "running", "waiting") },
        { weight: 1, arbitrary: fc.constantFrom("succeeded", "failed", "canceled") },
        { weight: 1, arbitrary: fc.constantFrom("", "constructor", "__proto__", "Running") },
      ),
      corrupt: fc.string(),
    },
    { requiredKeys: ["status"] },
  ),
  { nil: null },
);
const anyState: fc.Arbitrary<AdmitState> = fc.record({
  now: fc.integer({ min: 0, max: 5 }),
  inFlight: anyNumber,
  capacity: anyNumber,
  paused: fc.constantFrom(false, false, false, true),
  execution: anyExecution,
  versionExists: fc.constantFrom(true, true, true, false),
});

describe("admit", () => {
  it.each(["pending", "running", "waiting"])("admits a task of a %s execution", (status) => {
    expect(decide({}, { execution: { status } })).toBe("admit");
  });

  it("drops a task whose execution is gone or has ended", () => {
    expect(decide({}, { execution: null })).toBe("drop EXECUTION_MISSING");
    for (const status of ["succeeded", "failed", "canceled"]) {
      expect(decide({}, { execution: { status } })).toBe("drop EXECUTION_ENDED");
    }
  });

  it("fails an execution that cannot be read or has no version", () => {
    expect(decide({}, { execution: { status: "running", corrupt: "its position is no JSON" } })).toBe("fail CORRUPT");
    for (const status of ["", "Running", "constructor", "__proto__"]) {
      expect(decide({}, { execution: { status } })).toBe("fail CORRUPT");
    }
    for (const notBefore of [NaN, Infinity]) expect(decide({ notBefore }, {})).toBe("fail CORRUPT");
    expect(decide({}, { versionExists: false })).toBe("fail VERSION_MISSING");
  });

  it("keeps a task until its time has come", () => {
    expect(decide({ notBefore: 1001 }, {})).toBe("keep NOT_BEFORE");
    expect(decide({ notBefore: 1000 }, {})).toBe("admit");
  });

  it("keeps a task while the shard is full, also when the capacity is no number", () => {
    expect(decide({}, { inFlight: 1 })).toBe("admit");
    expect(decide({}, { inFlight: 2 })).toBe("keep CAPACITY");
    expect(decide({}, { inFlight: 3 })).toBe("keep CAPACITY");
    expect(decide({}, { capacity: 0 })).toBe("keep CAPACITY");
    expect(decide({}, { capacity: NaN })).toBe("keep CAPACITY");
    expect(decide({}, { inFlight: NaN })).toBe("keep CAPACITY");
  });

  it("keeps a task while the shard is paused", () => {
    expect(decide({}, { paused: true })).toBe("keep PAUSED");
  });

  it("gives the first reason in the documented order", () => {
    let task: Partial<AdmitTask> = { notBefore: 5000 };
    let state: Partial<AdmitState> = {
      execution: { status: "failed", corrupt: "its position is no JSON" },
      versionExists: false,
      paused: true,
      inFlight: 2,
    };
    expect(decide(task, { ...state, execution: null })).toBe("drop EXECUTION_MISSING");
    expect(decide(task, state)).toBe("drop EXECUTION_ENDED");
    state = { ...state, execution: { status: "running", corrupt: "its position is no JSON" } };
    expect(decide(task, state)).toBe("fail CORRUPT");
    state = { ...state, execution: { status: "running" } };
    expect(decide(task, state)).toBe("fail VERSION_MISSING");
    state = { ...state, versionExists: true };
    expect(decide(task, state)).toBe("keep PAUSED");
    state = { ...state, paused: false };
    expect(decide(task, state)).toBe("keep NOT_BEFORE");
    task = { notBefore: null };
    expect(decide(task, state)).toBe("keep CAPACITY");
    expect(decide(task, { ...state, inFlight: 1 })).toBe("admit");
  });

  it("says in the reason what is wrong", () => {
    const detail = (task: Partial<AdmitTask>, state: Partial<AdmitState>): string => {
      const admission = admit({ ...TASK, ...task }, { ...READY, ...state });
      return admission.admit ? "" : admission.reason.detail;
    };
    expect(detail({}, { execution: null })).toContain("e1");
    expect(detail({}, { execution: { status: "canceled" } })).toContain("canceled");
    expect(detail({}, { execution: { status: "running", corrupt: "its position is no JSON" } })).toContain("position");
    expect(detail({}, { execution: { status: "Running" } })).toContain('"Running"');
    expect(detail({ notBefore: 1250 }, {})).toContain("250 ms");
    expect(detail({}, { inFlight: 7, capacity: 5 })).toContain("7 of 5");
  });

  it("decides every task alone: a bad one never throws and changes nothing for its neighbours", () => {
    fc.assert(
      fc.property(anyTask, anyState, anyTask, anyState, (task, state, otherTask, otherState) => {
        const before = structuredClone({ task, state });
        const alone = admit(task, state);
        admit(otherTask, otherState);
        expect(admit(task, state)).toEqual(alone);
        expect({ task, state }).toEqual(before);
      }),
      { seed: 31, numRuns: 500 },
    );
  });

  it("never claims for an ended, missing or unreadable execution, beyond the capacity, or while paused", () => {
    let admitted = 0;
    fc.assert(
      fc.property(anyTask, anyState, (task, state) => {
        if (!admit(task, state).admit) return;
        admitted++;
        expect(["pending", "running", "waiting"]).toContain(state.execution?.status);
        expect(state.execution?.corrupt).toBeUndefined();
        expect(state.versionExists && !state.paused && state.inFlight < state.capacity).toBe(true);
        expect(task.notBefore === null || task.notBefore <= state.now).toBe(true);
      }),
      { seed: 32, numRuns: 5000 },
    );
    expect(admitted).toBeGreaterThan(50);
  });

  it("never fails or keeps the task of an ended execution", () => {
    fc.assert(
      fc.property(anyTask, anyState, fc.constantFrom("succeeded", "failed", "canceled"), (task, state, status) => {
        const admission = admit(task, { ...state, execution: { ...state.execution, status } });
        expect(admission).toMatchObject({ admit: false, action: "drop", reason: { code: "EXECUTION_ENDED" } });
      }),
      { seed: 33 },
    );
  });
});
