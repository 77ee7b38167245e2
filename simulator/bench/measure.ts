/**
 * Measuring on a machine that others use, too.
 *
 * Owns: the processes that are measured, and what of their samples counts. Invariant: what is compared takes turns within
 * one run, so whatever slows the machine down slows both; the middle one of the rounds counts, the first one never.
 */
import { fork, type ChildProcess } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Memory, SystemName } from "./systems.js";
import type { Answer, Sample, Task } from "./worker.js";

/**
 * Compiled and in plain Node: what a loader of TypeScript adds to each function is not the simulator's.
 */
async function compiledWorker(): Promise<string> {
  const outfile = path.join(ROOT, "node_modules/.cache/simulator-bench/worker.mjs");
  const entry = fileURLToPath(new URL("./worker.ts", import.meta.url));
  await build({
    entryPoints: [entry],
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node20",
    outfile,
    logLevel: "error",
  });
  return outfile;
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const WORKER = await compiledWorker();

export class Measured {
  readonly #process: ChildProcess;

  constructor(system: SystemName) {
    this.#process = fork(WORKER, [system], { execArgv: ["--expose-gc"] });
  }

  async sample(task: Task): Promise<Sample> {
    const answer = await this.#ask(task);
    if ("sample" in answer) return answer.sample;
    throw new Error(`"${task.do}" gives no sample.`);
  }

  async memory(task: Task): Promise<Memory[]> {
    const answer = await this.#ask(task);
    if ("memory" in answer) return answer.memory;
    throw new Error(`"${task.do}" measures no memory.`);
  }

  stop(): void {
    this.#process.kill();
  }

  #ask(task: Task): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null) => reject(new Error(`The measured process ended with ${code}.`));
      this.#process.once("exit", onExit);
      this.#process.once("message", (answer: Answer) => {
        this.#process.off("exit", onExit);
        if ("error" in answer) reject(new Error(answer.error));
        else resolve(answer);
      });
      this.#process.send(task);
    });
  }
}

/** By turns, once for nothing and then `rounds` times. */
export async function inTurns<Name extends string>(
  contenders: Readonly<Record<Name, () => Promise<Sample>>>,
  rounds: number,
): Promise<Record<Name, Sample>> {
  const names = Object.keys(contenders) as Name[];
  const samples = new Map<Name, Sample[]>(names.map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      const sample = await contenders[name]();
      if (round > 0) samples.get(name)?.push(sample);
    }
  }
  return Object.fromEntries(names.map((name) => [name, middle(samples.get(name) ?? [])])) as Record<Name, Sample>;
}

function middle(samples: readonly Sample[]): Sample {
  const of = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
  return { cpuUs: of(samples.map(({ cpuUs }) => cpuUs)), wallUs: of(samples.map(({ wallUs }) => wallUs)) };
}
