/**
 * `convexTest` with the signature of the convex-test package, on a simulated deployment.
 *
 * Owns: what a test written for that package may do. Nothing takes time here, and delays are timers of the process, so a
 * test drives them as it always did; transactions, limits, ids, validators and errors are the simulation's.
 */
import { clearTimeout as nodeClearTimeout, setTimeout as nodeSetTimeout } from "node:timers";
import { actionGeneric, mutationGeneric, queryGeneric, getFunctionAddress } from "convex/server";
import { convexToJson, type Value } from "convex/values";
import { Deployment } from "./engine/deployment.js";
import { NO_LATENCIES } from "./engine/profile.js";
import { kindOf, type Kind, type Modules, type RegisteredFunction, type Schema } from "./runtime/component.js";
import type { Identity } from "./runtime/frame.js";
import { resolve } from "./runtime/references.js";
import type { Target } from "./runtime/transactionCalls.js";

type Handler = (ctx: unknown, args?: unknown) => unknown;
/** A function reference of any kind: the convex package takes anything here. */
type Reference = object;
type TestOptions = { schema?: Schema; modules?: Modules; transactionLimits?: boolean | Record<string, number> };

const realSetTimeout = nodeSetTimeout;
const realClearTimeout = nodeClearTimeout;

export function convexTest(schemaOrOptions?: Schema | TestOptions, modules?: Modules) {
  const options: TestOptions =
    schemaOrOptions === undefined
      ? {}
      : "tables" in schemaOrOptions
        ? { schema: schemaOrOptions, ...(modules === undefined ? {} : { modules }) }
        : schemaOrOptions;
  const deployment = new Deployment({
    schema: options.schema ?? null,
    modules: options.modules ?? {},
    time: "ambient",
    latencies: NO_LATENCIES,
    className: "D1024",
    verboseErrors: false,
    limits: options.transactionLimits === undefined || options.transactionLimits === false ? "unlimited" : undefined,
  } as ConstructorParameters<typeof Deployment>[0]);
  const drive = async <T>(work: () => Promise<T>): Promise<T> =>
    await deployment.loop.drive(
      (async () => {
        await deployment.load();
        return await work();
      })(),
    );

  const inline = (kind: Kind, handler: Handler, path: string): Target => {
    const generic = { query: queryGeneric, mutation: mutationGeneric, action: actionGeneric }[kind];
    const code = generic({ handler: handler as never }) as unknown as RegisteredFunction;
    return { code, component: deployment.component(path), kind, name: "inline" };
  };

  const accessor = (identity: Identity, request: { ip?: string | null; userAgent?: string | null }) => {
    const call = async (kind: Kind, what: Reference | Handler, args: unknown, path = "") =>
      await drive(async () => {
        const target: Target =
          typeof what === "function" && kindOf(what) === null
            ? inline(kind, what as Handler, path)
            : {
                fn: resolve(deployment, deployment.component(""), getFunctionAddress(what)),
              };
        return await deployment.call(target, kind, convexToJson((args ?? {}) as Value), { identity, request });
      });
    const run = async (path: string, handler: Handler) => {
      // The handler's result and its context stay in this process: no JSON in between.
      let result: unknown;
      const wrapped: Handler = async (ctx) => {
        result = await handler(ctx);
        return null;
      };
      await call("mutation", wrapped, {}, path);
      return result;
    };
    return {
      query: async (what: Reference | Handler, args?: unknown) => await call("query", what, args),
      mutation: async (what: Reference | Handler, args?: unknown) => await call("mutation", what, args),
      action: async (what: Reference | Handler, args?: unknown) => await call("action", what, args),
      run: async (handler: Handler) => await run("", handler),
      runInComponent: async (path: string, handler: Handler) => await run(path, handler),
      finishInProgressScheduledFunctions: async () => await drive(async () => await deployment.jobs.untilNoneRuns()),
      finishAllScheduledFunctions: async (advanceTimers: () => void, maxIterations = 100) => {
        for (let i = 0; i < maxIterations; i++) {
          advanceTimers();
          await turn();
          if (deployment.jobs.running === 0 && deployment.jobs.waiting === 0) {
            advanceTimers();
            await turn();
            if (deployment.jobs.running === 0 && deployment.jobs.waiting === 0) return;
          }
        }
        throw new Error(
          "finishAllScheduledFunctions: too many iterations. Check for functions that schedule each other without end.",
        );
      },
    };
  };

  const testAccessor = (
    identity: Identity,
    request: { ip?: string | null; userAgent?: string | null },
  ): TestAccessor => ({
    ...accessor(identity, request),
    withIdentity: (given: Record<string, unknown>) => {
      const subject = (given.subject as string | undefined) ?? JSON.stringify(given);
      const issuer = (given.issuer as string | undefined) ?? "https://convex.test";
      const tokenIdentifier = (given.tokenIdentifier as string | undefined) ?? `${issuer}|${subject}`;
      return testAccessor({ ...given, subject, issuer, tokenIdentifier }, request);
    },
    withRequestMetadata: (metadata: { ip?: string | null; userAgent?: string | null }) =>
      testAccessor(identity, metadata),
  });

  return {
    ...testAccessor(null, {}),
    registerComponent: (path: string, schema: Schema, componentModules: Modules) =>
      deployment.registerComponent(path, schema, componentModules),
    deployment,
  };

  function turn(): Promise<void> {
    return new Promise((resolveTurn) => {
      const timer = realSetTimeout(() => {
        realClearTimeout(timer);
        resolveTurn();
      }, 0);
    });
  }
}

type Accessor = {
  query: (what: Reference | Handler, args?: unknown) => Promise<unknown>;
  mutation: (what: Reference | Handler, args?: unknown) => Promise<unknown>;
  action: (what: Reference | Handler, args?: unknown) => Promise<unknown>;
  run: (handler: Handler) => Promise<unknown>;
  runInComponent: (path: string, handler: Handler) => Promise<unknown>;
  finishInProgressScheduledFunctions: () => Promise<void>;
  finishAllScheduledFunctions: (advanceTimers: () => void, maxIterations?: number) => Promise<void>;
};
export type TestAccessor = Accessor & {
  withIdentity: (identity: Record<string, unknown>) => TestAccessor;
  withRequestMetadata: (metadata: { ip?: string | null; userAgent?: string | null }) => TestAccessor;
};
