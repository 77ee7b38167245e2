/**
 * The {@link Io} of a process: its streams and files.
 *
 * Owns: what becomes of a reader that is gone or a disk that is full, and how a text is read. Invariant: a failing
 * output stream never throws into a command; how writing went is told by `flush`, once, at the end.
 */
import { readFile } from "node:fs/promises";
import { CliError, EXIT, type Io } from "./command.js";

/** What is used of `process`. */
export type ProcessLike = {
  stdin: AsyncIterable<Uint8Array | string>;
  stdout: NodeJS.WritableStream & { isTTY?: boolean; hasColors?: (env?: object) => boolean };
  stderr: NodeJS.WritableStream;
  env: Readonly<Record<string, string | undefined>>;
};

export type ProcessIo = {
  io: Io;
  /** Waits until all is written. The exit code when it could not be, null when it was or nobody wanted it. */
  flush: () => Promise<number | null>;
};

export function createIo({ stdin, stdout, stderr, env }: ProcessLike): ProcessIo {
  let lost: NodeJS.ErrnoException | null = null;
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    // `shardflow ... | head` closes the pipe when it has read enough; that is no failure.
    if (error.code !== "EPIPE") lost ??= error;
  });
  // There is no place left to say so.
  stderr.on("error", () => undefined);
  let isStdinRead = false;

  const read = async (file: string): Promise<string> => {
    if (file !== "-") return decode(await readFile(file).catch((error: unknown) => refuse(file, error)), file);
    if (isStdinRead) throw new CliError("`-` is given twice, but standard input can be read once. Use a file.");
    isStdinRead = true;
    return decode(await readAll(stdin), "Standard input");
  };
  const flush = async (): Promise<number | null> => {
    await drained(stdout);
    if (lost !== null) stderr.write(`shardflow: The output could not be written: ${lost.message}\n`);
    await drained(stderr);
    return lost === null ? null : EXIT.unexpected;
  };
  const io: Io = {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    read,
    env,
    colors: stdout.isTTY === true && stdout.hasColors?.(env) === true,
  };
  return { io, flush };
}

async function readAll(stream: AsyncIterable<Uint8Array | string>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
  return Buffer.concat(chunks);
}

/** A byte order mark is left out: editors on Windows write one, and it is no JSON. */
function decode(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new CliError(`${name} is not UTF-8 text. Save it as UTF-8.`);
  }
}

function refuse(file: string, error: unknown): never {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") throw new CliError(`There is no file ${file}.`);
  if (code === "EISDIR") throw new CliError(`${file} is a folder. Name a file in it.`);
  throw new CliError(`${file} cannot be read: ${message}`);
}

/** Also called back when the stream is broken. */
async function drained(stream: NodeJS.WritableStream): Promise<void> {
  await new Promise<void>((resolve) => {
    stream.write("", () => resolve());
  });
}
