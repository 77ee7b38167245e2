import { build } from "esbuild";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { createIo } from "../../src/cli/io.js";
import { builtCli } from "../support/built.js";
import { GREETING, shardflow } from "./terminal.js";

const ROOT = new URL("../../", import.meta.url);
const COMMANDS = ["validate", "schema", "diff", "graph", "run"];
const { version } = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8")) as { version: string };

describe("help", () => {
  test("lists every command, on request or when there is nothing to do", async () => {
    const asked = await shardflow(["--help"]);
    expect([asked.code, asked.err]).toEqual([0, ""]);
    for (const name of COMMANDS) expect(asked.out).toMatch(new RegExp(`^  ${name} +[A-Z].+\\.$`, "m"));
    for (const args of [["-h"], ["help"]]) expect(await shardflow(args)).toEqual(asked);
    expect(await shardflow([])).toEqual({ code: 2, out: "", err: asked.out });
  });

  test("each command has its own, with usage, exit codes and an example", async () => {
    for (const name of COMMANDS) {
      const { code, out, err } = await shardflow([name, "--help"]);
      expect([code, err]).toEqual([0, ""]);
      expect(out.startsWith(`Usage: shardflow ${name}`)).toBe(true);
      expect(out).toMatch(/^Exit codes: /m);
      expect(out).toMatch(/^Examples?:/m);
      expect(await shardflow(["help", name])).toEqual({ code, out, err });
      expect(await shardflow([name, "a.json", "b.json", "-h"])).toEqual({ code, out, err });
    }
  });

  test("the version is that of the package", async () => {
    for (const args of [["--version"], ["-V"]]) {
      expect(await shardflow(args)).toEqual({ code: 0, out: `${version}\n`, err: "" });
    }
  });
});

describe("wrong usage", () => {
  const tail = "`shardflow --help` lists what there is.\n";

  test("an unknown command, with the one that was probably meant", async () => {
    const cases = [
      ["validat", `shardflow: There is no command validat. Did you mean validate? ${tail}`],
      ["Graph", `shardflow: There is no command Graph. Did you mean graph? ${tail}`],
      ["deploy", `shardflow: There is no command deploy. ${tail}`],
      ["constructor", `shardflow: There is no command constructor. ${tail}`],
      ["--verbose", `shardflow: There is no option --verbose. ${tail}`],
    ] as const;
    for (const [name, err] of cases) {
      expect(await shardflow([name])).toEqual({ code: 2, out: "", err });
    }
    expect((await shardflow(["help", "validat"])).err).toContain("Did you mean validate?");
  });

  test("arguments that do not fit, with the usage", async () => {
    const cases = [
      [["validate"], "A file is missing."],
      [["diff", "a.json"], "An argument is missing."],
      [["graph", "a.json", "b.json"], "There is an argument too many: b.json"],
      [["schema", "a.json"], "There is an argument too many: a.json"],
      [["validate", "a.json", "--jsn"], "Unknown option '--jsn'"],
      [["validate", "a.json", "--json=yes"], "Option '--json' does not take an argument"],
      [["graph", "a.json", "--direction"], "Option '--direction <value>' argument missing"],
    ] as const;
    for (const [args, message] of cases) {
      const { code, out, err } = await shardflow(args, { "a.json": GREETING, "b.json": GREETING });
      expect([code, out]).toEqual([2, ""]);
      expect(err.startsWith(`shardflow: ${args[0]}: ${message}`), err).toBe(true);
      expect(err).toContain(`\n\nUsage: shardflow ${args[0]}`);
      expect(err).toContain(`\n\n\`shardflow ${args[0]} --help\` says more.\n`);
    }
  });

  test("a file whose name begins with a dash comes after --", async () => {
    expect(await shardflow(["validate", "--", "--json"], { "--json": GREETING })).toEqual({
      code: 0,
      out: "--json: valid\n",
      err: "",
    });
  });
});

test("a defect has its own exit code, and a trace on request", async () => {
  const read = async (): Promise<string> => {
    throw new TypeError("no such thing");
  };
  const { code, out, err } = await shardflow(["validate", "a.json"], {}, { read });
  expect([code, out]).toEqual([70, ""]);
  expect(err).toMatch(/^shardflow: Unexpected error: no such thing\n.*SHARDFLOW_DEBUG=1.*\n$/);
  const traced = await shardflow(["validate", "a.json"], {}, { read, env: { SHARDFLOW_DEBUG: "1" } });
  expect(traced.err).toMatch(/^shardflow: Unexpected error: TypeError: no such thing\n +at /);
});

