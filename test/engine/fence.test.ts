import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkFence, type FenceClaim, type FenceState, type FenceVerdict } from "../../src/engine/fence.js";

const state = (fields: Partial<FenceState> = {}): FenceState => ({
  canceled: false,
  ended: false,
  leaseEpoch: 3,
  lastSeq: 7,
  lastFlushId: "seventh",
  ...fields,
});
const claim = (fields: Partial<FenceClaim> = {}): FenceClaim => ({
  leaseEpoch: 3,
  seq: 8,
  flushId: "eighth",
  ...fields,
});

describe("checkFence", () => {
  it.each<[string, FenceState, FenceClaim, FenceVerdict]>([
    ["applies the next flush of the owner", state(), claim(), "apply"],
    ["answers a flush that arrives again", state(), claim({ seq: 7, flushId: "seventh" }), "repeat"],
    ["refuses another flush with a number that is taken", state(), claim({ seq: 7, flushId: "other" }), "conflict"],
    ["refuses an older flush", state(), claim({ seq: 6, flushId: "sixth" }), "conflict"],
    ["refuses a flush that leaves one out", state(), claim({ seq: 9 }), "conflict"],
    ["refuses an owner that was overtaken", state({ leaseEpoch: 4 }), claim(), "stale"],
    ["refuses an owner from the future", state({ leaseEpoch: 2 }), claim(), "stale"],
    ["refuses after a cancel", state({ canceled: true }), claim(), "canceled"],
    ["refuses after the end", state({ ended: true }), claim(), "stale"],
    [
      "answers the last flush again although it ended the execution",
      state({ ended: true }),
      claim({ seq: 7, flushId: "seventh" }),
      "repeat",
    ],
    [
      "answers a flush again that was written before the cancel",
      state({ canceled: true }),
      claim({ seq: 7, flushId: "seventh" }),
      "repeat",
    ],
    [
      "does not take the flush of an older owner for a repeat",
      state({ leaseEpoch: 4 }),
      claim({ seq: 7, flushId: "seventh" }),
      "stale",
    ],
    [
      "tells an overtaken owner of a cancel, too",
      state({ canceled: true, leaseEpoch: 4 }),
      claim({ seq: 7, flushId: "seventh" }),
      "canceled",
    ],
  ])("%s", (_name, before, claimed, verdict) => {
    expect(checkFence(before, claimed)).toBe(verdict);
  });

  it("applies nothing but the next flush of the newest owner of an execution that goes on", () => {
    const small = fc.integer({ min: 0, max: 3 });
    const id = fc.constantFrom("a", "b");
    fc.assert(
      fc.property(
        fc.record({ canceled: fc.boolean(), ended: fc.boolean(), leaseEpoch: small, lastSeq: small, lastFlushId: id }),
        fc.record({ leaseEpoch: small, seq: small, flushId: id }),
        (before, claimed) => {
          const mayApply =
            !before.canceled &&
            !before.ended &&
            claimed.leaseEpoch === before.leaseEpoch &&
            claimed.seq === before.lastSeq + 1;
          expect(checkFence(before, claimed) === "apply").toBe(mayApply);
        },
      ),
      { seed: 2, numRuns: 2_000 },
    );
  });
});

/** A row behind the fence, with everything that was written to it. */
class Row {
  state: FenceState = { canceled: false, ended: false, leaseEpoch: 1, lastSeq: 0, lastFlushId: "" };
  readonly written: Array<{ epoch: number; seq: number; flushId: string; afterCancel: boolean }> = [];

  write(claimed: FenceClaim): FenceVerdict {
    const verdict = checkFence(this.state, claimed);
    if (verdict !== "apply") return verdict;
    const { leaseEpoch: epoch, seq, flushId } = claimed;
    this.written.push({ epoch, seq, flushId, afterCancel: this.state.canceled });
    this.state = { ...this.state, lastSeq: seq, lastFlushId: flushId };
    return verdict;
  }
}

/** An owner as the walker is one: it sends a flush until it has an answer, and stops when it is refused. */
class Owner {
  readonly epoch: number;
  readonly acknowledged: string[] = [];
  #seq: number;
  #made = 0;
  #unanswered: FenceClaim | null = null;
  stopped = false;

  constructor(row: Row) {
    this.epoch = row.state.leaseEpoch;
    this.#seq = row.state.lastSeq;
  }

  /** The request arrives or is lost; the reply arrives or is lost. */
  send(row: Row, requestArrives: boolean, replyArrives: boolean): void {
    if (this.stopped) return;
    this.#unanswered ??= { leaseEpoch: this.epoch, seq: this.#seq + 1, flushId: `${this.epoch}.${++this.#made}` };
    const sent = this.#unanswered;
    if (!requestArrives) return;
    const verdict = row.write(sent);
    if (!replyArrives) return;
    this.#unanswered = null;
    if (verdict !== "apply" && verdict !== "repeat") this.stopped = true;
    else {
      this.#seq = sent.seq;
      this.acknowledged.push(sent.flushId);
    }
  }
}

describe("owners behind the fence", () => {
  const event = fc.oneof(
    {
      weight: 20,
      arbitrary: fc.record({
        kind: fc.constant("send" as const),
        owner: fc.nat({ max: 3 }),
        requestArrives: fc.boolean(),
        replyArrives: fc.boolean(),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("takeover" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("cancel" as const) }) },
  );

  it("write each flush once, in order, whatever is lost, repeated or late", () => {
    let takeovers = 0;
    let cancels = 0;
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const row = new Row();
        const owners = [new Owner(row)];
        for (const one of events) {
          if (one.kind === "cancel") {
            row.state = { ...row.state, canceled: true };
            cancels++;
          } else if (one.kind === "takeover") {
            row.state = { ...row.state, leaseEpoch: row.state.leaseEpoch + 1 };
            owners.push(new Owner(row));
            takeovers++;
          } else {
            // Owners that were overtaken go on sending until they hear of it.
            owners[one.owner % owners.length]?.send(row, one.requestArrives, one.replyArrives);
          }
        }
        expect(row.written.map(({ seq }) => seq)).toEqual(row.written.map((_, i) => i + 1));
        expect(new Set(row.written.map(({ flushId }) => flushId)).size).toBe(row.written.length);
        expect(row.written.some(({ afterCancel }) => afterCancel)).toBe(false);
        // The newest owner only: epochs never go back.
        const epochs = row.written.map(({ epoch }) => epoch);
        expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
        // What an owner was told is written, is written, and in its order.
        for (const owner of owners) {
          const own = row.written.filter(({ epoch }) => epoch === owner.epoch).map(({ flushId }) => flushId);
          expect(own.slice(0, owner.acknowledged.length)).toEqual(owner.acknowledged);
          // At most the one flush without an answer more.
          expect(own.length - owner.acknowledged.length).toBeLessThanOrEqual(1);
        }
      }),
      { seed: 4, numRuns: 500 },
    );
    expect(takeovers).toBeGreaterThan(50);
    expect(cancels).toBeGreaterThan(50);
  });
});
