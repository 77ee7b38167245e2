/**
 * `convexTest` with the signature of the convex-test package, on a simulated deployment.
 *
 * Owns: what a test written for that package gets. Nothing takes time here, and delays are timers of the process, so a
 * test drives them as it always did; transactions, limits, ids, validators and errors are the simulation's.
 */
import { Accessors, type TestAccessor } from "./convexTest/accessors.js";
import { byHandler } from "./convexTest/modules.js";
import { Deployment } from "./engine/deployment.js";
import { NO_LATENCIES } from "./engine/profile.js";
import type { Modules, Schema } from "./runtime/component.js";
import { TRANSACTION_LIMITS, type Usage } from "./transaction/limits.js";

export type { TestAccessor } from "./convexTest/accessors.js";

type Options = { schema?: Schema; modules?: Modules; transactionLimits?: boolean | Partial<Usage> };

export type ConvexTest = TestAccessor & {
  registerComponent: (path: string, schema: Schema, modules: Modules) => void;
  /** The simulation itself, for what convex-test cannot tell. */
  readonly deployment: Deployment;
};

/** As much of everything as a test can use: what runs short in a deployment shows in virtual time. */
const PLENTY = {
  queries: Infinity,
  mutations: Infinity,
  actions: Infinity,
  scheduledJobs: Infinity,
  writeBytesPerSecond: Infinity,
};

export function convexTest(schemaOrOptions?: Schema | Options, modules?: Modules): ConvexTest {
  const options: Options =
    schemaOrOptions === undefined || isSchema(schemaOrOptions)
      ? { ...(schemaOrOptions && { schema: schemaOrOptions }), ...(modules && { modules }) }
      : schemaOrOptions;
  const { transactionLimits } = options;
  const deployment = new Deployment({
    schema: options.schema ?? null,
    modules: byHandler(options.modules ?? {}),
    time: "ambient",
    latencies: NO_LATENCIES,
    permits: PLENTY,
    verboseErrors: false,
    limits:
      transactionLimits === false
        ? "unlimited"
        : { ...TRANSACTION_LIMITS, ...(typeof transactionLimits === "object" ? transactionLimits : {}) },
  });
  return {
    ...new Accessors(deployment).of(null, {}),
    registerComponent: (path, schema, glob) => deployment.registerComponent(path, schema, byHandler(glob)),
    deployment,
  };
}

const isSchema = (given: Schema | Options): given is Schema => "tables" in given;