describe("streams and files", () => {
  const collector = (fail?: NodeJS.ErrnoException) => {
    const texts: string[] = [];
    const stream = new Writable({
      write: (chunk, _encoding, done) => {
        if (fail === undefined) texts.push(String(chunk));
        done(fail ?? null);
      },
    });
    return { stream, texts };
  };
  const ioOf = (more: Partial<Parameters<typeof createIo>[0]> = {}) =>
    createIo({ stdin: Readable.from([]), stdout: collector().stream, stderr: collector().stream, env: {}, ...more });
  const broken = (code: string) => Object.assign(new Error(`${code}: it broke`), { code });

  test("standard input is read once, whatever its chunks", async () => {
    const bytes = Buffer.from('\ufeff{"name":"größe"}');
    const { io } = ioOf({ stdin: Readable.from([bytes.subarray(0, 16), bytes.subarray(16)]) });
    expect(await io.read("-")).toBe('{"name":"größe"}');
    await expect(io.read("-")).rejects.toThrow("`-` is given twice, but standard input can be read once. Use a file.");
  });

  test("what cannot be read is told by its name", async () => {
    const { io } = ioOf({ stdin: Readable.from([Buffer.from([0xff, 0xfe, 0x7b, 0])]) });
    await expect(io.read("no/such/file.json")).rejects.toThrow("There is no file no/such/file.json.");
    await expect(io.read("src")).rejects.toThrow("src is a folder. Name a file in it.");
    await expect(io.read("-")).rejects.toThrow("Standard input is not UTF-8 text. Save it as UTF-8.");
  });

  test("all that was written has arrived when flushing is done", async () => {
    const arrived: string[] = [];
    const slow = new Writable({
      write: (chunk, _encoding, done) => void setImmediate(() => done(void arrived.push(String(chunk)))),
    });
    const { io, flush } = ioOf({ stdout: slow, stderr: slow });
    io.out("one");
    io.err("two");
    io.out("three");
    expect(await flush()).toBeNull();
    expect(arrived.join(" ").trim()).toBe("one two three");
  });

  test("a reader that is gone is no failure, a full disk is one", async () => {
    const gone = ioOf({ stdout: collector(broken("EPIPE")).stream });
    gone.io.out("text");
    gone.io.out("more");
    expect(await gone.flush()).toBeNull();
    const { stream: stderr, texts } = collector();
    const full = ioOf({ stdout: collector(broken("ENOSPC")).stream, stderr });
    full.io.out("text");
    expect(await full.flush()).toBe(70);
    expect(texts.join("")).toBe("shardflow: The output could not be written: ENOSPC: it broke\n");
  });

  test("colours are for a terminal that has them", () => {
    const terminal = (has: boolean) => Object.assign(collector().stream, { isTTY: true, hasColors: () => has });
    expect(ioOf({ stdout: terminal(true) }).io.colors).toBe(true);
    expect(ioOf({ stdout: terminal(false) }).io.colors).toBe(false);
    expect(ioOf().io.colors).toBe(false);
  });
});

test("validate loads neither the machinery of run nor any other command", async () => {
  const { metafile } = await build({
    entryPoints: ["src/cli/main.ts", "src/cli/commands/validate.ts"],
    absWorkingDir: ROOT.pathname,
    bundle: true,
    write: false,
    metafile: true,
    packages: "external",
    platform: "node",
    format: "esm",
    splitting: true,
    outdir: "unused",
  });
  const loaded = new Set<string>();
  const load = (file: string): void => {
    if (loaded.has(file)) return;
    loaded.add(file);
    for (const one of metafile.inputs[file]?.imports ?? []) if (one.kind !== "dynamic-import") load(one.path);
  };
  load("src/cli/main.ts");
  expect([...loaded].filter((file) => file.startsWith("src/cli/")).sort()).toEqual(
    ["command", "dispatch", "io", "main"].map((name) => `src/cli/${name}.ts`),
  );
  load("src/cli/commands/validate.ts");
  expect(loaded).toContain("src/engine/definition/validate.ts");
  expect([...loaded].filter((file) => /src\/cli\/(run|commands\/run)|^convex-test|@ai-sdk/.test(file))).toEqual([]);
});

describe("the built program", () => {
  let program = "";
  // Builds when somebody has edited the sources since.
  beforeAll(async () => {
    program = await builtCli();
  }, 180_000);

  /** A definition with more problems than fit into a pipe: each node has a wrong target and three unknown fields. */
  const wrong = { type: "set", values: { x: 1 }, next: { success: "nowhere" }, one: 1, two: 2, three: 3 };
  const nodes = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`node_${i}`, wrong]));
  const manyProblems = JSON.stringify({ name: "bad", nodes });

  function start(args: string[], input: string | null, nodeOptions: string[] = []) {
    const child = spawn(process.execPath, [...nodeOptions, program, ...args], { stdio: "pipe" });
    let err = "";
    child.stderr.on("data", (text) => (err += String(text)));
    const ended = new Promise<{ code: number | null; err: string }>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve({ code, err }));
    });
    if (input !== null) child.stdin.end(input);
    return { child, ended };
  }

  test("reads standard input and ends with the code of the command", async () => {
    const { child, ended } = start(["validate", "-"], JSON.stringify(GREETING));
    let out = "";
    child.stdout.on("data", (text) => (out += String(text)));
    expect(await ended).toEqual({ code: 0, err: "" });
    expect(out).toBe("standard input: valid\n");
  });

  test("a slow reader gets everything", async () => {
    const { child, ended } = start(["validate", "-", "--json"], manyProblems);
    child.stdout.setEncoding("utf8");
    await sleep(100);
    let out = "";
    for await (const text of child.stdout as AsyncIterable<string>) {
      out += text;
      await sleep(2);
    }
    expect(await ended).toEqual({ code: 1, err: "" });
    expect(out.length).toBeGreaterThan(300_000);
    expect((JSON.parse(out) as { problems: unknown[] }).problems.length).toBeGreaterThan(1600);
  });

  test("a reader that goes away is no failure", async () => {
    const { child, ended } = start(["validate", "-", "--json"], manyProblems);
    child.stdout.once("data", () => child.stdout.destroy());
    expect(await ended).toEqual({ code: 1, err: "" });
  });

  test("what nobody caught ends it as a defect, though it still waits for input", async () => {
    const late = `setInterval(() => process.listenerCount("uncaughtException") > 0 && Promise.reject(new Error("late")))`;
    const { child, ended } = start(["validate", "-"], null, ["--import", `data:text/javascript,${late}`]);
    const { code, err } = await ended;
    child.stdin.destroy();
    expect(code).toBe(70);
    expect(err).toMatch(/^shardflow: Unexpected error: late\n/);
  });
});
