/**
 * What the types of the package promise. Nothing here runs: a line that should not compile and does, or the other way
 * round, fails `npm run typecheck`.
 */
import {
  exposeApi,
  Shardflow,
  type ActionBinding,
  type ActionSource,
  type Completion,
  type ConditionSource,
  type DefinitionSource,
  type ExecutionId,
  type ExecutionState,
  type Json,
  type LlmSource,
  type LoopSource,
  type OutputSource,
  type ReadCtx,
  type RetrySource,
  type SetSource,
  type StartArgs,
  type SwitchSource,
  type TriggerSource,
  type WriteCtx,
} from "convex-shardflow";
import type { FunctionReference } from "convex/server";
import { api, components, internal } from "../../convex/_generated/api.js";
import type { ActionCtx, MutationCtx, QueryCtx } from "../../convex/_generated/server.js";
import type { Definition, NodeSourceOf } from "../../src/engine/definition/schema.js";

declare const shardflow: Shardflow;
declare const queryCtx: QueryCtx;
declare const mutationCtx: MutationCtx;
declare const actionCtx: ActionCtx;

type Same<A, B> = [A, B] extends [B, A] ? true : false;
/** Same, and with the same optional fields: a field that only one has would not show otherwise. */
type SameFields<A, B> = Same<[A, Required<A>], [B, Required<B>]>;
/** Compiles when its argument is `true` only. */
const promise = <_T extends true>() => undefined;

// The types that a definition is written with are the format that is checked, no narrower and no wider.
promise<SameFields<DefinitionSource, Definition>>();
promise<SameFields<Required<DefinitionSource>["defaults"], Required<Definition>["defaults"]>>();
promise<SameFields<RetrySource, Required<Definition["nodes"][string]>["retry"]>>();
promise<SameFields<TriggerSource, NodeSourceOf<"trigger">>>();
promise<SameFields<LlmSource, NodeSourceOf<"llm">>>();
promise<SameFields<ConditionSource, NodeSourceOf<"condition">>>();
promise<SameFields<SwitchSource, NodeSourceOf<"switch">>>();
promise<SameFields<SwitchSource["cases"][number], NodeSourceOf<"switch">["cases"][number]>>();
promise<SameFields<ActionSource, NodeSourceOf<"action">>>();
promise<SameFields<LoopSource, NodeSourceOf<"loop">>>();
promise<SameFields<SetSource, NodeSourceOf<"set">>>();
promise<SameFields<OutputSource, NodeSourceOf<"output">>>();

export const typo = {
  name: "typo",
  nodes: {
    // @ts-expect-error a node has a known type
    start: { type: "triger" },
  },
} satisfies DefinitionSource;

export const unknownField = {
  name: "unknown-field",
  nodes: {
    // @ts-expect-error a condition has no `expression`
    start: { type: "condition", expression: "true" },
  },
} satisfies DefinitionSource;

// A binding's kind is that of its function.
export const bindings: ActionBinding[] = [
  { kind: "query", fn: internal.ticketTriage.lookUpCustomer },
  { kind: "mutation", fn: internal.ticketTriage.openTicket },
  { kind: "action", fn: internal.ticketTriage.notify },
  { kind: "query", fn: api.shardflow.getStatus },
  // @ts-expect-error a mutation is not a query
  { kind: "query", fn: internal.ticketTriage.openTicket },
  // @ts-expect-error a query is not an action
  { kind: "action", fn: internal.ticketTriage.lookUpCustomer },
  // @ts-expect-error an action is not a mutation
  { kind: "mutation", fn: internal.ticketTriage.notify },
  // @ts-expect-error there are three kinds
  { kind: "workflow", fn: internal.ticketTriage.notify },
  // @ts-expect-error the function is missing
  { kind: "query" },
];
new Shardflow(components.shardflow, {
  // @ts-expect-error the same, where it is written
  actions: { "desk.openTicket": { kind: "query", fn: internal.ticketTriage.openTicket } },
});

