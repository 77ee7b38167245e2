/** A program with everything in it, and faults of every kind: run twice, its history is the same byte for byte. */
import { createHash } from "node:crypto";
import { FAULT_KINDS, type FaultKind } from "../../src/index.js";
import { api, modulesOf, startApp } from "../faults/app.js";

/** Seldom enough that the program gets anywhere. */
const probability = Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0.02])) as Record<FaultKind, number>;

export async function runProgram(seed: number) {
  const app = startApp({
    seed,
    permits: { scheduledJobs: 3, mutations: 8 },
    faults: {
      probability: { ...probability, dropHandle: 0.3, restart: 0.004, deploy: 0.004, reorderJobs: 0.5 },
      deploys: [{ path: "", modules: modulesOf("new") }],
    },
  });
  const sizes: number[] = [];
  app.invariants.add("sizes", (snapshot) => void sizes.push(snapshot.count("", "effects")), { everyNth: 10 });
  app.faults?.calm();
  const id = await app.mutation(api.app!.create!, { name: "a" });
  const handle = await app.query(api.app!.handle!, {});
  app.faults?.resume();
  const callers = Array.from({ length: 12 }, async (_, i) => {
    await app.loop.sleep(i * 70);
    const key = `k${i}`;
    const outcomes = await Promise.allSettled([
      app.action(api.app!.everything!, { key }),
      app.mutation(api.app!.increment!, { id }),
      app.mutation(api.app!.increment!, { id }),
      app.mutation(api.app!.later!, { key, kind: i % 2 === 0 ? "action" : "mutation", ms: i * 30 }),
      app.mutation(api.app!.throughHandle!, { key, handle }),
      app.action(api.app!.incrementBroken!, { id }),
      app.query(api.app!.read!, { id }),
    ]);
    return outcomes.map((outcome) => (outcome.status === "fulfilled" ? outcome.value : String(outcome.reason)));
  });
  const outcomes = await app.loop.drive(Promise.all(callers));
  await app.loop.advance(120_000);
  const text = createHash("sha256").update(app.history.toText(Infinity)).digest("hex");
  return {
    digest: app.history.digest(),
    text,
    events: app.history.count,
    injected: app.faults?.injected ?? [],
    outcomes,
    sizes,
  };
}

// As a process of its own: for a test that compares processes.
if (process.argv[2] === "--seed") {
  const { digest, text, events } = await runProgram(Number(process.argv[3]));
  console.log(JSON.stringify({ digest, text, events }));
}
