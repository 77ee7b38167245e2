/**
 * The app functions of the node tests. What they do depends on their arguments alone, besides the rows of `calls`.
 */
import {
  actionGeneric,
  internalMutationGeneric,
  makeFunctionReference,
  mutationGeneric,
  queryGeneric,
  type ActionBuilder,
  type MutationBuilder,
  type QueryBuilder,
} from "convex/server";
import { ConvexError, v } from "convex/values";
import { isJsonObject, type Json, type JsonObject } from "../../../../src/shared/json.js";
import { callGenerated } from "../../generatedApp.js";
import type { DataModel } from "./schema.js";

const query: QueryBuilder<DataModel, "public"> = queryGeneric;
const mutation: MutationBuilder<DataModel, "public"> = mutationGeneric;
const internalMutation: MutationBuilder<DataModel, "internal"> = internalMutationGeneric;
const action: ActionBuilder<DataModel, "public"> = actionGeneric;

const noted = makeFunctionReference<"mutation", { fn: string; args: string }, number>("functions:noteCall");

/** Notes a call; returns how many there have been of the function, this one included. */
export const noteCall = internalMutation({
  args: { fn: v.string(), args: v.string() },
  returns: v.number(),
  handler: async (ctx, { fn, args }) => {
    await ctx.db.insert("calls", { fn, args, at: Date.now() });
    return (
      await ctx.db
        .query("calls")
        .withIndex("by_fn", (q) => q.eq("fn", fn))
        .collect()
    ).length;
  },
});

// ── What is given comes back ─────────────────────────────────────────────────────────────────────────────────────────

export const readEcho = query({ args: v.any(), handler: async (_ctx, args: Json) => args });

export const writeEcho = mutation({
  args: v.any(),
  handler: async (ctx, args: Json) => {
    await ctx.db.insert("calls", { fn: "writeEcho", args: JSON.stringify(args), at: Date.now() });
    return args;
  },
});

export const actEcho = action({ args: v.any(), handler: async (_ctx, args: Json) => args });

/** Throws when it is told to. */
export const actCheck = action({
  args: v.any(),
  handler: async (_ctx, args: JsonObject) => {
    if (args.fail === true) throw new Error("told to fail");
    return args;
  },
});

/** Returns nothing at all. */
export const actNothing = action({ args: v.any(), handler: async () => undefined });

// ── Trouble ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What to throw: `data` makes it a ConvexError. */
function trouble(args: Json): Error | null {
  if (!isJsonObject(args)) return null;
  if (args.data !== undefined) return new ConvexError(args.data);
  return typeof args.throws === "string" ? new Error(args.throws) : null;
}

export const readTrouble = query({
  args: v.any(),
  handler: async (_ctx, args: Json) => {
    throw trouble(args) ?? new Error("trouble");
  },
});

/** Writes before it throws. */
export const writeTrouble = mutation({
  args: v.any(),
  handler: async (ctx, args: Json) => {
    await ctx.db.insert("calls", { fn: "writeTrouble", args: JSON.stringify(args), at: Date.now() });
    throw trouble(args) ?? new Error("trouble");
  },
});

/** Throws at its first `times` calls, then returns how many there have been. */
export const actFlaky = action({
  args: v.any(),
  handler: async (ctx, args: JsonObject) => {
    const calls = await ctx.runMutation(noted, { fn: "actFlaky", args: JSON.stringify(args) });
    if (calls <= Number(args.times)) throw trouble(args) ?? new Error(`not yet, ${calls}`);
    return calls;
  },
});

/** Takes as long as it is told at its first call, and no time later. */
export const actSlowOnce = action({
  args: v.any(),
  handler: async (ctx, args: JsonObject) => {
    const calls = await ctx.runMutation(noted, { fn: "actSlowOnce", args: JSON.stringify(args) });
    if (calls === 1) await sleep(Number(args.ms));
    return calls;
  },
});

/** Notes its begin and its end, `ms` apart. */
export const actSlow = action({
  args: v.any(),
  handler: async (ctx, args: JsonObject) => {
    await ctx.runMutation(noted, { fn: "begin", args: JSON.stringify(args) });
    await sleep(Number(args.ms));
    await ctx.runMutation(noted, { fn: "end", args: JSON.stringify(args) });
    return args.value ?? null;
  },
});

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Takes as long as it is told, and leaves no trace. */
export const actTick = action({
  args: v.any(),
  handler: async (_ctx, args: JsonObject) => {
    await sleep(Number(args.ms));
    return args.value ?? null;
  },
});

/** Results that JSON cannot carry, or that are too large. */
export const readOdd = query({
  args: v.any(),
  handler: async (_ctx, args: JsonObject) => {
    if (args.odd === "bigint") return { n: 10n };
    if (args.odd === "nan") return { n: NaN };
    if (args.odd === "bytes") return { n: new ArrayBuffer(4) };
    return "x".repeat(Number(args.size));
  },
});

// ── Leaks ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The secret that it is given, in every form in which it could come back. */
function formsOf(secret: string): JsonObject {
  const bytesOf = (text: string) => new TextEncoder().encode(text);
  const base64 = (text: string) => btoa(String.fromCharCode(...bytesOf(text)));
  const urlSafe = base64(secret).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const hex = Array.from(bytesOf(secret), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return {
    plain: `Bearer ${secret}!`,
    base64: base64(secret),
    inBase64: base64(`user:${secret}`),
    urlSafe,
    uri: encodeURIComponent(secret),
    form: new URLSearchParams({ q: secret }).toString(),
    json: JSON.stringify({ error: JSON.stringify({ secret }) }),
    hex,
  };
}

function leak(args: JsonObject): Json {
  const forms = formsOf(typeof args.secret === "string" ? args.secret : "");
  console.log("the app logs what it was given by name only");
  if (args.how === "error") throw new Error(`refused: ${JSON.stringify(forms)}`);
  if (args.how === "data") throw new ConvexError({ code: "REFUSED", forms, retryable: false });
  return forms;
}

export const readLeak = query({ args: v.any(), handler: async (_ctx, args: JsonObject) => leak(args) });
export const writeLeak = mutation({ args: v.any(), handler: async (_ctx, args: JsonObject) => leak(args) });
export const actLeak = action({ args: v.any(), handler: async (_ctx, args: JsonObject) => leak(args) });

/** Says only how long the texts are that it was given. */
export const actLength = action({
  args: v.any(),
  handler: async (_ctx, { text, list }: { text: string; list: string[] }) => ({
    text: text.length,
    list: list[0]?.length ?? 0,
  }),
});

// ── The app of generated definitions ─────────────────────────────────────────────────────────────────────────────────

function generated(name: string, args: JsonObject): Json {
  const end = callGenerated(name, args);
  if (end === null) throw new Error(`${name} does not like it`);
  return end.result;
}

export const echo = query({ args: v.any(), handler: async (_ctx, args: JsonObject) => generated("echo", args) });
export const send = action({ args: v.any(), handler: async (_ctx, args: JsonObject) => generated("send", args) });
export const flaky = action({ args: v.any(), handler: async (_ctx, args: JsonObject) => generated("flaky", args) });

export const store = mutation({
  args: v.any(),
  handler: async (ctx, args: JsonObject) => {
    await ctx.db.insert("calls", { fn: "store", args: JSON.stringify(args), at: Date.now() });
    return generated("store", args);
  },
});

export const refuse = mutation({
  args: v.any(),
  handler: async (ctx, args: JsonObject) => {
    await ctx.db.insert("calls", { fn: "refuse", args: JSON.stringify(args), at: Date.now() });
    return generated("refuse", args);
  },
});
