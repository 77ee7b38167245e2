/** A simulated Convex deployment. See the README. */
export { Deployment, type CallOptions, type DeploymentOptions } from "./engine/deployment.js";
export type { Coverage, FaultOptions, InjectedFault, Magnitudes, PlannedFault } from "./faults/faults.js";
export { FAULT_KINDS, FAULT_POINTS, type FaultKind, type FaultPoint } from "./faults/points.js";
export {
  campaign,
  repeat,
  type CampaignOptions,
  type CampaignSummary,
  type Scenario,
  type ScenarioContext,
} from "./report/campaign.js";
export { InvariantError, type Check, type Committed, type InvariantChecks } from "./report/invariants.js";
export { minimize } from "./report/minimize.js";
export { campaignText, reportText, type Report } from "./report/report.js";
export { Snapshot, type Row } from "./report/snapshot.js";
export { Recorder, type Violation } from "./check/recorder.js";
export { checkSerializability } from "./check/serializability.js";
export type { HistoryEvent } from "./engine/history.js";
export {
  CLASSES,
  DEFAULT_LATENCIES,
  NO_LATENCIES,
  scale,
  type ClassName,
  type DeploymentClass,
  type LatencyProfile,
} from "./engine/profile.js";
export { ConflictError } from "./runtime/errors.js";
export { convexTest } from "./convexTest.js";
export type { Sources, StrictOptions } from "./strict/options.js";
export { StrictError, type Problem } from "./strict/problems.js";
export { TRAPS, type Trap } from "./strict/traps.js";
export { TRANSACTION_LIMITS } from "./transaction/limits.js";
