/** A process for one system: what the one leaves in a process (hooks, heap, compiled code) does not burden the other. */
import { churn, openRows, openWorkflows, sizeOf, type Memory, type Rows, type SystemName } from "./systems.js";

export type Task =
  | { do: "fill"; documents: number }
  | { do: "small" | "smallTogether" | "range" | "workflows"; operations: number }
  | { do: "churn"; writes: number; steps: number }
  | { do: "sizeOf"; documents: number };

/** Microseconds of processor time (garbage collection included) and of wall time that one operation took. */
export type Sample = { cpuUs: number; wallUs: number };
export type Answer = { sample: Sample } | { memory: Memory[] } | { error: string };

const system = process.argv[2] as SystemName;
// What functions and components log is not what is measured, and standard output is the parent's.
for (const level of ["log", "info", "debug", "warn"] as const) console[level] = () => undefined;

let rows: Rows | null = null;
let runWorkflows: ((count: number) => Promise<void>) | null = null;

async function perform(task: Task): Promise<Answer> {
  switch (task.do) {
    case "churn":
      return { memory: await churn(task.writes, task.steps) };
    case "sizeOf":
      return { memory: [await sizeOf(task.documents)] };
    case "workflows": {
      const run = (runWorkflows ??= await openWorkflows(system));
      return { sample: await timed(task.operations, run) };
    }
    case "fill": {
      const { fill } = (rows ??= await openRows(system));
      return { sample: await timed(task.documents, fill) };
    }
    default: {
      const run = (rows ??= await openRows(system))[task.do];
      return { sample: await timed(task.operations, run) };
    }
  }
}

async function timed(operations: number, run: (operations: number) => Promise<void>): Promise<Sample> {
  const cpu = process.cpuUsage();
  const wall = process.hrtime.bigint();
  await run(operations);
  const { user, system: kernel } = process.cpuUsage(cpu);
  const most = Math.max(1, operations);
  return { cpuUs: (user + kernel) / most, wallUs: Number(process.hrtime.bigint() - wall) / 1_000 / most };
}

process.on("message", (task: Task) => {
  perform(task).then(
    (answer) => process.send?.(answer),
    (error: unknown) =>
      process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
