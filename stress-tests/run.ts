/** `npm run stress`: see cli.ts, or `--help`. */
import { main } from "./cli.js";

/** What a deployment would write to its log. Shown only when something went wrong. */
const log: string[] = [];
for (const level of ["log", "info", "debug", "warn", "error"] as const) {
  console[level] = (...parts: unknown[]) => log.push(`${level}: ${parts.map(String).join(" ")}`);
}

const out = (text: string) => process.stdout.write(`${text}\n`);
const err = (text: string) => process.stderr.write(`${text}\n`);
process.exitCode = await main(process.argv.slice(2), { out, err });
if (process.exitCode !== 0 && log.length > 0) err(`\nThe end of the log:\n${log.slice(-20).join("\n")}`);
