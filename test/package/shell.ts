/** Running programs as a user's shell would: without what vitest leaves in the environment. */
import { spawn } from "node:child_process";

export type Ran = { code: number | null; stdout: string; stderr: string };

const OURS = /^(VITEST|TEST$|NODE_ENV$|NODE_OPTIONS$|npm_(lifecycle|package|command))/;

export async function run(cwd: string, program: string, args: string[], input = ""): Promise<Ran> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !OURS.test(name)));
  const child = spawn(program, args, { cwd, stdio: "pipe", env: { ...env, NO_COLOR: "1", CI: "1" } });
  const ran: Ran = { code: null, stdout: "", stderr: "" };
  child.stdout.on("data", (text) => (ran.stdout += String(text)));
  child.stderr.on("data", (text) => (ran.stderr += String(text)));
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  ran.code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return ran;
}

/** What it printed, when it must end with 0. */
export async function mustRun(cwd: string, program: string, args: string[], input = ""): Promise<string> {
  const { code, stdout, stderr } = await run(cwd, program, args, input);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}:\n${stdout}\n${stderr}`);
  return stdout;
}
