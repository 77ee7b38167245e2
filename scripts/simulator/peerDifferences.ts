/**
 * Where a test of a published suite passes on convex-test and fails on the simulator, because convex-test departs from
 * what a deployment does. Sections are those of the execution model that the simulator implements.
 */
export type Departure = {
  readonly package: string;
  readonly reason: string;
  /** How the tests fail. */
  readonly message: RegExp;
  /** By their file under `src` and their full name. */
  readonly tests: readonly string[];
};

const WORKPOOL = "@convex-dev/workpool";
const WORKFLOW = "@convex-dev/workflow";

export const DEPARTURES: readonly Departure[] = [
  {
    package: WORKPOOL,
    reason:
      'a deployment refuses arguments with "ArgumentValidationError: Value does not match validator."; ' +
      'the tests look for "Validator error", which is convex-test\'s wording',
    message: /to throw error matching \/Validator error\/ but got 'ArgumentValidationError: Value does n/,
    tests: [
      "client/index.test.ts: completion callbacks through the client and scheduler rejects invalid result kinds at runtime (batch: false)",
      "client/index.test.ts: completion callbacks through the client and scheduler rejects invalid result kinds at runtime (batch: true)",
      "component/lib.test.ts: lib enqueue rejects invalid status filters before writing any work (batch: false)",
      "component/lib.test.ts: lib enqueue rejects invalid status filters before writing any work (batch: true)",
    ],
  },
  {
    package: WORKPOOL,
    reason:
      'a job\'s row in _scheduled_functions names its function "module.js:export" (section 3); ' +
      'the tests look for "module:export", as convex-test has it',
    message: /expected undefined to be defined/,
    tests: [
      "component/lib.test.ts: lib cancelAll should process work items in batches for cancelAll",
      "component/stats.test.ts: stats generateReport should schedule calculateBacklogAndReport when backlog is large",
    ],
  },
  {
    package: WORKFLOW,
    reason:
      "a handle is of a function that exists (section 6.5); the test asks for one of a function that is nowhere, and convex-test " +
      "writes a handle without looking",
    message: /Could not find function for 'q'/,
    tests: [
      "client/stepContext.test.ts: transactionLimits forwards transactionLimits to ctx.runQuery during inline execution",
    ],
  },
];
