/**
 * Which functions of the app the action names of definitions call.
 *
 * Owns: the type that keeps `kind` and function in agreement. A reference carries no kind at run time, so the kind is
 * given beside it, and a kind that is not the function's does not compile.
 */
import {
  createFunctionHandle,
  type FunctionReference,
  type FunctionType,
  type FunctionVisibility,
} from "convex/server";
import type { ComponentApi } from "../component/_generated/component.js";
import type { WriteCtx } from "./context.js";

type AnyFunction<Type extends FunctionType> = FunctionReference<
  Type,
  FunctionVisibility,
  Record<string, unknown>,
  unknown
>;

/**
 * A function that action nodes may call, and how.
 * - `query`: called at least once, has no effect.
 * - `mutation`: runs exactly once, in the transaction that records the node.
 * - `action`: called at least once; `{{ node.idempotencyKey }}` is the same for every try.
 */
export type ActionBinding = { [Kind in FunctionType]: { kind: Kind; fn: AnyFunction<Kind> } }[FunctionType];

/** Action name -> function. Definitions know functions by these names only. */
export type ActionBindings = { readonly [name: string]: ActionBinding };

export type SyncResult = { added: number; changed: number; removed: number };

export async function syncBindings(
  ctx: WriteCtx,
  component: ComponentApi,
  actions: ActionBindings,
  prune: boolean,
): Promise<SyncResult> {
  const bindings = await Promise.all(
    Object.entries(actions).map(async ([name, { kind, fn }]) => ({
      name,
      kind,
      handle: await createFunctionHandle<FunctionType, Record<string, unknown>, unknown>(fn),
    })),
  );
  return await ctx.runMutation(component.bindings.sync, { bindings, prune });
}
