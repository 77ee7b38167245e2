/**
 * The anomalies that have names, as invariants of small programs: write skew, lost updates, phantoms and torn reads never
 * happen, and each of them does on a deployment that checks too little.
 */
import {
  anyApi,
  defineSchema,
  defineTable,
  mutationGeneric,
  queryGeneric,
  type DataModelFromSchemaDefinition,
  type FunctionReference,
  type MutationBuilder,
  type QueryBuilder,
} from "convex/server";
import { v } from "convex/values";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Deployment } from "../../src/index.js";

const schema = defineSchema({
  doctors: defineTable({ onCall: v.boolean() }).index("by_on_call", ["onCall"]),
  accounts: defineTable({ balance: v.number() }),
  names: defineTable({ name: v.string() }).index("by_name", ["name"]),
});
type Tables = DataModelFromSchemaDefinition<typeof schema>;
const query = queryGeneric as QueryBuilder<Tables, "public">;
const mutation = mutationGeneric as MutationBuilder<Tables, "public">;

const app = {
  setUp: mutation({
    args: { count: v.number() },
    handler: async (ctx, { count }) => {
      const doctors = [];
      const accounts = [];
      for (let i = 0; i < count; i++) {
        doctors.push(await ctx.db.insert("doctors", { onCall: true }));
        accounts.push(await ctx.db.insert("accounts", { balance: 100 }));
      }
      return { doctors, accounts };
    },
  }),
  /** Somebody has to stay: each looks at all and writes to its own. */
  goHome: mutation({
    args: { doctor: v.id("doctors") },
    handler: async (ctx, { doctor }) => {
      const onCall = await ctx.db
        .query("doctors")
        .withIndex("by_on_call", (q) => q.eq("onCall", true))
        .collect();
      if (onCall.length > 1) await ctx.db.patch("doctors", doctor, { onCall: false });
    },
  }),
  /** A name is taken once: by who finds its range empty. */
  register: mutation({
    args: { name: v.string() },
    handler: async (ctx, { name }) => {
      const taken = await ctx.db
        .query("names")
        .withIndex("by_name", (q) => q.eq("name", name))
        .first();
      if (taken === null) await ctx.db.insert("names", { name });
    },
  }),
  transfer: mutation({
    args: { from: v.id("accounts"), to: v.id("accounts"), amount: v.number() },
    handler: async (ctx, { from, to, amount }) => {
      const payer = await ctx.db.get("accounts", from);
      const payee = await ctx.db.get("accounts", to);
      if (payer === null || payee === null || from === to) return;
      await ctx.db.patch("accounts", from, { balance: payer.balance - amount });
      await ctx.db.patch("accounts", to, { balance: payee.balance + amount });
    },
  }),
  look: query({
    args: {},
    handler: async (ctx) => {
      const doctors = await ctx.db.query("doctors").collect();
      const names = await ctx.db.query("names").collect();
      const accounts = await ctx.db.query("accounts").collect();
      return {
        onCall: doctors.filter(({ onCall }) => onCall).length,
        twice: names.length - new Set(names.map(({ name }) => name)).size,
        total: accounts.reduce((sum, { balance }) => sum + balance, 0),
      };
    },
  }),
};
const modules = { "./_generated/api.js": () => Promise.resolve({}), "./app.ts": () => Promise.resolve(app) };
type Reference = FunctionReference<"mutation"> & FunctionReference<"query">;
const api = anyApi as unknown as { app: Record<keyof typeof app, Reference> };

const COUNT = 4;
type Look = { onCall: number; twice: number; total: number };
type Program = { seed: number; calls: ReadonlyArray<{ at: number; which: number; a: number; b: number }> };
const programs: fc.Arbitrary<Program> = fc.record({
  seed: fc.nat(),
  calls: fc.array(
    fc.record({
      at: fc.nat({ max: 60 }),
      which: fc.nat({ max: 3 }),
      a: fc.nat({ max: COUNT - 1 }),
      b: fc.nat({ max: COUNT - 1 }),
    }),
    { minLength: 15, maxLength: 25 },
  ),
});

/** What every query saw, those beside the mutations and one at the end. */
async function run({ seed, calls }: Program, prepare: (app: Deployment) => void = () => undefined): Promise<Look[]> {
  const deployment = new Deployment({ schema, modules, seed });
  prepare(deployment);
  const { doctors, accounts } = (await deployment.mutation(api.app.setUp, { count: COUNT })) as Record<
    string,
    string[]
  >;
  const seen: Look[] = [];
  const look = async () => void seen.push((await deployment.query(api.app.look)) as Look);
  const call = async ({ at, which, a, b }: Program["calls"][number]) => {
    await deployment.loop.sleep(at);
    if (which === 0) await deployment.mutation(api.app.goHome, { doctor: doctors?.[a] });
    else if (which === 1) await deployment.mutation(api.app.register, { name: `name ${a}` });
    else if (which === 2)
      await deployment.mutation(api.app.transfer, { from: accounts?.[a], to: accounts?.[b], amount: 7 });
    else await look();
  };
  // Some lose five times.
  await deployment.loop.drive(Promise.all(calls.map((one) => call(one).catch(() => undefined))));
  await look();
  return seen;
}

test("no write skew, no phantom, no lost update, no torn read", async () => {
  await fc.assert(
    fc.asyncProperty(programs, async (program) => {
      for (const { onCall, twice, total } of await run(program)) {
        expect(onCall).toBeGreaterThanOrEqual(1);
        expect(twice).toBe(0);
        expect(total).toBe(COUNT * 100);
      }
    }),
    { numRuns: 40, seed: 20_260_103 },
  );
});

test("a deployment that checks nothing shows all of them", async () => {
  const seen: Look[] = [];
  for (const program of fc.sample(programs, { numRuns: 40, seed: 20_260_103 })) {
    seen.push(...(await run(program, ({ database }) => void (database.conflict = () => null))));
  }
  expect(seen.some(({ onCall }) => onCall < 1)).toBe(true);
  expect(seen.some(({ twice }) => twice > 0)).toBe(true);
  expect(seen.some(({ total }) => total !== COUNT * 100)).toBe(true);
});
