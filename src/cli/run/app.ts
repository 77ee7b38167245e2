/**
 * The app around the flow: one function per mocked action, bound through the public client, and nothing else.
 *
 * Owns: what a mock does when it is called, and how often it has been called: the counts live in this process, so that a
 * mutation that is rolled back counts all the same.
 */
import {
  actionGeneric,
  componentsGeneric,
  makeFunctionReference,
  mutationGeneric,
  queryGeneric,
  type FunctionType,
} from "convex/server";
import { ConvexError } from "convex/values";
import { Shardflow, type ActionBinding } from "../../client/index.js";
import type { Json } from "../../shared/json.js";
import type { ActionMock } from "./actionMocks.js";

export type App = { modules: Record<string, object>; flows: Shardflow };

const MODULE = "mocks";

/** Action names such as `crm.lookup` are no names of exports, so the functions are numbered. */
export function createApp(mocks: ReadonlyMap<string, ActionMock>): App {
  const functions: Record<string, unknown> = {};
  const actions: Record<string, ActionBinding> = {};
  for (const [i, [name, mock]] of [...mocks].entries()) {
    functions[`mock${i}`] = mockedFunction(mock);
    actions[name] = binding(mock.kind, `${MODULE}:mock${i}`);
  }
  const components = componentsGeneric() as unknown as { shardflow: ConstructorParameters<typeof Shardflow>[0] };
  return { modules: { [MODULE]: functions }, flows: new Shardflow(components.shardflow, { actions }) };
}

function mockedFunction({ kind, behaviour }: ActionMock): unknown {
  let calls = 0;
  const handler = async (): Promise<Json> => {
    calls++;
    if ("returns" in behaviour) return behaviour.returns;
    if (calls > behaviour.times) return behaviour.then;
    const { throws } = behaviour;
    throw typeof throws === "string" ? new Error(throws) : new ConvexError(throws);
  };
  return { query: queryGeneric, mutation: mutationGeneric, action: actionGeneric }[kind]({ handler });
}

/** A reference holds no kind at run time; the types ask for one that agrees. */
function binding<Kind extends FunctionType>(kind: Kind, path: string): ActionBinding {
  return { kind, fn: makeFunctionReference<Kind>(path) } as ActionBinding;
}
