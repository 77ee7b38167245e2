/** A terminal that remembers: a command runs in this process on files that exist only here. */
import { CliError, type Io } from "../../src/cli/command.js";
import { runCli } from "../../src/cli/dispatch.js";

export type Ended = { code: number; out: string; err: string };

/** @param files - by name, `-` for standard input; a value that is not text is written as JSON. */
export async function shardflow(
  args: readonly string[],
  files: Record<string, unknown> = {},
  more: Partial<Io> = {},
): Promise<Ended> {
  const written = { out: "", err: "" };
  const read = async (file: string): Promise<string> => {
    const content = files[file];
    if (content === undefined) throw new CliError(`There is no file ${file}.`);
    return typeof content === "string" ? content : JSON.stringify(content);
  };
  const out = (text: string) => void (written.out += text);
  const err = (text: string) => void (written.err += text);
  const code = await runCli(args, { out, err, read, env: {}, colors: false, ...more });
  return { code, ...written };
}

/** A small valid definition. */
export const GREETING = {
  name: "greeting",
  nodes: {
    start: { type: "trigger", next: { success: "greet" } },
    greet: { type: "llm", model: "openai:gpt-5-mini", prompt: "Greet {{ input.name }}.", next: { success: "done" } },
    done: { type: "output", value: "{{ nodes.greet.output }}" },
  },
};
