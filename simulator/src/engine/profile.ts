/**
 * What takes how long, and what a deployment of a class has.
 *
 * Every latency is a guess: Convex publishes none, and nothing here was measured on a deployment. The figures are fixed
 * so that nobody can tune them to a result; quote a result at a fifth and at five times of them, too ({@link scale}).
 */

export type LatencyProfile = {
  /** From the snapshot of a query or mutation to its result: mutation attempts, and queries alike. */
  readonly executionMs: number;
  /** From a valid commit to its publication. */
  readonly commitMs: number;
  /** From the time a job is due, or its commit, to its start. */
  readonly schedulerHopMs: number;
  /** Before an action's first line. */
  readonly actionStartMs: number;
  /** Largest difference between the clocks of two functions. */
  readonly clockSkewMs: number;
  /** A latency is drawn from 1 - spread to 1 + spread times its value. */
  readonly spread: number;
  /** Added to a scan for each dead row that it passes. */
  readonly tombstoneMs: number;
  /** A pass of the scheduler over the jobs that are due, for each component that has any. */
  readonly passPerNamespaceMs: number;
};

export const DEFAULT_LATENCIES: LatencyProfile = {
  executionMs: 10,
  commitMs: 3,
  schedulerHopMs: 20,
  actionStartMs: 50,
  clockSkewMs: 20,
  spread: 0.5,
  tombstoneMs: 0.001,
  passPerNamespaceMs: 0,
};

/** Nothing takes any time: for tests of what is said, not of when. */
export const NO_LATENCIES: LatencyProfile = {
  executionMs: 0,
  commitMs: 0,
  schedulerHopMs: 0,
  actionStartMs: 0,
  clockSkewMs: 0,
  spread: 0,
  tombstoneMs: 0,
  passPerNamespaceMs: 0,
};

/** The same guesses, all of them `factor` times as long. */
export function scale(profile: LatencyProfile, factor: number): LatencyProfile {
  return {
    executionMs: profile.executionMs * factor,
    commitMs: profile.commitMs * factor,
    schedulerHopMs: profile.schedulerHopMs * factor,
    actionStartMs: profile.actionStartMs * factor,
    clockSkewMs: profile.clockSkewMs * factor,
    spread: profile.spread,
    tombstoneMs: profile.tombstoneMs * factor,
    passPerNamespaceMs: profile.passPerNamespaceMs * factor,
  };
}

export type DeploymentClass = {
  readonly queries: number;
  readonly mutations: number;
  readonly actions: number;
  readonly scheduledJobs: number;
  /** Bytes that may be committed in any second. */
  readonly writeBytesPerSecond: number;
};

const MIB = 1024 * 1024;

/** Section 4 of the execution model, as Convex documents its classes. */
export const CLASSES = {
  S16: { queries: 16, mutations: 16, actions: 64, scheduledJobs: 8, writeBytesPerSecond: 4 * MIB },
  S256: { queries: 256, mutations: 256, actions: 512, scheduledJobs: 256, writeBytesPerSecond: 8 * MIB },
  D1024: { queries: 1_024, mutations: 512, actions: 1_024, scheduledJobs: 512, writeBytesPerSecond: 32 * MIB },
} as const satisfies Record<string, DeploymentClass>;
export type ClassName = keyof typeof CLASSES;

/** An action's longest run (section 4: the shorter one of the two that Convex documents). */
export const ACTION_TIMEOUT_MS = 600_000;
/** Waiting for a permit longer than this fails the call (section 4). */
export const PERMIT_WAIT_MS = { query: 5_000, mutation: 5_000, action: 10_000 } as const;
