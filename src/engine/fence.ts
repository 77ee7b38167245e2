/**
 * The fence in front of every checkpoint.
 *
 * Owns: the one decision whether a write of a stretch may happen. Invariants: (F1) after a cancel nothing of the
 * execution is written by a stretch; (F2) only the newest lease epoch writes; (F3) sequence numbers apply once, in
 * order: a lost reply never records twice.
 */
export type FenceState = {
  canceled: boolean;
  ended: boolean;
  leaseEpoch: number;
  lastSeq: number;
  /** Identifies the flush that had lastSeq, so that a repeat can be told from a stranger with the same number. */
  lastFlushId: string;
};
export type FenceClaim = { leaseEpoch: number; seq: number; flushId: string };

export type FenceVerdict =
  | "apply"
  /** The same flush arrived again: the stored answer is returned and nothing is written. */
  | "repeat"
  | "canceled"
  | "stale"
  | "conflict";

export function checkFence(state: FenceState, claim: FenceClaim): FenceVerdict {
  if (state.leaseEpoch === claim.leaseEpoch && state.lastSeq === claim.seq && state.lastFlushId === claim.flushId)
    return "repeat";
  if (state.canceled) return "canceled";
  if (state.ended || state.leaseEpoch !== claim.leaseEpoch) return "stale";
  return claim.seq === state.lastSeq + 1 ? "apply" : "conflict";
}
