/**
 * What the demo runs: eight inputs for each flow, each with the result it must have.
 *
 * The results are written down by hand, from what the texts say and what the tables hold: nothing here is computed by the
 * engine, so an execution is judged by something that shares no code with it.
 */
export const TEAM = "demo";

export const CUSTOMERS = [
  { email: "ada@acme.test", name: "Ada", tier: "gold" as const },
  { email: "grace@globex.test", name: "Grace", tier: "gold" as const },
  { email: "linus@initech.test", name: "Linus", tier: "free" as const },
];

export const COMPANIES = [
  { domain: "acme.test", name: "Acme", employees: 120 },
  { domain: "globex.test", name: "Globex", employees: 4100 },
  { domain: "initech.test", name: "Initech", employees: 35 },
  { domain: "hooli.test", name: "Hooli", employees: 52000 },
];
const [ACME, GLOBEX, INITECH, HOOLI] = COMPANIES;

export type Case = { flow: string; input: unknown; expected: unknown };

const ticket = (
  email: string,
  subject: string,
  body: string,
  expected: { category: string; queue: string; urgent: boolean },
): Case => ({ flow: "ticket-triage", input: { email, subject, body }, expected });

const TICKETS: Case[] = [
  ticket("ada@acme.test", "Charged twice", "The invoice of May lists two seats.", {
    category: "billing",
    queue: "billing",
    urgent: false,
  }),
  ticket("grace@globex.test", "Everything is down", "An error on every page, nobody can work.", {
    category: "bug",
    queue: "on-call",
    urgent: true,
  }),
  ticket("linus@initech.test", "Site is down", "An error on every page, nobody can work.", {
    category: "bug",
    queue: "engineering",
    urgent: true,
  }),
  ticket("linus@initech.test", "Export fails", "An error when I export a report.", {
    category: "bug",
    queue: "engineering",
    urgent: false,
  }),
  ticket("nobody@nowhere.test", "Where are the docs?", "I would like to read more.", {
    category: "other",
    queue: "support",
    urgent: false,
  }),
  ticket("ada@acme.test", "Account locked over an invoice", "We paid, and still nobody can work.", {
    category: "billing",
    queue: "on-call",
    urgent: true,
  }),
  ticket("nobody@nowhere.test", "Refund", "Please refund the invoice of June.", {
    category: "billing",
    queue: "billing",
    urgent: false,
  }),
  ticket("grace@globex.test", "Thank you", "Great product.", { category: "other", queue: "support", urgent: false }),
];

const list = (domains: string[], leads: unknown[], missing: string[]): Case => ({
  flow: "enrich-list",
  input: { domains },
  expected: { leads, missing, saved: leads.length },
});

const LISTS: Case[] = [
  list(["acme.test"], [ACME], []),
  list(["acme.test", "nowhere.test", "globex.test"], [ACME, GLOBEX], ["nowhere.test"]),
  list(["nowhere.test"], [], ["nowhere.test"]),
  list([], [], []),
  list(["hooli.test", "initech.test", "globex.test", "acme.test"], [HOOLI, INITECH, GLOBEX, ACME], []),
  list(["void.test", "hooli.test", "nowhere.test"], [HOOLI], ["void.test", "nowhere.test"]),
  list(["initech.test", "initech.test"], [INITECH, INITECH], []),
  list(
    ["globex.test", "acme.test", "a.test", "hooli.test", "initech.test", "b.test"],
    [GLOBEX, ACME, HOOLI, INITECH],
    ["a.test", "b.test"],
  ),
];

const article = (topic: string, goal: number, scores: number[], published: boolean): Case => ({
  flow: "draft-and-rewrite",
  input: { topic, goal },
  expected: { published, text: `${topic}, draft ${scores.length}.`, scores },
});

/** The model's drafts score 60, 80 and 100 in turn; those about something impossible 10, 20, 30 and 40. */
const ARTICLES: Case[] = [
  article("Owls", 50, [60], true),
  article("Bridges", 60, [60], true),
  article("Rivers", 75, [60, 80], true),
  article("Maps", 80, [60, 80], true),
  article("Clocks", 95, [60, 80, 100], true),
  article("Salt", 100, [60, 80, 100], true),
  article("An impossible staircase", 30, [10, 20, 30], true),
  article("An impossible triangle", 90, [10, 20, 30, 40], false),
];

/** In turns, so that the flows run side by side. */
export const CASES: Case[] = TICKETS.flatMap((one, i) =>
  [one, LISTS[i], ARTICLES[i]].filter((each) => each !== undefined),
);
