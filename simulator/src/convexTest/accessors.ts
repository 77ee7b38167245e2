/**
 * What a test calls: functions by reference, code of its own, and HTTP actions, as somebody.
 *
 * Owns: from a call to a request of the deployment. Invariant: arguments and results are Convex values and pass as JSON;
 * what code of the test itself throws reaches the test as it was thrown.
 */
import { getFunctionAddress } from "convex/server";
import { convexToJson, jsonToConvex, type JSONValue, type Value } from "convex/values";
import type { CallOptions, Deployment } from "../engine/deployment.js";
import { kindOf, type Kind, type RegisteredFunction } from "../runtime/component.js";
import { frames, inOrder, type Frame, type TransactionFrame } from "../runtime/frame.js";
import { loadTest, resolve } from "../runtime/references.js";
import { runNested, type Target } from "../runtime/transactionCalls.js";
import { fetchFrom } from "./http.js";
import { fullIdentity, tokenOf, type FullIdentity, type GivenIdentity } from "./identity.js";
import { generics, type Handler } from "./modules.js";
import { finishAll } from "./scheduled.js";
import { storageOf } from "./storage.js";

/** A function reference of any kind. */
type Reference = object;
type RequestMetadata = { ip?: string | null; userAgent?: string | null };
type FunctionPath = { componentPath: string; udfPath: string };
type Call = (what: Reference | Handler, args?: unknown) => Promise<unknown>;

export type TestAccessor = {
  query: Call;
  mutation: Call;
  action: Call;
  fun: (path: FunctionPath, args?: unknown) => Promise<unknown>;
  run: (handler: Handler) => Promise<unknown>;
  runInComponent: (path: string, handler: Handler) => Promise<unknown>;
  fetch: (path: string, init?: RequestInit) => Promise<Response>;
  finishInProgressScheduledFunctions: () => Promise<void>;
  finishAllScheduledFunctions: (advanceTimers: () => void, maxIterations?: number) => Promise<void>;
  withIdentity: (identity: GivenIdentity) => TestAccessor;
  withRequestMetadata: (metadata: RequestMetadata) => TestAccessor;
};

export class Accessors {
  readonly #deployment: Deployment;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  of(identity: FullIdentity | null, metadata: RequestMetadata): TestAccessor {
    const deployment = this.#deployment;
    const options: CallOptions = {
      identity,
      request: {
        ip: metadata.ip ?? null,
        userAgent: metadata.userAgent ?? null,
        authToken: identity === null ? null : tokenOf(identity),
      },
    };
    const call =
      (kind: Kind): Call =>
      async (what, args) =>
        typeof what === "function" && kindOf(what) === null
          ? await this.#inline(kind, "", what as Handler, options)
          : await this.#function(kind, getFunctionAddress(what), args, options);
    const run = async (path: string, handler: Handler) =>
      await this.#inline("mutation", path, withStorage(handler), options);
    return {
      query: call("query"),
      mutation: call("mutation"),
      action: call("action"),
      fun: async ({ componentPath, udfPath }, args) => {
        await deployment.load();
        const fn = resolve(deployment, deployment.component(componentPath), { name: udfPath });
        return await this.#call({ fn }, fn.kind, toJson(args), options);
      },
      run: async (handler) => await run("", handler),
      runInComponent: run,
      fetch: async (path, init) => await fetchFrom(deployment, path, init, options),
      finishInProgressScheduledFunctions: async () => await deployment.jobs.untilNoneRuns(),
      finishAllScheduledFunctions: async (advanceTimers, maxIterations) =>
        await finishAll(deployment, advanceTimers, maxIterations),
      withIdentity: (given) => this.of(fullIdentity(given), metadata),
      withRequestMetadata: (given) => this.of(identity, given),
    };
  }

  async #function(kind: Kind, address: object, args: unknown, options: CallOptions): Promise<Value> {
    await this.#deployment.load();
    const from = this.#deployment.component("");
    await loadTest(this.#deployment, from, address as Record<string, JSONValue>);
    const fn = resolve(this.#deployment, from, address as Record<string, JSONValue>);
    return await this.#call({ fn }, kind, toJson(args), options);
  }

  /** Code of the test itself, as a function of a component. */
  async #inline(kind: Kind, path: string, handler: Handler, options: CallOptions): Promise<Value> {
    await this.#deployment.load();
    let thrown: { error: unknown; data: unknown } | null = null;
    const noting: Handler = async (ctx, args) => {
      try {
        return await handler(ctx, args);
      } catch (error) {
        thrown = { error, data: (error as { data?: unknown } | null)?.data };
        throw error;
      }
    };
    const code = generics[kind]({ handler: noting as never }) as unknown as RegisteredFunction;
    const target: Target = { code, component: this.#deployment.component(path), kind, name: "inline" };
    try {
      return await this.#call(target, kind, {}, options);
    } catch (error) {
      const noted = thrown as { error: unknown; data: unknown } | null;
      if (noted === null) throw error;
      // The convex package has replaced the data by its JSON text.
      if (noted.data !== undefined) (noted.error as { data: unknown }).data = noted.data;
      throw noted.error;
    }
  }

  async #call(target: Target, kind: Kind, args: JSONValue, options: CallOptions): Promise<Value> {
    const caller = frames.getStore();
    if ("fn" in target && kind !== "action" && caller !== undefined && this.#isOpen(caller)) {
      return await this.#nested(caller, target.fn, args, kind);
    }
    return await this.#deployment.call(target, kind, args, options);
  }

  #isOpen(caller: Frame): caller is TransactionFrame {
    const { component, kind, ended } = caller;
    return kind !== "action" && !ended && this.#deployment.componentOrNull(component.path) === component;
  }

  /** Code of a test that calls the test's accessor from within a transaction: it waits for the call, so it is part of it. */
  async #nested(
    caller: TransactionFrame,
    fn: Parameters<typeof runNested>[2],
    args: JSONValue,
    kind: "query" | "mutation",
  ): Promise<Value> {
    const deployment = this.#deployment;
    return jsonToConvex(
      await inOrder(caller, async () => await runNested(deployment, caller, fn, args, kind, undefined)),
    );
  }
}

function withStorage(handler: Handler): Handler {
  return async (ctx, args) => await handler({ ...(ctx as object), storage: await storageOf() }, args);
}

function toJson(args: unknown): JSONValue {
  const isObject = typeof args === "object" && args !== null && !Array.isArray(args);
  if (args !== undefined && !isObject) {
    throw new Error(
      `The arguments to a Convex function must be an object. Received: ${Array.isArray(args) ? "an array" : typeof args}`,
    );
  }
  return convexToJson((args ?? {}) as Value);
}
