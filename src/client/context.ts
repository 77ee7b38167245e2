/**
 * What a method of the client needs of the `ctx` it is given.
 *
 * Narrow on purpose: a helper of the app that holds only `{ runMutation }` can call what writes. Reading works with the
 * `ctx` of queries, mutations and actions, writing with that of mutations and actions.
 */
import type { GenericActionCtx, GenericDataModel, GenericMutationCtx, GenericQueryCtx } from "convex/server";

/** A `ctx` that can run queries. In a query or mutation the read is part of its transaction. */
export type ReadCtx =
  | Pick<GenericQueryCtx<GenericDataModel>, "runQuery">
  | Pick<GenericMutationCtx<GenericDataModel>, "runQuery">
  | Pick<GenericActionCtx<GenericDataModel>, "runQuery">;

/** A `ctx` that can run mutations. In a mutation the write is part of its transaction, in an action one of its own. */
export type WriteCtx =
  Pick<GenericMutationCtx<GenericDataModel>, "runMutation"> | Pick<GenericActionCtx<GenericDataModel>, "runMutation">;

type MaybeUndefined<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T];
type Defined<T> = Omit<T, MaybeUndefined<T>> & { [K in MaybeUndefined<T>]?: Exclude<T[K], undefined> };

/** Leaves out the fields that are undefined: `scope: args.scope` then means the same as no `scope`. */
export function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}
