/** All scenarios, in the order they are listed. */
import type { Scenario } from "../lib/scenario.js";
import { concurrentStarts } from "./concurrentStarts.js";
import { loopContention } from "./loopContention.js";
import { payloadPressure } from "./payloadPressure.js";
import { schedulerOverlap } from "./schedulerOverlap.js";
import { shardComparison } from "./shardComparison.js";
import { sustainedLoad } from "./sustainedLoad.js";

export const SCENARIOS: readonly Scenario[] = [
  concurrentStarts,
  sustainedLoad,
  payloadPressure,
  loopContention,
  schedulerOverlap,
  shardComparison,
];
