/**
 * Modules whose functions run by their handlers, as convex-test runs them: a test may have put another one in place.
 * Invariant: all else about a function (kind, visibility, validators) stays as it was registered.
 */
import { actionGeneric, mutationGeneric, queryGeneric } from "convex/server";
import { kindOf, type Modules, type RegisteredFunction } from "../runtime/component.js";

export type Handler = (ctx: unknown, args: unknown) => unknown;
type WithHandler = { _handler?: Handler };
type Module = Record<string, unknown>;

export const generics = { query: queryGeneric, mutation: mutationGeneric, action: actionGeneric };
const known = new WeakMap<Module, Module>();

export function byHandler(modules: Modules): Modules {
  return Object.fromEntries(
    Object.entries(modules).map(([path, load]) => [path, async () => ofModule((await load()) as Module)]),
  );
}

function ofModule(module: Module): Module {
  let found = known.get(module);
  if (found === undefined) {
    found = Object.fromEntries(Object.entries(module).map(([name, value]) => [name, ofExport(value)]));
    known.set(module, found);
  }
  return found;
}

function ofExport(value: unknown): unknown {
  const kind = kindOf(value);
  if (kind === null || (value as WithHandler)._handler === undefined) return value;
  const original = value as RegisteredFunction & Required<WithHandler>;
  const handler: Handler = (ctx, args) => original._handler(ctx, args);
  return Object.assign(() => undefined, original, invocations(generics[kind]({ handler: handler as never })));
}

function invocations(code: object): object {
  return Object.fromEntries(Object.entries(code).filter(([name]) => name.startsWith("invoke")));
}
