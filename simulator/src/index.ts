/** A simulated Convex deployment. See the README. */
export { Deployment, type CallOptions, type DeploymentOptions } from "./engine/deployment.js";
export type { Faults } from "./engine/faults.js";
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
export { TRANSACTION_LIMITS } from "./transaction/limits.js";
