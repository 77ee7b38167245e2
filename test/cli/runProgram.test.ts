/** `shardflow run` as it is installed: plain Node, the built files, a process that ends by itself. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunReport } from "../../src/cli/run/execution.js";
import { builtCli } from "../support/built.js";
import { sequence } from "./runSupport.js";

/** A build may have to come first. */
const BUILD_TIMEOUT_MS = 120_000;
const look = { type: "action", action: "crm.look-up", retry: { maxAttempts: 2, initialMs: 0 } };
const dir = mkdtempSync(path.join(tmpdir(), "shardflow-run-"));
let program = "";

beforeAll(async () => {
  program = await builtCli();
}, BUILD_TIMEOUT_MS);
afterAll(() => rmSync(dir, { recursive: true }));

function file(name: string, value: unknown): string {
  const at = path.join(dir, name);
  writeFileSync(at, JSON.stringify(value));
  return at;
}

type Ended = { code: number | null; out: string; err: string };

/** @param onError - told all of standard error whenever there is more, to act while the program runs. */
async function start(
  args: string[],
  options: {
    stdin?: string;
    env?: Record<string, string>;
    onError?: (err: string, interrupt: () => void) => void;
  } = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [program, "run", ...args], { env: { ...process.env, ...options.env } });
  const ended: Ended = { code: null, out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (ended.out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    ended.err += text;
    options.onError?.(ended.err, () => child.kill("SIGINT"));
  });
  child.stdin.end(options.stdin ?? "");
  ended.code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return ended;
}

const flow = file("flow.json", sequence({ look }, { got: "{{ nodes.look.output }}", of: "{{ input.id }}" }));

test("a flow runs to its end, with mocks and input of every size", async () => {
  const large = "é".repeat(700_000);
  const mocks = file("mocks.json", { actions: { "crm.look-up": { kind: "query", returns: large } } });
  const { code, out, err } = await start([flow, "--mocks", mocks, "--input", "-", "--json"], { stdin: '{"id": 7}' });
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect((JSON.parse(out) as RunReport).output).toEqual({ got: large, of: 7 });
});

test("a flow that fails ends with 1, and what functions log goes to standard error", async () => {
  const mocks = file("failing.json", { actions: { "crm.look-up": { kind: "action", throws: "down" } } });
  // The packages inside have a variable of this name, which is not meant by one of a shell.
  const args = [flow, "--mocks", mocks, "--json", "--verbose"];
  const { code, out, err } = await start(args, { env: { LOG_LEVEL: "everything" } });
  expect(code).toBe(1);
  expect((JSON.parse(out) as RunReport).error).toMatchObject({ code: "ACTION_FAILED", node: "look" });
  expect(err).toMatch(/^info: /m);
});

test("Ctrl-C cancels the execution and reports it", async () => {
  const throws = { message: "later", retryAfterMs: 60_000 };
  const mocks = file("waiting.json", { actions: { "crm.look-up": { kind: "query", throws } } });
  let interrupted = false;
  const { code, out } = await start([flow, "--mocks", mocks, "--json", "--verbose"], {
    // The packages log that they have begun to work.
    onError: (err, interrupt) => {
      if (interrupted || !err.includes("workpool")) return;
      interrupted = true;
      interrupt();
    },
  });
  expect(code).toBe(130);
  expect(JSON.parse(out)).toMatchObject({ status: "canceled", note: "Canceled by an interrupt.", error: null });
});
