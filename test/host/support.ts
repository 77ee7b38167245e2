/**
 * The app of convex/ on the harness, with a language model in this process.
 *
 * The model answers within the virtual clock, which a real connection could not; test/demo runs the same flows over HTTP.
 */
import { parseStatus, type ExecutionState } from "convex-shardflow";
import { afterEach, vi } from "vitest";
import { api, internal } from "../../convex/_generated/api.js";
import { COMPANIES, CUSTOMERS } from "../../demo/cases.js";
import { runUntil, startHarness, type Harness } from "../support/harness.js";
import { PROTOCOLS } from "../support/modelProtocols.js";

export const TEAM = "acme";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

export type Prompt = { instructions: string; prompt: string; schema: unknown };
/** An answer: text, JSON for a schema, or an HTTP status. */
export type ModelAnswer = { text: string } | { json: unknown } | { status: number; headers?: Record<string, string> };

/** Lets `answer` stand for every model; returns what was asked. */
export function useModel(answer: (asked: Prompt, call: number) => ModelAnswer): Prompt[] {
  const asked: Prompt[] = [];
  vi.stubEnv("OPENAI_API_KEY", "a-key-of-the-tests");
  vi.stubGlobal("fetch", async (_url: string, init: { body: string }) => {
    const body = JSON.parse(init.body) as Record<string, unknown>;
    const read = PROTOCOLS.openai.read(body);
    const textOf = (isUser: boolean) => read.messages.find(({ role }) => (role === "user") === isUser)?.content ?? "";
    const prompt = { instructions: textOf(false), prompt: textOf(true), schema: read.schema };
    asked.push(prompt);
    const given = answer(prompt, asked.length);
    if ("status" in given) {
      return Response.json(PROTOCOLS.openai.error(given.status), {
        status: given.status,
        headers: given.headers ?? {},
      });
    }
    const request = { ...read, provider: "openai" as const, callNumber: asked.length, headers: {}, body };
    return Response.json(PROTOCOLS.openai.answer(request, given));
  });
  return asked;
}

/** The app with its flows published for {@link TEAM}, customers and companies in its tables. */
export async function startApp() {
  const t = startHarness();
  await t.mutation(internal.setup.seed, { team: TEAM, customers: CUSTOMERS, companies: COMPANIES });
  await t.mutation(internal.setup.publishFlows, { team: TEAM });
  return { t, user: t.withIdentity({ subject: "a user", team: TEAM }) };
}

type User = Awaited<ReturnType<typeof startApp>>["user"];

/** Starts a flow as a signed-in user does, and runs it to its end. */
export async function runFlow(user: User, definition: string, input: unknown): Promise<ExecutionState> {
  const executionId = await user.mutation(api.shardflow.startWorkflow, { definition, input: JSON.stringify(input) });
  return await runToEnd(user, executionId);
}

export async function runToEnd(user: User, executionId: string): Promise<ExecutionState> {
  const state = () => user.query(api.shardflow.getStatus, { executionId });
  await runUntil(async () => (await state()).endedAt !== undefined);
  return parseStatus(await state());
}

/** All rows of a table of the app. */
export async function rowsOf<Table extends "tickets" | "notices" | "leads" | "articles">(t: Harness, table: Table) {
  return await t.run(async (ctx) => await ctx.db.query(table).collect());
}
