/**
 * The traps: what passes on a test double that runs one call at a time, and fails or differs on a deployment.
 *
 * Owns: for each of them what the simulation does about it, and the test that shows it (title, in test/strict). "modelled":
 * it behaves as the deployment does. "detected": what a deployment would refuse, or do otherwise, is reported.
 */

export type Trap = {
  readonly trap: string;
  readonly how: "modelled" | "detected" | "not modelled";
  /** Without it the detection is always there in virtual time. */
  readonly option?: string;
  /** What of it stays unseen. */
  readonly except?: string;
  readonly test: string;
};

export const TRAPS: Readonly<Record<number, Trap>> = {
  1: {
    trap: "contention: conflicts, retries, and failure in the end",
    how: "modelled",
    test: "trap 1: writers of one document conflict, retry, and in the end fail",
  },
  2: {
    trap: "a handler runs more than once",
    how: "detected",
    option: "doubleRun",
    test: "trap 2: each attempt runs twice, and a handler that must not is found out",
  },
  3: {
    trap: "state of modules",
    how: "detected",
    option: "doubleRun, freshModules",
    except: "state that two calls in a row do not show; nested calls of one attempt share its fresh modules",
    test: "trap 3: a cache in a module is seen by the reads that it saves",
  },
  4: { trap: "paginate in a component", how: "modelled", test: "trap 4: paginate is refused in a component" },
  5: {
    trap: "two paginated queries in a function",
    how: "modelled",
    test: "trap 5: a second paginate in one function is refused",
  },
  6: {
    trap: "Date.now stands still",
    how: "modelled",
    except: "performance.now of a mutation moves by a fixed tick each time that it is read",
    test: "trap 6: Date.now stands still in a call with all that it calls; performance.now only in queries",
  },
  7: {
    trap: "_creationTime is not Date.now",
    how: "modelled",
    test: "trap 7: creation times have a fraction, rise within a mutation, and are not Date.now",
  },
  8: {
    trap: "chance is seeded, for each execution",
    how: "modelled",
    test: "trap 8: chance is the seed's, and another one for every call",
  },
  9: {
    trap: "timers and fetch in queries and mutations",
    how: "modelled",
    test: "trap 9: timers and fetch are refused in queries and mutations, and there again afterwards",
  },
  10: {
    trap: "keys and signatures that need chance in queries and mutations",
    how: "modelled",
    test: "trap 10: keys and signatures that need chance are refused in mutations, others are not",
  },
  11: {
    trap: "dynamic imports in queries and mutations",
    how: "detected",
    option: "dynamicImport, sources",
    except:
      "without the options only what the process has not imported yet; with them what the text of a handler or of a file shows",
    test: "trap 11: a handler that imports is refused by its text, and by what it waits for",
  },
  12: {
    trap: '"use node" in a component, modules of Node',
    how: "detected",
    option: "sources",
    except: "packages that a file imports are not followed",
    test: "trap 12: files of a component that need Node are refused",
  },
  13: {
    trap: "variables of the environment in components",
    how: "modelled",
    except: "a module that the process has imported before; what it read then, it keeps",
    test: "trap 13: while a component is imported it sees no variables; the app sees its own",
  },
  14: {
    trap: "ctx.auth in a component",
    how: "modelled",
    test: "trap 14: identity does not go into components",
  },
  15: {
    trap: "ids of another component",
    how: "modelled",
    test: "trap 15: ids belong to a table number, which names another table in another component",
  },
  16: {
    trap: "internal functions of a component",
    how: "modelled",
    test: "trap 16: an app reaches public functions of its children alone",
  },
  17: {
    trap: "a nested result that does not match has written already",
    how: "modelled",
    test: "trap 17: a nested result that does not match is an error, whose writes stay when it is caught",
  },
  18: {
    trap: "errors that cross a call",
    how: "modelled",
    except: "frames of the stack in the message are made up",
    test: "trap 18: of an error that crosses a call a changed message is left, and the data of a ConvexError",
  },
  19: {
    trap: "counters of scheduling are not undone",
    how: "modelled",
    test: "trap 19: what a nested call scheduled stays counted after it was undone, what it wrote does not",
  },
  20: {
    trap: "writes nobody waits for are done, rejections nobody handles fail the function",
    how: "modelled",
    except: "without `turns`, a rejection of the function's own that is handled after a later answer",
    test: "trap 20: a rejection that nobody handles fails the mutation: %s",
  },
  21: {
    trap: "operations are sequential",
    how: "modelled",
    test: "trap 21: operations happen in the order in which they are asked for, nested calls among them",
  },
  22: {
    trap: "arguments of jobs are validated when they run",
    how: "modelled",
    test: "trap 22: arguments of a job are validated when it runs, and then it fails",
  },
  23: {
    trap: "a job that throws fails in silence",
    how: "modelled",
    option: "assertNoFailedJobs()",
    test: "trap 23: a job that throws has failed, and only an assertion tells",
  },
  24: {
    trap: "the order of jobs of one time",
    how: "modelled",
    test: "trap 24: jobs of one time run in an order that the seed decides",
  },
  25: {
    trap: "slots of the scheduler",
    how: "modelled",
    test: "trap 25: long actions in all slots hold up every other job",
  },
  26: {
    trap: "an action that is lost is never run again",
    how: "modelled",
    test: "trap 26: an action that dies is failed and never run again",
  },
  27: {
    trap: "a lost reply inside an action",
    how: "modelled",
    test: "trap 27: a mutation of an action stays when the action dies before it hears of it",
  },
  28: {
    trap: "cancel in an action of a component",
    how: "modelled",
    test: "trap 28: an action of a component cancels nothing",
  },
  29: {
    trap: "cancel of a job that runs or is over",
    how: "modelled",
    test: "trap 29: canceling what is over changes nothing; a mutation that runs is either done or canceled",
  },
  30: { trap: "records of jobs are removed", how: "modelled", test: "trap 30: records of jobs are gone after a week" },
  31: {
    trap: "scans of the jobs conflict",
    how: "modelled",
    test: "trap 31: a scan of the jobs conflicts with every job that is scheduled or ends",
  },
  32: {
    trap: "limits of a transaction",
    how: "modelled",
    test: "trap 32: the limits of a transaction are there without being asked for, and can be caught",
  },
  33: {
    trap: "limits of values and documents",
    how: "modelled",
    test: "trap 33: a document that is %s is refused as it is written",
  },
  34: {
    trap: "the order of values",
    how: "modelled",
    test: "trap 34: the order of values is Convex's, and not that of JavaScript",
  },
  35: {
    trap: "missing, undefined and null",
    how: "modelled",
    test: "trap 35: what is missing comes before everything; undefined is no element",
  },
  36: { trap: "what is no value of Convex", how: "modelled", test: "trap 36: a %s is no value" },
  37: {
    trap: "validators of records and unions",
    how: "modelled",
    test: "trap 37: records and unions are validated, arguments and results alike",
  },
  38: {
    trap: "fields that a validator does not name",
    how: "modelled",
    test: "trap 38: fields that a validator does not name are refused",
  },
  39: {
    trap: "a patch that changes nothing",
    how: "modelled",
    test: "trap 39: a patch that changes nothing writes nothing",
  },
  40: {
    trap: "useStaleSnapshot",
    how: "modelled",
    test: "trap 40: a stale snapshot does not show own writes, and conflicts with nothing",
  },
  41: { trap: "depth of calls", how: "modelled", test: "trap 41: nine levels of calls are too many" },
  42: {
    trap: "names of files and exports",
    how: "modelled",
    test: "trap 42: names of modules and functions are those that a push takes: %#",
  },
  43: { trap: "rules of indexes", how: "modelled", test: "trap 43: indexes are those that a push takes" },
  44: {
    trap: "side effects while a module is imported",
    how: "modelled",
    except: "a module that the process has imported before is not evaluated again",
    test: "trap 44: %s while a module is imported fails the push",
  },
  45: {
    trap: "validators that are undefined through circular imports",
    how: "modelled",
    except: "a cycle that this process resolves in another order than the bundle does",
    test: "trap 45: a validator that a circular import has left undefined fails the push",
  },
  46: {
    trap: "one second of JavaScript for a call with all that it calls",
    how: "detected",
    option: "slowCallMs; read slowCalls",
    except: "no call is ended: how long it takes depends on the machine, and the history must not",
    test: "trap 46: calls whose JavaScript took long are reported, outside of the history",
  },
  47: {
    trap: "the first insert into a table that is not declared",
    how: "modelled",
    option: "undeclaredTables",
    test: "trap 47: the first insert into a table that no schema has conflicts with all in flight",
  },
  48: {
    trap: "clocks differ",
    how: "modelled",
    test: "trap 48: clocks of functions differ, so creation times need not follow the order of commits",
  },
  49: {
    trap: "reads of an action",
    how: "modelled",
    test: "trap 49: every query of an action has a snapshot of its own",
  },
  50: {
    trap: "callers that repeat a call",
    how: "modelled",
    test: "trap 50: a client that loses the reply calls again, and the mutation has run twice",
  },
  51: {
    trap: "operations of the other kinds of functions",
    how: "modelled",
    test: "trap 51: each kind of function has its own operations",
  },
  52: {
    trap: "handles across deploys",
    how: "modelled",
    test: "trap 52: a handle outlives its function, and then leads nowhere",
  },
  53: {
    trap: "jobs that wait over a deploy",
    how: "modelled",
    test: "trap 53: a job that waited over a deploy runs the new code with the old arguments",
  },
  54: {
    trap: "ids and cursors that are taken apart",
    how: "modelled",
    test: "trap 54: ids and cursors tell nothing, and a cursor belongs to its query",
  },
  55: {
    trap: "the commit timestamp within its transaction",
    how: "modelled",
    test: "trap 55: the commit timestamp is a placeholder until the commit, and a bigint afterwards",
  },
  56: {
    trap: "loops over a query that write",
    how: "modelled",
    test: "trap 56: a loop over a query sees its own writes from the next page of 100 on",
  },
};
