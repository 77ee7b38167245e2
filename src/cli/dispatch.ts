/**
 * From arguments to a command and its exit code.
 *
 * Owns: the list of commands, help, version, and what is said about wrong arguments and failures. Invariant: a command
 * is loaded when it is asked for, so that `validate` does not pay for what `run` needs.
 */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { nearest } from "../engine/definition/suggest.js";
import { CliError, EXIT, type Command, type Io } from "./command.js";

const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  validate: async () => (await import("./commands/validate.js")).validateCommand,
  schema: async () => (await import("./commands/schema.js")).schemaCommand,
  diff: async () => (await import("./commands/diff.js")).diffCommand,
  graph: async () => (await import("./commands/graph.js")).graphCommand,
  run: async () => (await import("./commands/run.js")).runCommand,
};

export async function runCli(args: readonly string[], io: Io): Promise<number> {
  try {
    return await dispatch(args, io);
  } catch (error) {
    if (!(error instanceof CliError)) return reportUnexpected(error, io);
    io.err(`shardflow: ${error.message}\n`);
    return EXIT.usage;
  }
}

/** For what is no fault of the user. The trace is for who mends it; it names folders of the machine. */
export function reportUnexpected(error: unknown, io: Io): number {
  const isTraced = error instanceof Error && Boolean(io.env.SHARDFLOW_DEBUG);
  const text = error instanceof Error ? error.message : String(error);
  io.err(`shardflow: Unexpected error: ${isTraced ? (error.stack ?? text) : text}\n`);
  if (!isTraced) io.err("This should not happen. Set SHARDFLOW_DEBUG=1 to see where it does.\n");
  return EXIT.unexpected;
}

async function dispatch(args: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) {
    io.err(await overview());
    return EXIT.usage;
  }
  if (name === "--version" || name === "-V") {
    io.out(`${await version()}\n`);
    return EXIT.ok;
  }
  if (name === "--help" || name === "-h" || (name === "help" && rest.length === 0)) {
    io.out(await overview());
    return EXIT.ok;
  }
  if (name === "help") return await dispatch([...rest.slice(0, 1), "--help"], io);
  return await runCommand(await load(name), rest, io);
}

async function load(name: string): Promise<Command> {
  if (Object.hasOwn(COMMANDS, name)) return await (COMMANDS[name] as () => Promise<Command>)();
  const what = name.startsWith("-") ? "option" : "command";
  const near = nearest(name, Object.keys(COMMANDS));
  const hint = near === null ? "" : ` Did you mean ${near}?`;
  throw new CliError(`There is no ${what} ${name}.${hint} \`shardflow --help\` lists what there is.`);
}

async function runCommand(command: Command, args: string[], io: Io): Promise<number> {
  const parsed = parse(command, args);
  if (parsed.values.help === true) {
    io.out(withNewline(command.help));
    return EXIT.ok;
  }
  const [min, max] = command.positionals;
  const { length } = parsed.positionals;
  if (length < min) throw misuse(command, length === 0 ? "A file is missing." : "An argument is missing.");
  if (length > max) throw misuse(command, `There is an argument too many: ${parsed.positionals[max] ?? ""}`);
  return await command.run(parsed, io);
}

function parse(command: Command, args: string[]): Parameters<Command["run"]>[0] {
  const options = { ...command.options, help: { type: "boolean", short: "h" } } as const;
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true, strict: true });
    return { values, positionals };
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    throw code.startsWith("ERR_PARSE_ARGS_") ? misuse(command, message) : error;
  }
}

/** What is wrong, then the first paragraph of the command's help, which is its usage. */
function misuse(command: Command, message: string): CliError {
  const usage = command.help.trimStart().split("\n\n", 1)[0] ?? "";
  return new CliError(`${command.name}: ${message}\n\n${usage}\n\n\`shardflow ${command.name} --help\` says more.`);
}

async function overview(): Promise<string> {
  const commands = await Promise.all(Object.values(COMMANDS).map((one) => one()));
  const width = Math.max(...commands.map(({ name }) => name.length));
  return `Usage: shardflow COMMAND [ARGUMENTS]

Checks, compares, draws and runs Shardflow definitions: AI workflows as JSON.

Commands:
${commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join("\n")}

\`shardflow COMMAND --help\` describes a command. Where a file is expected, \`-\` reads standard input.

Options:
  -h, --help     Print this text.
  -V, --version  Print the version.

Exit codes:
  0   done: valid, equal, succeeded
  1   no: invalid, different, not succeeded
  2   wrong usage, or a file that cannot be read
  70  a defect of shardflow, or output that cannot be written; SHARDFLOW_DEBUG=1 prints a trace
`;
}

async function version(): Promise<string> {
  const file = new URL("../../package.json", import.meta.url);
  const { version } = JSON.parse(await readFile(file, "utf8")) as { version: string };
  return version;
}

function withNewline(text: string): string {
  return `${text.trimEnd()}\n`;
}
