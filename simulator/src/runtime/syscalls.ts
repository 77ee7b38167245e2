/**
 * What `globalThis.Convex` is to the convex package: every operation by its name (section 6).
 *
 * Owns: which operations a query, a mutation and an action have. Invariants: an operation of a call that is over never
 * answers; in a transaction operations happen in the order they are asked for.
 */
import { convexToJson, type JSONValue } from "convex/values";
import { toNanoseconds } from "../engine/committer.js";
import type { Deployment } from "../engine/deployment.js";
import { schedule, cancelJob } from "../scheduler/syscalls.js";
import * as storage from "../scheduler/storage.js";
import type { QueryJson } from "../transaction/queryStream.js";
import type { Usage } from "../transaction/limits.js";
import * as database from "./database.js";
import { crossing } from "./errors.js";
import { frames, inOrder, type ActionFrame, type Frame, type TransactionFrame } from "./frame.js";
import { loadTest, resolve } from "./references.js";
import { runNested } from "./transactionCalls.js";
import { textOf } from "./text.js";

type Args = Record<string, JSONValue>;
const DAY_MS = 86_400_000;

export type ConvexGlobal = {
  syscall: (op: string, args: string) => string;
  asyncSyscall: (op: string, args: string) => Promise<string>;
  jsSyscall: (op: string, args: Record<string, unknown>) => Promise<unknown>;
};

export function convexGlobal(deployment: Deployment): ConvexGlobal {
  return {
    syscall: (op, text) => JSON.stringify(synchronous(deployment, requireFrame(), op, JSON.parse(text) as Args)),
    asyncSyscall: (op, text) => {
      const frame = requireFrame();
      if (frame.ended) return NEVER;
      const args = JSON.parse(text) as Args;
      const answer =
        frame.kind === "action"
          ? deployment.actions.operation(
              frame,
              op,
              async () => await whenLoaded(deployment, frame, args, () => inAction(deployment, frame, op, args)),
            )
          : inOrder(frame, () => whenLoaded(deployment, frame, args, () => inTransaction(deployment, frame, op, args)));
      if (frame.kind !== "action") return inTurn(deployment, frame, answer);
      return answer.then(
        (result) => (frame.ended ? NEVER : result),
        (error: unknown) => {
          if (frame.ended) return NEVER;
          throw crossing(error, false);
        },
      );
    },
    jsSyscall: async (op, args) => {
      const frame = requireFrame();
      if (frame.ended) return await NEVER;
      const work = async () => await storage.jsSyscall(deployment, frame, op, args);
      if (frame.kind !== "action") return await work();
      const result = await deployment.actions.operation(frame, op, work);
      return frame.ended ? await NEVER : result;
    },
  };
}

const NEVER: Promise<never> = new Promise(() => undefined);

/**
 * Answers come when all code has come to rest (section 1.7). As a rule that makes no difference, and takes no turn; but
 * after a rejection it does: one that nobody waits for by then fails the function, before the next answer.
 */
function inTurn(deployment: Deployment, frame: TransactionFrame, answer: Promise<string>): Promise<string> {
  frame.operations++;
  const { loop, strict } = deployment;
  if (strict.turns && loop.mode === "virtual") {
    const turn = loop.turn();
    answer = answer.finally(() => turn);
  }
  return answer.then(
    async (result) => {
      if (frame.settling !== null) await frame.settling;
      return frame.ended ? NEVER : result;
    },
    (error: unknown) => {
      if (frame.ended) return NEVER;
      if (loop.mode === "virtual") frame.settling ??= loop.turn().then(() => void (frame.settling = null));
      throw crossing(error, false);
    },
  );
}

function whenLoaded<T>(
  deployment: Deployment,
  { component }: Frame,
  args: Args,
  work: () => T | Promise<T>,
): T | Promise<T> {
  const loading = loadTest(deployment, component, args);
  return loading === null ? work() : loading.then(work);
}

function requireFrame(): Frame {
  const frame = frames.getStore();
  if (frame === undefined) throw new Error("A function of Convex was used outside of a query, mutation or action.");
  return frame;
}

function synchronous(deployment: Deployment, frame: Frame, op: string, args: Args): JSONValue {
  if (op === "1.0/componentArgument") return {};
  if (frame.kind === "action") throw new Error(`UnknownOperation: Unknown operation ${op}`);
  switch (op) {
    case "1.0/queryStream":
      return { queryId: database.startQuery(frame, args.query as unknown as QueryJson) };
    case "1.0/queryCleanup":
      return frame.streams.delete(args.queryId as number);
    case "1.0/db/normalizeId":
      return database.normalizeId(frame, args);
    case "1.0/getSnapshotTs":
      return convexToJson(toNanoseconds(deployment.epoch, frame.transaction.begin));
    default:
      throw new Error(`UnknownOperation: Unknown operation ${op}`);
  }
}

