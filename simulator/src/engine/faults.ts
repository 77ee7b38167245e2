/** What a test wants to go wrong. Every question is asked at one place of the deployment. */
export interface Faults {
  /** Whether an action dies here: before it calls, or after its call has committed and before it hears of it. */
  killsAt(action: string, point: string): boolean;
  /** Whether an attempt of a mutation is treated as one that lost. */
  forcesConflict(mutation: string): boolean;
  /** Added to the time at which a job starts. */
  delaysJob(job: string): number;
}
