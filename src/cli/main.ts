#!/usr/bin/env node
/**
 * The program `shardflow`.
 *
 * Owns: the process: arguments, streams, what nobody caught, and its end. Invariant: it ends by itself, whatever timers
 * a command left behind, and only after all that was written has reached its reader or the reader is gone.
 */
import { reportUnexpected, runCli } from "./dispatch.js";
import { createIo } from "./io.js";

const { io, flush } = createIo(process);

async function end(code: number): Promise<never> {
  process.exit((await flush()) ?? code);
}

process.on("uncaughtException", (error) => void end(reportUnexpected(error, io)));

await end(await runCli(process.argv.slice(2), io));
