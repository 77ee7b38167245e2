/** Runs `shardflow run` in this process, from the sources, on files that are values. */
import { CliError } from "../../src/cli/command.js";
import { runCli } from "../../src/cli/dispatch.js";
import type { RunReport } from "../../src/cli/run/execution.js";

export type Ran = {
  code: number;
  out: string;
  err: string;
  /** What `--json` printed. */
  report: RunReport;
};

type Files = { flow: unknown; input?: unknown; mocks?: unknown; "env-file"?: string };

/** Texts are files as they are; other values are written as JSON. */
export async function run(
  files: Files,
  args: string[] = ["--json"],
  env: Record<string, string> = {},
  colors = false,
): Promise<Ran> {
  const texts = Object.fromEntries(
    Object.entries(files).map(([name, value]) => [
      `${name}.json`,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
  const options = Object.keys(files).flatMap((name) => (name === "flow" ? [] : [`--${name}`, `${name}.json`]));
  let out = "";
  let err = "";
  const code = await runCli(["run", "flow.json", ...options, ...args], {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    read: async (file) => {
      const text = texts[file];
      if (text === undefined) throw new CliError(`There is no file ${file}.`);
      return text;
    },
    env,
    colors,
  });
  const json: unknown = args.includes("--json") && out !== "" ? JSON.parse(out) : {};
  return { code, out, err, report: json as RunReport };
}

type Node = { type: string; [field: string]: unknown };

/** A flow of these nodes, one after the other, between a trigger and the output. */
export function sequence(nodes: Record<string, Node>, value: unknown) {
  const ids = [...Object.keys(nodes), "end"];
  const next = (i: number) => ({ success: ids[i] });
  const middle = Object.entries(nodes).map(([id, node], i): [string, Node] => [id, { next: next(i + 1), ...node }]);
  return {
    name: "tested",
    nodes: {
      start: { type: "trigger", next: next(0) },
      ...Object.fromEntries(middle),
      end: { type: "output", value },
    },
  };
}

/** The path, attempt and status of each node run. */
export function steps({ nodeRuns }: RunReport): string[] {
  return nodeRuns.map(({ path, attempt, status }) => `${path} ${attempt} ${status}`);
}