function inTransaction(
  deployment: Deployment,
  frame: TransactionFrame,
  op: string,
  args: Args,
): string | Promise<string> {
  switch (op) {
    case "1.0/get":
      return database.get(frame, args);
    case "1.0/queryStreamNext":
      return database.nextOf(frame, args);
    case "1.0/queryPage":
      return JSON.stringify(database.page(frame, args));
    case "1.0/insert":
      return JSON.stringify(database.insert(frame, args, Math.floor(frame.frozenNow / DAY_MS)));
    case "1.0/shallowMerge":
      return database.update(frame, args, "patch");
    case "1.0/replace":
      return database.update(frame, args, "replace");
    case "1.0/remove":
      return database.remove(frame, args);
    case "1.0/count":
      return JSON.stringify(database.count(frame, args));
    case "1.0/schedule":
      requireMutation(frame, "scheduler.runAfter");
      return JSON.stringify(schedule(deployment, frame, args));
    case "1.0/cancel_job":
      requireMutation(frame, "scheduler.cancel");
      cancelJob(frame, textOf(args.id), frame.component);
      return "null";
    case "1.0/runUdf": {
      const fn = resolve(deployment, frame.component, args);
      const udfType = args.udfType as "query" | "mutation" | "snapshotQuery";
      const budgets = args.transactionLimits as Partial<Usage> | undefined | null;
      return runNested(deployment, frame, fn, args.args as JSONValue, udfType, budgets ?? undefined).then((result) =>
        JSON.stringify(result),
      );
    }
    case "1.0/getTransactionMetrics":
      return JSON.stringify(frame.transaction.meter.report());
    default:
      return storage.inTransaction(deployment, frame, op, args) ?? JSON.stringify(shared(deployment, frame, op, args));
  }
}

function requireMutation(frame: TransactionFrame, what: string): void {
  if (frame.kind !== "mutation") throw new Error(`${what} cannot be used in a query.`);
}

async function inAction(deployment: Deployment, frame: ActionFrame, op: string, args: Args): Promise<string> {
  switch (op) {
    case "1.0/actions/query":
    case "1.0/actions/mutation":
    case "1.0/actions/action": {
      const kind = op.slice("1.0/actions/".length) as "query" | "mutation" | "action";
      const fn = resolve(deployment, frame.component, args);
      return JSON.stringify(await deployment.actions.call(frame, fn, kind, args.args as JSONValue));
    }
    case "1.0/actions/schedule":
      return JSON.stringify(
        await deployment.transactions.inSmallTransaction(frame, "scheduler.runAfter", (inner) =>
          schedule(deployment, inner, args),
        ),
      );
    case "1.0/actions/cancel_job":
      // Looks in the app's namespace, whatever component the action is in (section 3).
      await deployment.transactions.inSmallTransaction(frame, "scheduler.cancel", (inner) => {
        cancelJob(inner, textOf(args.id), deployment.component(""));
        return null;
      });
      return "null";
    default:
      return (
        (await storage.inAction(deployment, frame, op, args)) ?? JSON.stringify(shared(deployment, frame, op, args))
      );
  }
}

/** Operations that every kind of function has. */
function shared(deployment: Deployment, frame: Frame, op: string, args: Args): JSONValue {
  switch (op) {
    case "1.0/createFunctionHandle":
      return deployment.handles.of(resolve(deployment, frame.component, args));
    case "1.0/getUserIdentity":
      return (frame.identity ?? null) as JSONValue;
    case "1.0/getFunctionMetadata":
      return { name: frame.fn?.name ?? "inline", componentPath: frame.component.path };
    case "1.0/getDeploymentMetadata":
      return { name: "simulated", region: "simulated", class: deployment.className };
    case "1.0/getRequestMetadata": {
      if (frame.kind === "query") throw new Error("getRequestMetadata cannot be used in a query.");
      const { ip, userAgent, id, scheduledFunctionId, authToken } = frame.request;
      return { ip, userAgent, requestId: id, scheduledFunctionId, authToken };
    }
    default:
      throw new Error(`UnknownAsyncOperation: Unknown async operation ${op}`);
  }
}
