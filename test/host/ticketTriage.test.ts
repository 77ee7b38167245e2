import type { DefinitionSource } from "convex-shardflow";
import { beforeAll, expect, test } from "vitest";
import { api } from "../../convex/_generated/api.js";
import { shardflow } from "../../convex/shardflow.js";
import { preload, runToQuiet } from "../support/harness.js";
import { rowsOf, runFlow, runToEnd, startApp, TEAM, useModel, type ModelAnswer } from "./support.js";

beforeAll(preload);

const TICKET = { email: "ada@acme.test", subject: "Site is down", body: "Since nine." };
const sorted = (category: string, urgent: boolean): ModelAnswer => ({
  json: { category, urgent, summary: "The site is down." },
});

test.each([
  { email: "ada@acme.test", category: "bug", urgent: true, queue: "on-call", why: "urgent, of a gold customer" },
  { email: "linus@initech.test", category: "bug", urgent: true, queue: "engineering", why: "urgent, of a free one" },
  { email: "ada@acme.test", category: "billing", urgent: false, queue: "billing", why: "about billing" },
  { email: "who@nowhere.test", category: "other", urgent: false, queue: "support", why: "of nobody that is known" },
])("a ticket that is $why goes to $queue", async ({ email, category, urgent, queue }) => {
  const asked = useModel(() => sorted(category, urgent));
  const { t, user } = await startApp();
  const state = await runFlow(user, "ticket-triage", { ...TICKET, email });

  expect(state).toMatchObject({ status: "succeeded", output: { category, queue, urgent } });
  expect(asked.map(({ prompt }) => prompt)).toEqual(["Subject: Site is down\n\nSince nine."]);
  const { executionId } = state;
  expect(await rowsOf(t, "tickets")).toMatchObject([
    { team: TEAM, executionId, email, subject: "Site is down", category, urgent, summary: "The site is down.", queue },
  ]);
  const notices = urgent ? [{ queue, text: "Site is down: The site is down.", key: `${executionId}:notify` }] : [];
  expect(await rowsOf(t, "notices")).toMatchObject(notices);
});

test("a model that is busy is asked again, and the ticket is opened once", async () => {
  const asked = useModel((_, call) =>
    call <= 2 ? { status: 429, headers: { "retry-after": "3" } } : sorted("bug", false),
  );
  const { t, user } = await startApp();
  const state = await runFlow(user, "ticket-triage", TICKET);

  expect(state.output).toEqual({ category: "bug", queue: "engineering", urgent: false });
  expect(asked).toHaveLength(3);
  expect(await rowsOf(t, "tickets")).toHaveLength(1);
  const { page } = await user.query(api.shardflow.listNodeRuns, { executionId: state.executionId });
  const classify = page.find(({ node }) => node === "classify");
  expect(classify?.failures.map(({ error }) => error.code)).toEqual(["MODEL_RATE_LIMITED", "MODEL_RATE_LIMITED"]);
});

test("without an answer of the model a person sorts the ticket", async () => {
  useModel(() => ({ status: 401 }));
  const { t, user } = await startApp();
  const state = await runFlow(user, "ticket-triage", TICKET);

  expect(state.output).toEqual({ category: "unsorted", queue: "support", urgent: false });
  expect(await rowsOf(t, "tickets")).toMatchObject([{ category: "unsorted", queue: "support" }]);
});

test("submit starts the flow in the caller's team, and can be found by its tag", async () => {
  useModel(() => sorted("bug", false));
  const { t, user } = await startApp();
  const executionId = await user.mutation(api.ticketTriage.submit, TICKET);
  await runToEnd(user, executionId);
  await runToQuiet();

  const { page } = await user.query(api.shardflow.listExecutions, { tag: { name: "email", value: TICKET.email } });
  expect(page).toMatchObject([{ executionId, scope: TEAM, status: "succeeded" }]);
  expect(await rowsOf(t, "tickets")).toHaveLength(1);
});

test("a submitted ticket is not lost when its execution fails: onComplete opens it, once", async () => {
  const { t, user } = await startApp();
  const broken = {
    name: "ticket-triage",
    nodes: {
      start: { type: "trigger", next: { success: "wrong" } },
      wrong: { type: "output", value: "{{ input.noSuchField }}" },
    },
  } satisfies DefinitionSource;
  await t.run(async (ctx) => await shardflow.definitions.publish(ctx, { source: broken, scope: TEAM }));
  const executionId = await user.mutation(api.ticketTriage.submit, TICKET);
  expect(await runToEnd(user, executionId)).toMatchObject({ status: "failed", error: { node: "wrong" } });
  await runToQuiet();

  expect(await rowsOf(t, "tickets")).toMatchObject([
    { team: TEAM, executionId, email: TICKET.email, subject: TICKET.subject, queue: "support", category: "unsorted" },
  ]);
});

test("whoever is not signed in can neither submit nor start", async () => {
  const { t, user } = await startApp();
  await expect(t.mutation(api.ticketTriage.submit, TICKET)).rejects.toMatchObject({ data: { code: "NOT_SIGNED_IN" } });
  await expect(
    t.mutation(api.shardflow.startWorkflow, { definition: "ticket-triage", input: JSON.stringify(TICKET) }),
  ).rejects.toMatchObject({ data: { code: "UNAUTHORIZED" } });
  expect((await user.query(api.shardflow.listExecutions, {})).page).toEqual([]);
});
