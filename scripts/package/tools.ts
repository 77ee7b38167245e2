/** publint and "are the types wrong?" over a tarball, in one form. */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { z } from "zod";
import type { Finding } from "./findings.js";
import type { Packed } from "./pack.js";

export async function runPublint({ tarball }: Packed): Promise<Finding[]> {
  const bytes = await readFile(tarball);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  // Without `strict` a suggestion stays one; all levels count here.
  const { messages, pkg } = await publint({ pack: { tarball: buffer } });
  return messages.map((message) => ({
    tool: "publint",
    code: message.code,
    where: message.path.join("."),
    message: `${message.type}: ${formatMessage(message, pkg, { color: false }) ?? message.code}`,
  }));
}

const ATTW_REPORT = z.object({
  analysis: z.object({
    types: z.unknown(),
    entrypoints: z.record(z.string(), z.unknown()).default({}),
    problems: z
      .array(
        z.looseObject({ kind: z.string(), entrypoint: z.string().optional(), resolutionKind: z.string().optional() }),
      )
      .default([]),
  }),
});

export async function runAttw({ tarball, manifest }: Packed): Promise<Finding[]> {
  const { analysis } = ATTW_REPORT.parse(JSON.parse(await attwReport(tarball)));
  const finding = (code: string, where: string, message: string): Finding => ({ tool: "attw", code, where, message });
  if (!analysis.types) return [finding("NoTypes", manifest.name, "The package has no types.")];
  const missed = Object.keys(manifest.exports).filter((entry) => !(entry in analysis.entrypoints));
  return [
    ...missed.map((entry) => finding("NotAnalyzed", entry, "attw did not look at this entry.")),
    ...analysis.problems.map(({ kind, entrypoint, resolutionKind, ...rest }) => {
      const where = [resolutionKind, entrypoint].filter((part) => part !== undefined).join(" ");
      return finding(kind, where, Object.keys(rest).length > 0 ? JSON.stringify(rest) : kind);
    }),
  ];
}

/** Its exit code only repeats whether there are problems. */
async function attwReport(tarball: string): Promise<string> {
  const manifest = createRequire(import.meta.url).resolve("@arethetypeswrong/cli/package.json");
  const program = path.join(path.dirname(manifest), "dist/index.js");
  const child = spawn(process.execPath, [program, tarball, "--format", "json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (text) => (output += String(text)));
  await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return output;
}
