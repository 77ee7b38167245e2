/**
 * What is measured, on both systems by the same names: the simulator and convex-test.
 *
 * Invariant: both run the same functions, called the same way, one call after the other.
 */
import { convexTest } from "convex-test";
import { Deployment } from "../src/index.js";
import { api, modules, schema } from "./app.js";
import { Clock } from "./clock.js";
import * as flows from "./workflowApp.js";

export type SystemName = "simulator" | "convex-test";

/** Rows and the small transaction. */
export interface Rows {
  /** Makes so many rows. */
  readonly fill: (documents: number) => Promise<void>;
  readonly small: (operations: number) => Promise<void>;
  /** The same from a hundred clients at once. */
  readonly smallTogether: (operations: number) => Promise<void>;
  readonly range: (operations: number) => Promise<void>;
}

/** A prime, so that reads go to places all over the table. */
const STRIDE = 7_919;
const BATCH = 1_000;
const CLIENTS = 100;

export async function openRows(name: SystemName): Promise<Rows> {
  const app =
    name === "simulator" ? new Deployment({ schema, modules, className: "D1024" }) : convexTest(schema, modules);
  const together = async (work: Promise<unknown>) =>
    app instanceof Deployment ? await app.loop.drive(work) : await work;
  const id: unknown = await app.mutation(api.anchor, {});
  let n = 0;
  let reads = 0;
  return {
    fill: async (documents) => {
      for (; n < documents; n += BATCH)
        await app.mutation(api.fill, { from: n, count: Math.min(BATCH, documents - n) });
    },
    small: async (operations) => {
      for (let i = 0; i < operations; i++) await app.mutation(api.small, { id, n: n++ });
    },
    smallTogether: async (operations) => {
      for (let i = 0; i < operations; i += CLIENTS) {
        await together(Promise.all(Array.from({ length: CLIENTS }, () => app.mutation(api.small, { id, n: n++ }))));
      }
    },
    range: async (operations) => {
      for (let i = 0; i < operations; i++)
        await app.query(api.range, { from: (reads++ * STRIDE) % Math.max(1, n - 10) });
    },
  };
}

/** Runs so many workflows beside each other, to their ends. */
export async function openWorkflows(name: SystemName): Promise<(count: number) => Promise<void>> {
  const installed = await flows.components();
  let begun = 0;
  if (name === "simulator") {
    const app = new Deployment({ schema: flows.schema, modules: flows.modules });
    for (const component of installed) app.registerComponent(component.path, component.schema, component.modules);
    return async (count) => {
      begun += count;
      await app.loop.drive(Promise.all(Array.from({ length: count }, () => app.mutation(flows.api.begin, {}))));
      while ((await app.query(flows.api.countEnded, {})) !== begun) await app.loop.advance(100);
    };
  }
  const clock = new Clock();
  clock.install();
  const t = convexTest(flows.schema, flows.modules);
  for (const component of installed) t.registerComponent(component.path, component.schema, component.modules);
  return async (count) => {
    begun += count;
    for (let i = 0; i < count; i++) await t.mutation(flows.api.begin, {});
    await clock.until(async () => (await t.query(flows.api.countEnded, {})) === begun);
  };
}

export type Memory = { writes: number; heapBytes: number; versions: number; commits: number };

/** Writes the same thousand rows again and again, and says what is held after each of the steps. */
export async function churn(writes: number, steps: number): Promise<Memory[]> {
  const app = new Deployment({ schema, modules, className: "D1024" });
  await app.mutation(api.fill, { from: 0, count: BATCH });
  const held: Memory[] = [];
  let written = 0;
  for (let step = 1; step <= steps; step++) {
    for (; written < (writes * step) / steps; written += BATCH) {
      await app.mutation(api.touch, { from: 0, count: BATCH, text: `written ${written}` });
    }
    held.push({ writes: written, heapBytes: heapBytes(), ...app.database.held });
  }
  return held;
}

/** Heap per document of a table of that size. */
export async function sizeOf(documents: number): Promise<Memory> {
  const before = heapBytes();
  const app = new Deployment({ schema, modules, className: "D1024" });
  for (let n = 0; n < documents; n += BATCH) await app.mutation(api.fill, { from: n, count: BATCH });
  return { writes: documents, heapBytes: heapBytes() - before, ...app.database.held };
}

/** After a collection of garbage: the process runs with `--expose-gc`. */
function heapBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
