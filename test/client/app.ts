/** A small app with the component, for tests of the client: actions of each kind, and a table of callbacks. */
import { parseOnComplete, Shardflow, vOnCompleteArgs, type Completion, type DefinitionSource } from "convex-shardflow";
import { convexTest } from "convex-test";
import {
  defineSchema,
  defineTable,
  internalMutationGeneric,
  internalQueryGeneric,
  makeFunctionReference,
  type DataModelFromSchemaDefinition,
  type MutationBuilder,
} from "convex/server";
import { ConvexError, v } from "convex/values";
import { vi } from "vitest";
import { components } from "../../convex/_generated/api.js";
import component from "../../src/test.js";

/** JSON text of what onComplete was told. */
const schema = defineSchema({ completions: defineTable({ json: v.string() }) });
const internalMutation = internalMutationGeneric as MutationBuilder<
  DataModelFromSchemaDefinition<typeof schema>,
  "internal"
>;

/** Whether the onComplete function throws. */
export const callback = { throws: false };

const functions = {
  double: internalQueryGeneric({
    args: { n: v.number() },
    returns: v.number(),
    handler: async (_ctx, { n }: { n: number }) => n * 2,
  }),
  onDone: internalMutation({
    args: vOnCompleteArgs.fields,
    returns: v.null(),
    handler: async (ctx, args) => {
      if (callback.throws) throw new ConvexError("The callback fails.");
      await ctx.db.insert("completions", { json: JSON.stringify(parseOnComplete(args)) });
      return null;
    },
  }),
};

export const double = makeFunctionReference<"query", { n: number }, number>("functions:double");
export const onDone = makeFunctionReference<"mutation", typeof vOnCompleteArgs.type>("functions:onDone");

/** Gives its input back, one level down. */
export const ECHO = {
  name: "echo",
  nodes: {
    start: { type: "trigger", next: { success: "end" } },
    end: { type: "output", value: { got: "{{ input }}", about: "{{ context }}" } },
  },
} satisfies DefinitionSource;

export const DOUBLE = {
  name: "double",
  nodes: {
    start: { type: "trigger", next: { success: "double" } },
    double: { type: "action", action: "math.double", args: { n: "{{ input.n }}" }, next: { success: "end" } },
    end: { type: "output", value: "{{ nodes.double.output }}" },
  },
} satisfies DefinitionSource;

export const BROKEN = {
  name: "broken",
  nodes: {
    start: { type: "trigger", next: { success: "end" } },
    end: { type: "output", value: "{{ input.missing }}" },
  },
} satisfies DefinitionSource;

export const shardflow = new Shardflow(components.shardflow, {
  actions: { "math.double": { kind: "query", fn: double } },
});

export function startApp() {
  vi.useFakeTimers({
    now: Date.UTC(2026, 0, 1),
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"],
  });
  callback.throws = false;
  const t = convexTest(schema, {
    "./_generated/server.js": () => Promise.resolve({}),
    "./functions.ts": () => Promise.resolve(functions),
  });
  component.register(t);
  const completions = async () =>
    (await t.run(async (ctx) => await ctx.db.query("completions").collect())).map(
      ({ json }) => JSON.parse(json) as Completion,
    );
  return { t, completions };
}

export type App = ReturnType<typeof startApp>;