// What reads works everywhere; what writes works where writing does.
export async function contexts() {
  await shardflow.getStatus(queryCtx, "id");
  await shardflow.getStatus(mutationCtx, "id");
  await shardflow.getStatus(actionCtx, "id");
  await shardflow.startWorkflow(mutationCtx, { definition: "x" });
  await shardflow.startWorkflow(actionCtx, { definition: "x" });
  await shardflow.definitions.publish(actionCtx, { name: "x" });
  const { runMutation, runQuery } = mutationCtx;
  await shardflow.startWorkflow({ runMutation }, { definition: "x" });
  await shardflow.list({ runQuery });
  // @ts-expect-error a query cannot start anything
  await shardflow.startWorkflow(queryCtx, { definition: "x" });
  // @ts-expect-error a query cannot configure anything
  await shardflow.admin.configure(queryCtx, {});
  // @ts-expect-error reading needs runQuery
  await shardflow.list({ runMutation });
}
promise<MutationCtx extends ReadCtx & WriteCtx ? true : false>();

// Values and ids.
export async function values() {
  const executionId = await shardflow.startWorkflow(mutationCtx, { definition: "x", input: { any: ["json"] } });
  promise<Same<typeof executionId, ExecutionId>>();
  const text: string = executionId;
  // @ts-expect-error any text is not the id of an execution
  const id: ExecutionId = text;
  const { output } = await shardflow.getStatus(queryCtx, text);
  promise<Same<typeof output, Json | undefined>>();
  return [id, output];
}
promise<Same<ExecutionState["status"], "pending" | "running" | "waiting" | "succeeded" | "failed" | "canceled">>();

export function narrowing(result: Completion["result"]): Json {
  if (result.status === "succeeded") return result.output;
  // @ts-expect-error a failed execution has no output
  if (result.status === "failed") void result.output;
  return result.status === "failed" ? result.error.code : (result.reason ?? null);
}

// A callback is a mutation that takes what a callback is told.
declare const tooMuch: FunctionReference<"mutation", "internal", { executionId: string; more: number }, null>;
export const starts: StartArgs[] = [
  { definition: "x", onComplete: internal.ticketTriage.onTriaged },
  // @ts-expect-error a query is no callback
  { definition: "x", onComplete: internal.ticketTriage.lookUpCustomer },
  // @ts-expect-error it is told nothing of that kind
  { definition: "x", onComplete: tooMuch },
  // @ts-expect-error the definition is missing
  { input: 1 },
  // @ts-expect-error there is no such policy
  { definition: "x", onConflict: "ignore" },
  { definition: "x", scope: undefined, tags: undefined },
];

// Exposed functions are those that were named.
const exposed = exposeApi(shardflow, {
  functions: ["startWorkflow", "listExecutions"],
  authorize: async (ctx: QueryCtx, { op, resource }) => {
    if (op === "cancelWorkflow") return false;
    const tickets = await ctx.db.query("tickets").take(1);
    return tickets.length > 0 && resource === null ? true : { scope: "team" };
  },
});
export const { startWorkflow, listExecutions } = exposed;
// @ts-expect-error it was not named
export const { getStatus } = exposed;
// @ts-expect-error there is no such function
exposeApi(shardflow, { functions: ["configure"], authorize: () => true });
// @ts-expect-error without authorize nobody could call them
exposeApi(shardflow, { functions: ["getStatus"] });
// @ts-expect-error an answer is a boolean or a scope
exposeApi(shardflow, { functions: ["getStatus"], authorize: () => "yes" });
// @ts-expect-error an answer holds nothing but a scope
exposeApi(shardflow, { functions: ["getStatus"], authorize: () => ({ team: "a" }) });
exposeApi(shardflow, {
  functions: ["getStatus"],
  authorize: (_ctx, { op, resource }) => {
    // @ts-expect-error there is no such operation
    if (op === "configure") return false;
    // @ts-expect-error there may be no execution
    return resource.scope === "a";
  },
});
